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

/// Hands over the mean of the values written to each position, in ascending order, and clears it.
#[inline(always)]
pub unsafe fn take_gathered(space: &Workspace, mut each: impl FnMut(usize, f64)) {
    for word in 0..(space.h * space.w + 63) / 64 {
        let mut bits = *space.written.add(word);
        if bits == 0 {
            continue;
        }
        *space.written.add(word) = 0;
        while bits != 0 {
            let position = word * 64 + bits.trailing_zeros() as usize;
            bits &= bits - 1;
            each(
                position,
                *space.sums.add(position) / *space.counts.add(position) as f64,
            );
            *space.sums.add(position) = 0.0;
            *space.counts.add(position) = 0;
        }
    }
}

/// Turns what was gathered into the lines of the four quarters.
#[inline(never)]
unsafe fn make_lines(space: &Workspace) {
    let (width, half_h) = (space.width, half(space.h));
    for quarter in 0..4 {
        *space.line_counts.add(quarter) = 0;
    }
    take_gathered(space, |position, mean| {
        let (row, column) = (position / space.w, position % space.w);
        let quarter = (row & 1) * 2 + (column & 1);
        let bases = space.line_bases.add(quarter * half_h);
        let row_basis = space.row_basis.add(row * half_h) as *const f64;
        let lines = space.lines.add(quarter * half_h * width);
        let count = space.line_counts.add(quarter);
        let is_new = *count == 0 || *bases.add(*count - 1) != row_basis;
        if is_new {
            *bases.add(*count) = row_basis;
            *count += 1;
        }
        let line = lines.add((*count - 1) * width);
        let basis = space.column_basis.add(column * width);
        let mean = f64x2_splat(mean);
        let mut l = 0;
        while l < width {
            let product = f64x2_mul(mean, load(basis.add(l)));
            let before = if is_new {
                f64x2_splat(0.0)
            } else {
                load(line.add(l))
            };
            store(line.add(l), f64x2_add(before, product));
            l += 2;
        }
    });
}

#[inline(always)]
unsafe fn load(from: *const f64) -> v128 {
    v128_load(from as *const v128)
}

#[inline(always)]
unsafe fn store(to: *mut f64, value: v128) {
    v128_store(to as *mut v128, value)
}

