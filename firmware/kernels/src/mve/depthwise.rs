//! Depthwise convolution, one channel at a time through a strip of rows in which every window is one run of bytes.

use super::TAPS;
use super::scratch::Strip;
use super::tile::{self, LANES, Map, Places, Room, Steps, Taps};
use super::{part, store};
use crate::Words;
use crate::requant::Requant;
use crate::scalar::Depthwise;

/// Channels whose sums are kept at once.
const SUMS: usize = 32;

/// Convolves `x` into `y`. `scratch` has [`super::depthwise_scratch_bytes`] bytes.
pub fn depthwise(depthwise: &Depthwise<'_>, x: &[i8], scratch: &mut [i8], y: &mut [i8]) {
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
) {
    let Depthwise { input, output, window, input_zero, .. } = *depthwise;
    let (channels, rows) = (input.channels, window.kernel[0]);
    let (ring, rest) = scratch.split_at_mut(strip.bytes);
    let (copies, lists) = rest.split_at_mut(strip.copies * TAPS);
    // Columns outside the input keep the zero point, and what fills up the weights keeps 0, for good.
    ring.fill(input_zero);
    copies.fill(0);
    let turned = |copy: usize| copy * window.stride[0] % rows;
    let lists = &mut lists[..strip.copies * strip.list_bytes];
    let mut room = Room { ring, copies, places: Places::write(window.kernel, channels, lists, turned) };
    let map = Map {
        rows,
        channels,
        columns: strip.columns,
        first: window.pad[1],
        // A row's end may lie behind the last window.
        inside: input.width.min(strip.columns - window.pad[1]),
        height: input.height,
        x_row: input.width * channels,
        above: window.pad[0],
        down: window.stride[0],
        step: window.stride[1] * rows,
        windows: output.width,
        outputs: output.height,
        zero: input_zero,
    };
    let steps = Steps::of(&depthwise.finish);
    let constants = depthwise.bias.integers().zip(mults.integers());
    for (channel, constants) in constants.take(channels).enumerate() {
        let weights = &depthwise.weights[channel..];
        tile::channel(&map, &x[channel..], weights, constants, &steps, &mut room, &mut y[channel..]);
    }
}

/// The outputs of all channels of one pixel after the other: with other rules, or long windows.
fn by_pixel(depthwise: &Depthwise<'_>, x: &[i8], y: &mut [i8]) {
    let Depthwise { input, output, window, .. } = *depthwise;
    let channels = input.channels;
    for (at, y) in y.chunks_exact_mut(channels).enumerate() {
        let at = [at / output.width, at % output.width];
        // What is inside the input of the window's rows and columns; its first value, and its first weight.
        let [(first_row, rows), (first_column, columns)] = [0, 1].map(|axis| {
            let (start, size) = (at[axis] * window.stride[axis], [input.height, input.width][axis]);
            let first = window.pad[axis].saturating_sub(start);
            (first, (size + window.pad[axis] - start).min(window.kernel[axis]) - first)
        });
        let row = at[0] * window.stride[0] + first_row - window.pad[0];
        let column = at[1] * window.stride[1] + first_column - window.pad[1];
        let x = &x[(row * input.width + column) * channels..];
        let weights = &depthwise.weights[(first_row * window.kernel[1] + first_column) * channels..];
        let taps = Taps {
            rows,
            columns,
            x_row: input.width * channels,
            w_row: window.kernel[1] * channels,
            channels,
            zero: depthwise.input_zero,
        };
        for first in (0..channels).step_by(SUMS) {
            let count = SUMS.min(channels - first);
            let mut sums = [[0; LANES]; SUMS / LANES];
            let bias = part(depthwise.bias, first, count);
            tile::window_sums(&taps, &x[first..], &weights[first..], bias, &mut sums);
            store(&depthwise.finish, first, &sums.as_flattened()[..count], &mut y[first..][..count]);
        }
    }
}
