//! Creating, resizing and closing accounts as onchain-common.md section 4 says (init, realloc, close).

use crate::accounts::{data_mut, same, SYSTEM_PROGRAM};
use crate::error::*;
use crate::memory::clear;
use crate::sysvar::rent_minimum;
use pinocchio::cpi::{invoke_signed, Seed, Signer};
use pinocchio::instruction::{InstructionAccount, InstructionView};
use pinocchio::{AccountView, Address};

/// Bytes an account may grow by in one instruction.
pub const MAX_GROWTH: usize = 10_240;

/// Finds the bump of an account to create and checks the account's address.
#[inline(always)]
pub fn find_bump(
    account: &AccountView,
    seeds: &[&[u8]],
    program: &Address,
    name: &'static str,
) -> Outcome<u8> {
    let (address, bump) = Address::find_program_address(seeds, program);
    require(same(&address, account.address()), || SEEDS.on(name))?;
    Ok(bump)
}

/// Creates the program derived account `target`, paid by `payer`. `seeds` end with the bump.
#[inline(always)]
pub fn create<const N: usize>(
    payer: &AccountView,
    target: &AccountView,
    space: usize,
    program: &Address,
    seeds: &[Seed; N],
    name: &'static str,
) -> Outcome {
    let minimum = rent_minimum(space)?;
    let signer = [Signer::from(seeds)];
    if target.lamports() == 0 {
        let mut data = [0u8; 52];
        data[4..12].copy_from_slice(&minimum.to_le_bytes());
        data[12..20].copy_from_slice(&(space as u64).to_le_bytes());
        data[20..].copy_from_slice(program.as_ref());
        let metas = [
            InstructionAccount::writable_signer(payer.address()),
            InstructionAccount::writable_signer(target.address()),
        ];
        return system(&data, &metas, &[*payer, *target], &signer);
    }
    // Somebody sent lamports to the address before: a plain create would refuse it.
    require(!same(payer.address(), target.address()), || {
        PAYER_IS_TARGET.on(name)
    })?;
    let missing = minimum.saturating_sub(target.lamports());
    if missing > 0 {
        transfer(payer, target, missing)?;
    }
    let metas = [InstructionAccount::writable_signer(target.address())];
    let mut allocate = [0u8; 12];
    allocate[0] = 8;
    allocate[4..].copy_from_slice(&(space as u64).to_le_bytes());
    system(&allocate, &metas, &[*target], &signer)?;
    let mut assign = [0u8; 36];
    assign[0] = 1;
    assign[4..].copy_from_slice(program.as_ref());
    system(&assign, &metas, &[*target], &signer)
}

/// Brings `account` to `len` bytes; `payer` pays for growth and gets back what shrinking frees.
// Inlined: the back end passes at most five values to a function.
#[inline(always)]
pub fn resize(
    account: &mut AccountView,
    payer: &mut AccountView,
    len: usize,
    name: &'static str,
) -> Outcome {
    let before = account.data_len();
    if len == before {
        return Ok(());
    }
    let minimum = rent_minimum(len)?;
    if len > before {
        require(len - before <= MAX_GROWTH, || GROWTH_TOO_LARGE.on(name))?;
        let missing = minimum.saturating_sub(account.lamports());
        if missing > 0 {
            transfer(payer, account, missing)?;
        }
    } else {
        let freed = account.lamports().saturating_sub(minimum);
        payer.set_lamports(payer.lamports() + freed);
        account.set_lamports(account.lamports() - freed);
    }
    set_len(account, len);
    if len > before {
        clear(&mut data_mut(account)[before..]);
    }
    Ok(())
}

/// The runtime keeps room for [`MAX_GROWTH`] more bytes behind each account.
fn set_len(account: &mut AccountView, len: usize) {
    // SAFETY: callers shrink, or grow once and by no more than the room there is.
    unsafe { (*account.account_mut_ptr()).data_len = len as u64 }
}

/// Moves all lamports of `account` to `target` and gives the empty account back to the system.
pub fn close(account: &mut AccountView, target: &mut AccountView) {
    target.set_lamports(target.lamports() + account.lamports());
    account.set_lamports(0);
    account.assign(&SYSTEM_PROGRAM);
    set_len(account, 0);
}

fn transfer(from: &AccountView, to: &AccountView, lamports: u64) -> Outcome {
    let mut data = [0u8; 12];
    data[0] = 2;
    data[4..].copy_from_slice(&lamports.to_le_bytes());
    let metas = [
        InstructionAccount::writable_signer(from.address()),
        InstructionAccount::writable(to.address()),
    ];
    system(&data, &metas, &[*from, *to], &[])
}

/// Calls the system program.
#[inline(always)]
pub fn system<const N: usize>(
    data: &[u8],
    metas: &[InstructionAccount; N],
    accounts: &[AccountView; N],
    signers: &[Signer],
) -> Outcome {
    let instruction = InstructionView {
        program_id: &SYSTEM_PROGRAM,
        data,
        accounts: metas,
    };
    invoke_signed(&instruction, accounts, signers)?;
    Ok(())
}
