//! Numbered errors and their log line (onchain-common.md sections 4 and 5).

use crate::log::Line;
use pinocchio::error::ProgramError;

/// One numbered error: what the transaction reports and what the log names.
pub struct Kind {
    pub number: u32,
    pub name: &'static str,
    pub message: &'static str,
}

/// Why an instruction stops.
pub enum Failure {
    /// A numbered error, with the name of the account that caused it, if one did.
    Numbered(&'static Kind, Option<&'static str>),
    /// An error of the runtime or of a called program.
    Native(ProgramError),
}

pub type Outcome<T = ()> = Result<T, Failure>;

impl Kind {
    /// This error, caused by the named account.
    pub fn on(&'static self, account: &'static str) -> Failure {
        Failure::Numbered(self, Some(account))
    }
}

impl From<&'static Kind> for Failure {
    fn from(kind: &'static Kind) -> Self {
        Failure::Numbered(kind, None)
    }
}

impl From<ProgramError> for Failure {
    fn from(error: ProgramError) -> Self {
        Failure::Native(error)
    }
}

impl Failure {
    /// Logs a numbered error and returns what the entry point answers.
    pub fn report(self) -> u64 {
        match self {
            Failure::Native(error) => error.into(),
            Failure::Numbered(kind, account) => {
                let mut line = Line::new();
                match account {
                    Some(name) => line.text("AnchorError caused by account: ").text(name),
                    None => line.text("AnchorError occurred"),
                };
                line.text(". Error Code: ").text(kind.name);
                line.text(". Error Number: ").number(kind.number as u64);
                line.text(". Error Message: ")
                    .text(kind.message)
                    .text(".")
                    .log();
                kind.number as u64
            }
        }
    }
}

/// `Err(error)` unless `condition`.
#[inline(always)]
pub fn require(condition: bool, error: impl FnOnce() -> Failure) -> Outcome {
    if condition {
        Ok(())
    } else {
        Err(error())
    }
}

/// Declares numbered errors: `NAME = number, "CodeName", "message";`
#[macro_export]
macro_rules! errors {
    ($($name:ident = $number:literal, $code:literal, $message:literal;)*) => {
        $(pub static $name: $crate::error::Kind =
            $crate::error::Kind { number: $number, name: $code, message: $message };)*
    };
}

errors! {
    UNKNOWN_INSTRUCTION = 101, "InstructionFallbackNotFound", "No instruction has this discriminator";
    BAD_ARGUMENTS = 102, "InstructionDidNotDeserialize", "The instruction arguments do not decode";
    EVENTS_DISABLED = 1500, "EventInstructionStub", "This program does not take event instructions";
    NOT_WRITABLE = 2000, "ConstraintMut", "The account must be writable";
    RAW = 2003, "ConstraintRaw", "A condition between the accounts does not hold";
    OWNER = 2004, "ConstraintOwner", "The account belongs to another program";
    SEEDS = 2006, "ConstraintSeeds", "The account is not at the address its seeds give";
    ASSOCIATED = 2009, "ConstraintAssociated", "The account is not the associated token account";
    CLOSE_TARGET = 2011, "ConstraintClose", "An account cannot be closed into itself";
    TOKEN_OWNER = 2015, "ConstraintTokenOwner", "The token account belongs to another owner";
    DISCRIMINATOR_SET = 3000, "AccountDiscriminatorAlreadySet", "The account is already initialized";
    DISCRIMINATOR_MISSING = 3001, "AccountDiscriminatorNotFound", "The account is too short for a discriminator";
    DISCRIMINATOR_WRONG = 3002, "AccountDiscriminatorMismatch", "The account is of another type";
    ACCOUNT_BROKEN = 3003, "AccountDidNotDeserialize", "The account content does not decode";
    TOO_FEW_ACCOUNTS = 3005, "AccountNotEnoughKeys", "The instruction needs more accounts";
    WRONG_OWNER = 3007, "AccountOwnedByWrongProgram", "The account belongs to another program than expected";
    WRONG_PROGRAM = 3008, "InvalidProgramId", "Another program was expected here";
    NOT_EXECUTABLE = 3009, "InvalidProgramExecutable", "The program account is not executable";
    NOT_SIGNER = 3010, "AccountNotSigner", "The account must sign the transaction";
    NOT_SYSTEM_OWNED = 3011, "AccountNotSystemOwned", "The account must belong to the system program";
    NOT_INITIALIZED = 3012, "AccountNotInitialized", "The account does not exist";
    GROWTH_TOO_LARGE = 3016, "AccountReallocExceedsLimit", "The account grows by more than 10240 bytes in one instruction";
    WRONG_PROGRAM_ID = 4100, "DeclaredProgramIdMismatch", "The program runs at another address than the one it is bound to";
    PAYER_IS_TARGET = 4101, "TryingToInitPayerAsProgramAccount", "The payer cannot be the account that is created";
}
