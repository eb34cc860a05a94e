//! Clock and rent.

use crate::error::Outcome;
use pinocchio::error::ProgramError;
use pinocchio::sysvars::{clock::Clock, Sysvar};

pub struct Now {
    pub unix_timestamp: i64,
    pub slot: u64,
}

pub fn now() -> Outcome<Now> {
    let clock = Clock::get()?;
    Ok(Now {
        unix_timestamp: clock.unix_timestamp,
        slot: clock.slot,
    })
}

/// Lamports that make an account of `len` bytes rent exempt.
///
/// The sysvar holds a rate and the f64 factor 2.0 (two years) or, on newer clusters, 1.0; both are
/// told apart by their bits, as programs have no floating point.
pub fn rent_minimum(len: usize) -> Outcome<u64> {
    let mut words = [0u64; 2];
    #[cfg(any(target_os = "solana", target_arch = "bpf"))]
    // SAFETY: 16 bytes are asked for and there is room for them.
    let status = unsafe {
        pinocchio::syscalls::sol_get_sysvar(
            pinocchio::sysvars::rent::RENT_ID.as_array().as_ptr(),
            words.as_mut_ptr().cast(),
            0,
            16,
        )
    };
    #[cfg(not(any(target_os = "solana", target_arch = "bpf")))]
    let status = 1u64;
    if status != 0 {
        return Err(ProgramError::UnsupportedSysvar.into());
    }
    let years = match core::mem::take(&mut words[1]) {
        0x4000_0000_0000_0000 => 2,
        0x3ff0_0000_0000_0000 => 1,
        _ => return Err(ProgramError::UnsupportedSysvar.into()),
    };
    // Account sizes are bounded by 10 MiB and rates are small: no overflow to check for.
    Ok((len as u64 + 128)
        .wrapping_mul(words[0])
        .wrapping_mul(years))
}
