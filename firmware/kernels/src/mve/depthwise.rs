//! Depthwise convolution, one channel at a time through a strip of rows in which every window is one run of bytes.

use core::num::NonZero;

use super::TAPS;
use super::part;
use super::scratch::Strip;
use super::tile::{self, LANES, Map, Places, Room, Steps, Taps};
use crate::Words;
use crate::requant::Requant;
use crate::scalar::{Depthwise, inside};

/// Channels whose sums are kept at once.
const SUMS: usize = 32;

/// Convolves `x` into `y`. `scratch` has [`super::depthwise_scratch_bytes`] bytes. `None` where a slice is shorter than the shapes say.
pub fn depthwise(depthwise: &Depthwise<'_>, x: &[i8], scratch: &mut [i8], y: &mut [i8]) -> Option<()> {
    let Depthwise { input, output, window, finish, .. } = *depthwise;
    let strip = Strip::of(input, output, window).filter(|strip| scratch.len() >= strip.all());
    match (strip, finish.requant) {
        (Some(strip), Requant::HighMul { mults }) => run(depthwise, mults, strip, x, scratch, y),
        _ => by_pixel(depthwise, x, y),
    }
}

fn run(
    depthwise: &Depthwise<'_>,
    mults: Words<'_>,
    strip: Strip,
    x: &[i8],
    scratch: &mut [i8],
    y: &mut [i8],
) -> Option<()> {
    let Depthwise { input, output, window, input_zero, .. } = *depthwise;
    let (channels, rows) = (input.channels, NonZero::new(window.kernel[0])?);
    let (ring, rest) = scratch.split_at_mut_checked(strip.bytes)?;
    let (copies, lists) = rest.split_at_mut_checked(strip.copies * TAPS)?;
    // Columns outside the input keep the zero point, and what fills up the weights keeps 0, for good.
    ring.fill(input_zero);
    copies.fill(0);
    let turned = |copy: usize| copy * window.stride[0] % rows;
    let lists = lists.get_mut(..strip.copies * strip.list_bytes)?;
    let mut room = Room { ring, copies, places: Places::write(window.kernel, channels, lists, turned)? };
    let map = Map {
        rows: rows.get(),
        channels,
        columns: strip.columns,
        first: window.pad[1],
        // A row's end may lie behind the last window.
        inside: input.width.min(strip.columns - window.pad[1]),
        height: input.height,
        x_row: input.width * channels,
        above: window.pad[0],
        down: window.stride[0],
        step: window.stride[1] * rows.get(),
        windows: output.width,
        outputs: output.height,
        zero: input_zero,
    };
    let steps = Steps::of(&depthwise.finish);
    let constants = depthwise.bias.integers().zip(mults.integers());
    for (channel, constants) in constants.take(channels).enumerate() {
        let (x, weights) = (x.get(channel..)?, depthwise.weights.get(channel..)?);
        tile::channel(&map, x, weights, constants, &steps, &mut room, y.get_mut(channel..)?);
    }
    Some(())
}

/// The outputs of all channels of one pixel after the other: with other rules, or long windows.
fn by_pixel(depthwise: &Depthwise<'_>, x: &[i8], y: &mut [i8]) -> Option<()> {
    let Depthwise { input, output, window, .. } = *depthwise;
    let (channels, width) = (NonZero::new(input.channels)?.get(), NonZero::new(output.width)?);
    for (at, y) in y.chunks_exact_mut(channels).enumerate() {
        let at = [at / width, at % width];
        let (rows, columns) = (inside(at[0], window, 0, input.height), inside(at[1], window, 1, input.width));
        let row = at[0] * window.stride[0] + rows.start - window.pad[0];
        let column = at[1] * window.stride[1] + columns.start - window.pad[1];
        let x = x.get((row * input.width + column) * channels..)?;
        let weights = (rows.start * window.kernel[1] + columns.start) * channels;
        let weights = depthwise.weights.get(weights..)?;
        let taps = Taps {
            rows: rows.len(),
            columns: columns.len(),
            x_row: input.width * channels,
            w_row: window.kernel[1] * channels,
            channels,
            zero: depthwise.input_zero,
        };
        for first in (0..channels).step_by(SUMS) {
            let count = SUMS.min(channels - first);
            let mut sums = [[0; LANES]; SUMS / LANES];
            let bias = part(depthwise.bias, first, count);
            tile::window_sums(&taps, x.get(first..)?, weights.get(first..)?, bias, &mut sums);
            let sums = sums.as_flattened().get(..count)?;
            depthwise.finish.store(first, sums, y.get_mut(first..)?.get_mut(..count)?);
        }
    }
    Some(())
}
