//! Convolution: up to three windows against four outputs at a time, one window against eight.

use core::num::NonZero;

use super::{Finish, dots};
use crate::scalar::{Conv, gather, is_contiguous};
use crate::window::whole;

/// Convolves `x` into `y` as [`Conv::run`] does, with the same scratch.
pub(crate) fn conv(conv: &Conv<'_>, x: &[i8], scratch: &mut [i8], y: &mut [i8]) -> Option<()> {
    let Conv { input, output, window, groups, .. } = *conv;
    let (group_out, width) = (output.channels.checked_div(groups)?, NonZero::new(output.width)?);
    let taps = conv.taps();
    let pixels = output.height * output.width;
    let layer = Layer { conv, finish: Finish::new(conv.bias, &conv.finish) };
    if is_contiguous(input, output, window, groups) {
        let window = |pixel: usize| {
            let (oy, ox) = (pixel / width, pixel % width);
            let first = (oy * window.stride[0] * input.width + ox * window.stride[1]) * input.channels;
            x.get(first..)?.get(..taps)
        };
        let mut pixel = 0;
        while pixel < pixels {
            let y = y.get_mut(pixel * output.channels..)?;
            let first = window(pixel)?;
            pixel += match pixels - pixel {
                1 => outputs(&layer, [first], 0, y, dots::one_by_eight, dots::one_by_one)?,
                2 => {
                    let windows = [first, window(pixel + 1)?];
                    outputs(&layer, windows, 0, y, dots::two_by_four, dots::two_by_one)?
                }
                _ => {
                    let windows = [first, window(pixel + 1)?, window(pixel + 2)?];
                    outputs(&layer, windows, 0, y, dots::three_by_four, dots::three_by_one)?
                }
            };
        }
        return Some(());
    }
    for group in 0..groups {
        let mut pixel = 0;
        while pixel < pixels {
            let y = y.get_mut(pixel * output.channels..)?;
            let (a, b) = scratch.get_mut(..2 * taps)?.split_at_mut_checked(taps)?;
            windows(conv, x, [pixel / width, pixel % width], group, a)?;
            pixel += if pixel + 1 < pixels {
                windows(conv, x, [(pixel + 1) / width, (pixel + 1) % width], group, b)?;
                outputs(&layer, [a, b], group * group_out, y, dots::two_by_four, dots::two_by_one)?
            } else {
                outputs(&layer, [a], group * group_out, y, dots::one_by_eight, dots::one_by_one)?
            };
        }
    }
    Some(())
}

/// Copies the window of the pixel at `at`, as much as a group sees of it.
fn windows(conv: &Conv<'_>, x: &[i8], at: [usize; 2], group: usize, into: &mut [i8]) -> Option<()> {
    let Conv { input, window, groups, .. } = *conv;
    let Some(first) = whole(conv, at) else {
        let inner = input.channels.checked_div(groups)?;
        return gather(conv, x, at, group * inner, inner, into);
    };
    // Each row of it is one run of bytes.
    let rows = x.get(first..)?.chunks((input.width * input.channels).max(1));
    for (into, row) in into.chunks_exact_mut((window.kernel[1] * input.channels).max(1)).zip(rows) {
        into.iter_mut().zip(row).for_each(|(into, &value)| *into = value);
    }
    Some(())
}

/// The outputs of a group, of which `first` is the first, for `P` windows, `N` at a time by `many` and the rest by `one`; `y` begins
/// with the first window's pixel. Says how many windows that were.
#[inline(always)]
fn outputs<const P: usize, const N: usize>(
    layer: &Layer<'_>,
    windows: [&[i8]; P],
    first: usize,
    y: &mut [i8],
    many: impl Fn([&[i8]; P], &[i8], usize) -> Option<[[i32; N]; P]>,
    one: impl Fn([&[i8]; P], &[i8], usize) -> Option<[[i32; 1]; P]>,
) -> Option<usize> {
    let (conv, taps) = (layer.conv, layer.conv.taps());
    let end = first + conv.output.channels.checked_div(conv.groups)?;
    let mut output = first;
    while end - output >= N {
        layer.store(many(windows, conv.weights.get(output * taps..)?, taps)?, output, y)?;
        output += N;
    }
    while output < end {
        layer.store(one(windows, conv.weights.get(output * taps..)?, taps)?, output, y)?;
        output += 1;
    }
    Some(P)
}

/// A convolution and its constants.
struct Layer<'a> {
    conv: &'a Conv<'a>,
    finish: Option<Finish<'a>>,
}

impl Layer<'_> {
    /// Writes `N` outputs, from `output` on, of `P` pixels, the first of which begins `y`.
    #[inline(always)]
    fn store<const P: usize, const N: usize>(
        &self,
        accs: [[i32; N]; P],
        output: usize,
        y: &mut [i8],
    ) -> Option<()> {
        let conv = self.conv;
        let channels = conv.output.channels.max(1);
        let Some(finish) = &self.finish else {
            let mut bias = [0; N];
            bias.iter_mut().zip(conv.bias.part(output, N).integers()).for_each(|(to, bias)| *to = bias);
            for (p, accs) in accs.iter().enumerate() {
                let accs: [i32; N] = core::array::from_fn(|n| accs[n].wrapping_add(bias[n]));
                conv.finish.store(output, &accs, y.get_mut(p * channels + output..)?.get_mut(..N)?);
            }
            return Some(());
        };
        let bias = finish.bias.get(output..)?.first_chunk::<N>()?;
        let mults = finish.mults.get(output..)?.first_chunk::<N>()?;
        for (accs, y) in accs.into_iter().zip(y.chunks_exact_mut(channels)) {
            let y = y.get_mut(output..)?.first_chunk_mut::<N>()?;
            *y = core::array::from_fn(|n| finish.value(mults[n], accs[n].wrapping_add(bias[n])));
        }
        Some(())
    }
}
