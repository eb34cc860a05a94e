//! The instructions by which a program carries its own IDL, as Anchor 0.30 has them in every program
//! (onchain-common.md section 4, step 2), so that explorers and Anchor's tools find it.
//!
//! The IDL account is at `create_with_seed(base, "anchor:idl", program)`, where base is the program
//! derived address of no seeds. Whoever creates it is its authority; a program should therefore publish
//! its IDL when it is deployed. Other accounts of this type are buffers.

use crate::accounts::*;
use crate::borsh::Reader;
use crate::entry::Call;
use crate::error::*;
use crate::hash::sha256;
use crate::lifecycle;
use crate::log::log;
use crate::memory::copy;
use crate::sysvar::rent_minimum;
use pinocchio::cpi::{Seed, Signer};
use pinocchio::instruction::InstructionAccount;
use pinocchio::{AccountView, Address};

/// First bytes of these instructions.
pub const TAG: [u8; 8] = [0x40, 0xf4, 0xbc, 0x78, 0xa7, 0xe9, 0x69, 0x0a];

/// Of `IdlAccount` in the namespace "internal".
const DISCRIMINATOR: [u8; 8] = [0x18, 0x46, 0x62, 0xbf, 0x3a, 0x90, 0x7b, 0x9e];

const SEED: &[u8; 10] = b"anchor:idl";

/// Discriminator, authority and length; the compressed IDL follows.
const HEADER: usize = 44;
const LEN_AT: usize = 40;

/// Bytes that one instruction creates or adds at most.
const MAX_STEP: usize = 10_000;

crate::errors! {
    OTHER_PROGRAM = 1001, "IdlInstructionInvalidProgram", "The program account is not this program";
    NOT_EMPTY = 1002, "IdlAccountNotEmpty", "Only an account without an IDL can be resized";
    HAS_ONE = 2001, "ConstraintHasOne", "The account names another authority";
    SIGNER = 2002, "ConstraintSigner", "The account must sign the transaction";
    NOT_RENT_EXEMPT = 2005, "ConstraintRentExempt", "The account holds less than its rent exempt minimum";
    EXECUTABLE = 2007, "ConstraintExecutable", "The account is not a program";
    ZERO = 2013, "ConstraintZero", "The account has a type already";
    TOO_SMALL = 2507, "RequireGteViolated", "The IDL account is smaller than the content of the buffer";
}

/// Runs one of the instructions; the arguments start with its number.
#[inline(never)]
pub fn process(call: &Call) -> Outcome {
    let mut reader = Reader::new(call.arguments);
    let number = reader.u8().ok_or(&BAD_ARGUMENTS)?;
    match number {
        0 => create(call, reader.u64().ok_or(&BAD_ARGUMENTS)?),
        1 => create_buffer(call),
        2 => write(call, reader.bytes().ok_or(&BAD_ARGUMENTS)?),
        3 => set_buffer(call),
        4 => set_authority(call, reader.array().ok_or(&BAD_ARGUMENTS)?),
        5 => close(call),
        6 => resize(call, reader.u64().ok_or(&BAD_ARGUMENTS)?),
        _ => Err((&BAD_ARGUMENTS).into()),
    }
}

/// An IDL account or a buffer.
struct Idl {
    view: AccountView,
}

impl Idl {
    #[inline(never)]
    fn next(accounts: &mut Accounts, call: &Call, name: &'static str) -> Outcome<Idl> {
        let view = accounts.borsh(call.program, &DISCRIMINATOR, name)?;
        require(view.data_len() >= HEADER, || ACCOUNT_BROKEN.on(name))?;
        Ok(Idl { view })
    }

    #[inline(always)]
    fn authority(&self) -> &'static [u8; 32] {
        data(&self.view)[8..LEN_AT].try_into().unwrap()
    }

    #[inline(always)]
    fn len(&self) -> usize {
        u32::from_le_bytes(data(&self.view)[LEN_AT..HEADER].try_into().unwrap()) as usize
    }

    #[inline(never)]
    fn set_len(&mut self, len: usize) {
        let len = u32::try_from(len).unwrap();
        data_mut(&mut self.view)[LEN_AT..HEADER].copy_from_slice(&len.to_le_bytes());
    }

    #[inline(always)]
    fn set_authority(&mut self, authority: &[u8; 32]) {
        data_mut(&mut self.view)[8..LEN_AT].copy_from_slice(authority);
    }

    /// The account must be writable and the authority its own.
    #[inline(never)]
    fn require_owned(&self, authority: &AccountView, name: &'static str) -> Outcome {
        require_writable(&self.view, name)?;
        let owned = same_key(self.authority(), authority.address().as_array());
        require(owned, || HAS_ONE.on(name))
    }
}

/// A key of zeros is an authority that was given up.
#[inline(never)]
fn require_authority(authority: &AccountView) -> Outcome {
    require_raw(!same(authority.address(), &SYSTEM_PROGRAM), "authority")
}

