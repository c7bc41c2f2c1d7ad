//! From sixteen accumulators to sixteen int8 values: requantization by each of the four rules, clamp, PReLU.

use core::arch::aarch64::*;
use core::ops::Range;
use std::vec::Vec;

use super::lanes::{Lanes, Wide, narrow, steps_from, units};
use crate::requant::{F32_REACH, Output, Requant};
use crate::scalar::Slope;

/// How a layer requantizes, with a unit of constants for sixteen channels each.
#[derive(Debug, Clone)]
enum Rule {
    /// Multipliers that are all even, as the importer makes them, halved for the doubling high multiply.
    Doubling {
        halves: Vec<Lanes>,
    },
    /// How far each 64-bit product moves right.
    Shifted {
        mults: Vec<Lanes>,
        shifts: Vec<Lanes>,
    },
    PerChannelF32 {
        scales: Vec<Lanes>,
    },
    Uniform {
        mantissa: u32,
        shift: u32,
    },
}

impl Rule {
    fn new(requant: &Requant<'_>, layout: &[Range<usize>]) -> Self {
        match *requant {
            Requant::HighMul { mults } if mults.integers().all(|mult| mult % 2 == 0) => {
                Rule::Doubling { halves: units(layout, mults.integers().map(|mult| mult / 2)) }
            }
            Requant::HighMul { mults } => Rule::Shifted {
                mults: units(layout, mults.integers()),
                shifts: units(layout, mults.integers().map(|_| 32)),
            },
            Requant::ShiftedHighMul { mults, shifts } => Rule::Shifted {
                mults: units(layout, mults.integers()),
                shifts: units(layout, shifts.iter().map(|&shift| 32 - shift as i32)),
            },
            Requant::PerChannelF32 { scales } => {
                Rule::PerChannelF32 { scales: units(layout, scales.integers()) }
            }
            Requant::Uniform(scale) => {
                let (mantissa, shift) = scale.parts();
                Rule::Uniform { mantissa, shift }
            }
        }
    }
}

/// The last step of a layer.
#[derive(Debug, Clone)]
pub(super) struct Finish {
    rule: Rule,
    zero: i8,
    lo: i8,
    hi: i8,
    prelu: Option<Prelu>,
}

impl Finish {
    /// The constants of `output` and of the PReLU that follows, by units.
    pub(super) fn new(output: &Output<'_>, slope: Option<&Slope<'_>>, layout: &[Range<usize>]) -> Self {
        Finish {
            rule: Rule::new(&output.requant, layout),
            zero: output.zero_point,
            lo: output.lo,
            hi: output.hi,
            prelu: slope.map(|slope| Prelu::new(slope, layout)),
        }
    }

    /// The values of unit `unit`.
    #[inline(always)]
    pub(super) fn apply(&self, unit: usize, accs: Wide) -> int8x16_t {
        let steps = match &self.rule {
            Rule::Doubling { halves } => each(accs, halves[unit].load(), doubling),
            Rule::Shifted { mults, shifts } => {
                let (mults, shifts) = (mults[unit].load(), shifts[unit].load());
                core::array::from_fn(|i| shifted(accs[i], mults[i], shifts[i]))
            }
            Rule::PerChannelF32 { scales } => each(accs, scales[unit].load(), per_channel_f32),
            Rule::Uniform { mantissa, shift } => accs.map(|acc| uniform(acc, *mantissa, *shift)),
        };
        let y = clamp(narrow(steps, self.zero), self.lo, self.hi);
        match &self.prelu {
            Some(prelu) => prelu.apply(unit, y),
            None => y,
        }
    }
}

/// `values` within `lo..=hi`.
#[inline(always)]
pub(super) fn clamp(values: int8x16_t, lo: i8, hi: i8) -> int8x16_t {
    // SAFETY: NEON is part of every aarch64 with `std`.
    unsafe { vmaxq_s8(vminq_s8(values, vdupq_n_s8(hi)), vdupq_n_s8(lo)) }
}

#[inline(always)]
fn each(a: Wide, b: Wide, f: impl Fn(int32x4_t, int32x4_t) -> int32x4_t) -> Wide {
    core::array::from_fn(|i| f(a[i], b[i]))
}

/// `(acc * 2 * half + 2^31) >> 32`: it saturates for two times -2^31 alone, and `half` is positive.
#[inline(always)]
fn doubling(acc: int32x4_t, half: int32x4_t) -> int32x4_t {
    // SAFETY: as in `clamp`.
    unsafe { vqrdmulhq_s32(acc, half) }
}

