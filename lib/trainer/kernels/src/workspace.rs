//! Memory of the block kernels for one block size, laid out behind one address.

use crate::decode::TILE;
use crate::transform_usual::{is_usual, usual_place};
use core::arch::wasm32::v128;

/// Tables and buffers for blocks of `h` rows and `w` columns that keep `k` entries.
#[repr(C)]
pub struct Workspace {
    pub h: usize,
    pub w: usize,
    pub k: usize,
    /// `[h, half_h]`, one row per frequency; only the first half, the rest follows by symmetry.
    pub row_basis: *mut f32,
    /// `[w, width]`, the same for columns; zero beyond the half.
    pub column_basis: *mut f32,
    /// Coefficients of the transform of length `h`, then of `w`; see `transform.rs`.
    pub row_factors: *mut f32,
    pub column_factors: *mut f32,
    /// Elements of one row of a quarter of a block, padded to whole tiles.
    pub width: usize,
    /// Sum and number of the values written to each position, zero between two blocks.
    pub sums: *mut f64,
    pub counts: *mut u32,
    /// A bit for each position written to, zero between two blocks.
    pub written: *mut u64,
    /// By quarter: lines `[half_h, width]` and the basis row of each.
    pub lines: *mut f32,
    pub line_bases: *mut *const f32,
    /// The quarters, `[half_h, width / 4, 4, 4]`: their vectors taken in turn.
    pub quarters: *mut f32,
    /// Two blocks as f32, rows padded to whole vectors, either way round. `block` gets the transform,
    /// columns first.
    pub block: *mut f32,
    pub other: *mut f32,
    /// Of each element of `block`, its index, or [`PADDING`]; and of each index its place there.
    pub indices: *mut u32,
    pub places: *mut u32,
    /// Of each strip of `block`, the largest magnitude of each of its four lanes. A strip is a vector of
    /// a line and those in the seven lines that follow; strips that begin in one line follow each other.
    pub peaks: *mut v128,
    /// u64 `[k]`
    pub heap: *mut u64,
}

impl Workspace {
    pub fn strips(&self) -> usize {
        strips(self.h, self.w)
    }
}

fn strips(h: usize, w: usize) -> usize {
    w.div_ceil(STRIP) * padded(h) / 4
}

const ALIGNMENT: usize = 16;
/// Lines of a strip.
pub const STRIP: usize = 8;
/// In place of an index.
pub const PADDING: u32 = u32::MAX;

/// Hands out stretches of memory, or only counts them.
struct Cursor(usize);

impl Cursor {
    fn take<T>(&mut self, count: usize) -> *mut T {
        let at = self.0;
        self.0 = (at + count * core::mem::size_of::<T>() + ALIGNMENT - 1) & !(ALIGNMENT - 1);
        at as *mut T
    }
}

pub fn half(n: usize) -> usize {
    (n + 1) / 2
}

pub fn padded(n: usize) -> usize {
    (n + 3) & !3
}

fn layout(at: usize, h: usize, w: usize, k: usize) -> (Workspace, usize) {
    let mut cursor = Cursor(at);
    cursor.take::<Workspace>(1);
    let width = half(w).next_multiple_of(TILE);
    let area = h * w;
    let padded_area = padded(h) * padded(w);
    let workspace = Workspace {
        h,
        w,
        k,
        row_basis: cursor.take(h * half(h)),
        column_basis: cursor.take(w * width),
        row_factors: cursor.take(super::transform::factors(h)),
        column_factors: cursor.take(super::transform::factors(w)),
        width,
        sums: cursor.take(area),
        counts: cursor.take(area),
        written: cursor.take((area + 63) / 64),
        lines: cursor.take(4 * half(h) * width),
        line_bases: cursor.take(4 * half(h)),
        quarters: cursor.take(4 * half(h) * width),
        block: cursor.take(padded_area),
        other: cursor.take(padded_area),
        indices: cursor.take(padded_area),
        places: cursor.take(area),
        peaks: cursor.take(strips(h, w)),
        heap: cursor.take(k),
    };
    (workspace, cursor.0 - at)
}

/// Bytes that a workspace takes.
#[no_mangle]
pub extern "C" fn workspace_bytes(h: usize, w: usize, k: usize) -> usize {
    layout(0, h, w, k).1
}

/// Sets a workspace up in zeroed memory at `at`, a multiple of 16. The caller then fills the four
/// tables, whose addresses are at words 3 to 6.
#[no_mangle]
pub unsafe extern "C" fn prepare_workspace(at: *mut Workspace, h: usize, w: usize, k: usize) {
    let workspace = layout(at as usize, h, w, k).0;
    let (indices, places) = (workspace.indices, workspace.places);
    for place in 0..padded(h) * w {
        *indices.add(place) = PADDING;
    }
    for index in 0..h * w {
        let (row, column) = (index / w, index % w);
        let place = if is_usual(h, w) {
            usual_place(row, column)
        } else {
            column * padded(h) + row
        };
        *indices.add(place) = index as u32;
        *places.add(index) = place as u32;
    }
    at.write(workspace);
}
