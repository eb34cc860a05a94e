//! The cosine transform of the usual block, 64 by 64: the recursion of `transform.rs` with three halvings
//! and then the rest in registers. V8 checks the address of nearly each access, which costs more than the
//! arithmetic: so there are few, and what is loaded is stored in the same place where that can be. Passes
//! stay small, too, as V8 takes long for what no longer fits into the registers.

use crate::transform::{load, store, transpose_four};
use crate::workspace::Workspace;
use core::arch::wasm32::*;
use core::f32::consts::FRAC_1_SQRT_2;

const N: usize = 64;

pub fn is_usual(h: usize, w: usize) -> bool {
    h == N && w == N
}

/// Where the element `[row, column]` of the transform ends up in `space.block`.
pub fn usual_place(row: usize, column: usize) -> usize {
    // The halvings sort by the low bits.
    let part = |f: usize| (f & 1) << 2 | f & 2 | (f & 4) >> 2;
    slot(part(column), column >> 3) * N + 8 * part(row) + (row >> 3)
}

/// The row of element `i` of a part. With odd parts in reverse, a turn of the halvings stores in those rows
/// that it loaded.
#[inline(always)]
fn slot(part: usize, i: usize) -> usize {
    8 * part + if part % 2 == 1 { 7 - i } else { i }
}

/// As `transform::transform`.
pub unsafe fn transform_usual(space: &Workspace, data: *const f32, cols: usize) {
    let (block, other) = (space.block, space.other);
    halve_thrice(data, cols, other, space.row_factors);
    let factors = last_factors(space.row_factors);
    transform_parts(other, &factors);
    for l in (0..N).step_by(4) {
        finish(other.add(l), &factors, |part, first, rows| {
            let turned = transpose_four(rows);
            for c in 0..4 {
                store(block.add((l + c) * N + 8 * part + first), turned[c]);
            }
        });
    }
    halve_thrice(block, N, block, space.column_factors);
    let factors = last_factors(space.column_factors);
    transform_parts(block, &factors);
    for l in (0..N).step_by(4) {
        let columns = block.add(l);
        let mut peaks = [u32x4_splat(0); 8];
        finish(columns, &factors, |part, first, rows| {
            for i in 0..4 {
                store(columns.add(slot(part, first + i) * N), rows[i]);
                // Without the sign. V8 needs more for an absolute value.
                peaks[part] = u32x4_max(peaks[part], u32x4_shl(rows[i], 1));
            }
            if first == 4 {
                *space.peaks.add(part * (N / 4) + l / 4) = u32x4_shr(peaks[part], 1);
            }
        });
    }
}

/// The factors of [`eight`]: 32, 16 and 8 others belong to the three halvings.
unsafe fn last_factors(factors: *const f32) -> [v128; 7] {
    eight_factors(factors.add(32 + 16 + 8))
}

/// The transform of parts 2 to 7, each on its own.
#[inline(always)]
unsafe fn transform_parts(x: *mut f32, factors: &[v128; 7]) {
    for part in (2..8).step_by(2) {
        eight::<false>(x.add(8 * part * N), N, factors);
        eight::<true>(x.add(8 * (part + 1) * N), N, factors);
    }
}

/// Three halvings of 64 rows to eight parts of eight: sums and scaled differences of mirrored rows. The
/// eight rows that one turn reads are all that depend on each other.
#[inline(always)]
unsafe fn halve_thrice(from: *const f32, stride: usize, to: *mut f32, factors: *const f32) {
    for i in 0..8 {
        let mirrored = [i, 15 - i, 16 + i, 31 - i, 63 - i, 48 + i, 47 - i, 32 + i];
        let from = mirrored.map(|row| from.add(row * stride));
        let to: [_; 8] = core::array::from_fn(|part| to.add(slot(part, i) * N));
        let factor = |at: usize| f32x4_splat(*factors.add(at));
        let first = [factor(i), factor(15 - i), factor(16 + i), factor(31 - i)];
        let second = [factor(32 + i), factor(32 + 15 - i)];
        let third = factor(48 + i);
        let quarters = |x: [v128; 4]| {
            let (a, b) = (f32x4_add(x[0], x[3]), f32x4_add(x[1], x[2]));
            let c = f32x4_mul(f32x4_sub(x[0], x[3]), second[0]);
            let d = f32x4_mul(f32x4_sub(x[1], x[2]), second[1]);
            [
                f32x4_add(a, b),
                f32x4_mul(f32x4_sub(a, b), third),
                f32x4_add(c, d),
                f32x4_mul(f32x4_sub(c, d), third),
            ]
        };
        let mut l = 0;
        while l < N {
            let x = from.map(|row| load(row.add(l)));
            let even = quarters(core::array::from_fn(|j| f32x4_add(x[j], x[4 + j])));
            let odd = quarters(core::array::from_fn(|j| {
                f32x4_mul(f32x4_sub(x[j], x[4 + j]), first[j])
            }));
            for part in 0..4 {
                store(to[part].add(l), even[part]);
                store(to[4 + part].add(l), odd[part]);
            }
            l += 4;
        }
    }
}

