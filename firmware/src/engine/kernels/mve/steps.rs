//! What the innermost loops share whichever language they are in.

use crate::engine::kernels::requant::Output;

/// Windows side by side, each of which is one run of bytes.
#[derive(Debug, Clone, Copy)]
pub struct Windows<'x> {
    /// The first one's first value, and all that follows.
    pub x: &'x [i8],
    /// Values of a window.
    pub taps: usize,
    /// Bytes from one to the next.
    pub step: usize,
    /// How many, at least one.
    pub count: usize,
}

impl Windows<'_> {
    /// Whether all of them lie in `x`.
    #[cfg(arm_mve)]
    pub fn fit(&self) -> bool {
        self.count >= 1 && self.x.len() >= (self.count - 1) * self.step + self.taps
    }
}

/// What [`Output`] does after the high multiply.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct Steps {
    /// The zero point.
    pub zero_point: i32,
    /// The least output.
    pub lo: i32,
    /// The greatest output.
    pub hi: i32,
}

impl Steps {
    /// Those of `output`.
    pub fn of(output: &Output<'_>) -> Self {
        Steps { zero_point: output.zero_point as i32, lo: output.lo as i32, hi: output.hi as i32 }
    }
}

/// What turns the sums of one channel into steps.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct Channel {
    /// Added to each sum.
    pub bias: i32,
    /// The high multiplier.
    pub mult: i32,
    /// What follows.
    pub steps: Steps,
}
