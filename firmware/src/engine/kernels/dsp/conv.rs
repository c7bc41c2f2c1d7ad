//! Convolution with packed weights: windows become pairs of 16 bits once, then meet every output channel.

use core::ops::Range;

use super::scratch::{MOST_FOURS, pixels};
use super::tile::{self, LANES, Pixels, Steps, Tile};
use super::{TAPS, packing, store, words, words_mut};
use crate::engine::kernels::packing::Packing;
use crate::engine::kernels::requant::Requant;
use crate::engine::kernels::scalar::{Conv, is_contiguous};
use crate::engine::kernels::window;

/// Convolves `x` into `y`.
///
/// The weights are packed as [`packing`] says; `scratch` has [`super::conv_scratch_bytes`] bytes. It lies at a multiple of
/// 4, as weights, biases and multipliers do: with one of them elsewhere this takes many times as long.
pub fn conv(conv: &Conv<'_>, x: &[i8], scratch: &mut [i8], y: &mut [i8]) {
    let Conv { input, output, window, groups, .. } = *conv;
    let packing = packing(input, output, window, groups);
    let (per_pixel, together) = (packing.runs() * TAPS, pixels(output));
    let gathered = if is_contiguous(input, output, window, groups) { 0 } else { together * per_pixel };
    let parts = scratch.split_at_mut_checked(2 * together * per_pixel.min(MOST_FOURS * TAPS));
    let parts = parts.and_then(|(pairs, bytes)| Some((words_mut(pairs)?, bytes.get_mut(..gathered)?)));
    match Run::new(conv, packing).zip(parts) {
        Some((run, (pairs, bytes))) => run.all(x, pairs, bytes, y),
        None => plain(conv, x, y),
    }
}

/// A convolution whose constants lie where the inner loops can read them.
struct Run<'a, 'p> {
    conv: &'a Conv<'p>,
    packing: Packing,
    weights: &'p [i32],
    bias: &'p [i32],
    /// The multipliers, where the inner loops requantize.
    mults: Option<&'p [i32]>,
}

impl<'a, 'p> Run<'a, 'p> {
    fn new(conv: &'a Conv<'p>, packing: Packing) -> Option<Self> {
        let mults = match conv.finish.requant {
            Requant::HighMul { mults } => Some(mults.aligned()?),
            _ => None,
        };
        Some(Run {
            conv,
            packing,
            weights: words(conv.weights)?,
            bias: conv.bias.aligned()?,
            // A window of several rounds is summed up before it is requantized.
            mults: mults.filter(|_| packing.runs() <= MOST_FOURS),
        })
    }

    /// Every group of every pixel. `pairs` has room for one round of windows, `bytes` for the windows unless they lie in `x`.
    fn all(&self, x: &[i8], pairs: &mut [i32], bytes: &mut [i8], y: &mut [i8]) {
        let Run { conv, packing, .. } = *self;
        let (together, last) = (pixels(conv.output), conv.output.height * conv.output.width - 1);
        let outputs = conv.output.channels / conv.groups;
        let group_words = packing.group_bytes() / TAPS;
        let steps = Steps::of(&conv.finish);
        for group in 0..conv.groups {
            let first = group * outputs;
            let tile = Tile {
                pixels: together,
                fours: packing.runs(),
                weights: &self.weights[group * group_words..][..group_words],
                block_words: packing.block() * packing.runs(),
            };
            let blocks = if self.mults.is_some() { outputs / packing.block() } else { 0 };
            let finished = blocks * packing.block();
            let constants =
                [self.bias, self.mults.unwrap_or_default()].map(|all| all.get(first..).unwrap_or_default());
            // Pixel for pixel with whole fours of channels, which are most convolutions of most models.
            let whole = conv.window.kernel == [1, 1]
                && conv.window.stride == [1, 1]
                && conv.input.width == conv.output.width
                && bytes.is_empty();
            if whole && packing.taps().is_multiple_of(TAPS) && finished == outputs {
                let pixels = Pixels { count: last + 1, x_step: packing.taps(), y_step: outputs };
                tile::finish_pixels(&tile, &pixels, x, pairs, blocks, constants, &steps, y);
                continue;
            }
            let mut at = [0, 0];
            for pixel in (0..=last).step_by(2) {
                // The last one of an odd count is there twice, and its bytes are written twice.
                let second = if pixel == last { at } else { window::following(at, conv.output.width) };
                let place = pixel * conv.output.channels + first;
                let places = [place, if pixel == last { place } else { place + conv.output.channels }];
                let windows = if bytes.is_empty() {
                    [at, second].map(|at| in_place(conv, x, at))
                } else {
                    let length = tile.fours * TAPS;
                    for (at, into) in [at, second].into_iter().zip(bytes.chunks_exact_mut(length)) {
                        gather(conv, x, at, group, &mut into[..packing.taps()]);
                    }
                    let (first, second) = bytes.split_at(length);
                    [first, second]
                };
                let windows = &windows[..together];
                if tile.fours <= MOST_FOURS {
                    expand(windows, pairs);
                }
                if blocks > 0 {
                    tile::finish(&tile, pairs, blocks, constants, &steps, y, places);
                }
                if finished < outputs {
                    self.summed(&tile, windows, pairs, first, finished..outputs, y, places);
                }
                at = window::following(second, conv.output.width);
            }
        }
    }

