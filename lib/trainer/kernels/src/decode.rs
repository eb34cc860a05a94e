//! From sparse coefficients back to a block, in f32 and in the order that `distro/decode_reference.ts` sets
//! down. All clients of a run must get the same bits, so nothing here may be rearranged.

use crate::transform::{load, store};
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
unsafe fn take_gathered(space: &Workspace, mut each: impl FnMut(usize, f32)) {
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
            each(position, mean as f32);
            *space.sums.add(position) = 0.0;
            *space.counts.add(position) = 0;
        }
    }
}

/// Turns what was gathered, times `factor`, into the lines of the four quarters; how many of each.
#[inline(never)]
unsafe fn make_lines(space: &Workspace, factor: f32) -> [usize; 4] {
    let (width, half_h) = (space.width, half(space.h));
    let mut counts = [0; 4];
    take_gathered(space, |position, mean| {
        let (row, column) = (position / space.w, position % space.w);
        let quarter = (row & 1) * 2 + (column & 1);
        let bases = space.line_bases.add(quarter * half_h);
        let row_basis = space.row_basis.add(row * half_h) as *const f32;
        let count = &mut counts[quarter];
        let is_new = *count == 0 || *bases.add(*count - 1) != row_basis;
        if is_new {
            *bases.add(*count) = row_basis;
            *count += 1;
        }
        let line = space.lines.add((quarter * half_h + *count - 1) * width);
        let basis = space.column_basis.add(column * width);
        let value = f32x4_splat(mean * factor);
        let mut l = 0;
        while l < width {
            let product = f32x4_mul(value, load(basis.add(l)));
            let before = if is_new {
                f32x4_splat(0.0)
            } else {
                load(line.add(l))
            };
            store(line.add(l), f32x4_add(before, product));
            l += 4;
        }
    });
    counts
}

/// Columns of a quarter that are summed up together, in two vectors.
pub const TILE: usize = 8;
/// Floats from a vector of one quarter to the next one of the same quarter: there are four quarters.
const NEXT: usize = 4 * 4;

/// A tile of a quarter, from column `l` on: the sum of its lines times their basis values.
unsafe fn sum_lines(space: &Workspace, quarter: usize, count: usize, l: usize) {
    let half_h = half(space.h);
    let mut line = 0;
    // As many lines at once as stay in registers; of no lines, zeros are written.
    loop {
        let taken = (count - line).min(4);
        let at = (quarter, quarter * half_h + line, l);
        match (taken, line == 0) {
            (0, _) => add_lines::<0, true>(space, at),
            (1, true) => add_lines::<1, true>(space, at),
            (2, true) => add_lines::<2, true>(space, at),
            (3, true) => add_lines::<3, true>(space, at),
            (_, true) => add_lines::<4, true>(space, at),
            (1, false) => add_lines::<1, false>(space, at),
            (2, false) => add_lines::<2, false>(space, at),
            (3, false) => add_lines::<3, false>(space, at),
            (_, false) => add_lines::<4, false>(space, at),
        }
        line += taken;
        if line == count {
            return;
        }
    }
}

/// Adds `N` lines, one after the other, to each row of a tile.
#[inline(always)]
unsafe fn add_lines<const N: usize, const FIRST: bool>(
    space: &Workspace,
    (quarter, line, l): (usize, usize, usize),
) {
    let width = space.width;
    let lines = space.lines.add(line * width + l);
    let bases: [*const f32; N] = core::array::from_fn(|i| *space.line_bases.add(line + i));
    let low: [v128; N] = core::array::from_fn(|i| load(lines.add(i * width)));
    let high: [v128; N] = core::array::from_fn(|i| load(lines.add(i * width + 4)));
    let mut sums = space.quarters.add(4 * (l + quarter));
    for j in 0..half(space.h) {
        let (mut a, mut b) = (f32x4_splat(0.0), f32x4_splat(0.0));
        if !FIRST {
            (a, b) = (load(sums), load(sums.add(NEXT)));
        }
        for i in 0..N {
            let factor = f32x4_splat(*bases[i].add(j));
            a = f32x4_add(a, f32x4_mul(factor, low[i]));
            b = f32x4_add(b, f32x4_mul(factor, high[i]));
        }
        store(sums, a);
        store(sums.add(NEXT), b);
        sums = sums.add(4 * width);
    }
}