/// Ends the transform of four columns: that of parts 0 and 1, to which nothing is added, and the odd
/// halves. Hands over four frequencies of a part at a time, and the number of the first.
#[inline(always)]
unsafe fn finish(
    x: *const f32,
    factors: &[v128; 7],
    mut each: impl FnMut(usize, usize, [v128; 4]),
) {
    let part = |part: usize| core::array::from_fn(|i| load(x.add(slot(part, i) * N)));
    let [a, b, c, d, e, f, g, h] = eight_rows::<false>(part(0), factors);
    each(0, 0, [f32x4_mul(a, f32x4_splat(FRAC_1_SQRT_2)), b, c, d]);
    each(0, 4, [e, f, g, h]);
    let [a, b, c, d, e, f, g, h] = eight_rows::<true>(part(1), factors);
    each(1, 0, [a, b, c, d]);
    each(1, 4, [e, f, g, h]);
    end_sixteen::<0>(x, &mut each);
    end_sixteen::<4>(x, &mut each);
    end_thirty_two::<0>(x, &mut each);
    end_thirty_two::<4>(x, &mut each);
}

/// In odd halves each frequency gets the next one added. In that of sixteen parts 2 and 3 take turns.
#[inline(always)]
unsafe fn end_sixteen<const FIRST: usize>(
    x: *const f32,
    each: &mut impl FnMut(usize, usize, [v128; 4]),
) {
    let (a, b) = (four(x, 2, FIRST), four(x, 3, FIRST));
    let next_a = following::<FIRST>(x, 2, a);
    each(2, FIRST, add(a, b));
    each(3, FIRST, add(b, next_a));
}

/// In the odd half of thirty-two first parts 6 and 7 take turns and then 4, 6, 5 and 7.
#[inline(always)]
unsafe fn end_thirty_two<const FIRST: usize>(
    x: *const f32,
    each: &mut impl FnMut(usize, usize, [v128; 4]),
) {
    let (c, d) = (four(x, 6, FIRST), four(x, 7, FIRST));
    let (cd, dc) = (add(c, d), add(d, following::<FIRST>(x, 6, c)));
    let (a, b) = (four(x, 4, FIRST), four(x, 5, FIRST));
    let next_a = following::<FIRST>(x, 4, a);
    each(4, FIRST, add(a, cd));
    each(6, FIRST, add(cd, b));
    each(5, FIRST, add(b, dc));
    each(7, FIRST, add(dc, next_a));
}

#[inline(always)]
unsafe fn four(x: *const f32, part: usize, first: usize) -> [v128; 4] {
    core::array::from_fn(|i| load(x.add(slot(part, first + i) * N)))
}

/// Those that follow four elements of a part.
#[inline(always)]
unsafe fn following<const FIRST: usize>(x: *const f32, part: usize, four: [v128; 4]) -> [v128; 4] {
    let next = if FIRST == 0 {
        load(x.add(slot(part, 4) * N))
    } else {
        f32x4_splat(0.0)
    };
    [four[1], four[2], four[3], next]
}

#[inline(always)]
fn add(x: [v128; 4], y: [v128; 4]) -> [v128; 4] {
    core::array::from_fn(|i| f32x4_add(x[i], y[i]))
}

/// Columns of eight, four at a time and in registers. With `ODD` it is an odd part: its rows are in
/// reverse, and each gets the next one added.
#[inline(always)]
pub unsafe fn eight<const ODD: bool>(x: *mut f32, width: usize, factors: &[v128; 7]) {
    for l in (0..width).step_by(4) {
        let row = |i: usize| x.add(if ODD { 7 - i } else { i } * width + l);
        let rows = eight_rows::<ODD>(core::array::from_fn(|i| load(row(i))), factors);
        for i in 0..8 {
            store(row(i), rows[i]);
        }
    }
}

/// The table of `transform.rs` for length 8.
#[inline(always)]
pub unsafe fn eight_factors(table: *const f32) -> [v128; 7] {
    core::array::from_fn(|i| f32x4_splat(*table.add(i)))
}

#[inline(always)]
fn eight_rows<const ODD: bool>(v: [v128; 8], f: &[v128; 7]) -> [v128; 8] {
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
    let even = four(core::array::from_fn(|i| f32x4_add(v[i], v[7 - i])));
    let odd = four(core::array::from_fn(|i| {
        f32x4_mul(f32x4_sub(v[i], v[7 - i]), f[i])
    }));
    let mut rows = [
        even[0],
        f32x4_add(odd[0], odd[1]),
        even[1],
        f32x4_add(odd[1], odd[2]),
        even[2],
        f32x4_add(odd[2], odd[3]),
        even[3],
        odd[3],
    ];
    if ODD {
        for i in 0..7 {
            rows[i] = f32x4_add(rows[i], rows[i + 1]);
        }
    }
    rows
}