/// `(acc * mult + 2^(shift - 1)) >> shift`, cut to 32 bits.
#[inline(always)]
fn shifted(acc: int32x4_t, mult: int32x4_t, shift: int32x4_t) -> int32x4_t {
    // SAFETY: as in `clamp`.
    unsafe {
        let right = vnegq_s32(shift);
        let low = vmull_s32(vget_low_s32(acc), vget_low_s32(mult));
        let low = vrshlq_s64(low, vmovl_s32(vget_low_s32(right)));
        let high = vrshlq_s64(vmull_high_s32(acc, mult), vmovl_high_s32(right));
        vmovn_high_s64(vmovn_s64(low), high)
    }
}

/// [`crate::requant::per_channel_f32`]: conversions round half to even.
#[inline(always)]
fn per_channel_f32(acc: int32x4_t, scale: int32x4_t) -> int32x4_t {
    // SAFETY: as in `clamp`.
    unsafe {
        let magnitude = vcvtq_f32_u32(vreinterpretq_u32_s32(vabsq_s32(acc)));
        let scaled = vmulq_f32(magnitude, vreinterpretq_f32_s32(scale));
        with_sign(acc, vcvtnq_s32_f32(vminnmq_f32(scaled, vdupq_n_f32(F32_REACH))))
    }
}

/// `acc * mantissa * 2^-shift`, halves to even.
#[inline(always)]
fn uniform(acc: int32x4_t, mantissa: u32, shift: u32) -> int32x4_t {
    // SAFETY: as in `clamp`.
    unsafe {
        let magnitude = vreinterpretq_u32_s32(vabsq_s32(acc));
        let low = vmull_u32(vget_low_u32(magnitude), vdup_n_u32(mantissa));
        let high = vmull_high_u32(magnitude, vdupq_n_u32(mantissa));
        let steps = vmovn_high_u64(vmovn_u64(half_to_even(low, shift)), half_to_even(high, shift));
        with_sign(acc, vreinterpretq_s32_u32(steps))
    }
}

/// `product >> shift`, halves to even.
#[inline(always)]
fn half_to_even(product: uint64x2_t, shift: u32) -> uint64x2_t {
    // SAFETY: as in `clamp`.
    unsafe {
        let right = vdupq_n_s64(-(shift as i64));
        let is_odd = vandq_u64(vshlq_u64(product, right), vdupq_n_u64(1));
        let below_half = vdupq_n_u64((1 << (shift - 1)) - 1);
        vshlq_u64(vaddq_u64(vaddq_u64(product, below_half), is_odd), right)
    }
}

/// `magnitude` with the sign of `acc`.
#[inline(always)]
fn with_sign(acc: int32x4_t, magnitude: int32x4_t) -> int32x4_t {
    // SAFETY: as in `clamp`.
    unsafe {
        let sign = vshrq_n_s32::<31>(acc);
        vsubq_s32(veorq_s32(magnitude, sign), sign)
    }
}

/// A PReLU.
#[derive(Debug, Clone)]
pub(super) struct Prelu {
    bits: i32,
    positive: i32,
    negative: Vec<Lanes>,
    zeros: [i8; 2],
}

impl Prelu {
    pub(super) fn new(slope: &Slope<'_>, layout: &[Range<usize>]) -> Self {
        Prelu {
            bits: slope.bits as i32,
            positive: slope.positive,
            negative: units(layout, slope.negative.integers()),
            zeros: [slope.input_zero, slope.output_zero],
        }
    }

    /// Unit `unit` of its channels.
    #[inline(always)]
    pub(super) fn apply(&self, unit: usize, x: int8x16_t) -> int8x16_t {
        let steps = each(steps_from(x, self.zeros[0]), self.negative[unit].load(), |steps, negative| {
            // SAFETY: as in `clamp`.
            unsafe {
                let mult = vbslq_s32(vcltzq_s32(steps), negative, vdupq_n_s32(self.positive));
                rounded_right(vmulq_s32(steps, mult), self.bits)
            }
        });
        narrow(steps, self.zeros[1])
    }
}

/// `(a + 2^(bits - 1)) >> bits`.
#[inline(always)]
pub(super) fn rounded_right(a: int32x4_t, bits: i32) -> int32x4_t {
    // SAFETY: as in `clamp`.
    unsafe { vrshlq_s32(a, vdupq_n_s32(-bits)) }
}
