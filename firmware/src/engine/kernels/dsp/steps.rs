//! What the innermost loops share whichever language they are in.

use crate::engine::kernels::requant::{HighMul, Output};

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

impl Tile<'_> {
    /// The same from `words` further in the weights on.
    pub fn from(&self, words: usize) -> Self {
        Tile { weights: &self.weights[words..], ..*self }
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
        steps.clamp(self.lo as i8 as i32, self.hi as i8 as i32) as i8
    }
}
