//! What the programs share: the observable behaviour of docs/protocol/onchain-common.md.
#![cfg_attr(not(test), no_std)]

pub mod accounts;
pub mod authorization;
pub mod batch_size;
pub mod borsh;
pub mod entry;
pub mod error;
pub mod hash;
#[cfg(any(target_os = "solana", target_arch = "bpf"))]
pub mod idl;
pub mod ids;
#[cfg(any(target_os = "solana", target_arch = "bpf"))]
pub mod lifecycle;
pub mod log;
pub mod memory;
pub mod sysvar;

pub use pinocchio;
pub use pinocchio::{AccountView, Address};
