//! From sparse coefficients back to a block, in the f64 order that `distro/decode_reference.ts` sets down. All
//! clients of a run must get the same bits, so nothing here may be rearranged.

use crate::workspace::{half, Workspace};
use core::arch::wasm32::*;

/// Adds entries of one block; several calls may follow each other.
#[no_mangle]
pub unsafe extern "C" fn gather(
    space: &Workspace,
    indices: *const u32,
    values: *const f32,
    count: usize,
) {
    for i in 0..count {
        let position = *indices.add(i) as usize;
        *space.counts.add(position) += 1;
        *space.sums.add(position) += *values.add(i) as f64;
        *space.written.add(position / 64) |= 1 << (position % 64);
    }
}

/// Turns what was gathered into the lines of the four quarters, and clears it.
unsafe fn make_lines(space: &Workspace) {
    let width = space.width;
    for quarter in 0..4 {
        *space.line_counts.add(quarter) = 0;
    }
    for word in 0..(space.h * space.w + 63) / 64 {
        let mut bits = *space.written.add(word);
        if bits == 0 {
            continue;
        }
        *space.written.add(word) = 0;
        while bits != 0 {
            let position = word * 64 + bits.trailing_zeros() as usize;
            bits &= bits - 1;
            let mean = *space.sums.add(position) / *space.counts.add(position) as f64;
            *space.sums.add(position) = 0.0;
            *space.counts.add(position) = 0;
            let (row, column) = (position / space.w, position % space.w);
            let quarter = (row & 1) * 2 + (column & 1);
            let rows = space.line_rows.add(quarter * half(space.h));
            let lines = space.lines.add(quarter * half(space.h) * width);
            let count = space.line_counts.add(quarter);
            let is_new = *count == 0 || *rows.add(*count - 1) != row as u32;
            if is_new {
                *rows.add(*count) = row as u32;
                *count += 1;
            }
            let line = lines.add((*count - 1) * width);
            let basis = space.column_basis.add(column * width);
            let mean = f64x2_splat(mean);
            let mut l = 0;
            while l < width {
                let product = f64x2_mul(mean, load(basis.add(l)));
                let before = if is_new { f64x2_splat(0.0) } else { load(line.add(l)) };
                store(line.add(l), f64x2_add(before, product));
                l += 2;
            }
        }
    }
    for quarter in 0..4 {
        if *space.line_counts.add(quarter) > 0 {
            continue;
        }
        let mut l = 0;
        while l < width {
            store(space.quarter_rows.add(quarter * width + l), f64x2_splat(0.0));
            l += 2;
        }
    }
}

#[inline(always)]
unsafe fn load(from: *const f64) -> v128 {
    v128_load(from as *const v128)
}

#[inline(always)]
unsafe fn store(to: *mut f64, value: v128) {
    v128_store(to as *mut v128, value)
}

/// `V` neighbouring vectors of row `j` of a quarter: its lines times their basis values, four
/// products at a time, then two, then one.
#[inline(always)]
unsafe fn sum_lines<const V: usize>(
    space: &Workspace,
    quarter: usize,
    j: usize,
    l: usize,
) {
    let (width, half_h) = (space.width, half(space.h));
    let count = *space.line_counts.add(quarter);
    let rows = space.line_rows.add(quarter * half_h);
    let lines = space.lines.add(quarter * half_h * width + l);
    let factor = |line: usize| {
        v128_load64_splat(space.row_basis.add(*rows.add(line) as usize * half_h + j) as *const u64)
    };
    let term = |line: usize, f: v128, v: usize| {
        f64x2_mul(f, load(lines.add(line * width + 2 * v)))
    };
    let mut sums = [f64x2_splat(0.0); V];
    let mut line = 0;
    while line + 4 <= count {
        let (f0, f1, f2, f3) =
            (factor(line), factor(line + 1), factor(line + 2), factor(line + 3));
        for v in 0..V {
            let four = f64x2_add(
                f64x2_add(term(line, f0, v), term(line + 1, f1, v)),
                f64x2_add(term(line + 2, f2, v), term(line + 3, f3, v)),
            );
            sums[v] = f64x2_add(sums[v], four);
        }
        line += 4;
    }
    if line + 2 <= count {
        let (f0, f1) = (factor(line), factor(line + 1));
        for v in 0..V {
            let two = f64x2_add(term(line, f0, v), term(line + 1, f1, v));
            sums[v] = f64x2_add(sums[v], two);
        }
        line += 2;
    }
    if line < count {
        let f = factor(line);
        for v in 0..V {
            sums[v] = f64x2_add(sums[v], term(line, f, v));
        }
    }
    for v in 0..V {
        store(space.quarter_rows.add(quarter * width + l + 2 * v), sums[v]);
    }
}

