//! The entries of largest magnitude of a transformed block.

use crate::transform::{load, transform};
use crate::workspace::{padded, Workspace, PADDING, STRIP};
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

fn magnitude(value: f32) -> u32 {
    value.abs().to_bits()
}

/// Puts a key in the place of the least one, if it is larger.
#[inline(always)]
unsafe fn offer(heap: *mut u64, k: usize, key: u64) {
    if key > *heap {
        *heap = key;
        sift_down(heap, k, 0);
    }
}

/// A magnitude that at least `k` elements of the block reach: the `k`-th of the peaks, or 0 when there are
/// fewer.
unsafe fn find_bound(space: &Workspace) -> u32 {
    let (k, heap, strips) = (space.k, space.heap, space.strips());
    // Strips are taken together so far that there are still two peaks, which are of one lane, for each
    // entry: the fewer there are, the less often the heap changes.
    let groups = k.div_ceil(2).min(strips);
    core::ptr::write_bytes(heap, 0, k);
    for group in 0..groups {
        let mut peak = u32x4_splat(0);
        for strip in (group..strips).step_by(groups) {
            peak = i32x4_max(peak, *space.peaks.add(strip));
        }
        // No sign bits, so signed and unsigned comparison agree.
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
    let (w, k, heap, stride) = (space.w, space.k, space.heap, padded(space.h));
    let value = |index: usize| *space.block.add(*space.places.add(index) as usize);
    let vectors = stride / 4;
    // Beside the first k, which the heap begins with, a zero is never of interest.
    let bound = find_bound(space).max(1);
    for index in 0..k {
        *heap.add(index) = key(magnitude(value(index)), index);
    }
    for at in (0..k / 2).rev() {
        sift_down(heap, k, at);
    }
    let mut threshold = u32x4_splat(bound.max((*heap >> 32) as u32));
    for strip in 0..space.strips() {
        if !v128_any_true(i32x4_ge(*space.peaks.add(strip), threshold)) {
            continue;
        }
        let first = strip / vectors * STRIP;
        for line in first..(first + STRIP).min(w) {
            let at = line * stride + strip % vectors * 4;
            let magnitudes = f32x4_abs(load(space.block.add(at)));
            let mut candidates = i32x4_bitmask(i32x4_ge(magnitudes, threshold));
            while candidates != 0 {
                let place = at + candidates.trailing_zeros() as usize;
                candidates &= candidates - 1;
                let index = *space.indices.add(place);
                // The first k are in the heap from the start.
                if index != PADDING && index as usize >= k {
                    let magnitude = magnitude(*space.block.add(place));
                    offer(heap, k, key(magnitude, index as usize));
                }
            }
        }
        threshold = u32x4_splat(bound.max((*heap >> 32) as u32));
    }
    let mut is_finite = true;
    for length in (0..k).rev() {
        let index = !(*heap as u32) as usize;
        let value = value(index) * scale;
        is_finite &= value.is_finite();
        *indices.add(length) = index as u32;
        *values.add(length) = value;
        *heap = *heap.add(length);
        sift_down(heap, length, 0);
    }
    is_finite
}
