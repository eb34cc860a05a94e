//! From the entry point to the handler of one instruction (onchain-common.md section 4, steps 1 to 3).

use crate::accounts::same;
use crate::error::*;
use crate::log::Line;
use pinocchio::{AccountView, Address};

/// First bytes of the framework's event instruction.
const EVENT: [u8; 8] = [0xe4, 0x45, 0xa5, 0x2e, 0x51, 0xcb, 0x9a, 0x1d];

/// What a handler gets: accounts, the bytes after the discriminator, and the program's own address.
pub struct Call<'a> {
    pub program: &'a Address,
    pub accounts: &'a [AccountView],
    pub arguments: &'a [u8],
}

pub type Handler = fn(&Call) -> Outcome;

/// An instruction: discriminator, name as it is logged, handler.
pub struct Instruction(pub [u8; 8], pub &'static str, pub Handler);

/// Runs the instruction whose discriminator starts `data`.
pub fn dispatch(
    declared: &Address,
    program: &Address,
    accounts: &[AccountView],
    data: &[u8],
    instructions: &'static [Instruction],
) -> Outcome {
    require(same(declared, program), || (&WRONG_PROGRAM_ID).into())?;
    let Some((discriminator, arguments)) = data.split_first_chunk::<8>() else {
        return Err((&UNKNOWN_INSTRUCTION).into());
    };
    for Instruction(known, name, handler) in instructions {
        if u64::from_le_bytes(*known) == u64::from_le_bytes(*discriminator) {
            Line::new().text("Instruction: ").text(name).log();
            return handler(&Call {
                program: declared,
                accounts,
                arguments,
            });
        }
    }
    #[cfg(any(target_os = "solana", target_arch = "bpf"))]
    if *discriminator == crate::idl::TAG {
        return crate::idl::process(&Call {
            program: declared,
            accounts,
            arguments,
        });
    }
    Err(if *discriminator == EVENT {
        &EVENTS_DISABLED
    } else {
        &UNKNOWN_INSTRUCTION
    }
    .into())
}

/// Defines the entry point of a program, its address table and what a panic does.
#[macro_export]
macro_rules! program {
    (ids: $count:literal = $ids:expr, instructions: $instructions:expr) => {
        $crate::program! { ids: $count = $ids, accounts: 8, instructions: $instructions }
    };
    // `accounts`: the most that an instruction looks at.
    (ids: $count:literal = $ids:expr, accounts: $accounts:literal, instructions: $instructions:expr) => {
        /// The addresses this program is bound to.
        #[used]
        pub static PROGRAM_IDS: $crate::ids::ProgramIds<$count> =
            $crate::ids::ProgramIds::new($ids);

        /// # Safety
        /// Called by the runtime with its serialized input.
        #[no_mangle]
        pub unsafe extern "C" fn entrypoint(input: *mut u8) -> u64 {
            $crate::pinocchio::entrypoint::process_entrypoint::<$accounts>(input, process)
        }

        fn process(
            program: &$crate::Address,
            accounts: &mut [$crate::AccountView],
            data: &[u8],
        ) -> Result<(), $crate::pinocchio::error::ProgramError> {
            let declared = PROGRAM_IDS.get(0);
            $crate::entry::dispatch(&declared, program, accounts, data, $instructions)
                .map_err(|failure| $crate::pinocchio::error::ProgramError::from(failure.report()))
        }

        $crate::panic_handler!();
    };
}

/// A panic logs a line and aborts: the transaction ends with `ProgramFailedToComplete`.
#[macro_export]
macro_rules! panic_handler {
    () => {
        #[cfg(any(target_os = "solana", target_arch = "bpf"))]
        #[panic_handler]
        fn panic(_: &core::panic::PanicInfo) -> ! {
            $crate::log::log(b"Program panicked");
            // SAFETY: ends the program.
            unsafe { $crate::pinocchio::syscalls::abort() }
        }
    };
}
