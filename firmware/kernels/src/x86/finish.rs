//! From sixteen accumulators in registers to sixteen int8 values: requantization by each of the four rules, clamp, PReLU.

use std::vec::Vec;

use super::layout::{Layout, units};
use super::simd::{Lanes, Simd};
use super::single::Single;
use crate::requant::{F32_REACH, Output, Requant};
use crate::scalar::Slope;

/// What is added to the values of a window: 128 where `x ^ 0x80` is `x + 128` without sign.
pub(super) const fn flip<S: Simd>() -> i32 {
    if S::VALUE == 1 { 128 } else { 0 }
}

/// How a layer requantizes, with a unit of constants for sixteen channels each.
#[derive(Debug, Clone)]
enum Rule {
    HighMul { mults: Vec<Lanes> },
    Shifted { mults: Vec<Lanes>, shifts: Vec<Lanes> },
    PerChannelF32 { scales: Vec<Lanes> },
    Uniform { mantissa: u32, shift: u32 },
}

/// The last step of a layer.
#[derive(Debug, Clone)]
pub(super) struct Finish {
    rule: Rule,
    zero: i32,
    lo: i32,
    hi: i32,
    prelu: Option<Prelu>,
    single: Option<Single>,
}

/// A PReLU that follows.
#[derive(Debug, Clone)]
pub(super) struct Prelu {
    bits: i32,
    positive: i32,
    negative: Vec<Lanes>,
    input_zero: i32,
    output_zero: i32,
}

impl Prelu {
    pub(super) fn new(slope: &Slope<'_>, layout: &Layout) -> Self {
        Prelu {
            bits: slope.bits as i32,
            positive: slope.positive,
            negative: units(layout, slope.negative.integers()),
            input_zero: slope.input_zero as i32,
            output_zero: slope.output_zero as i32,
        }
    }

    /// Unit `unit` of its channels from `x`, int8 values in 32-bit lanes; the result may lie outside int8 and saturates.
    #[inline(always)]
    pub(super) fn apply<S: Simd>(&self, s: S, unit: usize, x: S::I) -> S::I {
        let steps = s.sub(x, s.splat(self.input_zero));
        let mult = s.if_negative(steps, s.load(&self.negative[unit]), s.splat(self.positive));
        let product = s.add(s.mul(steps, mult), s.splat(1 << (self.bits - 1)));
        s.add(s.shift_right(product, s.splat(self.bits)), s.splat(self.output_zero))
    }
}

impl Finish {
    /// The constants of `output` and of the PReLU that follows, by units.
    pub(super) fn new(output: &Output<'_>, slope: Option<&Slope<'_>>, layout: &Layout) -> Self {
        let rule = match output.requant {
            Requant::HighMul { mults } => Rule::HighMul { mults: units(layout, mults.integers()) },
            Requant::ShiftedHighMul { mults, shifts } => Rule::Shifted {
                mults: units(layout, mults.integers()),
                shifts: units(layout, shifts.iter().map(|&shift| shift as i32)),
            },
            Requant::PerChannelF32 { scales } => {
                Rule::PerChannelF32 { scales: units(layout, scales.integers()) }
            }
            Requant::Uniform(scale) => {
                let (mantissa, shift) = scale.parts();
                Rule::Uniform { mantissa, shift }
            }
        };
        Finish {
            rule,
            zero: output.zero_point as i32,
            lo: output.lo as i32,
            hi: output.hi as i32,
            prelu: slope.map(|slope| Prelu::new(slope, layout)),
            single: Single::new(output, slope, layout),
        }
    }

    /// The requantized accumulators.
    #[inline(always)]
    fn steps<S: Simd>(&self, s: S, unit: usize, acc: S::I) -> S::I {
        match &self.rule {
            Rule::HighMul { mults } => high_mul(s, acc, s.load(&mults[unit])),
            Rule::Shifted { mults, shifts } => {
                shifted_high_mul(s, acc, s.load(&mults[unit]), s.load(&shifts[unit]))
            }
            Rule::PerChannelF32 { scales } => {
                let magnitude = s.round_scaled(acc, s.load(&scales[unit]), F32_REACH);
                with_sign(s, acc, magnitude)
            }
            Rule::Uniform { mantissa, shift } => with_sign(s, acc, uniform(s, acc, *mantissa, *shift)),
        }
    }

