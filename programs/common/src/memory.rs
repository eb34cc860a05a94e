//! Copying, clearing and comparing memory by system call.
//!
//! The compiler's back end has no call for a copy or fill of a length it does not know, so such
//! places use [`copy`] and [`clear`]; comparisons it turns into calls of the functions below.

/// Copies `from` over the start of `to`. Panics when `to` is shorter.
#[inline(always)]
pub fn copy(to: &mut [u8], from: &[u8]) {
    assert!(from.len() <= to.len());
    #[cfg(any(target_os = "solana", target_arch = "bpf"))]
    // SAFETY: both ranges have `from.len()` bytes, and a mutable one overlaps nothing.
    unsafe {
        pinocchio::syscalls::sol_memcpy_(to.as_mut_ptr(), from.as_ptr(), from.len() as u64)
    }
    #[cfg(not(any(target_os = "solana", target_arch = "bpf")))]
    to[..from.len()].copy_from_slice(from);
}

/// Sets all bytes to zero.
#[inline(always)]
pub fn clear(bytes: &mut [u8]) {
    #[cfg(any(target_os = "solana", target_arch = "bpf"))]
    // SAFETY: the slice is writable over its whole length.
    unsafe {
        pinocchio::syscalls::sol_memset_(bytes.as_mut_ptr(), 0, bytes.len() as u64)
    }
    #[cfg(not(any(target_os = "solana", target_arch = "bpf")))]
    bytes.fill(0);
}

// Solana's own target brings these two with it.
#[cfg(all(target_arch = "bpf", not(target_os = "solana")))]
#[no_mangle]
unsafe extern "C" fn memcmp(a: *const u8, b: *const u8, len: usize) -> i32 {
    let mut result = 0i32;
    pinocchio::syscalls::sol_memcmp_(a, b, len as u64, &mut result);
    result
}

#[cfg(all(target_arch = "bpf", not(target_os = "solana")))]
#[no_mangle]
unsafe extern "C" fn bcmp(a: *const u8, b: *const u8, len: usize) -> i32 {
    memcmp(a, b, len)
}
