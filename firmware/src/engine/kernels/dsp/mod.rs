//! The kernels for Arm cores with the DSP instructions (Cortex-M4, M7, M33), equal to [`super::scalar`] to the byte.
//!
//! Weights of convolutions are packed ([`packing`]); those of depthwise ones, and everything else, lie as the scalar kernels
//! have them. Only the innermost loops are assembly. What surrounds them is the same source on every machine, with plain Rust
//! in their place elsewhere: a plan packed for such a core runs, and is tested, on a desktop as well.

mod conv;
pub mod packing;
mod scratch;
mod steps;
#[cfg(test)]
mod tests;
#[cfg_attr(arm_dsp, path = "tile_arm.rs")]
mod tile;

pub use conv::conv;
pub use scratch::{conv_scratch_bytes, depthwise_scratch_bytes};

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
