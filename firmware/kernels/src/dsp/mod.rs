//! The kernels for Arm cores with the DSP instructions (Cortex-M4, M7, M33), equal to [`super::scalar`] to the byte.
//!
//! Weights of convolutions are packed ([`packing`]); those of depthwise ones, and everything else, lie as the scalar kernels
//! have them. Only the innermost loops are assembly. What surrounds them is the same source on every machine, with plain Rust
//! in their place elsewhere: a plan packed for such a core runs, and is tested, on a desktop as well.
//!
//! Activations are read and written by words at any address, so the arena's memory must be normal memory: in regions that an
//! Armv7-M core takes for devices until its MPU is told otherwise (from 0xa0000000 on), such an access faults.

mod conv;
mod depthwise;
mod scratch;
mod steps;
#[cfg(test)]
mod tests;
#[cfg_attr(arm_dsp, path = "arm/mod.rs")]
mod tile;
mod values;

pub use conv::conv;
pub use depthwise::depthwise;
pub use scratch::{conv_scratch_bytes, depthwise_scratch_bytes};
pub use values::{slope, sum};

use super::packing::Packing;
use super::{Shape, Window};

/// Alignment that the kernels want of packed weights, biases and multipliers in memory. Elsewhere they run, slowly.
pub const ALIGN: usize = 4;

/// Taps that lie together: one 32-bit load brings those of a channel into a register.
pub const TAPS: usize = 4;

/// Whether this build has the kernels: elsewhere nothing of them is linked.
pub const IS_BUILT: bool = cfg!(any(arm_dsp, feature = "std"));

/// How the weights of a convolution lie: blocks of two channels, and of four where the output has one pixel, since the inner loops
/// multiply two pixels with two channels, or one pixel with four.
#[inline]
pub const fn packing(input: Shape, output: Shape, window: Window, groups: usize) -> Packing {
    let block = if output.height * output.width == 1 { 4 } else { 2 };
    Packing::new([input, output], window, groups, block, TAPS)
}

/// Whether this core takes packed weights: an Armv7E-M core, an Armv8-M core that says it has the DSP instructions, or a desktop.
pub fn is_here() -> bool {
    #[cfg(arm_dsp = "v8m")]
    {
        // The instruction set attributes say 3 in these bits where SMLAD and its like are.
        const ID_ISAR3: *const u32 = 0xe000_ed6c as *const u32;
        // SAFETY: every Armv8-M core with the main extension has this register, which reading does not change.
        unsafe { ID_ISAR3.read_volatile() >> 4 & 0xf == 3 }
    }
    #[cfg(not(arm_dsp = "v8m"))]
    {
        IS_BUILT
    }
}

/// Constants as the words that they are; `None` where they lie at no multiple of 4.
fn words(bytes: &[i8]) -> Option<&[i32]> {
    // SAFETY: every bit pattern is an i32.
    let (before, words, _) = unsafe { bytes.align_to::<i32>() };
    before.is_empty().then_some(words)
}

/// Scratch as words; `None` where it lies at no multiple of 4.
fn words_mut(bytes: &mut [i8]) -> Option<&mut [i32]> {
    // SAFETY: every bit pattern is an i32, and every i32 is four bytes.
    let (before, words, _) = unsafe { bytes.align_to_mut::<i32>() };
    before.is_empty().then_some(words)
}
