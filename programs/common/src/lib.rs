//! What the programs share: the observable behaviour of docs/protocol/onchain-common.md.
#![cfg_attr(not(test), no_std)]

pub mod accounts;
pub mod authorization;
pub mod batch_size;
pub mod borsh;
pub mod entry;
pub mod error;
pub mod hash;
pub mod ids;
#[cfg(target_arch = "bpf")]
pub mod lifecycle;
pub mod log;
pub mod memory;
pub mod sysvar;

pub use pinocchio;
pub use pinocchio::{AccountView, Address};
