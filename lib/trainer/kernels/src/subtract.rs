//! Taking what a client sent out of its residual.

use crate::decode::decode;
use crate::workspace::Workspace;
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
    decode(space, factor, residual, cols, |residual, block| {
        f32x4_sub(residual, block)
    });
}
