//! The batch size ramp (docs/protocol/deterministic-selection.md section 7).
//!
//! The ramp is defined in IEEE doubles and programs have none, so its four operations are done here
//! on integers, each rounded to nearest-even at 53 bits as the hardware does it.

/// Sequences of the step that begins after `tokens` tokens, when the size goes from `start` to `end`
/// over `warmup_tokens` tokens.
pub fn batch_size(start: u16, end: u16, warmup_tokens: u64, tokens: u64) -> u16 {
    if tokens >= warmup_tokens {
        return end;
    }
    if tokens == 0 || end <= start {
        // The added term is zero. A config with end below start is refused where it is set.
        return start;
    }
    let share = Double::from(tokens).divided_by(Double::from(warmup_tokens));
    let rise = share.times(end - start);
    Double::from(start as u64).plus(rise).rounded() as u16
}

/// A positive number: `mantissa` of exactly 53 bits, times two to the power of `exponent`.
#[derive(Clone, Copy)]
struct Double {
    mantissa: u64,
    exponent: i32,
}

const BITS: i32 = 53;

impl Double {
    /// `value * 2^exponent` rounded to 53 bits. Bits cut off before may be left as a one in bit 0
    /// of a value of 56 bits or more.
    fn rounded_from(value: u64, exponent: i32) -> Double {
        let excess = 64 - value.leading_zeros() as i32 - BITS;
        if excess <= 0 {
            return Double {
                mantissa: value << -excess,
                exponent: exponent + excess,
            };
        }
        let kept = value >> excess;
        let rest = value & ((1 << excess) - 1);
        let half = 1 << (excess - 1);
        let up = rest > half || (rest == half && kept & 1 == 1);
        let mantissa = kept + up as u64;
        if mantissa >> BITS == 1 {
            return Double {
                mantissa: mantissa >> 1,
                exponent: exponent + excess + 1,
            };
        }
        Double {
            mantissa,
            exponent: exponent + excess,
        }
    }

    fn from(value: u64) -> Double {
        Double::rounded_from(value, 0)
    }

    /// Long division to 57 bits and a sticky bit.
    fn divided_by(self, divisor: Double) -> Double {
        let mut rest = self.mantissa;
        let mut quotient = 0u64;
        for _ in 0..58 {
            quotient <<= 1;
            if rest >= divisor.mantissa {
                rest -= divisor.mantissa;
                quotient |= 1;
            }
            rest <<= 1;
        }
        quotient |= (rest != 0) as u64;
        Double::rounded_from(quotient, self.exponent - divisor.exponent - 57)
    }

    /// The product has up to 69 bits; those below 2^8 go into the sticky bit.
    fn times(self, factor: u16) -> Double {
        let low = (self.mantissa & 0xffff_ffff).wrapping_mul(factor as u64);
        let high = (self.mantissa >> 32).wrapping_mul(factor as u64) + (low >> 32);
        if high >> 31 == 0 {
            return Double::rounded_from(high << 32 | low & 0xffff_ffff, self.exponent);
        }
        let sticky = (low & 0xff != 0) as u64;
        Double::rounded_from(
            high << 24 | (low & 0xffff_ffff) >> 8 | sticky,
            self.exponent + 8,
        )
    }

    fn plus(self, other: Double) -> Double {
        let (large, small) = if self.exponent >= other.exponent {
            (self, other)
        } else {
            (other, self)
        };
        let shift = (large.exponent - small.exponent).min(63);
        // Nine spare bits below the mantissa keep what rounding needs; the sum stays under 2^63.
        let aligned = small.mantissa << 9;
        let sticky = (aligned & ((1 << shift) - 1) != 0) as u64;
        let sum = (large.mantissa << 9) + (aligned >> shift | sticky);
        Double::rounded_from(sum, large.exponent - 9)
    }

    /// To the nearest integer, halves up. For values of 0.25 and more.
    fn rounded(self) -> u64 {
        let fraction_bits = -self.exponent;
        (self.mantissa >> fraction_bits) + (self.mantissa >> (fraction_bits - 1) & 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hardware(start: u16, end: u16, warmup: u64, tokens: u64) -> u16 {
        if tokens >= warmup {
            return end;
        }
        let share = tokens as f64 / warmup as f64;
        (start as f64 + (end as f64 - start as f64) * share).round() as u16
    }

    #[test]
    fn matches_the_vectors() {
        for (start, end, warmup, tokens, size) in [
            (12288, 32768, 549755813888, 0, 12288),
            (12288, 32768, 549755813888, 274877906944, 22528),
            (12288, 32768, 549755813888, 549755813887, 32768),
            (12288, 32768, 549755813888, 219215001 * 2048, 29013),
            (12288, 32768, 549755813888, 219244014 * 2048, 29015),
            (12288, 32768, 549755813888, 219273029 * 2048, 29017),
            (1, 4, 100, 50, 3),
            (1, 2, 100, 49, 1),
            (1, 2, 100, 50, 2),
            (4, 64, 1000000, 333333, 24),
            (8, 8, 0, 0, 8),
        ] {
            assert_eq!(batch_size(start, end, warmup, tokens), size);
        }
    }

    #[test]
    fn matches_hardware_doubles() {
        let mut state = 0x9e37_79b9_7f4a_7c15u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        for round in 0..5_000_000u64 {
            let warmup = (next() >> (next() % 64)).max(1);
            let mut tokens = next() % warmup;
            if round % 3 == 0 {
                tokens = next() >> (next() % 64);
            }
            let (a, b) = ((next() >> (next() % 16 + 48)) as u16, (next() >> 48) as u16);
            let (start, end) = (a.min(b).max(1), a.max(b).max(1));
            let size = batch_size(start, end, warmup, tokens);
            let expected = hardware(start, end, warmup, tokens);
            assert_eq!(size, expected, "{start} {end} {warmup} {tokens}");
        }
        // Exact halves and their neighbours.
        for d in 1..2000u64 {
            for k in [d / 2, d - 1, d / 3] {
                for (start, end) in [(1, 2), (1, 1000), (65534, 65535), (3, 65535)] {
                    let size = batch_size(start, end, d, k);
                    assert_eq!(size, hardware(start, end, d, k), "{start} {end} {d} {k}");
                }
            }
        }
    }
}
