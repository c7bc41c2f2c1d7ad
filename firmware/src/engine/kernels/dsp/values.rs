//! Operations on one value at a time: PReLUs and residual adds. Lookup tables have no faster form than the scalar kernel's.

use super::tile;
use crate::engine::kernels::scalar::{self, Slope, Sum};

/// Bytes of an activation that are gone through four channels after four channels, before the next ones: some lines of a cache.
const PART: usize = 4096;

/// Replaces every value of an activation with as many channels as `slope` has lower multipliers.
pub fn slope(slope: &Slope<'_>, values: &mut [i8]) {
    let channels = slope.negative.len();
    let fours = channels / 4;
    if channels == 0 || fours > 0 && FourSlopes::of(slope, 0).is_none() {
        return slope.run(values);
    }
    for values in values.chunks_mut((PART / channels).max(16) * channels) {
        for four in 0..fours {
            if let (Some(slopes), Some(values)) =
                (FourSlopes::of(slope, 4 * four), values.get_mut(4 * four..))
            {
                tile::slope(&slopes, values, channels);
            }
        }
        for pixel in values.chunks_exact_mut(channels) {
            for (value, negative) in pixel.iter_mut().zip(slope.negative.integers()).skip(4 * fours) {
                *value = slope.value(negative, *value);
            }
        }
    }
}

/// The slopes of four channels with [`FourSlopes::BITS`] fraction bits, which leave 8 of them when the lower 16 are gone.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub(super) struct FourSlopes {
    /// From the zero point up.
    pub positive: i32,
    /// Below it, channel by channel.
    pub negative: [i32; 4],
    /// What is added to two values: the zero point taken away.
    pub minus_zero: i32,
    /// What is added to a product: half a step, and the output's zero point.
    pub rounding: i32,
}

impl FourSlopes {
    const BITS: u8 = 24;

    /// Those of channels `first..`, of which there are at least four; `None` where the multipliers have too few fraction bits:
    /// the lower 16 bits of a product must not decide how it is rounded, and the multipliers must not leave 32 bits.
    #[inline(always)]
    fn of(slope: &Slope<'_>, first: usize) -> Option<Self> {
        let missing = Self::BITS.checked_sub(slope.bits).filter(|&bits| bits < 8)?;
        let mut negative = [0; 4];
        for (to, from) in negative.iter_mut().zip(slope.negative.part(first, 4).integers()) {
            *to = from << missing;
        }
        let minus_zero = (-(slope.input_zero as i32) as u16 as u32 * 0x1_0001) as i32;
        let rounding = (1 << 7) + ((slope.output_zero as i32) << 8);
        Some(FourSlopes { positive: slope.positive << missing, negative, minus_zero, rounding })
    }
}

/// Replaces every value of `y` by `sum` of one of `x` and itself.
///
/// With operands in places of the other, the zero points and the multipliers change theirs, and the sum is the same.
pub fn sum(sum: &Sum, x: &[i8], y: &mut [i8]) {
    let Some(mix) = Mix::of(sum) else {
        return scalar::zip(x, y, |a, b| sum.value(a, b));
    };
    let length = x.len().min(y.len());
    let ((x, x_rest), (y, y_rest)) = (x[..length].as_chunks(), y[..length].as_chunks_mut());
    tile::mix(&mix, x, y);
    scalar::zip(x_rest, y_rest, |a, b| sum.value(a, b));
}

/// A [`Sum`] as two products of values with nothing taken away from them.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub(super) struct Mix {
    /// Multipliers of the operands.
    pub mults: [i32; 2],
    /// What the zero points and the rounding come to.
    pub constant: i32,
    /// Fraction bits.
    pub bits: u32,
    /// Four times the least output.
    pub lo: u32,
    /// Four times the greatest output.
    pub hi: u32,
}

impl Mix {
    /// `None` where the output's zero point does not fit a 32-bit sum.
    fn of(sum: &Sum) -> Option<Self> {
        let [a, b] = sum.mults.map(i64::from);
        let half = 1i64 << (sum.bits - 1);
        let zero_point = (sum.output_zero as i64) << sum.bits;
        (255 * (a + b) + half + zero_point.abs() <= i32::MAX as i64).then_some(())?;
        let constant = half + zero_point - sum.zeros[0] as i64 * a - sum.zeros[1] as i64 * b;
        let four = |value: i8| u32::from_le_bytes([value as u8; 4]);
        Some(Mix {
            mults: sum.mults,
            // Only the sum of all terms is below 2^31.
            constant: constant as i32,
            bits: sum.bits as u32,
            lo: four(sum.lo),
            hi: four(sum.hi),
        })
    }
}