/// `V` neighbouring vectors of row `j` of a quarter, from column `l` on: its lines times their basis
/// values, four products at a time, then two, then one.
#[inline(always)]
unsafe fn sum_lines<const V: usize>(
    space: &Workspace,
    width: usize,
    quarter: usize,
    j: usize,
    l: usize,
) -> [v128; V] {
    let half_h = half(space.h);
    let count = *space.line_counts.add(quarter);
    let bases = space.line_bases.add(quarter * half_h);
    let lines = space.lines.add(quarter * half_h * width + l);
    let factor = |line: usize| v128_load64_splat((*bases.add(line)).add(j) as *const u64);
    let term = |line: usize, f: v128, v: usize| f64x2_mul(f, load(lines.add(line * width + 2 * v)));
    let mut sums = [f64x2_splat(0.0); V];
    let mut line = 0;
    while line + 4 <= count {
        let (f0, f1, f2, f3) = (
            factor(line),
            factor(line + 1),
            factor(line + 2),
            factor(line + 3),
        );
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
    sums
}

#[inline(always)]
fn swapped(x: v128) -> v128 {
    i64x2_shuffle::<1, 0>(x, x)
}

/// Width of a quarter of the usual block; known to the compiler, it saves a third of the time.
const USUAL_WIDTH: usize = 32;

/// `weights -= step * sign(block)` for the block of what was gathered; `weights` is its first element,
/// in rows of `cols`.
#[no_mangle]
pub unsafe extern "C" fn apply_block(space: &Workspace, weights: *mut f32, cols: usize, step: f32) {
    make_lines(space);
    let take = Apply {
        weights,
        cols,
        step,
    };
    for j in 0..half(space.h) {
        if space.w == 2 * USUAL_WIDTH {
            rows_by_four(space, USUAL_WIDTH, j, &take);
        } else if space.w % 8 == 0 {
            rows_by_four(space, space.width, j, &take);
        } else {
            rows_by_one(space, j, &take);
        }
    }
}

/// Row `j` from above and from below, of blocks whose halves are whole vectors.
#[inline(always)]
unsafe fn rows_by_four(space: &Workspace, width: usize, j: usize, take: &Apply) {
    let w = 2 * width;
    let below = space.h - 1 - j;
    for quarter in 0..4 {
        let row = space.quarter_rows.add(quarter * width);
        let mut l = 0;
        while l + 8 <= width {
            for (v, sum) in sum_lines::<4>(space, width, quarter, j, l)
                .iter()
                .enumerate()
            {
                store(row.add(l + 2 * v), *sum);
            }
            l += 8;
        }
        while l < width {
            for (v, sum) in sum_lines::<2>(space, width, quarter, j, l)
                .iter()
                .enumerate()
            {
                store(row.add(l + 2 * v), *sum);
            }
            l += 4;
        }
    }
    let rows = space.quarter_rows as *const f64;
    let mut l = 0;
    while l < w / 2 {
        let [even_even, even_odd, odd_even, odd_odd]: [[v128; 2]; 4] = core::array::from_fn(|q| {
            [
                load(rows.add(q * width + l)),
                load(rows.add(q * width + l + 2)),
            ]
        });
        let pair = |op: fn(v128, v128) -> v128, a: [v128; 2], b: [v128; 2]| {
            [op(a[0], b[0]), op(a[1], b[1])]
        };
        let even_left = pair(f64x2_add, even_even, even_odd);
        let even_right = pair(f64x2_sub, even_even, even_odd);
        let odd_left = pair(f64x2_add, odd_even, odd_odd);
        let odd_right = pair(f64x2_sub, odd_even, odd_odd);
        let mirrored = w - 4 - l;
        let left = pair(f64x2_add, even_left, odd_left);
        let right = pair(f64x2_add, even_right, odd_right);
        take.four(j, l, left[0], left[1]);
        take.four(j, mirrored, swapped(right[1]), swapped(right[0]));
        // The middle row of an odd height is its own mirror image.
        if below != j {
            let left = pair(f64x2_sub, even_left, odd_left);
            let right = pair(f64x2_sub, even_right, odd_right);
            take.four(below, l, left[0], left[1]);
            take.four(below, mirrored, swapped(right[1]), swapped(right[0]));
        }
        l += 4;
    }
}

/// The same for any width.
#[inline(always)]
unsafe fn rows_by_one(space: &Workspace, j: usize, take: &Apply) {
    let w = space.w;
    let below = space.h - 1 - j;
    for l in 0..half(w) {
        // Lines are padded to whole vectors: the lane wanted is the first or the second.
        let sum = |quarter: usize| {
            let [pair] = sum_lines::<1>(space, space.width, quarter, j, l & !1);
            if l & 1 == 0 {
                f64x2_extract_lane::<0>(pair)
            } else {
                f64x2_extract_lane::<1>(pair)
            }
        };
        let (even_even, even_odd, odd_even, odd_odd) = (sum(0), sum(1), sum(2), sum(3));
        let (even_left, even_right) = (even_even + even_odd, even_even - even_odd);
        let (odd_left, odd_right) = (odd_even + odd_odd, odd_even - odd_odd);
        let mirrored = w - 1 - l;
        take.one(j, l, even_left + odd_left);
        if mirrored != l {
            take.one(j, mirrored, even_right + odd_right);
        }
        if below != j {
            take.one(below, l, even_left - odd_left);
            if mirrored != l {
                take.one(below, mirrored, even_right - odd_right);
            }
        }
    }
}

struct Apply {
    weights: *mut f32,
    cols: usize,
    step: f32,
}

impl Apply {
    /// Elements `column` to `column + 3` of a row, in two vectors.
    #[inline(always)]
    unsafe fn four(&self, row: usize, column: usize, low: v128, high: v128) {
        let at = self.weights.add(row * self.cols + column) as *mut v128;
        let zero = f64x2_splat(0.0);
        let step = f32x4_splat(self.step);
        // The low words of the four wide masks are the masks of four narrow elements.
        let up = i32x4_shuffle::<0, 2, 4, 6>(f64x2_gt(low, zero), f64x2_gt(high, zero));
        let down = i32x4_shuffle::<0, 2, 4, 6>(f64x2_lt(low, zero), f64x2_lt(high, zero));
        let change = f32x4_sub(v128_and(up, step), v128_and(down, step));
        v128_store(at, f32x4_sub(v128_load(at), change));
    }

    #[inline(always)]
    unsafe fn one(&self, row: usize, column: usize, value: f64) {
        let at = self.weights.add(row * self.cols + column);
        if value > 0.0 {
            *at -= self.step;
        } else if value < 0.0 {
            *at += self.step;
        }
    }
}
