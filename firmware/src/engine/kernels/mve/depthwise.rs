//! Depthwise convolution, one channel at a time through a strip of rows in which every window is one run of bytes.

use super::packing::TAPS;
use super::scratch::Strip;
use super::store;
use super::tile::{self, Map, Places, Room, Steps, Windows};
use crate::engine::kernels::requant::Requant;
use crate::engine::kernels::scalar::Depthwise;

/// Windows whose sums are kept at once.
const SUMS: usize = 32;

/// Convolves `x` into `y`. `scratch` has [`super::depthwise_scratch_bytes`] bytes; where that is 0, the scalar kernel runs.
pub fn depthwise(depthwise: &Depthwise<'_>, x: &[i8], scratch: &mut [i8], y: &mut [i8]) {
    let Depthwise { input, output, window, .. } = *depthwise;
    match Strip::of(input, output, window).filter(|strip| scratch.len() >= strip.all()) {
        Some(strip) => run(depthwise, strip, x, scratch, y),
        None => depthwise.run(x, y),
    }
}

fn run(depthwise: &Depthwise<'_>, strip: Strip, x: &[i8], scratch: &mut [i8], y: &mut [i8]) {
    let Depthwise { input, output, window, input_zero, .. } = *depthwise;
    let (channels, [rows, across]) = (input.channels, window.kernel);
    let (ring, rest) = scratch.split_at_mut(strip.bytes);
    let (copies, lists) = rest.split_at_mut(strip.copies * strip.copy_bytes);
    // Columns outside the input keep the zero point, and what fills up the weights keeps 0, for good.
    ring.fill(input_zero);
    copies.fill(0);
    let turned = |copy: usize| copy * window.stride[0] % rows;
    let lists = &mut lists[..strip.copies * strip.list_bytes];
    let mut room = Room { ring, copies, places: Places::write(window.kernel, channels, lists, turned) };
    let map = Map {
        rows,
        taps: rows * across,
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
        copy_bytes: strip.copy_bytes,
        zero: input_zero,
    };
    let (mults, steps) = match depthwise.finish.requant {
        // Rows between two windows are in none.
        Requant::HighMul { mults } if map.taps <= TAPS && map.down <= rows => {
            (mults, Steps::of(&depthwise.finish))
        }
        _ => {
            for channel in 0..channels {
                summed(depthwise, &map, channel, x, &mut room, &mut y[channel..]);
            }
            return;
        }
    };
    let constants = depthwise.bias.integers().zip(mults.integers());
    for (channel, constants) in constants.take(channels).enumerate() {
        let weights = &depthwise.weights[channel..];
        tile::channel(&map, &x[channel..], weights, constants, &steps, &mut room, &mut y[channel..]);
    }
}

/// Brings one channel of `x` into the strip row by row, and calls `finish` for every row of outputs, with its number, its windows
/// and their weights. Gives it the sum of the weights too.
pub(super) fn rows(
    map: &Map,
    x: &[i8],
    weights: &[i8],
    room: &mut Room<'_>,
    mut finish: impl FnMut(usize, &Windows<'_>, &[i8], i32),
) {
    let Room { ring, copies, places } = room;
    let mut sum = 0;
    for (at, copy) in copies.chunks_exact_mut(map.copy_bytes).enumerate() {
        sum = tile::pick(weights, places, at, &mut copy[..map.taps]);
    }
    let mut loaded = 0;
    let mut copies = copies.chunks_exact(map.copy_bytes).cycle();
    for row in 0..map.outputs {
        let top = row * map.down;
        // Rows between two windows are in none.
        for at in top.max(loaded)..top + map.rows {
            let into = &mut ring[at % map.rows..];
            match at.checked_sub(map.above).filter(|&at| at < map.height) {
                Some(at) => {
                    let into = &mut into[map.first * map.rows..];
                    tile::spread(&x[at * map.x_row..], into, map.inside, [map.channels, map.rows]);
                }
                None => {
                    into.iter_mut().step_by(map.rows).take(map.columns).for_each(|value| *value = map.zero)
                }
            }
        }
        loaded = top + map.rows;
        let windows = Windows { x: ring, taps: map.taps, step: map.step, count: map.windows };
        if let Some(weights) = copies.next() {
            finish(row, &windows, weights, sum);
        }
    }
}

/// The outputs of one channel by way of their sums: with other rules, or long windows.
#[inline(never)]
fn summed(depthwise: &Depthwise<'_>, map: &Map, channel: usize, x: &[i8], room: &mut Room<'_>, y: &mut [i8]) {
    let bias = depthwise.bias.part(channel, 1).integers().next().unwrap_or_default();
    let step = map.channels;
    rows(map, &x[channel..], &depthwise.weights[channel..], room, |row, windows, weights, weight| {
        let bias = bias.wrapping_sub((map.zero as i32).wrapping_mul(weight));
        for first in (0..windows.count).step_by(SUMS) {
            let count = SUMS.min(windows.count - first);
            let part = Windows { x: &windows.x[first * windows.step..], count, ..*windows };
            let mut sums = [0; SUMS];
            tile::row_sums(&part, weights, &mut sums[..count]);
            let y = y[(row * map.windows + first) * step..].iter_mut().step_by(step);
            for (sum, y) in sums[..count].iter().zip(y) {
                store(&depthwise.finish, channel, &[sum.wrapping_add(bias)], core::slice::from_mut(y));
            }
        }
    });
}
