//! How the weights of a convolution lie for cores whose kernels take several output channels at a time.
//!
//! Output channels come in blocks, taps in runs. A block's runs follow one another; a run holds as many bytes as it has taps of
//! each of the block's channels. With blocks of two channels and runs of four taps:
//!
//! ```text
//! block 0, taps 0..4: channel 0 [4], channel 1 [4]; taps 4..8: channel 0 [4], channel 1 [4]; ...  block 1 ...
//! ```
//!
//! Groups begin blocks of their own. What fills up the last block and the last run is zero. How large blocks and runs are,
//! [`super::dsp::packing`] and [`super::mve::packing`] say. The weights of a depthwise convolution are not packed: they lie as
//! those of [`super::scalar::Depthwise`].

use core::ops::Range;

use super::{Shape, Window};

/// The layout of one convolution's weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packing {
    /// Groups, each with as many output channels.
    groups: usize,
    /// Output channels of a group, at least one.
    outputs: usize,
    /// Taps of an output channel: `[kernel row][kernel column][input channel of the group]`.
    taps: usize,
    /// The binary logarithm of the output channels of a block.
    block: u32,
    /// The binary logarithm of the taps of a run.
    run: u32,
}

/// A divisor: `value`, and 1 for 0.
const fn at_least_one(value: usize) -> usize {
    if value == 0 { 1 } else { value }
}

impl Packing {
    /// The layout for these shapes, with `block` output channels a block and `run` taps a run, which are powers of two. Both channel
    /// counts are multiples of `groups`.
    #[inline]
    pub(super) const fn new(
        [input, output]: [Shape; 2],
        window: Window,
        groups: usize,
        block: usize,
        run: usize,
    ) -> Self {
        let divisor = at_least_one(groups);
        let taps = window.kernel[0].saturating_mul(window.kernel[1]).saturating_mul(input.channels / divisor);
        let outputs = at_least_one(output.channels / divisor);
        Packing { groups, outputs, taps, block: block.trailing_zeros(), run: run.trailing_zeros() }
    }

    /// Taps of an output channel.
    #[inline]
    pub const fn taps(self) -> usize {
        self.taps
    }

    /// Output channels of a block.
    #[inline]
    pub const fn block(self) -> usize {
        1 << self.block
    }

    /// Runs of taps of an output channel, the last one filled up.
    #[inline]
    pub const fn runs(self) -> usize {
        (self.taps >> self.run) + (self.taps & (self.run() - 1) != 0) as usize
    }

    /// Bytes of a block's weights.
    #[inline]
    pub const fn block_bytes(self) -> usize {
        self.runs().saturating_mul(self.block() * self.run())
    }

    /// Bytes of a group's weights.
    #[inline]
    pub const fn group_bytes(self) -> usize {
        (self.filled_up() >> self.block).saturating_mul(self.block_bytes())
    }

    /// Bytes of all weights.
    #[inline]
    pub const fn bytes(self) -> usize {
        self.group_bytes().saturating_mul(self.groups)
    }

    /// Taps of a run.
    const fn run(self) -> usize {
        1 << self.run
    }

    /// Output channels of a group with those that fill up its last block.
    const fn filled_up(self) -> usize {
        self.outputs.saturating_add(self.block() - 1) >> self.block << self.block
    }

    /// Where the weight of `tap` for `output` (a channel of the whole output) lies.
    pub const fn place(self, output: usize, tap: usize) -> usize {
        let outputs = at_least_one(self.outputs);
        let (group, channel) = (output / outputs, output % outputs);
        let (block, lane) = (channel >> self.block, channel & (self.block() - 1));
        let run = ((tap >> self.run) << self.block) + lane;
        let tap = tap & (self.run() - 1);
        group * self.group_bytes() + block * self.block_bytes() + (run << self.run) + tap
    }

    /// Where the weights of `output` (a channel of the whole output) lie: a piece for each run of its taps.
    pub fn pieces(self, output: usize) -> impl Iterator<Item = Range<usize>> {
        let first = self.place(output, 0);
        (0..self.runs()).map(move |at| {
            let start = first + at * self.block() * self.run();
            start..start + self.run().min(self.taps - at * self.run())
        })
    }

