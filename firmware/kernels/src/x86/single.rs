//! Requantization and PReLU in single precision: half as many instructions as 64-bit products, taken where they provably give the
//! same bytes.
//!
//! A fused multiply-add with `1.5 * 2^23` added rounds an exact product to an integer, halves to even; the definition rounds halves
//! up. [`Single::new`] makes sure that no product that matters is a half, or is not exact.

use std::vec::Vec;

use super::layout::{Layout, units};
use super::simd::{Lanes, Simd};
use crate::requant::{Output, Requant};
use crate::scalar::Slope;

/// What makes the sum of it and a number below `2^22` an integer.
const MAGIC: f32 = 12_582_912.0;

/// The last step of a layer in single precision.
#[derive(Debug, Clone)]
pub(super) struct Single {
    scales: Vec<Lanes>,
    /// [`MAGIC`] and the zero point, least and greatest output.
    zero: f32,
    lo: f32,
    hi: f32,
    prelu: Option<Prelu>,
}

/// A PReLU that follows.
#[derive(Debug, Clone)]
struct Prelu {
    positive: f32,
    negative: Vec<Lanes>,
    /// [`MAGIC`] and the zero points.
    input_zero: f32,
    output_zero: f32,
}

impl Single {
    /// The same as `output` and then `slope`, by units; `None` where that is not sure.
    pub(super) fn new(output: &Output<'_>, slope: Option<&Slope<'_>>, layout: &Layout) -> Option<Self> {
        let Requant::HighMul { mults } = output.requant else { return None };
        if !mults.integers().all(is_exact) {
            return None;
        }
        let prelu = match slope {
            Some(slope) => Some(Prelu::new(slope, layout)?),
            None => None,
        };
        let scale = |mult: i32| (mult as f32 * power(32)).to_bits() as i32;
        let magic = |value: i8| MAGIC + value as f32;
        Some(Single {
            scales: units(layout, mults.integers().map(scale)),
            zero: magic(output.zero_point),
            lo: magic(output.lo),
            hi: magic(output.hi),
            prelu,
        })
    }

    /// The values of `P` pixels of `U` units, the first of which is `unit`, in place of their accumulators: in 32-bit lanes, and they
    /// may lie outside int8 and saturate.
    #[inline(always)]
    pub(super) fn values<S: Simd, const P: usize, const U: usize>(
        &self,
        s: S,
        unit: usize,
        accs: &mut [[S::I; U]; P],
    ) {
        let scales = &self.scales[unit..unit + U];
        let (zero, lo, hi) = (single(s, self.zero), single(s, self.lo), single(s, self.hi));
        let magic = single(s, MAGIC);
        match &self.prelu {
            Some(prelu) => {
                let negative = &prelu.negative[unit..unit + U];
                let positive = single(s, prelu.positive);
                let (input_zero, output_zero) = (single(s, prelu.input_zero), single(s, prelu.output_zero));
                unrolled!(u in U {
                    let (scale, negative) = (s.load(&scales[u]), s.load(&negative[u]));
                    unrolled!(p in P {
                        let y = s.fused_single(s.to_single(accs[p][u]), scale, zero);
                        let steps = s.sub_single(s.max_single(s.min_single(y, hi), lo), input_zero);
                        let slope = s.if_negative(steps, negative, positive);
                        accs[p][u] = s.sub(s.fused_single(steps, slope, output_zero), magic);
                    });
                });
            }
            None => {
                unrolled!(u in U {
                    let scale = s.load(&scales[u]);
                    unrolled!(p in P {
                        let y = s.fused_single(s.to_single(accs[p][u]), scale, zero);
                        accs[p][u] = s.sub(s.max_single(s.min_single(y, hi), lo), magic);
                    });
                });
            }
        }
    }
}

/// The bits of `value` in every lane.
#[inline(always)]
fn single<S: Simd>(s: S, value: f32) -> S::I {
    s.splat(value.to_bits() as i32)
}

