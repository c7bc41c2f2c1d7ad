//! Arm: kernels with weights packed for the core.

#[cfg(not(feature = "mve"))]
use arcgate_firmware::kernels::dsp as packed;
#[cfg(feature = "mve")]
use arcgate_firmware::kernels::mve as packed;
pub use packed::{conv, conv_scratch_bytes, depthwise, depthwise_scratch_bytes, slope, sum};

use crate::room::Geometry;

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
