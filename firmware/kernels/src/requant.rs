//! From an i32 accumulator to an int8 step.
//!
//! [`HighMul`] is the one rounding high multiply that tract, onnxruntime and every core share for models with their scales
//! on the lattice. Other models keep tract's own rules: [`per_channel_f32`] where the channels of a layer have scales of
//! their own, [`UniformScale`] where they share one. All of them are the same on every machine: integers, or single
//! IEEE 754 operations.

use super::Words;

/// A requantization scale `s = mult * 2^(shift - 32)`, applied with one rounding high multiply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct HighMul {
    /// Positive multiplier; even, so that cores with a doubling high multiply take half of it.
    pub mult: i32,
    /// Bits that the accumulator moves left first, `0..=MAX_SHIFT`; 0 for every `s < 1/2`.
    pub shift: u8,
}

/// The largest [`HighMul::shift`]: scales below `2^7` can be expressed.
pub const MAX_SHIFT: u8 = 8;

impl HighMul {
    /// `round(acc * s)`, halves away from minus infinity: `(acc * mult + 2^(31 - shift)) >> (32 - shift)`.
    ///
    /// The 64-bit form is the definition. A core with a 32-bit high multiply shifts `acc` left first, which is the same
    /// function as long as `|acc| < 2^(31 - shift)`; the host proves that bound for every layer before it writes a plan.
    #[inline(always)]
    pub const fn apply(self, acc: i32) -> i32 {
        ((acc as i64 * self.mult as i64 + (1i64 << (31 - self.shift))) >> (32 - self.shift)) as i32
    }
}

/// tract's rule for layers whose channels differ: `|acc|` to f32, times `scale`, halves to even, the sign put back.
///
/// The caller keeps `|acc| * scale` below [`F32_REACH`]; beyond it the result stays there, which any clamp absorbs.
#[inline(always)]
pub fn per_channel_f32(acc: i32, scale: f32) -> i32 {
    // Adding and taking away 1.5 * 2^23 rounds to an integer, halves to even, for magnitudes below 2^22.
    const ROUND: f32 = 12_582_912.0;
    let magnitude = (acc.unsigned_abs() as f32 * scale).min(F32_REACH);
    let rounded = ((magnitude + ROUND) - ROUND) as i32;
    if acc < 0 { -rounded } else { rounded }
}

/// Where [`per_channel_f32`] saturates: far outside int8.
pub const F32_REACH: f32 = 1_048_576.0;

/// One scale for all channels as tract applies it: the exact product with an f32, rounded half to even.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct UniformScale {
    mantissa: u32,
    shift: u32,
}

impl UniformScale {
    /// The scale as an integer and a shift; `None` unless it lies in `2^-32..2^7`.
    pub fn new(scale: f32) -> Option<Self> {
        let inside = scale >= f32::from_bits((127 - 32) << 23) && scale < 128.0;
        let bits = scale.to_bits();
        inside.then(|| UniformScale { mantissa: bits & 0x7f_ffff | 0x80_0000, shift: 150 - (bits >> 23) })
    }

    /// The largest `|acc|`, in an i32, whose product stays below `2^30`.
    pub fn reach(self) -> u64 {
        let product = (1u64 << (30 + self.shift.min(33))) / self.mantissa.max(1) as u64 - 1;
        product.min(i32::MAX as u64)
    }

    /// Its 24-bit mantissa, and how far the product moves right.
    #[cfg(all(feature = "std", any(target_arch = "x86_64", target_arch = "aarch64")))]
    pub(super) const fn parts(self) -> (u32, u32) {
        (self.mantissa, self.shift)
    }

    /// The exact product `acc * scale`, rounded half to even.
    #[inline(always)]
    pub fn apply(self, acc: i32) -> i32 {
        // |acc| < 2^31 and a 24-bit mantissa: the product stays below 2^55, and so does the half step, at most 2^54.
        let product = acc.unsigned_abs() as u64 * self.mantissa as u64;
        let half = 1u64 << (self.shift - 1);
        let odd = product >> self.shift & 1;
        let magnitude = ((product + half - 1 + odd) >> self.shift) as i32;
        if acc < 0 { -magnitude } else { magnitude }
    }
}

/// How a layer comes from accumulators to steps, with one entry a channel where it has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requant<'p> {
    /// [`HighMul`] with every shift 0.
    HighMul {
        /// The multipliers.
        mults: Words<'p>,
    },
    /// [`HighMul`] with a shift for every channel.
    ShiftedHighMul {
        /// The multipliers.
        mults: Words<'p>,
        /// The shifts, each at most [`MAX_SHIFT`].
        shifts: &'p [u8],
    },
    /// [`per_channel_f32`].
    PerChannelF32 {
        /// The scales, f32.
        scales: Words<'p>,
    },
    /// [`UniformScale`].
    Uniform(UniformScale),
}