    /// The values of unit `unit` in 32-bit lanes; they may lie outside int8 and saturate.
    #[inline(always)]
    pub(super) fn apply<S: Simd>(&self, s: S, unit: usize, acc: S::I) -> S::I {
        let y = self.clamped(s, self.steps(s, unit, acc));
        match &self.prelu {
            Some(prelu) => prelu.apply(s, unit, y),
            None => y,
        }
    }

    #[inline(always)]
    fn clamped<S: Simd>(&self, s: S, steps: S::I) -> S::I {
        let y = s.add(steps, s.splat(self.zero));
        s.max(s.min(y, s.splat(self.hi)), s.splat(self.lo))
    }

    /// Whether single precision gives the same bytes.
    pub(super) fn is_single(&self) -> bool {
        self.single.is_some()
    }

    /// The values of `P` pixels of `U` units, the first of which is `unit`, in place of their accumulators: in 32-bit lanes, and they
    /// may lie outside int8 and saturate. `SINGLE` is what [`Finish::is_single`] tells.
    #[inline(always)]
    pub(super) fn values<S: Simd, const P: usize, const U: usize, const SINGLE: bool>(
        &self,
        s: S,
        unit: usize,
        accs: &mut [[S::I; U]; P],
    ) {
        match &self.single {
            Some(single) if SINGLE => single.values(s, unit, accs),
            _ => {
                unrolled!(u in U {
                    unrolled!(p in P {
                        accs[p][u] = self.apply(s, unit + u, accs[p][u]);
                    });
                });
            }
        }
    }
}

/// `(acc * mult + 2^31) >> 32`.
#[inline(always)]
fn high_mul<S: Simd>(s: S, acc: S::I, mult: S::I) -> S::I {
    let half = s.splat_64(1 << 31);
    let even = s.add_64(s.mul_even(acc, mult), half);
    let odd = s.add_64(s.mul_even(s.odd_to_even(acc), s.odd_to_even(mult)), half);
    s.interleave(s.odd_to_even(even), odd)
}

/// `(acc * mult + 2^(31 - shift)) >> (32 - shift)`, cut to 32 bits: the product moves left and bits 32 to 63 remain.
#[inline(always)]
fn shifted_high_mul<S: Simd>(s: S, acc: S::I, mult: S::I, shift: S::I) -> S::I {
    let half = s.splat_64(1 << 31);
    let low = s.splat_64(u32::MAX as i64);
    let even = s.shift_left_64(s.mul_even(acc, mult), s.and(shift, low));
    let odd = s.mul_even(s.odd_to_even(acc), s.odd_to_even(mult));
    let odd = s.shift_left_64(odd, s.odd_to_even(shift));
    s.interleave(s.odd_to_even(s.add_64(even, half)), s.add_64(odd, half))
}

/// `|acc| * mantissa >> shift`, halves to even.
#[inline(always)]
fn uniform<S: Simd>(s: S, acc: S::I, mantissa: u32, shift: u32) -> S::I {
    let magnitude = s.abs(acc);
    let mantissa = s.splat(mantissa as i32);
    let (bits, one) = (s.splat_64(shift as i64), s.splat_64(1));
    let below_half = s.splat_64((1i64 << (shift - 1)) - 1);
    let [even, odd] = [magnitude, s.odd_to_even(magnitude)];
    let [even, odd] = [s.mul_even_unsigned(even, mantissa), s.mul_even_unsigned(odd, mantissa)];
    let even_is_odd = s.and(s.shift_right_64(even, bits), one);
    let odd_is_odd = s.and(s.shift_right_64(odd, bits), one);
    let even = s.shift_right_64(s.add_64(s.add_64(even, below_half), even_is_odd), bits);
    let odd = s.shift_right_64(s.add_64(s.add_64(odd, below_half), odd_is_odd), bits);
    s.interleave(even, s.even_to_odd(odd))
}

/// `magnitude` with the sign of `acc`.
#[inline(always)]
fn with_sign<S: Simd>(s: S, acc: S::I, magnitude: S::I) -> S::I {
    let sign = s.shift_right(acc, s.splat(31));
    s.sub(s.xor(magnitude, sign), sign)
}
