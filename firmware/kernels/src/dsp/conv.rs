//! Convolution with packed weights: windows become pairs of 16 bits once, then meet every output channel.

use core::num::NonZero;
use core::ops::Range;

use super::scratch::{MOST_FOURS, pixels};
use super::tile::{self, LANES, Pixels, Steps, Tile};
use super::{TAPS, packing, words, words_mut};
use crate::packing::Packing;
use crate::requant::Requant;
use crate::scalar::{Conv, is_contiguous};
use crate::window;

/// Convolves `x` into `y`.
///
/// The weights are packed as [`packing`] says; `scratch` has [`super::conv_scratch_bytes`] bytes. It lies at a multiple of
/// 4, as weights, biases and multipliers do: with one of them elsewhere this takes many times as long. `None` where a slice is
/// shorter than the shapes say.
pub fn conv(conv: &Conv<'_>, x: &[i8], scratch: &mut [i8], y: &mut [i8]) -> Option<()> {
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
    fn all(&self, x: &[i8], pairs: &mut [i32], bytes: &mut [i8], y: &mut [i8]) -> Option<()> {
        let Run { conv, packing, .. } = *self;
        let together = pixels(conv.output);
        let last = (conv.output.height * conv.output.width).checked_sub(1)?;
        let outputs = conv.output.channels.checked_div(conv.groups)?;
        let (group_words, block) = (packing.group_bytes() / TAPS, packing.block());
        let steps = Steps::of(&conv.finish);
        for group in 0..conv.groups {
            let first = group * outputs;
            let tile = Tile {
                pixels: together,
                fours: packing.runs(),
                weights: self.weights.get(group * group_words..)?.get(..group_words)?,
                block_words: block * packing.runs(),
            };
            let blocks = if self.mults.is_some() { outputs.checked_div(block)? } else { 0 };
            let finished = blocks * block;
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
                    [in_place(conv, x, at)?, in_place(conv, x, second)?]
                } else {
                    let length = tile.fours * TAPS;
                    for (at, into) in [at, second].into_iter().zip(bytes.chunks_exact_mut(length.max(1))) {
                        gather(conv, x, at, group, into.get_mut(..packing.taps())?)?;
                    }
                    let (first, second) = bytes.split_at_checked(length)?;
                    [first, second]
                };
                let windows = windows.get(..together)?;
                if tile.fours <= MOST_FOURS {
                    expand(windows, pairs);
                }
                if blocks > 0 {
                    tile::finish(&tile, pairs, blocks, constants, &steps, y, places);
                }
                if finished < outputs {
                    self.summed(&tile, windows, pairs, first, finished..outputs, y, places)?;
                }
                at = window::following(second, conv.output.width);
            }
        }
        Some(())
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
    ) -> Option<()> {
        let block = NonZero::new(self.packing.block())?;
        for done in outputs.clone().step_by(LANES) {
            let count = LANES.min(outputs.end - done);
            let mut sums = [[0; LANES]; 2];
            let bias = self.bias.get(first + done..)?.get(..count)?;
            sums[0].iter_mut().zip(bias).for_each(|(sum, &bias)| *sum = bias);
            sums[1] = sums[0];
            let tile = tile.from(done / block * tile.block_words)?;
            let blocks = count.div_ceil(block.get());
            if tile.fours <= MOST_FOURS {
                tile::add(&tile, pairs, blocks, &mut sums);
            } else {
                in_rounds(&tile, windows, pairs, blocks, &mut sums)?;
            }
            for (sums, place) in sums.iter().zip(places).take(windows.len()) {
                let y = y.get_mut(place + done..)?.get_mut(..count)?;
                self.conv.finish.store(first + done, sums.get(..count)?, y);
            }
        }
        Some(())
    }
}

/// The window of one output pixel, where windows lie contiguous in the input.
#[inline(always)]
fn in_place<'x>(conv: &Conv<'_>, x: &'x [i8], [oy, ox]: [usize; 2]) -> Option<&'x [i8]> {
    let Conv { input, window, .. } = *conv;
    let first = oy * window.stride[0] * input.width + ox * window.stride[1];
    x.get(first * input.channels..)?.get(..window.kernel[0] * window.kernel[1] * input.channels)
}

/// Copies one group's window of one output pixel, with the zero point outside the input.
#[inline(never)]
fn gather(conv: &Conv<'_>, x: &[i8], at: [usize; 2], group: usize, into: &mut [i8]) -> Option<()> {
    window::gather(conv, x, at, group, into, tile::copy_rows)
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
) -> Option<()> {
    let block = tile.block_words.checked_div(tile.fours)?;
    for first in (0..tile.fours).step_by(MOST_FOURS) {
        let fours = MOST_FOURS.min(tile.fours - first);
        let part = |window: &'_ &[i8]| -> core::ops::Range<usize> {
            first * TAPS..((first + fours) * TAPS).min(window.len())
        };
        let mut round = [&[][..]; 2];
        for (round, window) in round.iter_mut().zip(windows) {
            *round = window.get(part(window))?;
        }
        expand(round.get(..windows.len())?, pairs);
        let tile = Tile { fours, ..tile.from(first * block)? };
        tile::add(&tile, pairs, blocks, sums);
    }
    Some(())
}

/// The same value by value: what runs where something lies at no multiple of 4.
#[cold]
fn plain(conv: &Conv<'_>, x: &[i8], y: &mut [i8]) -> Option<()> {
    let Conv { input, output, window, groups, .. } = *conv;
    let packing = packing(input, output, window, groups);
    let inputs = NonZero::new(input.channels.checked_div(groups)?)?;
    let outputs = NonZero::new(output.channels.checked_div(groups)?)?;
    let (width, columns) = (NonZero::new(output.width)?, NonZero::new(window.kernel[1])?);
    for (at, y) in y.chunks_exact_mut(output.channels.max(1)).enumerate() {
        let [oy, ox] = [at / width, at % width];
        for (channel, (y, mut sum)) in y.iter_mut().zip(conv.bias.integers()).enumerate() {
            for tap in 0..packing.taps() {
                let (place, input_channel) = (tap / inputs, channel / outputs * inputs.get() + tap % inputs);
                let [ky, kx] = [place / columns, place % columns];
                let iy =
                    (oy * window.stride[0] + ky).checked_sub(window.pad[0]).filter(|&iy| iy < input.height);
                let ix =
                    (ox * window.stride[1] + kx).checked_sub(window.pad[1]).filter(|&ix| ix < input.width);
                let value = match iy.zip(ix) {
                    Some((iy, ix)) => *x.get((iy * input.width + ix) * input.channels + input_channel)?,
                    None => conv.input_zero,
                };
                let weight = *conv.weights.get(packing.place(channel, tap))?;
                sum = sum.wrapping_add(value as i32 * weight as i32);
            }
            conv.finish.store(channel, &[sum], core::slice::from_mut(y));
        }
    }
    Some(())
}
