//! Convolution: up to three windows against four outputs at a time, one window against eight.

use super::{Finish, dots};
use crate::engine::kernels::scalar::{Conv, gather, is_contiguous};
use crate::engine::kernels::window::whole;

/// Convolves `x` into `y` as [`Conv::run`] does, with the same scratch.
pub(in crate::engine::kernels) fn conv(conv: &Conv<'_>, x: &[i8], scratch: &mut [i8], y: &mut [i8]) {
    let Conv { input, output, window, groups, .. } = *conv;
    let group_out = output.channels / groups;
    let taps = conv.taps();
    let pixels = output.height * output.width;
    let layer = Layer { conv, finish: Finish::new(conv.bias, &conv.finish) };
    if is_contiguous(input, output, window, groups) {
        let window = |pixel: usize| {
            let (oy, ox) = (pixel / output.width, pixel % output.width);
            &x[(oy * window.stride[0] * input.width + ox * window.stride[1]) * input.channels..][..taps]
        };
        let mut pixel = 0;
        while pixel < pixels {
            let y = &mut y[pixel * output.channels..];
            pixel += match pixels - pixel {
                1 => outputs(&layer, [window(pixel)], 0, y, dots::one_by_eight, dots::one_by_one),
                2 => outputs(
                    &layer,
                    [0, 1].map(|p| window(pixel + p)),
                    0,
                    y,
                    dots::two_by_four,
                    dots::two_by_one,
                ),
                _ => outputs(
                    &layer,
                    [0, 1, 2].map(|p| window(pixel + p)),
                    0,
                    y,
                    dots::three_by_four,
                    dots::three_by_one,
                ),
            };
        }
        return;
    }
    for group in 0..groups {
        let mut pixel = 0;
        while pixel < pixels {
            let y = &mut y[pixel * output.channels..];
            let (a, b) = scratch[..2 * taps].split_at_mut(taps);
            windows(conv, x, pixel, group, a);
            pixel += if pixel + 1 < pixels {
                windows(conv, x, pixel + 1, group, b);
                outputs(&layer, [a, b], group * group_out, y, dots::two_by_four, dots::two_by_one)
            } else {
                outputs(&layer, [a], group * group_out, y, dots::one_by_eight, dots::one_by_one)
            };
        }
    }
}

/// Copies the window of a pixel, as much as a group sees of it.
fn windows(conv: &Conv<'_>, x: &[i8], pixel: usize, group: usize, into: &mut [i8]) {
    let Conv { input, output, window, groups, .. } = *conv;
    let at = [pixel / output.width, pixel % output.width];
    let Some(first) = whole(conv, at) else {
        let inner = input.channels / groups;
        return gather(conv, x, at, group * inner, inner, into);
    };
    // Each row of it is one run of bytes.
    let rows = x[first..].chunks(input.width * input.channels);
    for (into, row) in into.chunks_exact_mut(window.kernel[1] * input.channels).zip(rows) {
        into.iter_mut().zip(row).for_each(|(into, &value)| *into = value);
    }
}

/// The outputs of a group, of which `first` is the first, for `P` windows, `N` at a time by `many` and the rest by `one`; `y` begins
/// with the first window's pixel. Says how many windows that were.
#[inline(always)]
fn outputs<const P: usize, const N: usize>(
    layer: &Layer<'_>,
    windows: [&[i8]; P],
    first: usize,
    y: &mut [i8],
    many: impl Fn([&[i8]; P], &[i8], usize) -> [[i32; N]; P],
    one: impl Fn([&[i8]; P], &[i8], usize) -> [[i32; 1]; P],
) -> usize {
    let (conv, taps) = (layer.conv, layer.conv.taps());
    let end = first + conv.output.channels / conv.groups;
    let mut output = first;
    while end - output >= N {
        layer.store(many(windows, &conv.weights[output * taps..][..N * taps], taps), output, y);
        output += N;
    }
    while output < end {
        layer.store(one(windows, &conv.weights[output * taps..][..taps], taps), output, y);
        output += 1;
    }
    P
}

/// A convolution and its constants.
struct Layer<'a> {
    conv: &'a Conv<'a>,
    finish: Option<Finish<'a>>,
}

impl Layer<'_> {
    /// Writes `N` outputs, from `output` on, of `P` pixels, the first of which begins `y`.
    #[inline(always)]
    fn store<const P: usize, const N: usize>(&self, accs: [[i32; N]; P], output: usize, y: &mut [i8]) {
        let conv = self.conv;
        let channels = conv.output.channels;
        let Some(finish) = &self.finish else {
            let mut bias = [0; N];
            bias.iter_mut().zip(conv.bias.part(output, N).integers()).for_each(|(to, bias)| *to = bias);
            for (p, accs) in accs.iter().enumerate() {
                let accs: [i32; N] = core::array::from_fn(|n| accs[n].wrapping_add(bias[n]));
                conv.finish.store(output, &accs, &mut y[p * channels + output..][..N]);
            }
            return;
        };
        let (Some(bias), Some(mults)) =
            (finish.bias[output..].first_chunk::<N>(), finish.mults[output..].first_chunk::<N>())
        else {
            return;
        };
        for (accs, y) in accs.into_iter().zip(y.chunks_exact_mut(channels)) {
            if let Some(y) = y[output..].first_chunk_mut::<N>() {
                *y = core::array::from_fn(|n| finish.value(mults[n], accs[n].wrapping_add(bias[n])));
            }
        }
    }
}
