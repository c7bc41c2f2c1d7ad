//! How the weights of a convolution lie for a core with MVE.
//!
//! Output channels come in blocks of four, taps in runs of sixteen, which fill a vector register. A block's runs follow one
//! another; a run holds sixteen bytes of each of its channels:
//!
//! ```text
//! block 0, taps 0..16: channel 0 [16], channel 1 [16], channel 2 [16], channel 3 [16]; taps 16..32: ...  block 1 ...
//! ```
//!
//! Groups begin blocks of their own. What fills up the last block and the last run is zero. The weights of a depthwise
//! convolution are not packed: they lie as those of [`crate::engine::kernels::scalar::Depthwise`].

use crate::engine::kernels::{Shape, Window};

/// Taps that lie together.
pub const TAPS: usize = 16;

/// Output channels of a block.
pub const BLOCK: usize = 4;

/// The layout of one convolution's weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packing {
    /// Groups, each with as many output channels.
    groups: usize,
    /// Output channels of a group.
    outputs: usize,
    /// Taps of an output channel: `[kernel row][kernel column][input channel of the group]`.
    taps: usize,
}

impl Packing {
    /// The layout for these shapes. Both channel counts are multiples of `groups`.
    pub const fn of(input: Shape, output: Shape, window: Window, groups: usize) -> Self {
        let divisor = if groups == 0 { 1 } else { groups };
        let taps = window.kernel[0].saturating_mul(window.kernel[1]).saturating_mul(input.channels / divisor);
        Packing { groups, outputs: output.channels / divisor, taps }
    }

    /// Taps of an output channel.
    pub const fn taps(self) -> usize {
        self.taps
    }

    /// Bytes of a block's weights.
    pub const fn block_bytes(self) -> usize {
        self.taps.div_ceil(TAPS).saturating_mul(BLOCK * TAPS)
    }

    /// Bytes of a group's weights.
    pub const fn group_bytes(self) -> usize {
        self.outputs.div_ceil(BLOCK).saturating_mul(self.block_bytes())
    }

    /// Bytes of all weights.
    pub const fn bytes(self) -> usize {
        self.group_bytes().saturating_mul(self.groups)
    }

    /// Where the weight of `tap` for `output` (a channel of the whole output) lies.
    pub const fn place(self, output: usize, tap: usize) -> usize {
        let (group, channel) = (output / self.outputs, output % self.outputs);
        let (block, lane) = (channel / BLOCK, channel % BLOCK);
        let run = tap / TAPS * BLOCK + lane;
        group * self.group_bytes() + block * self.block_bytes() + run * TAPS + tap % TAPS
    }

    /// The output channel and the tap whose weight lies at `place`; `None` where it fills up.
    pub const fn weight_at(self, place: usize) -> Option<(usize, usize)> {
        let (group, inside) = (place / self.group_bytes(), place % self.group_bytes());
        let (block, inside) = (inside / self.block_bytes(), inside % self.block_bytes());
        let run = inside / TAPS;
        let channel = block * BLOCK + run % BLOCK;
        let tap = run / BLOCK * TAPS + inside % TAPS;
        if channel < self.outputs && tap < self.taps {
            Some((group * self.outputs + channel, tap))
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_weight_has_a_place_of_its_own() {
        for (groups, inner, outer) in [(1, 5, 7), (3, 3, 1), (3, 40, 5), (2, 16, 4)] {
            let shape = |channels| Shape { height: 2, width: 1, channels };
            let window = Window { kernel: [1, 3], stride: [1, 1], pad: [0, 1] };
            let packing = Packing::of(shape(groups * inner), shape(groups * outer), window, groups);
            let mut taken = vec![false; packing.bytes()];
            for channel in 0..groups * outer {
                for tap in 0..packing.taps() {
                    let place = packing.place(channel, tap);
                    assert!(!core::mem::replace(&mut taken[place], true));
                    assert_eq!(packing.weight_at(place), Some((channel, tap)));
                }
            }
            assert!((0..packing.bytes()).all(|place| taken[place] == packing.weight_at(place).is_some()));
            assert_eq!(packing.taps(), 3 * inner);
        }
    }

    #[test]
    fn four_channels_alternate_in_sixteens() {
        let shape = |channels| Shape { height: 2, width: 2, channels };
        let window = Window { kernel: [1, 1], stride: [1, 1], pad: [0, 0] };
        let packing = Packing::of(shape(20), shape(5), window, 1);
        let places = [(0, 0), (0, 15), (1, 0), (3, 2), (0, 16), (4, 0)].map(|(o, t)| packing.place(o, t));
        assert_eq!(places, [0, 15, 16, 50, 64, 128]);
        assert_eq!(packing.bytes(), 256);
    }
}
