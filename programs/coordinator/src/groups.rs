//! The account groups of docs/protocol/onchain-coordinator.md section 3.

use crate::layout::{self, Account, Key, LAYOUT_VERSION};
use crate::run_tick::log_number;
use psyche_common::accounts::*;
use psyche_common::borsh::Reader;
use psyche_common::entry::Call;
use psyche_common::error::*;
use psyche_common::AccountView;

pub const INSTANCE_DISCRIMINATOR: [u8; 8] = [0x9c, 0x09, 0x99, 0x10, 0xaf, 0x18, 0x1f, 0xfc];
pub const INSTANCE_LEN: usize = 173;
pub const INSTANCE_SEED: &[u8] = b"coordinator";
pub const INSTANCE: &str = "coordinator_instance";
pub const ACCOUNT: &str = "coordinator_account";

/// The decoded `CoordinatorInstance` (section 1.1).
pub struct Instance {
    pub bump: u8,
    pub main_authority: &'static Key,
    pub join_authority: &'static Key,
    pub coordinator_account: &'static Key,
    pub run_id: &'static [u8],
}

impl Instance {
    /// Takes and type-checks the next account.
    pub fn next(accounts: &mut Accounts, call: &Call) -> Outcome<(AccountView, Instance)> {
        let view = accounts.borsh(call.program, &INSTANCE_DISCRIMINATOR, INSTANCE)?;
        let instance = Instance::read(data(&view)).ok_or_else(|| ACCOUNT_BROKEN.on(INSTANCE))?;
        Ok((view, instance))
    }

    fn read(data: &'static [u8]) -> Option<Instance> {
        let mut reader = Reader::new(data);
        reader.take(8)?;
        Some(Instance {
            bump: reader.u8()?,
            main_authority: reader.array()?,
            join_authority: reader.array()?,
            coordinator_account: reader.array()?,
            run_id: reader.text()?,
        })
    }

    pub fn require_seeds(&self, view: &AccountView, call: &Call) -> Outcome {
        let seeds: [&[u8]; 3] = [INSTANCE_SEED, run_id_seed(self.run_id), &[self.bump]];
        require_seeds(view, &seeds, call.program, INSTANCE)
    }

    /// The constraints on the coordinator account, and its content.
    pub fn load(&self, view: &mut AccountView) -> Outcome<&'static mut Account> {
        require_writable(view, ACCOUNT)?;
        require_raw(
            same_key(self.coordinator_account, view.address().as_array()),
            ACCOUNT,
        )?;
        let account = Account::of(view);
        require_raw(account.version == LAYOUT_VERSION, ACCOUNT)?;
        Ok(account)
    }
}

/// The part of a run id that is a seed.
pub fn run_id_seed(run_id: &[u8]) -> &[u8] {
    &run_id[..run_id.len().min(64)]
}

pub fn next_account(accounts: &mut Accounts, call: &Call) -> Outcome<AccountView> {
    accounts.zero_copy(call.program, &layout::DISCRIMINATOR, ACCOUNT)
}

/// Accounts of the instructions of the run's main authority.
#[inline(never)]
pub fn owner_group(call: &Call) -> Outcome<&'static mut Account> {
    let mut accounts = Accounts::new(call.accounts);
    let authority = accounts.signer("authority")?;
    let (instance_view, instance) = Instance::next(&mut accounts, call)?;
    let mut view = next_account(&mut accounts, call)?;
    instance.require_seeds(&instance_view, call)?;
    require_raw(
        same_key(instance.main_authority, authority.address().as_array()),
        INSTANCE,
    )?;
    instance.load(&mut view)
}

/// Accounts of the instructions anybody may send, and who did.
#[inline(never)]
pub fn permissionless_group(call: &Call) -> Outcome<(Key, &'static mut Account)> {
    let mut accounts = Accounts::new(call.accounts);
    let user = accounts.signer("user")?;
    let (instance_view, instance) = Instance::next(&mut accounts, call)?;
    let mut view = next_account(&mut accounts, call)?;
    instance.require_seeds(&instance_view, call)?;
    Ok((*user.address().as_array(), instance.load(&mut view)?))
}

#[inline(never)]
pub fn bump_nonce(account: &mut Account) {
    account.nonce += 1;
    log_number("Nonce: ", account.nonce);
}
