//! Applying a round's results.

use crate::decode::decode;
use crate::workspace::Workspace;
use core::arch::wasm32::*;

/// `weights -= step * sign(block)` for the block of what was gathered; `weights` is its first element,
/// in rows of `cols`.
#[no_mangle]
pub unsafe extern "C" fn apply_block(space: &Workspace, weights: *mut f32, cols: usize, step: f32) {
    let (zero, step) = (f32x4_splat(0.0), f32x4_splat(step));
    decode(space, 1.0, weights, cols, |weights, block| {
        let up = v128_and(f32x4_gt(block, zero), step);
        let down = v128_and(f32x4_lt(block, zero), step);
        f32x4_sub(weights, f32x4_sub(up, down))
    });
}
