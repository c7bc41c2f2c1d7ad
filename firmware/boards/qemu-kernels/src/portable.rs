//! RISC-V: kernels that take weights as the scalar ones do.

use arcgate_firmware::kernels::scalar::{self, Conv, Depthwise, Slope, Sum};
use arcgate_firmware::kernels::{Shape, Window, portable};
pub use scalar::scratch_bytes as conv_scratch_bytes;

use crate::room::Geometry;

/// Copies `weights`, and says how many bytes they are; `None` if they do not fit.
pub fn pack(_: &Geometry, weights: &[u8], into: &mut [u8]) -> Option<usize> {
    into.get_mut(..weights.len())?.copy_from_slice(weights);
    Some(weights.len())
}

/// Scratch bytes of a depthwise convolution.
pub fn depthwise_scratch_bytes(_: Shape, _: Shape, _: Window) -> usize {
    0
}

/// Convolves `x` into `y`; `None` when one of them is too short.
pub fn conv(conv: &Conv<'_>, x: &[i8], scratch: &mut [i8], y: &mut [i8]) -> Option<()> {
    portable::conv(conv, x, scratch, y)
}

/// Convolves `x` into `y`; `None` when one of them is too short.
pub fn depthwise(depthwise: &Depthwise<'_>, x: &[i8], _: &mut [i8], y: &mut [i8]) -> Option<()> {
    portable::depthwise(depthwise, x, y)
}

/// Replaces every value.
pub fn slope(slope: &Slope<'_>, values: &mut [i8]) {
    portable::slope(slope, values);
}

/// Replaces every value of `y` by `sum` of one of `x` and itself.
pub fn sum(sum: &Sum, x: &[i8], y: &mut [i8]) {
    portable::sum(sum, x, y);
}
