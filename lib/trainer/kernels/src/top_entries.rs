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

/// Transforms the block at `data` and writes its `k` largest entries, by descending magnitude, the
/// lower index first among equals. Returns whether all of them are finite.
#[no_mangle]
pub unsafe extern "C" fn compress_block(
    space: &Workspace,
    data: *const f32,
    cols: usize,
    scale: f32,
    indices: *mut u32,
    values: *mut f32,
) -> bool {
    transform(space, data, cols, scale);
    let (h, w, k) = (space.h, space.w, space.k);
    let stride = padded(h);
    let (block, heap) = (space.block, space.heap);
    let place = |index: usize| block.add((index % w) * stride + index / w);
    let size = |index: usize| (*place(index)).to_bits() & 0x7fff_ffff;
    for index in 0..k {
        *heap.add(index) = key(size(index), index);
    }
    for at in (0..k / 2).rev() {
        sift_down(heap, k, at);
    }
    let mask = u32x4_splat(0x7fff_ffff);
    let mut least = *heap;
    let mut threshold = u32x4_splat((least >> 32) as u32);
    for column in 0..w {
        let mut row = 0;
        while row < h {
            let line = block.add(column * stride + row);
            let sizes = v128_and(v128_load(line as *const v128), mask);
            // Magnitudes have no sign bit, so signed and unsigned comparison agree.
            let mut candidates = i32x4_bitmask(i32x4_ge(sizes, threshold));
            while candidates != 0 {
                let lane = candidates.trailing_zeros() as usize;
                candidates &= candidates - 1;
                let index = (row + lane) * w + column;
                // The first k are in the heap from the start.
                if row + lane >= h || index < k {
                    continue;
                }
                let candidate = key((*line.add(lane)).to_bits() & 0x7fff_ffff, index);
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
        let value = *place(index);
        is_finite &= value.is_finite();
        *indices.add(length) = index as u32;
        *values.add(length) = value;
        *heap = *heap.add(length);
        sift_down(heap, length, 0);
    }
    is_finite
}
