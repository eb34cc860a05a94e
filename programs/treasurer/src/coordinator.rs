//! What the treasurer knows of the coordinator: its accounts, and how it is called
//! (docs/protocol/onchain-coordinator.md).

use crate::state::{Key, Run};
use crate::PROGRAM_IDS;
use core::mem::MaybeUninit;
use psyche_common::accounts::*;
use psyche_common::borsh::Reader;
use psyche_common::error::*;
use psyche_common::memory::{clear, copy};
use psyche_common::pinocchio::cpi::{invoke, invoke_signed, Signer};
use psyche_common::pinocchio::instruction::{InstructionAccount, InstructionView};
use psyche_common::{AccountView, Address};

pub const INSTANCE: &str = "coordinator_instance";
pub const ACCOUNT: &str = "coordinator_account";

const INSTANCE_DISCRIMINATOR: [u8; 8] = [0x9c, 0x09, 0x99, 0x10, 0xaf, 0x18, 0x1f, 0xfc];
const ACCOUNT_DISCRIMINATOR: [u8; 8] = [0xef, 0x21, 0xb1, 0x37, 0x2c, 0x9b, 0x56, 0x2b];

const INIT_COORDINATOR: [u8; 8] = [0x14, 0x39, 0x94, 0x49, 0xe8, 0x85, 0x7a, 0x19];
pub const UPDATE: [u8; 8] = [0xdb, 0xc8, 0x58, 0xb0, 0x9e, 0x3f, 0xfd, 0x7f];
pub const SET_FUTURE_EPOCH_RATES: [u8; 8] = [0xef, 0x15, 0xa0, 0x57, 0xc7, 0xc8, 0xb6, 0x81];
pub const SET_PAUSED: [u8; 8] = [0x5b, 0x3c, 0x7d, 0xc0, 0xb0, 0xe1, 0xa6, 0xda];
pub const UPDATE_CLIENT_VERSION: [u8; 8] = [0xc1, 0x15, 0x2e, 0x3c, 0x33, 0x02, 0x0d, 0xfb];

/// Layout of the account, counted from its discriminator.
const ACCOUNT_LEN: usize = 119_160;
const VERSION: usize = 8;
const CLIENTS: usize = 94_424;
const CLIENTS_LEN: usize = 119_000;
const CLIENT_LEN: usize = 96;
const CLIENT_EARNED: usize = 72;

/// Room for the data of a call. No transaction carries more; more than this is a panic.
type Room = MaybeUninit<[u8; 1024]>;

/// Puts the data of a call together.
#[inline(always)]
fn compose<'a>(room: &'a mut Room, parts: &[&[u8]]) -> &'a [u8] {
    // SAFETY: cleared before anything is read. The compiler itself cannot clear so much.
    let room = unsafe { &mut *room.as_mut_ptr() };
    clear(room);
    let mut len = 0;
    for part in parts {
        copy(&mut room[len..], part);
        len += part.len();
    }
    &room[..len]
}

pub fn id() -> Address {
    PROGRAM_IDS.get(1)
}

pub fn next_program(accounts: &mut Accounts) -> Outcome<AccountView> {
    accounts.program(&id(), "coordinator_program")
}

/// Takes and type-checks the next account as a `CoordinatorInstance`.
#[inline(never)]
pub fn next_instance(accounts: &mut Accounts) -> Outcome<AccountView> {
    let view = accounts.borsh(&id(), &INSTANCE_DISCRIMINATOR, INSTANCE)?;
    let mut reader = Reader::new(data(&view));
    // Discriminator, bump and three keys, then the run id.
    require(reader.take(105).is_some() && reader.text().is_some(), || ACCOUNT_BROKEN.on(INSTANCE))?;
    Ok(view)
}

/// Takes and type-checks the next account as a `CoordinatorAccount`.
#[inline(never)]
pub fn next_account(accounts: &mut Accounts) -> Outcome<AccountView> {
    accounts.zero_copy(&id(), &ACCOUNT_DISCRIMINATOR, ACCOUNT)
}

/// The layout must be the one that [`earned`] reads. Panics when the account is too short.
pub fn require_version(view: &AccountView) -> Outcome {
    let data = data(view);
    assert!(data.len() >= ACCOUNT_LEN);
    require_raw(word(data, VERSION) == 1, ACCOUNT)
}

/// Points that `user` earned in all epochs; 0 for somebody who never joined.
#[inline(never)]
pub fn earned(view: &AccountView, user: &Key) -> u64 {
    let data = data(view);
    let known = word(data, CLIENTS_LEN) as usize;
    for client in data[CLIENTS..CLIENTS_LEN].chunks_exact(CLIENT_LEN).take(known) {
        let signer: &Key = client[..32].try_into().unwrap();
        if same_key(signer, user) {
            return word(client, CLIENT_EARNED);
        }
    }
    0
}

#[inline(always)]
fn word(data: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(data[at..at + 8].try_into().unwrap())
}

/// Accounts and arguments of [`init`].
pub struct Init<'a> {
    pub payer: &'a AccountView,
    pub instance: &'a AccountView,
    pub account: &'a AccountView,
    pub system_program: &'a AccountView,
    pub main_authority: &'a Key,
    pub join_authority: &'a Key,
    /// Run id and client version, encoded.
    pub texts: &'a [u8],
}

/// Calls `init_coordinator`.
#[inline(never)]
pub fn init(init: &Init) -> Outcome {
    let mut room = Room::uninit();
    let parts: [&[u8]; 4] =
        [&INIT_COORDINATOR, init.main_authority, init.join_authority, init.texts];
    let data = compose(&mut room, &parts);
    let metas = [
        InstructionAccount::writable_signer(init.payer.address()),
        InstructionAccount::writable(init.instance.address()),
        InstructionAccount::writable(init.account.address()),
        InstructionAccount::readonly(init.system_program.address()),
    ];
    let instruction = InstructionView { program_id: &id(), data, accounts: &metas };
    invoke(&instruction, &[init.payer, init.instance, init.account, init.system_program])?;
    Ok(())
}

/// A run's accounts, in whose name the owner's instructions are called.
pub struct Owned<'a> {
    pub run: &'a Run<'a>,
    pub authority: &'a AccountView,
    pub instance: &'a AccountView,
    pub account: &'a AccountView,
}

impl Owned<'_> {
    /// Calls an instruction of the owner group with encoded arguments.
    #[inline(never)]
    pub fn call(&self, discriminator: &[u8; 8], arguments: &[u8]) -> Outcome {
        let mut room = Room::uninit();
        let data = compose(&mut room, &[discriminator, arguments]);
        let metas = [
            InstructionAccount::readonly_signer(self.authority.address()),
            InstructionAccount::readonly(self.instance.address()),
            InstructionAccount::writable(self.account.address()),
        ];
        let instruction = InstructionView { program_id: &id(), data, accounts: &metas };
        let seeds = self.run.seeds();
        let accounts = [self.authority, self.instance, self.account];
        invoke_signed(&instruction, &accounts, &[Signer::from(&seeds)])?;
        Ok(())
    }
}
