//! How the weights of a convolution lie for a core with the DSP instructions.
//!
//! Output channels come in blocks, taps in fours. A block's fours follow one another; a four holds four bytes of each of its
//! channels, which one 32-bit load brings into a register:
//!
//! ```text
//! block 0, taps 0..4: channel 0 [4], channel 1 [4]; taps 4..8: channel 0 [4], channel 1 [4]; ...  block 1 ...
//! ```
//!
//! A block has two channels, and four where the output has one pixel: the inner loops multiply two pixels with two channels, or
//! one pixel with four. Groups begin blocks of their own. What fills up the last block and the last four is zero. The weights of a
//! depthwise convolution are not packed: they lie as those of [`crate::engine::kernels::scalar::Depthwise`].

use crate::engine::kernels::{Shape, Window};

/// Alignment that the kernels want of packed weights, biases and multipliers in memory. Elsewhere they run, slowly.
pub const ALIGN: usize = 4;

/// Taps that lie together.
pub const TAPS: usize = 4;

/// The layout of one convolution's weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packing {
    /// Groups, each with as many output channels.
    groups: usize,
    /// Output channels of a group.
    outputs: usize,
    /// Taps of an output channel: `[kernel row][kernel column][input channel of the group]`.
    taps: usize,
    /// Output channels of a block.
    block: usize,
}

impl Packing {
    /// The layout for these shapes. Both channel counts are multiples of `groups`.
    pub const fn of(input: Shape, output: Shape, window: Window, groups: usize) -> Self {
        let divisor = if groups == 0 { 1 } else { groups };
        let taps = window.kernel[0].saturating_mul(window.kernel[1]).saturating_mul(input.channels / divisor);
        let block = if output.height * output.width == 1 { 4 } else { 2 };
        Packing { groups, outputs: output.channels / divisor, taps, block }
    }

    /// Taps of an output channel.
    pub const fn taps(self) -> usize {
        self.taps
    }

    /// Output channels of a block.
    pub const fn block(self) -> usize {
        self.block
    }

    /// Fours of taps of an output channel, the last one filled up.
    pub const fn fours(self) -> usize {
        self.taps.div_ceil(TAPS)
    }

    /// Bytes of a group's weights.
    pub const fn group_bytes(self) -> usize {
        let channels = self.outputs.div_ceil(self.block).saturating_mul(self.block);
        channels.saturating_mul(self.fours()).saturating_mul(TAPS)
    }

    /// Bytes of all weights.
    pub const fn bytes(self) -> usize {
        self.group_bytes().saturating_mul(self.groups)
    }

    /// Where the weight of `tap` for `output` (a channel of the whole output) lies.
    pub const fn place(self, output: usize, tap: usize) -> usize {
        let (group, channel) = (output / self.outputs, output % self.outputs);
        let (block, lane) = (channel / self.block, channel % self.block);
        let four = block * self.fours() + tap / TAPS;
        group * self.group_bytes() + (four * self.block + lane) * TAPS + tap % TAPS
    }

    /// The output channel and the tap whose weight lies at `place`; `None` where it fills up.
    pub const fn weight_at(self, place: usize) -> Option<(usize, usize)> {
        let (group, inside) = (place / self.group_bytes(), place % self.group_bytes());
        let (four, rest) = (inside / (self.block * TAPS), inside % (self.block * TAPS));
        let channel = four / self.fours() * self.block + rest / TAPS;
        let tap = four % self.fours() * TAPS + rest % TAPS;
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
        for (height, groups, inner, outer) in
            [(1, 1, 5, 7), (2, 1, 5, 7), (2, 3, 3, 1), (1, 3, 4, 5), (3, 2, 1, 4)]
        {
            let input = Shape { height, width: 1, channels: groups * inner };
            let output = Shape { height, width: 1, channels: groups * outer };
            let window = Window { kernel: [1, 3], stride: [1, 1], pad: [0, 1] };
            let packing = Packing::of(input, output, window, groups);
            let mut taken = vec![false; packing.bytes()];
            for channel in 0..output.channels {
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
    fn a_block_of_two_alternates_in_fours() {
        let shape = |channels| Shape { height: 2, width: 2, channels };
        let window = Window { kernel: [1, 1], stride: [1, 1], pad: [0, 0] };
        let packing = Packing::of(shape(8), shape(4), window, 1);
        let places = [(0, 0), (0, 3), (1, 0), (0, 4), (1, 7), (2, 0)].map(|(o, t)| packing.place(o, t));
        assert_eq!(places, [0, 3, 4, 8, 15, 16]);
        assert_eq!(packing.bytes(), 32);
    }
}
