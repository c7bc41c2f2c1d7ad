//! Arm: kernels with weights packed for the core.

#[cfg(not(feature = "mve"))]
use arcgate_firmware::engine::kernels::dsp as packed;
#[cfg(feature = "mve")]
use arcgate_firmware::engine::kernels::mve as packed;
#[cfg(feature = "mve")]
use arcgate_firmware::engine::kernels::scalar::{Conv, Depthwise};
#[cfg(not(feature = "mve"))]
pub use packed::{conv, depthwise};
pub use packed::{conv_scratch_bytes, depthwise_scratch_bytes, slope, sum};

use crate::room::Geometry;

/// Convolves `x` into `y`.
#[cfg(feature = "mve")]
pub fn conv(conv: &Conv<'_>, x: &[i8], scratch: &mut [i8], y: &mut [i8]) -> Option<()> {
    packed::conv(conv, x, scratch, y);
    Some(())
}

/// Convolves `x` into `y`.
#[cfg(feature = "mve")]
pub fn depthwise(depthwise: &Depthwise<'_>, x: &[i8], scratch: &mut [i8], y: &mut [i8]) -> Option<()> {
    packed::depthwise(depthwise, x, scratch, y);
    Some(())
}

/// Packs `weights`, a run of taps for each output channel, and says how many bytes that are; `None` if they do not fit.
pub fn pack(geometry: &Geometry, weights: &[u8], into: &mut [u8]) -> Option<usize> {
    let Geometry { input, output, window, groups, .. } = *geometry;
    let packing = packed::packing(input, output, window, groups);
    let into = into.get_mut(..packing.bytes())?;
    into.fill(0);
    for (channel, taps) in weights.chunks_exact(packing.taps()).enumerate() {
        for (tap, &weight) in taps.iter().enumerate() {
            into[packing.place(channel, tap)] = weight;
        }
    }
    Some(into.len())
}
