//! The cosine transform of a block (docs/protocol/training-math.md section 3.1), in f32.
//!
//! Each client compresses only its own residuals, so speed comes first here: an even length is split
//! in two halves, by the recursion of Lee, and an odd one is a dense product. For 64 elements that
//! takes a tenth of the operations of a dense product.

use crate::workspace::{padded, Workspace};
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
unsafe fn load(from: *const f32) -> v128 {
    v128_load(from as *const v128)
}

#[inline(always)]
unsafe fn store(to: *mut f32, value: v128) {
    v128_store(to as *mut v128, value)
}

/// Transforms columns of length `n` in place, not normalised: `x` is `[n, width]`, as is `free`.
unsafe fn columns(x: *mut f32, free: *mut f32, n: usize, width: usize, factors: *const f32) {
    if n == 1 {
        return;
    }
    if n == 8 {
        return eight(x, width, factors);
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

/// The same recursion for four columns of eight at a time, without going through memory.
unsafe fn eight(x: *mut f32, width: usize, factors: *const f32) {
    let f: [v128; 7] = core::array::from_fn(|i| f32x4_splat(*factors.add(i)));
    let four = |v: [v128; 4]| {
        let (a, b) = (f32x4_add(v[0], v[3]), f32x4_add(v[1], v[2]));
        let c = f32x4_mul(f32x4_sub(v[0], v[3]), f[4]);
        let d = f32x4_mul(f32x4_sub(v[1], v[2]), f[5]);
        let last = f32x4_mul(f32x4_sub(c, d), f[6]);
        [
            f32x4_add(a, b),
            f32x4_add(f32x4_add(c, d), last),
            f32x4_mul(f32x4_sub(a, b), f[6]),
            last,
        ]
    };
    let mut l = 0;
    while l < width {
        let v: [v128; 8] = core::array::from_fn(|i| load(x.add(i * width + l)));
        let even = four(core::array::from_fn(|i| f32x4_add(v[i], v[7 - i])));
        let odd = four(core::array::from_fn(|i| f32x4_mul(f32x4_sub(v[i], v[7 - i]), f[i])));
        for i in 0..4 {
            store(x.add(2 * i * width + l), even[i]);
            let value = if i < 3 { f32x4_add(odd[i], odd[i + 1]) } else { odd[i] };
            store(x.add((2 * i + 1) * width + l), value);
        }
        l += 4;
    }
}

/// `to[c, r] = from[r, c]`, both padded to whole vectors.
unsafe fn transpose(from: *const f32, to: *mut f32, rows: usize, columns: usize) {
    let mut r = 0;
    while r < rows {
        let mut c = 0;
        while c < columns {
            let line = |i: usize| load(from.add((r + i) * columns + c));
            let (a, b, d, e) = (line(0), line(1), line(2), line(3));
            let low_ab = i32x4_shuffle::<0, 4, 1, 5>(a, b);
            let high_ab = i32x4_shuffle::<2, 6, 3, 7>(a, b);
            let low_de = i32x4_shuffle::<0, 4, 1, 5>(d, e);
            let high_de = i32x4_shuffle::<2, 6, 3, 7>(d, e);
            let out = |i: usize| to.add((c + i) * rows + r);
            store(out(0), i32x4_shuffle::<0, 1, 4, 5>(low_ab, low_de));
            store(out(1), i32x4_shuffle::<2, 3, 6, 7>(low_ab, low_de));
            store(out(2), i32x4_shuffle::<0, 1, 4, 5>(high_ab, high_de));
            store(out(3), i32x4_shuffle::<2, 3, 6, 7>(high_ab, high_de));
            c += 4;
        }
        r += 4;
    }
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

/// Transforms the block that begins at `data`, in rows of `cols`, times `scale`: the product of
/// `sqrt(2/n)` for both edges, 1 for an edge of 1. The result is in `space.block`, **columns
/// first**: `[w, padded h]`.
pub unsafe fn transform(space: &Workspace, data: *const f32, cols: usize, scale: f32) {
    let (h, w) = (space.h, space.w);
    let (padded_h, padded_w) = (padded(h), padded(w));
    let (block, other) = (space.block, space.other);
    let scales = f32x4_splat(scale);
    for j in 0..h {
        let from = data.add(j * cols);
        let to = block.add(j * padded_w);
        let mut l = 0;
        while l + 4 <= w {
            store(to.add(l), f32x4_mul(load(from.add(l)), scales));
            l += 4;
        }
        while l < padded_w {
            *to.add(l) = if l < w { *from.add(l) * scale } else { 0.0 };
            l += 1;
        }
    }
    columns(block, other, h, padded_w, space.row_factors);
    shrink_first(block, h, padded_w);
    // Rows beyond h hold what an earlier block left: nobody reads their place in the result.
    transpose(block, other, padded_h, padded_w);
    columns(other, block, w, padded_h, space.column_factors);
    shrink_first(other, w, padded_h);
    core::ptr::copy_nonoverlapping(other, block, w * padded_h);
}
