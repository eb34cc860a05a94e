//! Holds an address until the real program is deployed there by an upgrade.
#![no_std]

psyche_common::panic_handler!();

/// Always fails, with a log line that says why.
///
/// # Safety
/// Called by the runtime; the input is not read.
#[no_mangle]
pub unsafe extern "C" fn entrypoint(_input: *mut u8) -> u64 {
    psyche_common::log::log(
        b"Program not deployed yet: this address holds a placeholder, deploy the program here",
    );
    psyche_common::pinocchio::error::ProgramError::InvalidAccountOwner.into()
}
