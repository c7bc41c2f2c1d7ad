//! Kernels for aarch64: NEON, and its dot product of bytes where the processor has it.
//!
//! Sixteen channels at a time throughout. Weights are packed once, when a plan is opened, in the order in which one instruction
//! set multiplies them ([`dot`]); everything behind the sums ([`finish`]) is the same for both.

mod conv;
mod depthwise;
mod dot;
mod elementwise;
mod finish;
mod lanes;

use super::scalar::{self, Slope, Sum};
use super::{Isa, Shape};
use dot::Sums;

/// Whether this processor has the instructions of `isa`.
pub(super) fn runs_here(isa: Isa) -> bool {
    match isa {
        Isa::Neon => true,
        Isa::NeonDot => std::arch::is_aarch64_feature_detected!("dotprod"),
        _ => false,
    }
}

/// A convolution packed for one instruction set, with the PReLU that follows it.
#[derive(Debug, Clone)]
pub struct Conv(conv::Conv);

impl Conv {
    /// Packs `conv` for `isa`, and `slope` with it where one works on its output in place, with as many channels. `None` if this
    /// processor does not have the instructions.
    pub fn new(isa: Isa, conv: &scalar::Conv<'_>, slope: Option<&Slope<'_>>) -> Option<Self> {
        let sums = Sums::new(isa, conv.weights)?;
        Some(Conv(conv::pack(sums, conv, slope)))
    }

    /// 32-bit words of scratch that it needs.
    pub fn scratch_words(&self) -> usize {
        self.0.scratch_words()
    }

    /// Convolves `x` into `y`. `None`, and `y` as it was, if a length is not that of the shapes or the scratch is too short.
    pub fn run(&self, x: &[i8], scratch: &mut [[u8; 4]], y: &mut [i8]) -> Option<()> {
        fits(self.0.shapes(), x, y)?;
        self.0.run(x, scratch.get_mut(..self.scratch_words())?, y);
        Some(())
    }
}

/// A depthwise convolution packed for NEON, with the PReLU that follows it.
#[derive(Debug, Clone)]
pub struct Depthwise(depthwise::Depthwise);

impl Depthwise {
    /// Packs `depthwise` for `isa`, and `slope` with it where one works on its output in place. `None` if this processor does not
    /// have the instructions, or for fewer than sixteen channels or more than 64 taps, which the scalar kernel keeps.
    pub fn new(isa: Isa, depthwise: &scalar::Depthwise<'_>, slope: Option<&Slope<'_>>) -> Option<Self> {
        let packed = runs_here(isa).then(|| depthwise::pack(depthwise, slope))?;
        packed.map(Depthwise)
    }

    /// Convolves `x` into `y`. `None`, and `y` as it was, if a length is not that of the shapes.
    pub fn run(&self, x: &[i8], y: &mut [i8]) -> Option<()> {
        fits(self.0.shapes(), x, y)?;
        self.0.run(x, y);
        Some(())
    }
}

/// Whether `x` and `y` have the bytes of an input's and an output's shape.
fn fits([input, output]: [Shape; 2], x: &[i8], y: &[i8]) -> Option<()> {
    (x.len() == input.bytes() && y.len() == output.bytes()).then_some(())
}

/// A PReLU packed for NEON.
#[derive(Debug, Clone)]
pub struct Slopes(elementwise::Slopes);

impl Slopes {
    /// Packs `slope` for `isa`. `None` if this processor does not have the instructions.
    pub fn new(isa: Isa, slope: &Slope<'_>) -> Option<Self> {
        runs_here(isa).then(|| Slopes(elementwise::Slopes::new(slope)))
    }

    /// Replaces every value of an activation.
    pub fn run(&self, values: &mut [i8]) {
        self.0.run(values);
    }
}

/// A residual add for NEON.
#[derive(Debug, Clone, Copy)]
pub struct Add(Sum);

impl Add {
    /// `sum` for `isa`. `None` if this processor does not have the instructions.
    pub fn new(isa: Isa, sum: Sum) -> Option<Self> {
        runs_here(isa).then_some(Add(sum))
    }

    /// Replaces every `y` by the sum of `a` and `y`.
    pub fn into_second(&self, a: &[i8], y: &mut [i8]) {
        elementwise::add(&self.0, a, y);
    }

    /// Replaces every `y` by the sum of `y` and `b`.
    pub fn into_first(&self, y: &mut [i8], b: &[i8]) {
        elementwise::add(&self.0.turned(), b, y);
    }
}