    /// Some output channels of a group by way of their sums: with other rules, in several rounds, or at the end of an incomplete
    /// block.
    #[inline(never)]
    #[expect(clippy::too_many_arguments, reason = "one call's state, split for its registers")]
    fn summed(
        &self,
        tile: &Tile<'_>,
        windows: &[&[i8]],
        pairs: &mut [i32],
        first: usize,
        outputs: Range<usize>,
        y: &mut [i8],
        places: [usize; 2],
    ) {
        let block = self.packing.block();
        for done in outputs.clone().step_by(LANES) {
            let count = LANES.min(outputs.end - done);
            let mut sums = [[0; LANES]; 2];
            sums[0][..count].copy_from_slice(&self.bias[first + done..][..count]);
            sums[1] = sums[0];
            let tile = tile.from(done / block * tile.block_words);
            if tile.fours <= MOST_FOURS {
                tile::add(&tile, pairs, count.div_ceil(block), &mut sums);
            } else {
                in_rounds(&tile, windows, pairs, count.div_ceil(block), &mut sums);
            }
            for (sums, place) in sums.iter().zip(places).take(windows.len()) {
                store(&self.conv.finish, first + done, &sums[..count], &mut y[place + done..][..count]);
            }
        }
    }
}

/// The window of one output pixel, where windows lie contiguous in the input.
#[inline(always)]
fn in_place<'x>(conv: &Conv<'_>, x: &'x [i8], [oy, ox]: [usize; 2]) -> &'x [i8] {
    let Conv { input, window, .. } = *conv;
    let first = oy * window.stride[0] * input.width + ox * window.stride[1];
    &x[first * input.channels..][..window.kernel[0] * window.kernel[1] * input.channels]
}

/// Copies one group's window of one output pixel, with the zero point outside the input.
#[inline(never)]
fn gather(conv: &Conv<'_>, x: &[i8], at: [usize; 2], group: usize, into: &mut [i8]) {
    window::gather(conv, x, at, group, into, tile::copy_rows);
}

/// Windows, as many as are multiplied together, as pairs of 16 bits: of each four taps the even and the odd ones.
#[inline(never)]
fn expand(windows: &[&[i8]], pairs: &mut [i32]) {
    let parts = [windows.first(), windows.get(1)]
        .map(|window| window.map_or(&[][..], |window| window).as_chunks::<TAPS>());
    let ([(first, rest), _], together) = (parts, windows.len());
    tile::expand(parts.map(|(fours, _)| fours), together, pairs);
    if let (false, Some(pairs)) = (rest.is_empty(), pairs.get_mut(first.len() * 2 * together..)) {
        let last = parts.map(|(_, rest)| [0, 1, 2, 3].map(|at| rest.get(at).copied().unwrap_or_default()));
        tile::expand(last.each_ref().map(core::slice::from_ref), together, pairs);
    }
}

/// The sums of windows that are too long to be kept as pairs: round by round.
#[inline(never)]
fn in_rounds(
    tile: &Tile<'_>,
    windows: &[&[i8]],
    pairs: &mut [i32],
    blocks: usize,
    sums: &mut [[i32; LANES]; 2],
) {
    let block = tile.block_words / tile.fours;
    for first in (0..tile.fours).step_by(MOST_FOURS) {
        let fours = MOST_FOURS.min(tile.fours - first);
        let part = |window: &'_ &[i8]| -> core::ops::Range<usize> {
            first * TAPS..((first + fours) * TAPS).min(window.len())
        };
        let mut round = [&[][..]; 2];
        for (round, window) in round.iter_mut().zip(windows) {
            *round = &window[part(window)];
        }
        expand(&round[..windows.len()], pairs);
        let tile = Tile { fours, ..tile.from(first * block) };
        tile::add(&tile, pairs, blocks, sums);
    }
}

/// The same value by value: what runs where something lies at no multiple of 4.
#[cold]
fn plain(conv: &Conv<'_>, x: &[i8], y: &mut [i8]) {
    let Conv { input, output, window, groups, .. } = *conv;
    let packing = packing(input, output, window, groups);
    let (inputs, outputs) = (input.channels / groups, output.channels / groups);
    for (at, y) in y.chunks_exact_mut(output.channels).enumerate() {
        let [oy, ox] = [at / output.width, at % output.width];
        for (channel, (y, mut sum)) in y.iter_mut().zip(conv.bias.integers()).enumerate() {
            for tap in 0..packing.taps() {
                let (place, input_channel) = (tap / inputs, channel / outputs * inputs + tap % inputs);
                let [ky, kx] = [place / window.kernel[1], place % window.kernel[1]];
                let iy =
                    (oy * window.stride[0] + ky).checked_sub(window.pad[0]).filter(|&iy| iy < input.height);
                let ix =
                    (ox * window.stride[1] + kx).checked_sub(window.pad[1]).filter(|&ix| ix < input.width);
                let value = iy.zip(ix).map_or(conv.input_zero, |(iy, ix)| {
                    x[(iy * input.width + ix) * input.channels + input_channel]
                });
                let weight = conv.weights[packing.place(channel, tap)];
                sum = sum.wrapping_add(value as i32 * weight as i32);
            }
            store(&conv.finish, channel, &[sum], core::slice::from_mut(y));
        }
    }
}
