//! Loops over all weights of a model, for WebAssembly with 128-bit vectors.
//!
//! Only plain IEEE operations in one fixed order: no relaxed vectors, no fused products. The same
//! input gives the same bits on every machine. Callers are trusted to pass addresses and lengths of
//! arrays that lie in the module's memory.
#![no_std]

mod apply;
mod decode;
mod elementwise;
mod subtract;
mod top_entries;
mod transform;
mod transform_usual;
mod workspace;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    core::arch::wasm32::unreachable()
}
