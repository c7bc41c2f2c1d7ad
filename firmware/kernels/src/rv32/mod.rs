//! Kernels for RV32IM, which has 31 registers, a 32-bit multiplication and its high half, and nothing wider.
//!
//! Each product costs two instructions, so what is left to save are loads, counters and requantization: sums stay in registers
//! until they are int8, each value that is loaded serves as many products as there are registers for, and the weights of a
//! depthwise channel stay there for a whole row of pixels. They are Rust around a few loops in assembly ([`dots`]), and are
//! compiled for any machine in tests, with other loops.

mod conv;
mod depthwise;
mod dots;

pub(super) use conv::conv;
pub(super) use depthwise::depthwise;
#[cfg(any(riscv_rvv, test))]
pub(super) use depthwise::{three_rows, whole_columns};

use super::Words;
use super::requant::{Output, Requant};

/// A layer's last step where it is one high multiply, and its constants as words in memory.
#[derive(Clone, Copy)]
pub(super) struct Finish<'p> {
    pub bias: &'p [i32],
    pub mults: &'p [i32],
    pub zero: i32,
    pub lo: i32,
    pub hi: i32,
}

impl<'p> Finish<'p> {
    /// `None` under another rule, and for constants at odd addresses.
    pub fn new(bias: Words<'p>, output: &Output<'p>) -> Option<Self> {
        let Requant::HighMul { mults } = output.requant else { return None };
        Some(Finish {
            bias: bias.aligned()?,
            mults: mults.aligned()?,
            zero: output.zero_point as i32,
            lo: output.lo as i32,
            hi: output.hi as i32,
        })
    }

    /// The output from a sum that has the bias.
    #[inline(always)]
    pub fn value(&self, mult: i32, acc: i32) -> i8 {
        // The high half of the product, and one more where the low half is at least a half.
        let product = acc as i64 * mult as i64;
        let steps = (product >> 32) as i32 + (product as u32 >> 31) as i32;
        (steps + self.zero).max(self.lo).min(self.hi) as i8
    }
}
