//! Convolution with packed weights: windows become pairs of 16 bits once, then meet every output channel.

use super::packing::{Packing, TAPS};
use super::scratch::{MOST_FOURS, pixels};
use super::tile::{self, LANES, Steps, Tile};
use super::{words, words_mut};
use crate::engine::kernels::requant::Requant;
use crate::engine::kernels::scalar::{Conv, is_contiguous};

/// Convolves `x` into `y`.
///
/// The weights are packed as [`Packing::of`] says; `scratch` has [`super::conv_scratch_bytes`] bytes. It lies at a multiple of
/// 4, as weights, biases and multipliers do: with one of them elsewhere this takes many times as long.
pub fn conv(conv: &Conv<'_>, x: &[i8], scratch: &mut [i8], y: &mut [i8]) {
    match Run::new(conv, scratch) {
        Some(run) => run.all(x, y),
        None => plain(conv, x, y),
    }
}

/// A convolution whose constants and scratch lie where the inner loops can read them.
struct Run<'a, 'p> {
    conv: &'a Conv<'p>,
    packing: Packing,
    weights: &'p [i32],
    bias: &'p [i32],
    /// The multipliers, where the inner loops requantize.
    mults: Option<&'p [i32]>,
    /// Windows as pairs of 16 bits.
    pairs: &'a mut [i32],
    /// Windows as bytes, one after the other; empty where they lie in the input as they are.
    bytes: &'a mut [i8],
}

impl<'a, 'p> Run<'a, 'p> {
    fn new(conv: &'a Conv<'p>, scratch: &'a mut [i8]) -> Option<Self> {
        let Conv { input, output, window, groups, .. } = *conv;
        let packing = Packing::of(input, output, window, groups);
        let gathered = !is_contiguous(input, output, window, groups);
        let windows = pixels(output) * packing.fours() * TAPS;
        let (pairs, bytes) =
            scratch.split_at_mut_checked(2 * pixels(output) * packing.fours().min(MOST_FOURS) * TAPS)?;
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
            mults: mults.filter(|_| packing.fours() <= MOST_FOURS),
            pairs: words_mut(pairs)?,
            bytes: bytes.get_mut(..if gathered { windows } else { 0 })?,
        })
    }

    fn all(self, x: &[i8], y: &mut [i8]) {
        let Run { conv, packing, weights, bias, mults, pairs, bytes } = self;
        let (together, count) = (pixels(conv.output), conv.output.height * conv.output.width);
        let (outputs, group_words) = (conv.output.channels / conv.groups, packing.group_bytes() / TAPS);
        let steps = Steps::of(&conv.finish);
        let one_round = packing.fours() <= MOST_FOURS;
        for group in 0..conv.groups {
            let first = group * outputs;
            let weights = &weights[group * group_words..][..group_words];
            for pixel in (0..count).step_by(2) {
                // The last one of an odd count is there twice, and its bytes are written twice.
                let at = [pixel, (pixel + 1).min(count - 1)];
                let places = at.map(|pixel| pixel * conv.output.channels + first);
                let windows = windows(conv, &packing, x, bytes, group, at);
                if one_round {
                    expand(&windows[..together], pairs);
                }
                let block_words = packing.block() * packing.fours();
                let tile = Tile { pixels: together, fours: packing.fours(), weights, block_words };
                let mut done = 0;
                if let Some(mults) = mults {
                    let blocks = outputs / packing.block();
                    done = blocks * packing.block();
                    let constants = [&bias[first..][..done], &mults[first..][..done]];
                    tile::finish(&tile, pairs, blocks, constants, &steps, y, places);
                }
                while done < outputs {
                    let count = LANES.min(outputs - done);
                    let mut sums = [[0; LANES]; 2];
                    sums[0][..count].copy_from_slice(&bias[first + done..][..count]);
                    sums[1] = sums[0];
                    let tile = tile.from(done / packing.block() * block_words);
                    let blocks = count.div_ceil(packing.block());
                    if one_round {
                        tile::add(&tile, pairs, blocks, &mut sums);
                    } else {
                        in_rounds(&tile, &windows[..together], pairs, blocks, &mut sums);
                    }
                    for (sums, place) in sums.iter().zip(places).take(together) {
                        let y = &mut y[place + done..][..count];
                        conv.finish.store(first + done, &sums[..count], y);
                    }
                    done += count;
                }
            }
        }
    }
}