/// Whether `acc * mult / 2^32` rounds the same way in single precision, up to every clamp, for every accumulator.
///
/// The multiplier has at most 24 bits, so that its float is exact; so is that of an accumulator below `2^24`, and a larger one gives
/// more than 257 steps, which every clamp absorbs. A half is `(2 k + 1) / 2`, and the odd part of the multiplier divides `2 k + 1`:
/// above 1024 there is none within 511 steps.
fn is_exact(mult: i32) -> bool {
    let odd = mult >> mult.trailing_zeros();
    mult >= 257 << 8 && (1025..1 << 24).contains(&odd)
}

/// `2^-bits`, `bits` being less than 127, to the bit: of `powi` no precision is promised.
fn power(bits: u32) -> f32 {
    f32::from_bits(127u32.saturating_sub(bits) << 23)
}

impl Prelu {
    /// `None` where a slope is not exact in single precision, is `2^14` or more, or takes any of 256 values to a half.
    fn new(slope: &Slope<'_>, layout: &Layout) -> Option<Self> {
        let exact = |mult: i32| {
            let float = mult as f32 * power(slope.bits as u32);
            (mult as f32 as i64 == mult as i64 && float.abs() < 16384.0).then_some(float)
        };
        // A half: the bits behind the point are 1 and then 0.
        let half = |x: i8, mult: i32| {
            let product = (x as i32 - slope.input_zero as i32) * mult;
            product & ((1 << slope.bits) - 1) == 1 << (slope.bits - 1)
        };
        let negative: Vec<i32> = slope.negative.integers().collect();
        let below = i8::MIN..slope.input_zero;
        let above = slope.input_zero..=i8::MAX;
        if above.into_iter().any(|x| half(x, slope.positive))
            || negative.iter().any(|&mult| exact(mult).is_none() || below.clone().any(|x| half(x, mult)))
        {
            return None;
        }
        let bits = |mult: i32| exact(mult).unwrap_or_default().to_bits() as i32;
        Some(Prelu {
            positive: exact(slope.positive)?,
            negative: units(layout, negative.into_iter().map(bits)),
            input_zero: MAGIC + slope.input_zero as f32,
            output_zero: MAGIC + slope.output_zero as f32,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::requant::HighMul;

    /// One lane of [`Single::values`] without a PReLU, clamped to int8.
    fn in_single(mult: i32, zero: i8, acc: i32) -> i32 {
        let scale = mult as f32 * power(32);
        let y = (acc as f32).mul_add(scale, MAGIC + zero as f32);
        (y.clamp(MAGIC - 128.0, MAGIC + 127.0) - MAGIC) as i32
    }

    #[test]
    fn steps_lie_where_the_high_multiply_has_them() {
        for (mult, exact) in [
            (257 << 8, false),
            ((257 << 8) + 2, true),
            (1 << 20, false),
            (1026 << 10, false),
            (1025 << 10, true),
            (0xff_ffff, true),
            (0x7fff_ff80, true),
            (0x100_0001, false),
            (i32::MAX, false),
        ] {
            assert_eq!(is_exact(mult), exact, "{mult}");
            for zero in if exact { [-128i8, -1, 0, 127] } else { [0; 4] } {
                // Around every step, around where floats stop being exact, and at the ends.
                let steps = (-260..260i64).map(|step| (step << 32) / mult as i64 + (1 << 31) / mult as i64);
                for near in steps.chain([1 << 24, -(1 << 24), i32::MIN as i64, i32::MAX as i64]) {
                    for acc in
                        (near - 2..near + 3).filter_map(|acc| i32::try_from(acc).ok()).filter(|_| exact)
                    {
                        let wanted = HighMul { mult, shift: 0 }
                            .apply(acc)
                            .saturating_add(zero as i32)
                            .clamp(-128, 127);
                        assert_eq!(in_single(mult, zero, acc), wanted, "{acc} * {mult} + {zero}");
                    }
                }
            }
        }
    }
}
