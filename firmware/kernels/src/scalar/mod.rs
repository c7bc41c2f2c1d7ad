//! The scalar kernels: the definition of every int8 operation.
//!
//! They are plain loops over contiguous channels, small enough for a Cortex-M4 and shaped so that a compiler can vectorize
//! them. With feature `std` on x86-64 the same source is compiled a second time for AVX2 and chosen at run time: one
//! definition, no second kernel to keep equal.
//!
//! Callers pass slices whose lengths follow from the shapes; a plan's are validated before anything runs. Where a slice is too
//! short, or a shape has a side of 0, a kernel ends early; those that can tell say so by `None`. None panics.

mod conv;
mod depthwise;
mod pointwise;
mod spatial;
#[cfg(test)]
pub(super) mod tests;

pub use conv::{Conv, scratch_bytes};
pub(super) use conv::{gather, is_contiguous};
pub use depthwise::Depthwise;
pub(super) use depthwise::inside;
pub use pointwise::{FloatSum, Product, Slope, Sum, lookup, lookup_channels, pixels, planes, zip};
pub use spatial::{MaxPool, place, upsample};

/// Channels whose accumulators are kept at once.
const BLOCK: usize = 32;

/// Runs `body` compiled for the widest instructions that this processor has.
///
/// `$body` must be `#[inline(always)]`, so that it is compiled anew inside the function that enables the feature.
macro_rules! widest {
    ($name:ident, ($($arg:ident: $ty:ty),* $(,)?), $body:path) => {
        pub(super) fn $name($($arg: $ty),*) -> Option<()> {
            #[cfg(all(feature = "std", target_arch = "x86_64"))]
            {
                #[target_feature(enable = "avx2,bmi1,bmi2")]
                fn wide($($arg: $ty),*) -> Option<()> {
                    $body($($arg),*)
                }
                if $crate::scalar::has_avx2() {
                    // SAFETY: the processor has the features that `wide` is compiled for.
                    return unsafe { wide($($arg),*) };
                }
            }
            $body($($arg),*)
        }
    };
}
use widest;

/// Whether the AVX2 build of the kernels can run here.
#[cfg(all(feature = "std", target_arch = "x86_64"))]
pub(super) fn has_avx2() -> bool {
    std::arch::is_x86_feature_detected!("avx2")
        && std::arch::is_x86_feature_detected!("bmi1")
        && std::arch::is_x86_feature_detected!("bmi2")
}