/// The last step of a layer: requantize, add the zero point, clamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Output<'p> {
    /// The rule.
    pub requant: Requant<'p>,
    /// The int8 that stands for real zero.
    pub zero_point: i8,
    /// Least output.
    pub lo: i8,
    /// Greatest output, not less than `lo`.
    pub hi: i8,
}

impl Output<'_> {
    /// Writes the outputs of channels `first..` from their accumulators.
    // On Arm's small cores once, not a copy of its four loops wherever it is called: what is hot there finishes in assembly.
    #[cfg_attr(target_arch = "arm", inline(never))]
    #[cfg_attr(not(target_arch = "arm"), inline(always))]
    pub fn store(&self, first: usize, accs: &[i32], out: &mut [i8]) {
        let count = accs.len();
        let zero = self.zero_point as i32;
        let finish = |steps: i32| (steps + zero).max(self.lo as i32).min(self.hi as i32) as i8;
        let pairs = out.iter_mut().zip(accs);
        match self.requant {
            Requant::HighMul { mults } => {
                for ((out, &acc), mult) in pairs.zip(mults.part(first, count).integers()) {
                    *out = finish(HighMul { mult, shift: 0 }.apply(acc));
                }
            }
            Requant::ShiftedHighMul { mults, shifts } => {
                let shifts = shifts.get(first..).unwrap_or_default();
                for (((out, &acc), mult), &shift) in
                    pairs.zip(mults.part(first, count).integers()).zip(shifts)
                {
                    *out = finish(HighMul { mult, shift }.apply(acc));
                }
            }
            Requant::PerChannelF32 { scales } => {
                for ((out, &acc), scale) in pairs.zip(scales.part(first, count).floats()) {
                    *out = finish(per_channel_f32(acc, scale));
                }
            }
            Requant::Uniform(scale) => pairs.for_each(|(out, &acc)| *out = finish(scale.apply(acc))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_halves_up() {
        let quarter = HighMul { mult: 1 << 30, shift: 0 };
        let got: [i32; 9] = core::array::from_fn(|i| quarter.apply(i as i32 - 4));
        assert_eq!(got, [-1, -1, 0, 0, 0, 0, 1, 1, 1]);
    }

    #[test]
    fn shift_is_a_left_shift_of_the_accumulator() {
        let plain = HighMul { mult: 1_234_567_890, shift: 0 };
        let shifted = HighMul { mult: 1_234_567_890, shift: 3 };
        for acc in [-70_001, -3, 0, 1, 99_999] {
            assert_eq!(shifted.apply(acc), plain.apply(acc << 3));
        }
    }

    #[test]
    fn tract_rules_round_halves_to_even() {
        let half = UniformScale::new(0.5).unwrap();
        for (acc, even) in [(-5, -2), (-3, -2), (-1, 0), (0, 0), (1, 0), (3, 2), (5, 2), (7, 4)] {
            assert_eq!((half.apply(acc), per_channel_f32(acc, 0.5)), (even, even), "{acc}");
        }
        assert_eq!(UniformScale::new(128.0), None);
        assert_eq!(UniformScale::new(f32::NAN), None);
        assert_eq!(UniformScale::new(-0.5), None);
    }

    #[test]
    fn uniform_is_the_exact_product() {
        let exact = |acc: i32, scale: f32| (acc as f64 * scale as f64).round_ties_even() as i32;
        for scale in [f32::from_bits(0x2f80_0001), 1e-5, 0.001_234, 0.25, 0.999, 7.3, 127.9] {
            let uniform = UniformScale::new(scale).unwrap();
            for acc in [i32::MIN + 1, -70_001, -3, -1, 0, 1, 2, 99_999, i32::MAX] {
                // 31 + 24 bits do not fit an f64's 53, but these products have short tails or are far from a half.
                if (acc as f64 * scale as f64).abs() < i32::MAX as f64 {
                    assert_eq!(uniform.apply(acc), exact(acc, scale), "{acc} * {scale}");
                }
            }
        }
    }

    #[test]
    fn f32_rule_saturates_far_outside_int8() {
        assert_eq!(per_channel_f32(i32::MIN, 1e9), -1_048_576);
        assert_eq!(per_channel_f32(i32::MAX, 1.0), 1_048_576);
    }
}
