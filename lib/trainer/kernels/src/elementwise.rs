//! Loops that look at every element once. Lengths may be any; the rest after whole vectors goes through
//! the same vector operations, padded, so that every element sees the same arithmetic.

use core::arch::wasm32::*;

const LANES: usize = 4;

#[inline(always)]
unsafe fn load(from: *const f32) -> v128 {
    v128_load(from as *const v128)
}

#[inline(always)]
unsafe fn store(to: *mut f32, value: v128) {
    v128_store(to as *mut v128, value)
}

/// The last `count` (below four) elements, zeros behind them.
#[inline(always)]
unsafe fn load_rest(from: *const f32, count: usize) -> v128 {
    let mut padded = [0f32; LANES];
    for (i, place) in padded.iter_mut().enumerate().take(count) {
        *place = *from.add(i);
    }
    load(padded.as_ptr())
}

#[inline(always)]
unsafe fn store_rest(to: *mut f32, value: v128, count: usize) {
    let mut padded = [0f32; LANES];
    store(padded.as_mut_ptr(), value);
    for (i, element) in padded.iter().enumerate().take(count) {
        *to.add(i) = *element;
    }
}

/// `out = each(inputs)`, element by element; `out` may be one of the inputs.
#[inline(always)]
unsafe fn map<const N: usize>(
    out: *mut f32,
    inputs: [*const f32; N],
    length: usize,
    each: impl Fn([v128; N]) -> v128,
) {
    let whole = length & !(LANES - 1);
    let mut i = 0;
    while i < whole {
        store(out.add(i), each(inputs.map(|input| load(input.add(i)))));
        i += LANES;
    }
    let rest = length - whole;
    if rest > 0 {
        let value = each(inputs.map(|input| load_rest(input.add(whole), rest)));
        store_rest(out.add(whole), value, rest);
    }
}

/// `size` with the sign of each element of `x`; zero for zero.
#[inline(always)]
fn signed(x: v128, size: v128) -> v128 {
    let zero = f32x4_splat(0.0);
    let up = v128_and(f32x4_gt(x, zero), size);
    let down = v128_and(f32x4_lt(x, zero), size);
    f32x4_sub(up, down)
}

/// `out = weights - rate * sign(residual)`
#[no_mangle]
pub unsafe extern "C" fn look_ahead(
    out: *mut f32,
    weights: *const f32,
    residual: *const f32,
    length: usize,
    rate: f32,
) {
    let rate = f32x4_splat(rate);
    map(out, [weights, residual], length, |[w, r]| {
        f32x4_sub(w, signed(r, rate))
    });
}

/// `residual = residual * decay + rate * gradient`
#[no_mangle]
pub unsafe extern "C" fn decay_and_add(
    residual: *mut f32,
    gradient: *const f32,
    length: usize,
    decay: f32,
    rate: f32,
) {
    let (decay, rate) = (f32x4_splat(decay), f32x4_splat(rate));
    map(residual, [residual, gradient], length, |[r, g]| {
        f32x4_add(f32x4_mul(r, decay), f32x4_mul(rate, g))
    });
}

/// `data *= factor`
#[no_mangle]
pub unsafe extern "C" fn scale(data: *mut f32, length: usize, factor: f32) {
    let factor = f32x4_splat(factor);
    map(data, [data], length, |[x]| f32x4_mul(x, factor));
}

/// `sum += data`
#[no_mangle]
pub unsafe extern "C" fn add(sum: *mut f32, data: *const f32, length: usize) {
    map(sum, [sum, data], length, |[a, b]| f32x4_add(a, b));
}

/// `sum = keep * sum + share * data`
#[no_mangle]
pub unsafe extern "C" fn blend(
    sum: *mut f32,
    data: *const f32,
    length: usize,
    keep: f32,
    share: f32,
) {
    let (keep, share) = (f32x4_splat(keep), f32x4_splat(share));
    map(sum, [sum, data], length, |[a, b]| {
        f32x4_add(f32x4_mul(a, keep), f32x4_mul(b, share))
    });
}