/// Changes the block at `data`, in rows of `cols`: each element becomes `change(element, decoded)`, where
/// decoded is the block of what was gathered, times `factor`.
#[inline(always)]
pub unsafe fn decode(
    space: &Workspace,
    factor: f32,
    data: *mut f32,
    cols: usize,
    change: impl Fn(v128, v128) -> v128,
) {
    let counts = make_lines(space, factor);
    for quarter in 0..4 {
        let mut l = 0;
        while l < space.width {
            sum_lines(space, quarter, counts[quarter], l);
            l += TILE;
        }
    }
    let rows = |j: usize| [data.add(j * cols), data.add((space.h - 1 - j) * cols)];
    for j in 0..half(space.h) {
        unfold(space, j, rows(j), &change);
    }
    if space.w % 8 != 0 {
        for j in 0..half(space.h) {
            unfold_rest(space, j, rows(j), &change);
        }
    }
}

/// Row `j` of the quarters gives a row from above, at `top`, and one from below; the middle row of an odd
/// height is its own mirror image. Only whole vectors.
#[inline(always)]
unsafe fn unfold(
    space: &Workspace,
    j: usize,
    [top, below]: [*mut f32; 2],
    change: &impl Fn(v128, v128) -> v128,
) {
    let w = space.w;
    let quarters = space.quarters.add(4 * j * space.width) as *const f32;
    let mut l = 0;
    while 2 * (l + 4) <= w {
        let mirrored = w - 4 - l;
        let places = [
            top.add(l),
            top.add(mirrored),
            below.add(l),
            below.add(mirrored),
        ];
        // All are loaded before the first is stored: at some widths a load would wait for the store.
        let before = places.map(|at| load(at));
        let [top_left, top_right, below_left, below_right] = corners(quarters.add(4 * l));
        store(places[0], change(before[0], top_left));
        store(places[1], change(before[1], reversed(top_right)));
        if below != top {
            store(places[2], change(before[2], below_left));
            store(places[3], change(before[3], reversed(below_right)));
        }
        l += 4;
    }
}

/// The columns that are left then; the middle one of an odd width is its own mirror image.
#[inline(never)]
unsafe fn unfold_rest(
    space: &Workspace,
    j: usize,
    [top, below]: [*mut f32; 2],
    change: &impl Fn(v128, v128) -> v128,
) {
    let w = space.w;
    let first = w / 8 * 4;
    let blocks = corners(space.quarters.add(4 * (j * space.width + first)));
    let mut lanes = [[0f32; 4]; 4];
    for i in 0..4 {
        store(lanes[i].as_mut_ptr(), blocks[i]);
    }
    for l in first..half(w) {
        let mirrored = w - 1 - l;
        let places = [
            top.add(l),
            top.add(mirrored),
            below.add(l),
            below.add(mirrored),
        ];
        for i in 0..4 {
            if (i % 2 == 0 || mirrored != l) && (i < 2 || below != top) {
                let block = f32x4_splat(lanes[i][l - first]);
                let after = change(f32x4_splat(*places[i]), block);
                *places[i] = f32x4_extract_lane::<0>(after);
            }
        }
    }
}

/// Four columns of the quarters give four of each corner of the block: those on the right in reverse.
#[inline(always)]
unsafe fn corners(quarters: *const f32) -> [v128; 4] {
    let [even_even, even_odd, odd_even, odd_odd] = [0, 4, 8, 12].map(|at| load(quarters.add(at)));
    let (even_left, even_right) = (
        f32x4_add(even_even, even_odd),
        f32x4_sub(even_even, even_odd),
    );
    let (odd_left, odd_right) = (f32x4_add(odd_even, odd_odd), f32x4_sub(odd_even, odd_odd));
    [
        f32x4_add(even_left, odd_left),
        f32x4_add(even_right, odd_right),
        f32x4_sub(even_left, odd_left),
        f32x4_sub(even_right, odd_right),
    ]
}

#[inline(always)]
fn reversed(x: v128) -> v128 {
    i32x4_shuffle::<3, 2, 1, 0>(x, x)
}
