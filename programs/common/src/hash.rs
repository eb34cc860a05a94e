//! SHA-256 by system call.

/// SHA-256 of the concatenation of `parts`.
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut digest = core::mem::MaybeUninit::<[u8; 32]>::uninit();
    #[cfg(any(target_os = "solana", target_arch = "bpf"))]
    // SAFETY: a slice of slices is what the call expects; it fills all 32 bytes.
    unsafe {
        pinocchio::syscalls::sol_sha256(
            parts.as_ptr().cast(),
            parts.len() as u64,
            digest.as_mut_ptr().cast(),
        );
    }
    #[cfg(not(any(target_os = "solana", target_arch = "bpf")))]
    {
        let _ = parts;
        digest.write([0; 32]);
        unreachable!("SHA-256 is a system call");
    }
    #[cfg(any(target_os = "solana", target_arch = "bpf"))]
    // SAFETY: filled above; the call aborts the program when it cannot.
    unsafe {
        digest.assume_init()
    }
}
