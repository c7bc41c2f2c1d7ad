//! From an i32 accumulator to an int8 step: the one rounding high multiply that tract, onnxruntime and every core share.

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
}
