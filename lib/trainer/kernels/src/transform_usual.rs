//! The cosine transform of the usual block, 64 by 64: the recursion of `transform.rs` with three halvings
//! and then the rest in registers, so that every element goes through memory three times only.

use crate::transform::{load, shrink_first, store, transpose};
use crate::workspace::Workspace;
use core::arch::wasm32::*;

const N: usize = 64;

pub fn is_usual(h: usize, w: usize) -> bool {
    h == N && w == N
}

/// Row where frequency `f` ends up: what the halvings make of its three low bits, then the others.
pub fn usual_place(f: usize) -> usize {
    ((f & 1) << 2 | (f & 2) | (f & 4) >> 2) << 3 | f >> 3
}

/// As `transform::transform`.
pub unsafe fn transform_usual(space: &Workspace, data: *const f32, cols: usize) {
    let (block, other) = (space.block, space.other);
    columns(data, cols, block, space.row_factors);
    transpose(block, other, N, N, usual_place);
    columns(other, N, block, space.column_factors);
}

/// Transforms the columns at `from`, in rows of `stride`, into `[64, 64]`.
unsafe fn columns(from: *const f32, stride: usize, to: *mut f32, factors: *const f32) {
    halve_thrice(from, stride, to, factors);
    for part in 0..8 {
        let x = to.add(part * 8 * N);
        // 32, 16 and 8 factors belong to the three halvings.
        if part % 2 == 0 {
            eight::<false>(x, N, factors.add(56));
        } else {
            eight::<true>(x, N, factors.add(56));
        }
    }
    end_halves(to);
    shrink_first(to, N, N);
}

/// What ends the odd halves of the halvings: each of their rows gets the next one added, in the order of
/// frequencies. Of a half with eight rows in each part, parts 2 and 3 take turns; of that with sixteen,
/// first parts 6 and 7 and then 4, 6, 5 and 7.
/// Both are done in one pass over the larger half.
unsafe fn end_halves(x: *mut f32) {
    let mut l = 0;
    while l < N {
        let row = |part: usize, i: usize| x.add((8 * part + i) * N + l);
        let mut a = load(row(2, 0));
        for i in 0..8 {
            let b = load(row(3, i));
            store(row(2, i), f32x4_add(a, b));
            if i < 7 {
                a = load(row(2, i + 1));
                store(row(3, i), f32x4_add(b, a));
            }
        }
        l += 4;
    }
    l = 0;
    while l < N {
        let row = |part: usize, i: usize| x.add((8 * part + i) * N + l);
        let (mut a, mut c) = (load(row(4, 0)), load(row(6, 0)));
        for i in 0..8 {
            let (b, d) = (load(row(5, i)), load(row(7, i)));
            let cd = f32x4_add(c, d);
            store(row(4, i), f32x4_add(a, cd));
            store(row(6, i), f32x4_add(cd, b));
            if i < 7 {
                (a, c) = (load(row(4, i + 1)), load(row(6, i + 1)));
                let dc = f32x4_add(d, c);
                store(row(5, i), f32x4_add(b, dc));
                store(row(7, i), f32x4_add(dc, a));
            } else {
                store(row(5, i), f32x4_add(b, d));
            }
        }
        l += 4;
    }
}

/// Three halvings of 64 rows to eight times eight: sums and scaled differences of mirrored rows. The
/// eight rows that one turn reads are all that depend on each other.
unsafe fn halve_thrice(from: *const f32, stride: usize, to: *mut f32, factors: *const f32) {
    for i in 0..8 {
        let row = |r: usize| from.add(r * stride);
        let front = [row(i), row(15 - i), row(16 + i), row(31 - i)];
        let back = [row(63 - i), row(48 + i), row(47 - i), row(32 + i)];
        let factor = |at: usize| f32x4_splat(*factors.add(at));
        let first = [factor(i), factor(15 - i), factor(16 + i), factor(31 - i)];
        let second = [factor(32 + i), factor(32 + 15 - i)];
        let third = factor(48 + i);
        let to = to.add(i * N);
        let mut l = 0;
        while l < N {
            let a = front.map(|row| load(row.add(l)));
            let b = back.map(|row| load(row.add(l)));
            let sums: [v128; 4] = core::array::from_fn(|j| f32x4_add(a[j], b[j]));
            let differences: [v128; 4] =
                core::array::from_fn(|j| f32x4_mul(f32x4_sub(a[j], b[j]), first[j]));
            quarters(to.add(l), sums, second, third);
            quarters(to.add(4 * 8 * N + l), differences, second, third);
            l += 4;
        }
    }
}

/// The second and third halving of one half.
#[inline(always)]
unsafe fn quarters(to: *mut f32, x: [v128; 4], second: [v128; 2], third: v128) {
    let (a, b) = (f32x4_add(x[0], x[3]), f32x4_add(x[1], x[2]));
    store(to, f32x4_add(a, b));
    store(to.add(8 * N), f32x4_mul(f32x4_sub(a, b), third));
    let a = f32x4_mul(f32x4_sub(x[0], x[3]), second[0]);
    let b = f32x4_mul(f32x4_sub(x[1], x[2]), second[1]);
    store(to.add(2 * 8 * N), f32x4_add(a, b));
    store(to.add(3 * 8 * N), f32x4_mul(f32x4_sub(a, b), third));
}

/// Columns of eight, four at a time and in registers; `factors` as in `transform.rs`. With `ADD_NEXT`
/// each row gets the next one added, as in [`end_halves`].
#[inline(always)]
pub unsafe fn eight<const ADD_NEXT: bool>(x: *mut f32, width: usize, factors: *const f32) {
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
        let odd = four(core::array::from_fn(|i| {
            f32x4_mul(f32x4_sub(v[i], v[7 - i]), f[i])
        }));
        let rows = [
            even[0],
            f32x4_add(odd[0], odd[1]),
            even[1],
            f32x4_add(odd[1], odd[2]),
            even[2],
            f32x4_add(odd[2], odd[3]),
            even[3],
            odd[3],
        ];
        for i in 0..8 {
            let value = if ADD_NEXT && i < 7 {
                f32x4_add(rows[i], rows[i + 1])
            } else {
                rows[i]
            };
            store(x.add(i * width + l), value);
        }
        l += 4;
    }
}
