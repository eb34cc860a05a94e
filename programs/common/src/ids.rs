//! The addresses a program is bound to, as a table that can be changed in the built file.
//!
//! The table is found by its marker. Reads are volatile, so that the compiler never copies an address
//! into the code: changing the table changes the binding (see programs/README.md).

use pinocchio::Address;

#[repr(C, align(8))]
pub struct ProgramIds<const N: usize> {
    // Read by nobody here: whoever changes the table looks for it.
    #[allow(dead_code)]
    marker: [u8; 16],
    ids: [[u64; 4]; N],
}

const MARKER: [u8; 16] = *b"PSYCHE-PROG-IDS\0";

impl<const N: usize> ProgramIds<N> {
    /// The program's own address first, then those of the programs it refers to.
    pub const fn new(ids: [[u8; 32]; N]) -> Self {
        let mut words = [[0u64; 4]; N];
        let mut i = 0;
        while i < 32 * N {
            words[i / 32][i % 32 / 8] |= (ids[i / 32][i % 32] as u64) << (i % 8 * 8);
            i += 1;
        }
        ProgramIds {
            marker: MARKER,
            ids: words,
        }
    }

    pub fn get(&'static self, index: usize) -> Address {
        // SAFETY: a reference is valid for reads; an address is four words in memory order.
        unsafe { core::mem::transmute(core::ptr::read_volatile(&self.ids[index])) }
    }
}
