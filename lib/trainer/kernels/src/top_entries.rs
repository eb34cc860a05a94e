//! The entries of largest magnitude of a transformed block.

use crate::transform::transform;
use crate::workspace::{padded, Workspace};
use core::arch::wasm32::*;

/// Larger for a larger magnitude, then for a lower index. NaN counts as larger than all, so that it
/// is kept and found out.
#[inline(always)]
fn key(magnitude: u32, index: usize) -> u64 {
    (magnitude as u64) << 32 | !(index as u32) as u64
}

/// Restores the heap (smallest first) below `at`.
unsafe fn sift_down(heap: *mut u64, length: usize, mut at: usize) {
    let moved = *heap.add(at);
    loop {
        let mut child = 2 * at + 1;
        if child >= length {
            break;
        }
        if child + 1 < length && *heap.add(child + 1) < *heap.add(child) {
            child += 1;
        }
        if *heap.add(child) >= moved {
            break;
        }
        *heap.add(at) = *heap.add(child);
        at = child;
    }
    *heap.add(at) = moved;
}

const WITHOUT_SIGN: u32 = 0x7fff_ffff;

fn magnitude(value: f32) -> u32 {
    value.to_bits() & WITHOUT_SIGN
}

/// Which of four elements have at least this magnitude.
#[inline(always)]
unsafe fn reach(at: *const f32, threshold: v128) -> v128 {
    let sizes = v128_and(v128_load(at as *const v128), u32x4_splat(WITHOUT_SIGN));
    // Magnitudes have no sign bit, so signed and unsigned comparison agree.
    i32x4_ge(sizes, threshold)
}

/// Transforms the block at `data` and writes its `k` largest entries, by descending magnitude, the
/// lower index first among equals. `scale` is the factor that the transform leaves out. Returns whether
/// all of them are finite.
#[no_mangle]
pub unsafe extern "C" fn compress_block(
    space: &Workspace,
    data: *const f32,
    cols: usize,
    scale: f32,
    indices: *mut u32,
    values: *mut f32,
) -> bool {
    transform(space, data, cols);
    let (h, w, k) = (space.h, space.w, space.k);
    let stride = padded(h);
    let (block, heap) = (space.block, space.heap);
    let place =
        |index: usize| block.add(*space.places.add(index % w) as usize * stride + index / w);
    for index in 0..k {
        *heap.add(index) = key(magnitude(*place(index)), index);
    }
    for at in (0..k / 2).rev() {
        sift_down(heap, k, at);
    }
    let mut least = *heap;
    let mut threshold = u32x4_splat((least >> 32) as u32);
    for line in 0..w {
        let column = *space.frequencies.add(line) as usize;
        let line = block.add(line * stride);
        let mut row = 0;
        while row < h {
            // Four vectors at once where there are so many: seldom is one of them of interest.
            if row + 4 * 4 <= h {
                let any = [0, 4, 8, 12].map(|at| reach(line.add(row + at), threshold));
                if !v128_any_true(v128_or(v128_or(any[0], any[1]), v128_or(any[2], any[3]))) {
                    row += 4 * 4;
                    continue;
                }
            }
            let mut candidates = i32x4_bitmask(reach(line.add(row), threshold));
            while candidates != 0 {
                let lane = candidates.trailing_zeros() as usize;
                candidates &= candidates - 1;
                let index = (row + lane) * w + column;
                // The first k are in the heap from the start.
                if row + lane >= h || index < k {
                    continue;
                }
                let candidate = key(magnitude(*line.add(row + lane)), index);
                if candidate > least {
                    *heap = candidate;
                    sift_down(heap, k, 0);
                    least = *heap;
                    threshold = u32x4_splat((least >> 32) as u32);
                }
            }
            row += 4;
        }
    }
    let mut is_finite = true;
    for length in (0..k).rev() {
        let index = !(*heap as u32) as usize;
        let value = *place(index) * scale;
        is_finite &= value.is_finite();
        *indices.add(length) = index as u32;
        *values.add(length) = value;
        *heap = *heap.add(length);
        sift_down(heap, length, 0);
    }
    is_finite
}
