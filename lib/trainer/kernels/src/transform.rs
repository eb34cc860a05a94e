//! The cosine transform of a block (docs/protocol/training-math.md section 3.1), in f32.
//!
//! Each client compresses only its own residuals, so speed comes first here: an even length is split
//! in two halves, by the recursion of Lee, and an odd one is a dense product. For 64 elements that
//! takes a tenth of the operations of a dense product.

use crate::transform_usual::{eight, eight_factors, is_usual, transform_usual};
use crate::workspace::{padded, Workspace, STRIP};
use core::arch::wasm32::*;

/// Floats that the tables for length `n` take: for each halving `1 / (2 cos(pi (2i + 1) / (2n)))`,
/// then the dense cosines of what is left, one row per frequency.
pub fn factors(n: usize) -> usize {
    if n % 2 == 0 {
        n / 2 + factors(n / 2)
    } else {
        n * n
    }
}

#[inline(always)]
pub unsafe fn load(from: *const f32) -> v128 {
    v128_load(from as *const v128)
}

#[inline(always)]
pub unsafe fn store(to: *mut f32, value: v128) {
    v128_store(to as *mut v128, value)
}

/// Transforms columns of length `n` in place, not normalised: `x` is `[n, width]`, as is `free`.
unsafe fn columns(x: *mut f32, free: *mut f32, n: usize, width: usize, factors: *const f32) {
    if n == 1 {
        return;
    }
    if n == 8 {
        return eight::<false>(x, width, &eight_factors(factors));
    }
    if n % 2 == 1 {
        return dense(x, free, n, width, factors);
    }
    let half = n / 2;
    for i in 0..half {
        let factor = f32x4_splat(*factors.add(i));
        let (front, back) = (x.add(i * width), x.add((n - 1 - i) * width));
        let (sum, difference) = (free.add(i * width), free.add((half + i) * width));
        let mut l = 0;
        while l < width {
            let (a, b) = (load(front.add(l)), load(back.add(l)));
            store(sum.add(l), f32x4_add(a, b));
            store(difference.add(l), f32x4_mul(f32x4_sub(a, b), factor));
            l += 4;
        }
    }
    let odd = free.add(half * width);
    columns(free, x, half, width, factors.add(half));
    columns(odd, x, half, width, factors.add(half));
    for i in 0..half {
        let even_row = free.add(i * width);
        let odd_row = odd.add(i * width);
        let out = x.add(2 * i * width);
        let is_last = i + 1 == half;
        let mut l = 0;
        while l < width {
            store(out.add(l), load(even_row.add(l)));
            let mut value = load(odd_row.add(l));
            if !is_last {
                value = f32x4_add(value, load(odd_row.add(width + l)));
            }
            store(out.add(width + l), value);
            l += 4;
        }
    }
}

unsafe fn dense(x: *mut f32, free: *mut f32, n: usize, width: usize, factors: *const f32) {
    core::ptr::copy_nonoverlapping(x, free, n * width);
    for k in 0..n {
        let mut l = 0;
        while l < width {
            let mut sum = f32x4_splat(0.0);
            for j in 0..n {
                let factor = f32x4_splat(*factors.add(k * n + j));
                sum = f32x4_add(sum, f32x4_mul(factor, load(free.add(j * width + l))));
            }
            store(x.add(k * width + l), sum);
            l += 4;
        }
    }
}

/// `to[c, r] = from[r, c]`, both padded to whole vectors.
unsafe fn transpose(from: *const f32, to: *mut f32, rows: usize, columns: usize) {
    for r in (0..rows).step_by(4) {
        for c in (0..columns).step_by(4) {
            let lines = core::array::from_fn(|i| load(from.add((r + i) * columns + c)));
            let turned = transpose_four(lines);
            for i in 0..4 {
                store(to.add((c + i) * rows + r), turned[i]);
            }
        }
    }
}

/// Four rows of four columns, the other way round.
#[inline(always)]
pub fn transpose_four([a, b, c, d]: [v128; 4]) -> [v128; 4] {
    let low_ab = i32x4_shuffle::<0, 4, 1, 5>(a, b);
    let high_ab = i32x4_shuffle::<2, 6, 3, 7>(a, b);
    let low_cd = i32x4_shuffle::<0, 4, 1, 5>(c, d);
    let high_cd = i32x4_shuffle::<2, 6, 3, 7>(c, d);
    [
        i32x4_shuffle::<0, 1, 4, 5>(low_ab, low_cd),
        i32x4_shuffle::<2, 3, 6, 7>(low_ab, low_cd),
        i32x4_shuffle::<0, 1, 4, 5>(high_ab, high_cd),
        i32x4_shuffle::<2, 3, 6, 7>(high_ab, high_cd),
    ]
}

/// The first of several frequencies has 1 / sqrt(2) of the scale of the others.
unsafe fn shrink_first(row: *mut f32, n: usize, width: usize) {
    if n == 1 {
        return;
    }
    let factor = f32x4_splat(core::f32::consts::FRAC_1_SQRT_2);
    let mut l = 0;
    while l < width {
        store(row.add(l), f32x4_mul(load(row.add(l)), factor));
        l += 4;
    }
}

/// Transforms the block that begins at `data`, in rows of `cols`. The result is in `space.block`,
/// `[w, padded h]`, each element at its place of `space.places`, and its peaks in `space.peaks`. It lacks
/// the factor `sqrt(2/n)` of both edges that are longer than 1.
pub unsafe fn transform(space: &Workspace, data: *const f32, cols: usize) {
    let (h, w) = (space.h, space.w);
    if is_usual(h, w) {
        return transform_usual(space, data, cols);
    }
    let (padded_h, padded_w) = (padded(h), padded(w));
    let (block, other) = (space.block, space.other);
    // Padding, and rows beyond h, may hold anything: their places in the result are not read.
    for j in 0..h {
        core::ptr::copy_nonoverlapping(data.add(j * cols), other.add(j * padded_w), w);
    }
    columns(other, block, h, padded_w, space.row_factors);
    shrink_first(other, h, padded_w);
    transpose(other, block, padded_h, padded_w);
    columns(block, other, w, padded_h, space.column_factors);
    shrink_first(block, w, padded_h);
    find_peaks(space);
}

unsafe fn find_peaks(space: &Workspace) {
    let (h, stride) = (space.h, padded(space.h));
    let mut peaks = space.peaks;
    for first in (0..space.w).step_by(STRIP) {
        for row in (0..h).step_by(4) {
            let mut peak = u32x4_splat(0);
            for line in first..(first + STRIP).min(space.w) {
                peak = i32x4_max(peak, f32x4_abs(load(space.block.add(line * stride + row))));
            }
            // The last vector of a line may hold less than four elements.
            let rest = u32x4_gt(u32x4_splat((h - row) as u32), u32x4(0, 1, 2, 3));
            *peaks = v128_and(peak, rest);
            peaks = peaks.add(1);
        }
    }
}
