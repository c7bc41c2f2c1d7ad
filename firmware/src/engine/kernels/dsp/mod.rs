//! The kernels for Arm cores with the DSP instructions (Cortex-M4, M7, M33), equal to [`super::scalar`] to the byte.
//!
//! Weights of convolutions are packed ([`packing`]); the host packs them, and everything but the innermost loops is the same
//! source on every machine, so that a packed plan runs, and is tested, on a desktop as well.

pub mod packing;
mod scratch;

pub use scratch::{conv_scratch_bytes, depthwise_scratch_bytes};
