//! The treasurer's own accounts (docs/protocol/onchain-treasurer.md sections 1 and 2).

use psyche_common::accounts::*;
use psyche_common::borsh::Reader;
use psyche_common::entry::Call;
use psyche_common::error::*;
use psyche_common::memory::copy;
use psyche_common::pinocchio::cpi::Seed;
use psyche_common::AccountView;

pub type Key = [u8; 32];

/// The decoded `Run` account, without its totals.
pub struct Run<'a> {
    pub bump: &'a [u8; 1],
    pub index: &'a [u8; 8],
    pub main_authority: &'a Key,
    pub join_authority: &'a Key,
    pub coordinator_account: &'a Key,
    pub coordinator_instance: &'a Key,
    pub collateral_mint: &'a Key,
}

impl<'a> Run<'a> {
    pub const NAME: &'static str = "run";
    pub const SEED: &'static [u8] = b"Run";
    pub const LEN: usize = 200;
    const DISCRIMINATOR: [u8; 8] = [0xc7, 0x36, 0x9b, 0x56, 0xeb, 0x73, 0xf6, 0xbd];
    const TOTAL_CLAIMED_COLLATERAL: usize = 177;
    const TOTAL_CLAIMED_POINTS: usize = 185;

    /// Takes and type-checks the next account.
    pub fn next(accounts: &mut Accounts, call: &Call) -> Outcome<(AccountView, Run<'static>)> {
        let view = accounts.borsh(call.program, &Self::DISCRIMINATOR, Self::NAME)?;
        let run = Run::read(data(&view)).ok_or_else(|| ACCOUNT_BROKEN.on(Self::NAME))?;
        Ok((view, run))
    }

    fn read(data: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(data);
        reader.take(8)?;
        let run = Run {
            bump: reader.array()?,
            index: reader.array()?,
            main_authority: reader.array()?,
            join_authority: reader.array()?,
            coordinator_account: reader.array()?,
            coordinator_instance: reader.array()?,
            collateral_mint: reader.array()?,
        };
        reader.take(16)?;
        Some(run)
    }

    /// Fills a new, all zero account.
    pub fn write(&self, view: &mut AccountView) {
        let data = data_mut(view);
        data[..8].copy_from_slice(&Self::DISCRIMINATOR);
        data[8..9].copy_from_slice(self.bump);
        data[9..17].copy_from_slice(self.index);
        data[17..49].copy_from_slice(self.main_authority);
        data[49..81].copy_from_slice(self.join_authority);
        data[81..113].copy_from_slice(self.coordinator_account);
        data[113..145].copy_from_slice(self.coordinator_instance);
        data[145..177].copy_from_slice(self.collateral_mint);
    }

    /// What the run signs with.
    #[inline(always)]
    pub fn seeds(&self) -> [Seed<'a>; 3] {
        [Seed::from(Self::SEED), Seed::from(self.index), Seed::from(self.bump)]
    }

    pub fn add_claim(view: &mut AccountView, points: u64) {
        add(view, Self::TOTAL_CLAIMED_COLLATERAL, points);
        add(view, Self::TOTAL_CLAIMED_POINTS, points);
    }
}

/// The decoded `Participant` account.
pub struct Participant {
    pub bump: &'static [u8; 1],
    pub claimed_earned_points: u64,
}

impl Participant {
    pub const NAME: &'static str = "participant";
    pub const SEED: &'static [u8] = b"Participant";
    pub const LEN: usize = 32;
    const DISCRIMINATOR: [u8; 8] = [0x20, 0x8e, 0x6c, 0x4f, 0xf7, 0xb3, 0x36, 0x06];
    const CLAIMED_COLLATERAL: usize = 9;
    const CLAIMED_POINTS: usize = 17;

    /// Takes and type-checks the next account.
    pub fn next(accounts: &mut Accounts, call: &Call) -> Outcome<(AccountView, Participant)> {
        let view = accounts.borsh(call.program, &Self::DISCRIMINATOR, Self::NAME)?;
        let participant = Self::read(data(&view)).ok_or_else(|| ACCOUNT_BROKEN.on(Self::NAME))?;
        Ok((view, participant))
    }

    fn read(data: &'static [u8]) -> Option<Participant> {
        let mut reader = Reader::new(data);
        reader.take(8)?;
        let bump = reader.array()?;
        let _claimed_collateral = reader.u64()?;
        Some(Participant { bump, claimed_earned_points: reader.u64()? })
    }

    /// Fills a new, all zero account.
    pub fn write(view: &mut AccountView, bump: u8) {
        let data = data_mut(view);
        data[..8].copy_from_slice(&Self::DISCRIMINATOR);
        data[8] = bump;
    }

    pub fn add_claim(view: &mut AccountView, points: u64) {
        add(view, Self::CLAIMED_COLLATERAL, points);
        add(view, Self::CLAIMED_POINTS, points);
    }
}

/// Adds to the number at `at`. Panics on overflow.
fn add(view: &mut AccountView, at: usize, amount: u64) {
    let field = &mut data_mut(view)[at..at + 8];
    let mut word = [0u8; 8];
    word.copy_from_slice(field);
    copy(field, &(u64::from_le_bytes(word) + amount).to_le_bytes());
}
