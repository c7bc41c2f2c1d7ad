//! What the innermost loops share whichever language they are in.

use crate::requant::{HighMul, Output};
use crate::scalar::{Slope, Sum};

/// Output channels whose sums are kept at once.
pub const LANES: usize = 32;

/// Windows of one or two pixels, as pairs, that meet blocks of packed weights.
#[derive(Debug, Clone, Copy)]
pub struct Tile<'p> {
    /// Pixels, whose pairs alternate. One meets blocks of four output channels, two meet blocks of two.
    pub pixels: usize,
    /// Fours of taps.
    pub fours: usize,
    /// The weights from the first block on.
    pub weights: &'p [i32],
    /// Words from one block to the next.
    pub block_words: usize,
}

/// Pixels one after the other, each of which is a window of its own.
#[derive(Debug, Clone, Copy)]
pub struct Pixels {
    /// How many, at least one.
    pub count: usize,
    /// Bytes from one to the next in the input.
    pub x_step: usize,
    /// Bytes from one to the next in the output.
    pub y_step: usize,
}

impl Tile<'_> {
    /// The same from `words` further in the weights on, if there are so many.
    pub fn from(&self, words: usize) -> Option<Self> {
        Some(Tile { weights: self.weights.get(words..)?, ..*self })
    }
}

/// How the windows of one row of outputs lie in a strip of pairs, for four channels of a depthwise convolution.
///
/// A column has four words for each row of the kernel: a channel's value and its right neighbour's.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// Rows of the kernel.
    pub rows: usize,
    /// Pairs of taps in a row of the kernel.
    pub pairs: usize,
    /// Words from a pair's column to the next pair's.
    pub pair_words: usize,
    /// Words from a window's first column to the next window's.
    pub pixel_words: usize,
}

/// How four channels of a row of the input become columns of a strip.
///
/// The first column may have what stands for the outside beside the first pixel, and the last one the last pixel beside it.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct Load {
    /// Bytes from pixel to pixel.
    pub channels: usize,
    /// Words from column to column.
    pub column: usize,
    /// Columns between the first and the last one.
    pub count: usize,
    /// Twice the zero point.
    pub outside: i32,
    /// 1 if the first column begins outside, else 0.
    pub left: usize,
    /// 1 if the last column ends outside, else 0.
    pub right: usize,
    /// Pixels from column to column, 1 or 2.
    pub step: usize,
}

#[cfg(arm_dsp)]
impl Load {
    /// Columns that are written.
    pub fn columns(&self) -> usize {
        self.left + self.count + self.right
    }

    /// Pixels that are read.
    pub fn pixels(&self) -> usize {
        match self.step {
            1 => self.count + 1,
            _ => self.left + 2 * self.count + self.right,
        }
    }
}

/// What [`Output`] does after the high multiply, in words for four channels at once.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct Steps {
    /// The zero point.
    pub zero_point: i32,
    /// Four times the least output.
    pub lo: u32,
    /// Four times the greatest output.
    pub hi: u32,
}

impl Steps {
    /// Those of `output`.
    pub fn of(output: &Output<'_>) -> Self {
        let four = |value: i8| u32::from_le_bytes([value as u8; 4]);
        Steps { zero_point: output.zero_point as i32, lo: four(output.lo), hi: four(output.hi) }
    }

    /// One output.
    #[cfg_attr(arm_dsp, expect(dead_code, reason = "the assembly does it"))]
    pub fn value(&self, sum: i32, mult: i32) -> i8 {
        let steps = HighMul { mult, shift: 0 }.apply(sum) + self.zero_point;
        steps.max(self.lo as i8 as i32).min(self.hi as i8 as i32) as i8
    }
}

/// The slopes of four channels with [`FourSlopes::BITS`] fraction bits, which leave 8 of them when the lower 16 are gone.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct FourSlopes {
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
    pub fn of(slope: &Slope<'_>, first: usize) -> Option<Self> {
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

/// A [`Sum`] as two products of values with nothing taken away from them.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct Mix {
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
    pub fn of(sum: &Sum) -> Option<Self> {
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