/// The windows of two pixels, gathered in `bytes` unless that is empty. With room for one there, the second is empty.
#[inline(always)]
fn windows<'w>(
    conv: &Conv<'_>,
    packing: &Packing,
    x: &'w [i8],
    bytes: &'w mut [i8],
    group: usize,
    at: [usize; 2],
) -> [&'w [i8]; 2] {
    let Conv { input, output, window, .. } = *conv;
    let at = at.map(|pixel| [pixel / output.width, pixel % output.width]);
    if bytes.is_empty() {
        return at.map(|[oy, ox]| {
            let first = oy * window.stride[0] * input.width + ox * window.stride[1];
            &x[first * input.channels..][..packing.taps()]
        });
    }
    let length = packing.fours() * TAPS;
    for (at, into) in at.into_iter().zip(bytes.chunks_exact_mut(length)) {
        gather(conv, x, at, group, &mut into[..packing.taps()]);
    }
    let mut found = bytes.chunks_exact(length);
    [found.next().unwrap_or_default(), found.next().unwrap_or_default()]
}

/// Copies one group's window of one output pixel, with the zero point outside the input.
#[inline(always)]
fn gather(conv: &Conv<'_>, x: &[i8], [oy, ox]: [usize; 2], group: usize, into: &mut [i8]) {
    let Conv { input, window, groups, .. } = *conv;
    let inputs = input.channels / groups;
    let inside = |at: usize| {
        let first = ox * window.stride[1];
        (at + window.pad[1]).saturating_sub(first).min(window.kernel[1])
    };
    let (left, right) = (inside(0), inside(input.width));
    for (ky, row) in into.chunks_exact_mut(window.kernel[1] * inputs).enumerate() {
        let iy = (oy * window.stride[0] + ky).checked_sub(window.pad[0]).filter(|&iy| iy < input.height);
        let Some(iy) = iy.filter(|_| left < right) else {
            row.fill(conv.input_zero);
            continue;
        };
        row[..left * inputs].fill(conv.input_zero);
        row[right * inputs..].fill(conv.input_zero);
        let ix = ox * window.stride[1] + left - window.pad[1];
        let x = &x[(iy * input.width + ix) * input.channels..];
        let row = &mut row[left * inputs..right * inputs];
        if groups == 1 {
            row.copy_from_slice(&x[..row.len()]);
        } else {
            for (tap, pixel) in row.chunks_exact_mut(inputs).zip(x.chunks(input.channels)) {
                tap.copy_from_slice(&pixel[group * inputs..][..inputs]);
            }
        }
    }
}

/// Windows, as many as are multiplied together, as pairs of 16 bits: of each four taps the even and the odd ones.
#[inline(always)]
fn expand(windows: &[&[i8]], pairs: &mut [i32]) {
    let stride = 2 * windows.len();
    for (slot, window) in windows.iter().enumerate() {
        let (fours, rest) = window.as_chunks::<TAPS>();
        let Some(pairs) = pairs.get_mut(2 * slot..) else { return };
        tile::expand(fours, pairs, stride);
        if let (false, Some(pairs)) = (rest.is_empty(), pairs.get_mut(fours.len() * stride..)) {
            let mut last = [0; TAPS];
            last[..rest.len()].copy_from_slice(rest);
            tile::expand(&[last], pairs, stride);
        }
    }
}

/// The sums of windows that are too long to be kept as pairs: round by round.
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
fn plain(conv: &Conv<'_>, x: &[i8], y: &mut [i8]) {
    let Conv { input, output, window, groups, .. } = *conv;
    let packing = Packing::of(input, output, window, groups);
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
            conv.finish.store(channel, &[sum], core::slice::from_mut(y));
        }
    }
}
