//! The kernels for Arm cores with MVE, the vector instructions called Helium (Cortex-M55, M85), equal to [`super::scalar`] to the
//! byte.
//!
//! Weights of convolutions are packed ([`packing`]); those of depthwise ones, and everything else, lie as the scalar kernels
//! have them. Only the innermost loops are assembly. What surrounds them is the same source on every machine, with plain Rust
//! in their place elsewhere: a plan packed for such a core runs, and is tested, on a desktop as well. Nothing needs alignment.

mod conv;
mod depthwise;
mod scratch;
mod steps;
#[cfg(test)]
mod tests;
#[cfg_attr(arm_mve, path = "arm/mod.rs")]
mod tile;

pub use conv::conv;
pub use depthwise::depthwise;
pub use scratch::{conv_scratch_bytes, depthwise_scratch_bytes};

use super::packing::Packing;
use super::scalar::{Slope, Sum};
use super::{Shape, Window, Words};

/// Taps that lie together, which fill a vector register.
pub const TAPS: usize = 16;

/// Output channels of a block.
pub const BLOCK: usize = 4;

/// Whether this build has the kernels: elsewhere nothing of them is linked.
pub const IS_BUILT: bool = cfg!(any(arm_mve, feature = "std"));

/// How the weights of a convolution lie.
#[inline]
pub const fn packing(input: Shape, output: Shape, window: Window, groups: usize) -> Packing {
    Packing::new([input, output], window, groups, BLOCK, TAPS)
}

/// Whether this core takes packed weights: one that says it has MVE, in a program built for it (feature `mve`) that has switched it
/// on, or a desktop.
pub fn is_here() -> bool {
    #[cfg(arm_mve)]
    let found = {
        // Media and VFP feature register 1 says in bits 8 to 11 whether there is MVE, with integers alone or with floats; the
        // coprocessor access control register in bits 20 and 21 whether programs may use it.
        const MVFR1: *const u32 = 0xe000_ef44 as *const u32;
        const CPACR: *const u32 = 0xe000_ed88 as *const u32;
        // SAFETY: every Armv8-M core with the main extension has these registers, which reading does not change.
        let [features, access] = unsafe { [MVFR1.read_volatile(), CPACR.read_volatile()] };
        features >> 8 & 0xf != 0 && access >> 20 & 3 != 0
    };
    #[cfg(not(arm_mve))]
    let found = IS_BUILT;
    found
}

/// `count` words from `first` on as they lie; none where there are fewer.
fn part<'p>(words: Words<'p>, first: usize, count: usize) -> &'p [[u8; 4]] {
    words.0.get(first..).and_then(|words| words.get(..count)).unwrap_or_default()
}

/// Replaces every value of an activation with as many channels as `slope` has lower multipliers.
pub fn slope(slope: &Slope<'_>, values: &mut [i8]) {
    if !slope.negative.is_empty() {
        tile::slope(slope, slope.negative.0, values);
    }
}

/// Replaces every value of `y` by `sum` of one of `x` and itself.
pub fn sum(sum: &Sum, x: &[i8], y: &mut [i8]) {
    // Only all terms together stay inside 32 bits.
    let ([first, second], [a, b]) = (sum.zeros.map(i32::from), sum.mults);
    let half = 1i32 << (sum.bits - 1);
    let constant = half.wrapping_sub(first.wrapping_mul(a)).wrapping_sub(second.wrapping_mul(b));
    tile::sum(sum, constant, x, y);
}
