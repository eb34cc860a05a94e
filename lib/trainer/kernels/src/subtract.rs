//! Taking what was sent out of a residual. Each client does it with its own results only, so this is
//! f32, in whatever order is fast.

use crate::decode::take_gathered;
use crate::transform::{load, store};
use crate::workspace::{half, padded, Workspace};
use core::arch::wasm32::*;

/// `residual -= factor * block` for the block of what was gathered; `residual` is its first element, in
/// rows of `cols`.
#[no_mangle]
pub unsafe extern "C" fn subtract_block(
    space: &Workspace,
    residual: *mut f32,
    cols: usize,
    factor: f32,
) {
    let counts = make_lines(space, factor);
    let step = Step { residual, cols };
    let (h, w) = (space.h, space.w);
    for j in 0..half(h) {
        let below = h - 1 - j;
        let mut l = 0;
        while l + 16 <= w {
            rows::<4>(space, counts, j, l, |v, top, bottom| {
                step.four(j, l + 4 * v, top);
                if below != j {
                    step.four(below, l + 4 * v, bottom);
                }
            });
            l += 16;
        }
        while l < w {
            rows::<1>(space, counts, j, l, |_, top, bottom| {
                step.some(j, l, w, top);
                if below != j {
                    step.some(below, l, w, bottom);
                }
            });
            l += 4;
        }
    }
}

/// Lines of even and of odd rows, which are symmetric and antisymmetric from top to bottom; how many.
unsafe fn make_lines(space: &Workspace, factor: f32) -> [usize; 2] {
    let (half_h, width) = (half(space.h), padded(space.w));
    let mut counts = [0; 2];
    take_gathered(space, |position, mean| {
        let (row, column) = (position / space.w, position % space.w);
        let parity = row & 1;
        let bases = space.line_bases_f32.add(parity * half_h);
        let row_basis = space.row_basis_f32.add(row * half_h) as *const f32;
        let count = &mut counts[parity];
        let is_new = *count == 0 || *bases.add(*count - 1) != row_basis;
        if is_new {
            *bases.add(*count) = row_basis;
            *count += 1;
        }
        let line = space.lines_f32.add((parity * half_h + *count - 1) * width);
        let basis = space.column_basis_f32.add(column * width);
        let mean = f32x4_splat(mean as f32 * factor);
        let mut l = 0;
        while l < width {
            let product = f32x4_mul(mean, load(basis.add(l)));
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

/// `V` neighbouring vectors of row `j` from above and from below.
#[inline(always)]
unsafe fn rows<const V: usize>(
    space: &Workspace,
    counts: [usize; 2],
    j: usize,
    l: usize,
    each: impl Fn(usize, v128, v128),
) {
    let (half_h, width) = (half(space.h), padded(space.w));
    let sum = |parity: usize| {
        let bases = space.line_bases_f32.add(parity * half_h);
        let mut line = space.lines_f32.add(parity * half_h * width + l) as *const f32;
        let mut sums = [f32x4_splat(0.0); V];
        for i in 0..counts[parity] {
            let factor = f32x4_splat(*(*bases.add(i)).add(j));
            for v in 0..V {
                sums[v] = f32x4_add(sums[v], f32x4_mul(factor, load(line.add(4 * v))));
            }
            line = line.add(width);
        }
        sums
    };
    let (even, odd) = (sum(0), sum(1));
    for v in 0..V {
        each(v, f32x4_add(even[v], odd[v]), f32x4_sub(even[v], odd[v]));
    }
}

struct Step {
    residual: *mut f32,
    cols: usize,
}

impl Step {
    #[inline(always)]
    unsafe fn four(&self, row: usize, column: usize, block: v128) {
        let at = self.residual.add(row * self.cols + column);
        store(at, f32x4_sub(load(at), block));
    }

    /// As many of the four as lie within a row of `w`.
    #[inline(always)]
    unsafe fn some(&self, row: usize, column: usize, w: usize, block: v128) {
        if column + 4 <= w {
            return self.four(row, column, block);
        }
        let mut values = [0f32; 4];
        store(values.as_mut_ptr(), block);
        for (i, value) in values.iter().enumerate().take(w - column) {
            *self.residual.add(row * self.cols + column + i) -= value;
        }
    }
}