#[inline(never)]
fn create(call: &Call, len: u64) -> Outcome {
    let mut accounts = Accounts::new(call.accounts);
    let from = accounts.any("from")?;
    let to = accounts.any("to")?;
    let base = accounts.any("base")?;
    accounts.system_program()?;
    let program = accounts.any("program")?;

    require(from.is_signer(), || SIGNER.on("from"))?;
    require_writable(&to, "to")?;
    let bump = [lifecycle::find_bump(&base, &[], call.program, "base")?];
    require(program.executable(), || EXECUTABLE.on("program"))?;

    log(b"Instruction: IdlCreateAccount");
    require(same(program.address(), call.program), || (&OTHER_PROGRAM).into())?;
    let address = sha256(&[base.address().as_ref(), SEED, call.program.as_ref()]);
    require(same_key(&address, to.address().as_array()), || SEEDS.on("to"))?;
    let space = (HEADER as u64 + len).min(MAX_STEP as u64);
    let mut data = [0u8; 102];
    data[0] = 3;
    data[4..36].copy_from_slice(base.address().as_ref());
    data[36] = SEED.len() as u8;
    data[44..54].copy_from_slice(SEED);
    data[54..62].copy_from_slice(&rent_minimum(space as usize)?.to_le_bytes());
    data[62..70].copy_from_slice(&space.to_le_bytes());
    data[70..].copy_from_slice(call.program.as_ref());
    let metas = [
        InstructionAccount::writable_signer(from.address()),
        InstructionAccount::writable(to.address()),
        InstructionAccount::readonly_signer(base.address()),
    ];
    let seeds = [Seed::from(&bump)];
    lifecycle::system(&data, &metas, &[from, to, base], &[Signer::from(&seeds)])?;
    initialize(to, from.address());
    Ok(())
}

#[inline(never)]
fn initialize(view: AccountView, authority: &Address) {
    let mut idl = Idl { view };
    data_mut(&mut idl.view)[..8].copy_from_slice(&DISCRIMINATOR);
    idl.set_authority(authority.as_array());
}

#[inline(never)]
fn create_buffer(call: &Call) -> Outcome {
    const NAME: &str = "buffer";
    let mut accounts = Accounts::new(call.accounts);
    let view = accounts.any(NAME)?;
    let content = data(&view);
    require(content.len() >= 8, || DISCRIMINATOR_MISSING.on(NAME))?;
    require(content[..8] == [0; 8], || ZERO.on(NAME))?;
    require(view.owned_by(call.program), || WRONG_OWNER.on(NAME))?;
    require(content.len() >= HEADER, || ACCOUNT_BROKEN.on(NAME))?;
    let authority = accounts.signer("authority")?;
    require_writable(&view, NAME)?;
    let exempt = view.lamports() >= rent_minimum(content.len())?;
    require(exempt, || NOT_RENT_EXEMPT.on(NAME))?;
    require_authority(&authority)?;

    log(b"Instruction: IdlCreateBuffer");
    initialize(view, authority.address());
    Ok(())
}

/// Accounts of writing and of changing the authority.
#[inline(never)]
fn owned(call: &Call) -> Outcome<Idl> {
    let mut accounts = Accounts::new(call.accounts);
    let idl = Idl::next(&mut accounts, call, "idl")?;
    let authority = accounts.signer("authority")?;
    idl.require_owned(&authority, "idl")?;
    require_authority(&authority)?;
    Ok(idl)
}

/// Appends to what is there.
#[inline(never)]
fn write(call: &Call, bytes: &[u8]) -> Outcome {
    let mut idl = owned(call)?;
    log(b"Instruction: IdlWrite");
    let before = idl.len();
    idl.set_len(before + bytes.len());
    copy(&mut data_mut(&mut idl.view)[HEADER + before..], bytes);
    Ok(())
}

#[inline(never)]
fn set_authority(call: &Call, new: &[u8; 32]) -> Outcome {
    let mut idl = owned(call)?;
    log(b"Instruction: IdlSetAuthority");
    idl.set_authority(new);
    Ok(())
}

/// Replaces the content of an account by that of a buffer.
#[inline(never)]
fn set_buffer(call: &Call) -> Outcome {
    let mut accounts = Accounts::new(call.accounts);
    let buffer = Idl::next(&mut accounts, call, "buffer")?;
    let mut idl = Idl::next(&mut accounts, call, "idl")?;
    let authority = accounts.signer("authority")?;
    require_writable(&buffer.view, "buffer")?;
    require_raw(same_key(buffer.authority(), idl.authority()), "buffer")?;
    idl.require_owned(&authority, "idl")?;
    require_authority(&authority)?;

    log(b"Instruction: IdlSetBuffer");
    // Copying an account over itself would alias it.
    assert!(!same(buffer.view.address(), idl.view.address()));
    let len = buffer.len();
    let source = &data(&buffer.view)[HEADER..][..len];
    require(idl.view.data_len() >= HEADER + len, || (&TOO_SMALL).into())?;
    idl.set_len(len);
    copy(&mut data_mut(&mut idl.view)[HEADER..], source);
    Ok(())
}

#[inline(never)]
fn close(call: &Call) -> Outcome {
    const NAME: &str = "account";
    let mut accounts = Accounts::new(call.accounts);
    let mut idl = Idl::next(&mut accounts, call, NAME)?;
    let authority = accounts.signer("authority")?;
    let mut destination = accounts.any("sol_destination")?;
    idl.require_owned(&authority, NAME)?;
    let other = !same(destination.address(), idl.view.address());
    require(other, || CLOSE_TARGET.on(NAME))?;
    require_authority(&authority)?;
    require_writable(&destination, "sol_destination")?;

    log(b"Instruction: IdlCloseAccount");
    lifecycle::close(&mut idl.view, &mut destination);
    Ok(())
}

/// Grows an empty account towards `len` bytes.
#[inline(never)]
fn resize(call: &Call, len: u64) -> Outcome {
    let mut accounts = Accounts::new(call.accounts);
    let mut idl = Idl::next(&mut accounts, call, "idl")?;
    let mut authority = accounts.signer("authority")?;
    accounts.system_program()?;
    idl.require_owned(&authority, "idl")?;
    require_writable(&authority, "authority")?;
    require_authority(&authority)?;

    log(b"Instruction: IdlResizeAccount");
    require(idl.len() == 0, || (&NOT_EMPTY).into())?;
    let before = idl.view.data_len();
    // A length below the present one is a panic.
    let step = (len as usize - before).min(MAX_STEP);
    lifecycle::resize(&mut idl.view, &mut authority, before + step, "idl")
}