/// Sum of squares in f64: NaN or infinite just when an element is.
#[no_mangle]
pub unsafe extern "C" fn sum_of_squares(data: *const f32, length: usize) -> f64 {
    let mut sums = [f64x2_splat(0.0); 4];
    let mut include = |at: usize, x: v128| {
        let low = f64x2_promote_low_f32x4(x);
        let high = f64x2_promote_low_f32x4(i64x2_shuffle::<1, 1>(x, x));
        sums[at] = f64x2_add(sums[at], f64x2_mul(low, low));
        sums[at + 1] = f64x2_add(sums[at + 1], f64x2_mul(high, high));
    };
    let mut i = 0;
    while i + 2 * LANES <= length {
        include(0, load(data.add(i)));
        include(2, load(data.add(i + LANES)));
        i += 2 * LANES;
    }
    while i < length {
        include(0, load_rest(data.add(i), (length - i).min(LANES)));
        i += LANES;
    }
    let sum = f64x2_add(f64x2_add(sums[0], sums[1]), f64x2_add(sums[2], sums[3]));
    f64x2_extract_lane::<0>(sum) + f64x2_extract_lane::<1>(sum)
}

/// One step of AdamW. `rate` and `correction` hold the corrections of the two moments' bias, `keep`
/// is what decay leaves of a weight, `clip` the factor of the gradient.
#[no_mangle]
pub unsafe extern "C" fn adamw(
    weights: *mut f32,
    gradient: *const f32,
    first: *mut f32,
    second: *mut f32,
    length: usize,
    beta1: f64,
    beta2: f64,
    rate: f32,
    correction: f32,
    eps: f32,
    keep: f32,
    clip: f32,
) {
    // 1 - beta in f64: in f32 the difference would lose most of its digits.
    let (beta1, new1) = (f32x4_splat(beta1 as f32), f32x4_splat((1.0 - beta1) as f32));
    let (beta2, new2) = (f32x4_splat(beta2 as f32), f32x4_splat((1.0 - beta2) as f32));
    let (rate, correction) = (f32x4_splat(rate), f32x4_splat(correction));
    let (eps, keep, clip) = (f32x4_splat(eps), f32x4_splat(keep), f32x4_splat(clip));
    let step = |w, g, m, v| {
        let g = f32x4_mul(g, clip);
        let m = f32x4_add(f32x4_mul(beta1, m), f32x4_mul(new1, g));
        let v = f32x4_add(f32x4_mul(beta2, v), f32x4_mul(f32x4_mul(new2, g), g));
        let size = f32x4_add(f32x4_mul(f32x4_sqrt(v), correction), eps);
        let w = f32x4_sub(f32x4_mul(w, keep), f32x4_div(f32x4_mul(rate, m), size));
        (w, m, v)
    };
    let whole = length & !(LANES - 1);
    let mut i = 0;
    while i < whole {
        let (w, m, v) = step(
            load(weights.add(i)),
            load(gradient.add(i)),
            load(first.add(i)),
            load(second.add(i)),
        );
        store(weights.add(i), w);
        store(first.add(i), m);
        store(second.add(i), v);
        i += LANES;
    }
    let rest = length - whole;
    if rest > 0 {
        let (w, m, v) = step(
            load_rest(weights.add(i), rest),
            load_rest(gradient.add(i), rest),
            load_rest(first.add(i), rest),
            load_rest(second.add(i), rest),
        );
        store_rest(weights.add(i), w, rest);
        store_rest(first.add(i), m, rest);
        store_rest(second.add(i), v, rest);
    }
}

/// Lanes of a fingerprint: element `i` goes to lane `i % 16`.
const STATE: usize = 16;
const MULTIPLIER: u32 = 0x9e37_79b1;
const ROTATION: u32 = 13;

/// Takes elements into a fingerprint of 16 lanes, each `lane = rotate(lane ^ bits) * odd`. Every step
/// is one to one, so a single other element always gives another fingerprint. All but the last call
/// take a multiple of 16 elements.
#[no_mangle]
pub unsafe extern "C" fn fingerprint(state: *mut u32, data: *const u32, length: usize) {
    let multiplier = u32x4_splat(MULTIPLIER);
    let mut lanes: [v128; 4] = core::array::from_fn(|i| v128_load((state as *const v128).add(i)));
    let whole = length & !(STATE - 1);
    let mut i = 0;
    while i < whole {
        for (v, lane) in lanes.iter_mut().enumerate() {
            let x = v128_xor(*lane, v128_load(data.add(i + 4 * v) as *const v128));
            let turned = v128_or(u32x4_shl(x, ROTATION), u32x4_shr(x, 32 - ROTATION));
            *lane = i32x4_mul(turned, multiplier);
        }
        i += STATE;
    }
    for (v, lane) in lanes.iter().enumerate() {
        v128_store((state as *mut v128).add(v), *lane);
    }
    while i < length {
        let lane = state.add(i & (STATE - 1));
        *lane = (*lane ^ *data.add(i))
            .rotate_left(ROTATION)
            .wrapping_mul(MULTIPLIER);
        i += 1;
    }
}
