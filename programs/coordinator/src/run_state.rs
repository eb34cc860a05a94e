//! Run states and how they follow each other (docs/protocol/coordinator-state-machine.md section 2).

use crate::layout::Coordinator;

pub const UNINITIALIZED: u8 = 0;
pub const WAITING_FOR_MEMBERS: u8 = 1;
pub const WARMUP: u8 = 2;
pub const ROUND_TRAIN: u8 = 3;
pub const ROUND_WITNESS: u8 = 4;
pub const COOLDOWN: u8 = 5;
pub const FINISHED: u8 = 6;
pub const PAUSED: u8 = 7;

pub fn name(state: u8) -> &'static [u8] {
    match state {
        UNINITIALIZED => b"Uninitialized",
        WAITING_FOR_MEMBERS => b"Waiting for members",
        WARMUP => b"Warmup",
        ROUND_TRAIN => b"Training",
        ROUND_WITNESS => b"Witness",
        COOLDOWN => b"Cooldown",
        FINISHED => b"Finished",
        _ => b"Paused",
    }
}

impl Coordinator {
    pub fn is_active(&self) -> bool {
        matches!(self.run_state, ROUND_TRAIN | ROUND_WITNESS | COOLDOWN)
    }

    pub fn is_halted(&self) -> bool {
        matches!(self.run_state, UNINITIALIZED | FINISHED | PAUSED)
    }

    pub fn change_state(&mut self, state: u8, now: u64) {
        assert!(self.run_state != state);
        self.run_state = state;
        self.run_state_start = now;
    }

    /// A state never ends in the second it began in.
    pub fn has_timed_out(&self, seconds: u64, now: u64) -> bool {
        self.run_state_start != now && now >= self.run_state_start + seconds
    }

    pub fn has_epoch_timed_out(&self, now: u64) -> bool {
        let start = self.epoch.start_timestamp;
        start != now && now >= start + self.config.epoch_time
    }
}