    /// Where no weight lies: what fills up runs and blocks.
    pub fn gaps(self) -> impl Iterator<Item = Range<usize>> {
        let last = self.outputs >> self.block << self.block;
        (0..self.groups).flat_map(move |group| {
            let ends = (0..self.outputs).map(move |channel| {
                let end = self.place(group * self.outputs + channel, self.taps - 1) + 1;
                end..(end + self.run() - 1) >> self.run << self.run
            });
            // Lanes of the last block that have no channel.
            let block = group * self.group_bytes() + (last >> self.block) * self.block_bytes();
            let lanes = (self.outputs..self.filled_up()).flat_map(move |channel| {
                (0..self.runs()).map(move |at| {
                    let start = block + (at * self.block() + channel - last) * self.run();
                    start..start + self.run()
                })
            });
            ends.chain(lanes).filter(|gap| !gap.is_empty())
        })
    }

    /// Weights packed: `weights` lie channel after channel, tap after tap.
    #[cfg(feature = "std")]
    pub fn packed(self, weights: &[i8]) -> Vec<i8> {
        let mut packed = vec![0; self.bytes()];
        for (channel, weights) in weights.chunks_exact(self.taps).enumerate() {
            for (tap, &weight) in weights.iter().enumerate() {
                packed[self.place(channel, tap)] = weight;
            }
        }
        packed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{dsp, mve};

    type Layout = fn(Shape, Shape, Window, usize) -> Packing;

    fn shape(height: usize, channels: usize) -> Shape {
        Shape { height, width: height, channels }
    }

    #[test]
    fn every_weight_has_a_place_of_its_own() {
        for (height, groups, inner, outer) in [
            (1, 1, 5, 7),
            (2, 1, 5, 7),
            (2, 3, 3, 1),
            (1, 3, 4, 5),
            (3, 2, 1, 4),
            (2, 3, 40, 5),
            (2, 2, 16, 4),
        ] {
            let (input, output) = (shape(height, groups * inner), shape(height, groups * outer));
            let window = Window { kernel: [1, 3], stride: [1, 1], pad: [0, 1] };
            for layout in [dsp::packing, mve::packing] {
                let packing = layout(input, output, window, groups);
                let mut taken = vec![false; packing.bytes()];
                let mut take = |place: usize| assert!(!core::mem::replace(&mut taken[place], true));
                for channel in 0..output.channels {
                    let places = (0..packing.taps()).map(|tap| packing.place(channel, tap));
                    places.clone().for_each(&mut take);
                    assert!(places.eq(packing.pieces(channel).flatten()));
                }
                // And what is left are the gaps.
                packing.gaps().flatten().for_each(&mut take);
                assert!(taken.into_iter().all(|taken| taken));
                assert_eq!(packing.taps(), 3 * inner);
            }
        }
    }

    #[test]
    fn channels_of_a_block_alternate_in_runs() {
        let window = Window { kernel: [1, 1], stride: [1, 1], pad: [0, 0] };
        let places = |layout: Layout, height, [inner, outer]: [usize; 2], weights: [[usize; 2]; 6]| {
            let packing = layout(shape(height, inner), shape(height, outer), window, 1);
            (weights.map(|[channel, tap]| packing.place(channel, tap)), packing.bytes())
        };
        let weights = [[0, 0], [0, 3], [1, 0], [0, 4], [1, 7], [2, 0]];
        assert_eq!(places(dsp::packing, 2, [8, 4], weights), ([0, 3, 4, 8, 15, 16], 32));
        // One pixel: blocks of four channels.
        assert_eq!(places(dsp::packing, 1, [8, 4], weights), ([0, 3, 4, 16, 23, 8], 32));
        let weights = [[0, 0], [0, 15], [1, 0], [3, 2], [0, 16], [4, 0]];
        assert_eq!(places(mve::packing, 2, [20, 5], weights), ([0, 15, 16, 50, 64, 128], 256));
    }
}
