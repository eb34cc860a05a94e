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

/// The magnitudes of four elements; they have no sign bit, so signed and unsigned comparison agree.
#[inline(always)]
unsafe fn magnitudes(at: *const f32) -> v128 {
    v128_and(v128_load(at as *const v128), u32x4_splat(WITHOUT_SIGN))
}

/// Puts a key in the place of the least one, if it is larger.
#[inline(always)]
unsafe fn offer(heap: *mut u64, k: usize, key: u64) {
    if key > *heap {
        *heap = key;
        sift_down(heap, k, 0);
    }
}

/// Finds the peaks of all lines, and a magnitude that at least `k` elements of the block reach: the
/// `k`-th of the peaks, or 0 when there are fewer.
unsafe fn find_peaks(space: &Workspace) -> u32 {
    let (h, k, heap) = (space.h, space.k, space.heap);
    core::ptr::write_bytes(heap, 0, k);
    // The last vector of a line may hold less than four elements.
    let rest = u32x4_gt(u32x4_splat((h % 4) as u32), u32x4(0, 1, 2, 3));
    for line in 0..space.w {
        let start = space.block.add(line * padded(h));
        let mut peak = u32x4_splat(0);
        let mut row = 0;
        while row + 4 <= h {
            peak = i32x4_max(peak, magnitudes(start.add(row)));
            row += 4;
        }
        if row < h {
            peak = i32x4_max(peak, v128_and(magnitudes(start.add(row)), rest));
        }
        *space.peaks.add(line) = peak;
        if v128_any_true(i32x4_gt(peak, u32x4_splat(*heap as u32))) {
            offer(heap, k, u32x4_extract_lane::<0>(peak) as u64);
            offer(heap, k, u32x4_extract_lane::<1>(peak) as u64);
            offer(heap, k, u32x4_extract_lane::<2>(peak) as u64);
            offer(heap, k, u32x4_extract_lane::<3>(peak) as u64);
        }
    }
    *heap as u32
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
    // Beside the first k, which the heap begins with, a zero is never of interest.
    let bound = find_peaks(space).max(1);
    for index in 0..k {
        *heap.add(index) = key(magnitude(*place(index)), index);
    }
    for at in (0..k / 2).rev() {
        sift_down(heap, k, at);
    }
    for line in 0..w {
        let threshold = u32x4_splat(bound.max((*heap >> 32) as u32));
        if !v128_any_true(i32x4_ge(*space.peaks.add(line), threshold)) {
            continue;
        }
        let column = *space.frequencies.add(line) as usize;
        let line = block.add(line * stride);
        let mut row = 0;
        while row < h {
            let reached = i32x4_ge(magnitudes(line.add(row)), threshold);
            let mut candidates = i32x4_bitmask(reached);
            while candidates != 0 {
                let lane = candidates.trailing_zeros() as usize;
                candidates &= candidates - 1;
                let index = (row + lane) * w + column;
                // The first k are in the heap from the start.
                if row + lane < h && index >= k {
                    offer(heap, k, key(magnitude(*line.add(row + lane)), index));
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
