//! The accounts and instructions of SPL Token that are used (docs/protocol/onchain-common.md
//! sections 4 and 6).

use crate::state::Key;
use psyche_common::accounts::*;
use psyche_common::borsh::Reader;
use psyche_common::error::*;
use psyche_common::pinocchio::cpi::{invoke, invoke_signed, Seed, Signer};
use psyche_common::pinocchio::error::ProgramError;
use psyche_common::pinocchio::instruction::{InstructionAccount, InstructionView};
use psyche_common::{AccountView, Address};

/// `TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA`
pub const TOKEN_PROGRAM: Address = Address::new_from_array([
    0x06, 0xdd, 0xf6, 0xe1, 0xd7, 0x65, 0xa1, 0x93, 0xd9, 0xcb, 0xe1, 0x46, 0xce, 0xeb, 0x79, 0xac,
    0x1c, 0xb4, 0x85, 0xed, 0x5f, 0x5b, 0x37, 0x91, 0x3a, 0x8c, 0xf5, 0x85, 0x7e, 0xff, 0x00, 0xa9,
]);

/// `ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL`
pub const ASSOCIATED_TOKEN_PROGRAM: Address = Address::new_from_array([
    0x8c, 0x97, 0x25, 0x8f, 0x4e, 0x24, 0x89, 0xf1, 0xbb, 0x3d, 0x10, 0x29, 0x14, 0x8e, 0x0d, 0x83,
    0x0b, 0x5a, 0x13, 0x99, 0xda, 0xff, 0x10, 0x84, 0x04, 0x8e, 0x7b, 0xd8, 0xdb, 0xe9, 0xf8, 0x59,
]);

/// What is looked at of a token account.
pub struct TokenAccount {
    pub mint: &'static Key,
    pub owner: &'static Key,
    pub has_delegate: bool,
}

/// Takes and type-checks the next account as a token account.
#[inline(never)]
pub fn next_account(
    accounts: &mut Accounts,
    name: &'static str,
) -> Outcome<(AccountView, TokenAccount)> {
    let view = next_of_token_program(accounts, name)?;
    match read_account(data(&view)) {
        Some((account, true)) => Ok((view, account)),
        Some(_) => Err(ProgramError::UninitializedAccount.into()),
        None => Err(ProgramError::InvalidAccountData.into()),
    }
}

/// Takes and type-checks the next account as a mint.
#[inline(never)]
pub fn next_mint(accounts: &mut Accounts, name: &'static str) -> Outcome<AccountView> {
    let view = next_of_token_program(accounts, name)?;
    match read_mint(data(&view)) {
        Some(true) => Ok(view),
        Some(false) => Err(ProgramError::UninitializedAccount.into()),
        None => Err(ProgramError::InvalidAccountData.into()),
    }
}

#[inline(always)]
fn next_of_token_program(accounts: &mut Accounts, name: &'static str) -> Outcome<AccountView> {
    let view = accounts.any(name)?;
    if view.owned_by(&SYSTEM_PROGRAM) && view.lamports() == 0 {
        return Err(NOT_INITIALIZED.on(name));
    }
    require(view.owned_by(&TOKEN_PROGRAM), || WRONG_OWNER.on(name))?;
    Ok(view)
}

/// The account and whether it is initialized.
#[inline(always)]
fn read_account(data: &'static [u8]) -> Option<(TokenAccount, bool)> {
    let data: &[u8; 165] = data.try_into().ok()?;
    let mut reader = Reader::new(data);
    let mint = reader.array()?;
    let owner = reader.array()?;
    let _amount = reader.u64()?;
    let has_delegate = optional::<32>(&mut reader)?;
    let state = reader.variant(3)?;
    let _native_reserve = optional::<8>(&mut reader)?;
    let _delegated_amount = reader.u64()?;
    let _close_authority = optional::<32>(&mut reader)?;
    Some((TokenAccount { mint, owner, has_delegate }, state != 0))
}

/// Whether the mint is initialized.
#[inline(always)]
fn read_mint(data: &'static [u8]) -> Option<bool> {
    let data: &[u8; 82] = data.try_into().ok()?;
    let mut reader = Reader::new(data);
    let _mint_authority = optional::<32>(&mut reader)?;
    let _supply = reader.u64()?;
    let _decimals = reader.u8()?;
    let is_initialized = reader.boolean()?;
    let _freeze_authority = optional::<32>(&mut reader)?;
    Some(is_initialized)
}

/// Whether an optional field is set: a u32 tag of 0 or 1, then the room for the value.
#[inline(always)]
fn optional<const N: usize>(reader: &mut Reader) -> Option<bool> {
    let tag = reader.u32()?;
    reader.take(N)?;
    (tag <= 1).then_some(tag == 1)
}

/// The account must be the associated token account of `owner` for `mint`.
#[inline(never)]
pub fn require_associated(
    (view, account): &(AccountView, TokenAccount),
    owner: &Key,
    mint: &Key,
    name: &'static str,
) -> Outcome {
    require(same_key(account.owner, owner), || TOKEN_OWNER.on(name))?;
    let seeds: [&[u8]; 3] = [owner, TOKEN_PROGRAM.as_ref(), mint];
    let (address, _) = Address::find_program_address(&seeds, &ASSOCIATED_TOKEN_PROGRAM);
    require(same(&address, view.address()), || ASSOCIATED.on(name))
}

/// Accounts of [`create_associated`].
pub struct NewAssociated<'a> {
    pub payer: &'a AccountView,
    pub account: &'a AccountView,
    pub owner: &'a AccountView,
    pub mint: &'a AccountView,
    pub system_program: &'a AccountView,
    pub token_program: &'a AccountView,
}

/// Creates an associated token account, which must not exist.
#[inline(never)]
pub fn create_associated(new: &NewAssociated) -> Outcome {
    let metas = [
        InstructionAccount::writable_signer(new.payer.address()),
        InstructionAccount::writable(new.account.address()),
        InstructionAccount::readonly(new.owner.address()),
        InstructionAccount::readonly(new.mint.address()),
        InstructionAccount::readonly(new.system_program.address()),
        InstructionAccount::readonly(new.token_program.address()),
    ];
    let instruction = InstructionView {
        program_id: &ASSOCIATED_TOKEN_PROGRAM,
        data: &[0],
        accounts: &metas,
    };
    let accounts =
        [new.payer, new.account, new.owner, new.mint, new.system_program, new.token_program];
    invoke(&instruction, &accounts)?;
    Ok(())
}

/// Accounts of [`transfer`].
pub struct Transfer<'a> {
    pub from: &'a AccountView,
    pub to: &'a AccountView,
    /// Signs by its seeds.
    pub authority: &'a AccountView,
}

/// Moves base units of a token.
#[inline(never)]
pub fn transfer(transfer: &Transfer, amount: u64, seeds: &[Seed; 3]) -> Outcome {
    let mut data = [3u8; 9];
    data[1..].copy_from_slice(&amount.to_le_bytes());
    let metas = [
        InstructionAccount::writable(transfer.from.address()),
        InstructionAccount::writable(transfer.to.address()),
        InstructionAccount::readonly_signer(transfer.authority.address()),
    ];
    let instruction =
        InstructionView { program_id: &TOKEN_PROGRAM, data: &data, accounts: &metas };
    let accounts = [transfer.from, transfer.to, transfer.authority];
    invoke_signed(&instruction, &accounts, &[Signer::from(seeds)])?;
    Ok(())
}