/// Rows `j` and `h - 1 - j` of the block, into `top` and `bottom`.
unsafe fn make_rows(space: &Workspace, j: usize) {
    let (width, w) = (space.width, space.w);
    for quarter in 0..4 {
        if *space.line_counts.add(quarter) == 0 {
            continue;
        }
        let mut l = 0;
        while l + 8 <= width {
            sum_lines::<4>(space, quarter, j, l);
            l += 8;
        }
        while l < width {
            sum_lines::<1>(space, quarter, j, l);
            l += 2;
        }
    }
    let rows = space.quarter_rows as *const f64;
    // Pairs that lie in the left half for good; the last ones may overlap their mirror image.
    let mut l = 0;
    while l + 2 <= w / 2 {
        let even_even = load(rows.add(l));
        let even_odd = load(rows.add(width + l));
        let odd_even = load(rows.add(2 * width + l));
        let odd_odd = load(rows.add(3 * width + l));
        let even_left = f64x2_add(even_even, even_odd);
        let even_right = f64x2_sub(even_even, even_odd);
        let odd_left = f64x2_add(odd_even, odd_odd);
        let odd_right = f64x2_sub(odd_even, odd_odd);
        let mirrored = w - 2 - l;
        store(space.bottom.add(l), f64x2_sub(even_left, odd_left));
        store(space.bottom.add(mirrored), swapped(f64x2_sub(even_right, odd_right)));
        store(space.top.add(l), f64x2_add(even_left, odd_left));
        store(space.top.add(mirrored), swapped(f64x2_add(even_right, odd_right)));
        l += 2;
    }
    while l < half(w) {
        let mirrored = w - 1 - l;
        let even_left = *rows.add(l) + *rows.add(width + l);
        let even_right = *rows.add(l) - *rows.add(width + l);
        let odd_left = *rows.add(2 * width + l) + *rows.add(3 * width + l);
        let odd_right = *rows.add(2 * width + l) - *rows.add(3 * width + l);
        *space.bottom.add(l) = even_left - odd_left;
        *space.bottom.add(mirrored) = even_right - odd_right;
        *space.top.add(l) = even_left + odd_left;
        *space.top.add(mirrored) = even_right + odd_right;
        l += 1;
    }
}

#[inline(always)]
fn swapped(x: v128) -> v128 {
    i64x2_shuffle::<1, 0>(x, x)
}

/// Hands each row of the decoded block to `take`, with its number.
#[inline(always)]
unsafe fn for_rows(space: &Workspace, take: impl Fn(usize, *const f64)) {
    make_lines(space);
    for j in 0..half(space.h) {
        make_rows(space, j);
        take(j, space.top);
        let mirrored = space.h - 1 - j;
        if mirrored != j {
            take(mirrored, space.bottom);
        }
    }
}

/// `weights -= step * sign(block)`; `weights` is the block's first element, in rows of `cols`.
#[no_mangle]
pub unsafe extern "C" fn apply_block(
    space: &Workspace,
    weights: *mut f32,
    cols: usize,
    step: f32,
) {
    let w = space.w;
    let steps = f32x4_splat(step);
    let zero = f64x2_splat(0.0);
    for_rows(space, |j, row| {
        let weights = weights.add(j * cols);
        let mut l = 0;
        while l + 4 <= w {
            let (low, high) = (load(row.add(l)), load(row.add(l + 2)));
            // The low words of the four wide masks are the masks of four narrow elements.
            let up = i32x4_shuffle::<0, 2, 4, 6>(f64x2_gt(low, zero), f64x2_gt(high, zero));
            let down = i32x4_shuffle::<0, 2, 4, 6>(f64x2_lt(low, zero), f64x2_lt(high, zero));
            let change = f32x4_sub(v128_and(up, steps), v128_and(down, steps));
            let at = weights.add(l) as *mut v128;
            v128_store(at, f32x4_sub(v128_load(at), change));
            l += 4;
        }
        while l < w {
            let x = *row.add(l);
            if x > 0.0 {
                *weights.add(l) -= step;
            } else if x < 0.0 {
                *weights.add(l) += step;
            }
            l += 1;
        }
    });
}

/// `residual = (residual - block) * decay + rate * gradient`, the block rounded to f32.
#[no_mangle]
pub unsafe extern "C" fn subtract_block(
    space: &Workspace,
    residual: *mut f32,
    gradient: *const f32,
    cols: usize,
    decay: f32,
    rate: f32,
) {
    let w = space.w;
    let (decays, rates) = (f32x4_splat(decay), f32x4_splat(rate));
    for_rows(space, |j, row| {
        let residual = residual.add(j * cols);
        let gradient = gradient.add(j * cols);
        let mut l = 0;
        while l + 4 <= w {
            let low = f32x4_demote_f64x2_zero(load(row.add(l)));
            let high = f32x4_demote_f64x2_zero(load(row.add(l + 2)));
            let block = i32x4_shuffle::<0, 1, 4, 5>(low, high);
            let at = residual.add(l) as *mut v128;
            let left = f32x4_mul(f32x4_sub(v128_load(at), block), decays);
            let new = f32x4_mul(rates, v128_load(gradient.add(l) as *const v128));
            v128_store(at, f32x4_add(left, new));
            l += 4;
        }
        while l < w {
            let at = residual.add(l);
            *at = (*at - *row.add(l) as f32) * decay + rate * *gradient.add(l);
            l += 1;
        }
    });
}
