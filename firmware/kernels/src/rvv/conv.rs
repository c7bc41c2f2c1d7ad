//! Convolution: up to three windows against two outputs at a time, two against three, one against six.

use super::dots::{ROOM, copy_rows, one_by_six, three_by_two, two_by_three};
use super::{BLOCK, finish};
use crate::rv32::Finish;
use crate::scalar::{Conv, is_contiguous};
use crate::window::{gather, whole};

/// Convolves `x` into `y` as [`Conv::run`] does, with the same scratch.
pub(crate) fn conv(conv: &Conv<'_>, x: &[i8], scratch: &mut [i8], y: &mut [i8]) -> Option<()> {
    let Conv { input, output, window, groups, .. } = *conv;
    let taps = conv.taps();
    let pixels = output.height * output.width;
    let layer = Layer { conv, finish: Finish::new(conv.bias, &conv.finish) };
    let place = |pixel: usize| [pixel / output.width, pixel % output.width];
    let direct = is_contiguous(input, output, window, groups);
    let sums = &mut [[0; ROOM]; 3];
    for group in 0..groups {
        let mut pixel = 0;
        while pixel < pixels {
            let y = &mut y[pixel * output.channels..];
            let left = pixels - pixel;
            pixel += if direct {
                let window = |at: usize| {
                    let [oy, ox] = place(pixel + at);
                    let first = oy * window.stride[0] * input.width + ox * window.stride[1];
                    &x[first * input.channels..][..taps]
                };
                match left {
                    1 => layer.outputs(group, [window(0)], y, sums, one_by_six),
                    2 => layer.outputs(group, [window(0), window(1)], y, sums, two_by_three),
                    _ => layer.outputs(group, [window(0), window(1), window(2)], y, sums, three_by_two),
                }
            } else {
                let (a, b) = scratch[..2 * taps].split_at_mut(taps);
                copy_window(conv, x, place(pixel), group, a);
                if left == 1 {
                    layer.outputs(group, [a], y, sums, one_by_six)
                } else {
                    copy_window(conv, x, place(pixel + 1), group, b);
                    layer.outputs(group, [a, b], y, sums, two_by_three)
                }
            };
        }
    }
    Some(())
}

/// Copies the window of the pixel at `at`, as much as a group sees of it.
fn copy_window(conv: &Conv<'_>, x: &[i8], at: [usize; 2], group: usize, into: &mut [i8]) {
    let Conv { input, window, .. } = *conv;
    match whole(conv, at) {
        Some(first) => {
            let row = window.kernel[1] * input.channels;
            copy_rows(&x[first..], into, row, window.kernel[0], [input.width * input.channels, row]);
        }
        None => copy_edge(conv, x, at, group, into),
    }
}

/// The same of a window that reaches beyond the input, or of a group.
#[inline(never)]
fn copy_edge(conv: &Conv<'_>, x: &[i8], at: [usize; 2], group: usize, into: &mut [i8]) {
    gather(conv, x, at, group, into, copy_rows);
}

/// A convolution and its constants.
struct Layer<'a> {
    conv: &'a Conv<'a>,
    finish: Option<Finish<'a>>,
}

impl Layer<'_> {
    /// The outputs of a group for `P` windows by `dots`; `y` begins with the first window's pixel. Says how many
    /// windows that were.
    #[inline(always)]
    fn outputs<const P: usize>(
        &self,
        group: usize,
        windows: [&[i8]; P],
        y: &mut [i8],
        sums: &mut [[i32; ROOM]; 3],
        dots: impl Fn([&[i8]; P], &[i8], &mut [[i32; ROOM]; 3]),
    ) -> usize {
        let (conv, taps, channels) = (self.conv, self.conv.taps(), self.conv.output.channels);
        let outputs = channels / conv.groups;
        for first in (group * outputs..(group + 1) * outputs).step_by(BLOCK) {
            let count = BLOCK.min((group + 1) * outputs - first);
            dots(windows, &conv.weights[first * taps..][..count * taps], sums);
            for (sums, y) in sums[..P].iter_mut().zip(y.chunks_exact_mut(channels)) {
                let (sums, y) = (&mut sums[..count], &mut y[first..][..count]);
                finish::store(self.finish.as_ref(), conv.bias, &conv.finish, first, sums, y);
            }
        }
        P
    }
}
