//! From sixteen accumulators in registers to sixteen int8 values: requantization by each of the four rules, clamp, PReLU.

use core::ops::Range;
use std::vec::Vec;

use super::simd::{LANES, Lanes, Simd};
use crate::engine::kernels::requant::{F32_REACH, Output, Requant};
use crate::engine::kernels::scalar::Slope;

/// The channels in each unit of sixteen lanes; the last lanes may have none.
pub(super) type Layout = Vec<Vec<usize>>;

/// Units of the channels in each of `ranges`, in order.
pub(super) fn in_order(ranges: impl IntoIterator<Item = Range<usize>>) -> Layout {
    let in_units = |range: Range<usize>| {
        let channels: Vec<usize> = range.collect();
        channels.chunks(LANES).map(<[usize]>::to_vec).collect::<Layout>()
    };
    ranges.into_iter().flat_map(in_units).collect()
}

/// `values`, one for each channel, by units; 0 in lanes without a channel.
pub(super) fn units(layout: &Layout, values: impl Iterator<Item = i32>) -> Vec<Lanes> {
    let values: Vec<i32> = values.collect();
    let unit = |channels: &Vec<usize>| {
        let mut lanes = [0; LANES];
        for (lane, &channel) in lanes.iter_mut().zip(channels) {
            *lane = values[channel];
        }
        Lanes(lanes)
    };
    layout.iter().map(unit).collect()
}

/// What is added to the values of a window: 128 where `x ^ 0x80` is `x + 128` without sign.
pub(super) const fn flip<S: Simd>() -> i32 {
    if S::VALUE == 1 { 128 } else { 0 }
}

/// A loop over `0..$count`, at most 6, written out: what it indexes stays in registers however long the body is.
macro_rules! unrolled {
    ($i:ident in $count:ident $body:block) => {
        unrolled!(@ $i $count $body 0 1 2 3 4 5)
    };
    (@ $i:ident $count:ident $body:block $($n:literal)*) => {
        $(if $n < $count {
            let $i = $n;
            $body
        })*
    };
}

/// How a layer requantizes, with a unit of constants for sixteen channels each.
#[derive(Debug, Clone)]
pub(super) enum Rule {
    HighMul { mults: Vec<Lanes> },
    Shifted { mults: Vec<Lanes>, shifts: Vec<Lanes> },
    PerChannelF32 { scales: Vec<Lanes> },
    Uniform { mantissa: u32, shift: u32 },
}

/// The last step of a layer.
#[derive(Debug, Clone)]
pub(super) struct Finish {
    pub rule: Rule,
    zero: i32,
    lo: i32,
    hi: i32,
    prelu: Option<Prelu>,
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
        self.apply_slopes(s, s.load(&self.negative[unit]), x)
    }

    /// The same with the slopes of the unit.
    #[inline(always)]
    fn apply_slopes<S: Simd>(&self, s: S, negative: S::I, x: S::I) -> S::I {
        let steps = s.sub(x, s.splat(self.input_zero));
        let mult = s.if_negative(steps, negative, s.splat(self.positive));
        let product = s.add(s.mul(steps, mult), s.splat(1 << (self.bits - 1)));
        s.add(s.shift_right(product, s.splat(self.bits)), s.splat(self.output_zero))
    }
}

/// Where the outputs of some pixels lie.
#[derive(Clone, Copy)]
pub(super) struct Place {
    /// The first channel of the first unit.
    pub first: usize,
    /// Channels of all units.
    pub count: usize,
    /// Channels of a pixel.
    pub channels: usize,
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

    /// The values of `U` units, the first of which is `unit`, in 32-bit lanes; they may lie outside int8 and saturate. With
    /// `HIGH_MUL`, which [`Finish::is_high_mul`] tells, without asking for the rule again.
    #[inline(always)]
    pub(super) fn values<S: Simd, const U: usize, const HIGH_MUL: bool>(
        &self,
        s: S,
        unit: usize,
        accs: [S::I; U],
    ) -> [S::I; U] {
        let mut values = accs;
        match &self.rule {
            Rule::HighMul { mults } if HIGH_MUL => {
                let mults = &mults[unit..unit + U];
                unrolled!(u in U {
                    values[u] = self.clamped(s, high_mul(s, accs[u], s.load(&mults[u])));
                });
                if let Some(prelu) = &self.prelu {
                    let negative = &prelu.negative[unit..unit + U];
                    unrolled!(u in U {
                        values[u] = prelu.apply_slopes(s, s.load(&negative[u]), values[u]);
                    });
                }
            }
            _ => {
                unrolled!(u in U {
                    values[u] = self.apply(s, unit + u, accs[u]);
                });
            }
        }
        values
    }

    /// Whether the rule is one high multiply without shifts.
    pub(super) fn is_high_mul(&self) -> bool {
        matches!(self.rule, Rule::HighMul { .. })
    }

    /// Writes `P` pixels of `U` units of channels, of which `unit` is the first, under any rule.
    #[inline(always)]
    pub(super) fn tile<S: Simd, const P: usize, const U: usize>(
        &self,
        s: S,
        unit: usize,
        accs: &[[S::I; U]; P],
        place: Place,
        y: &mut [i8],
    ) {
        unrolled!(u in U {
            unrolled!(p in P {
                place.put(s, p, u, self.apply(s, unit + u, accs[p][u]), y);
            });
        });
    }

    /// The same under [`Finish::is_high_mul`]; under another rule nothing is written.
    #[inline(always)]
    pub(super) fn high_mul_tile<S: Simd, const P: usize, const U: usize>(
        &self,
        s: S,
        unit: usize,
        accs: &[[S::I; U]; P],
        place: Place,
        y: &mut [i8],
    ) {
        let Rule::HighMul { mults } = &self.rule else { return };
        let mults = &mults[unit..unit + U];
        match &self.prelu {
            Some(prelu) => {
                let negative = &prelu.negative[unit..unit + U];
                unrolled!(u in U {
                    let (mult, negative) = (s.load(&mults[u]), s.load(&negative[u]));
                    unrolled!(p in P {
                        let x = self.clamped(s, high_mul(s, accs[p][u], mult));
                        place.put(s, p, u, prelu.apply_slopes(s, negative, x), y);
                    });
                });
            }
            None => {
                unrolled!(u in U {
                    let mult = s.load(&mults[u]);
                    unrolled!(p in P {
                        place.put(s, p, u, self.clamped(s, high_mul(s, accs[p][u], mult)), y);
                    });
                });
            }
        }
    }
}

impl Place {
    /// Writes unit `u` of pixel `p`.
    #[inline(always)]
    fn put<S: Simd>(self, s: S, p: usize, u: usize, values: S::I, y: &mut [i8]) {
        let count = (self.count - u * LANES).min(LANES);
        s.put(values, &mut y[p * self.channels + self.first + u * LANES..][..count]);
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
