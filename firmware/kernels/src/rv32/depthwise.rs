//! Depthwise convolution: 3x3 along rows with a channel's nine weights in registers, everything else four channels at a time.

use core::ops::Range;

use super::Finish;
use super::dots::three;
use crate::scalar::{Depthwise, inside};

/// Channels at a time where the weights do not stay in registers.
const CHANNELS: usize = 4;

/// Convolves `x` into `y` as [`Depthwise::run`] does.
pub(crate) fn depthwise(depthwise: &Depthwise<'_>, x: &[i8], y: &mut [i8]) -> Option<()> {
    let Depthwise { input, output, window, .. } = *depthwise;
    let channels = input.channels;
    let finish = Finish::new(depthwise.bias, &depthwise.finish);
    for (oy, y) in y.chunks_exact_mut((output.width * channels).max(1)).enumerate() {
        let whole = match finish {
            Some(finish) if window.kernel == [3, 3] => {
                let whole = whole_columns(depthwise);
                if !whole.is_empty() {
                    row_3x3(depthwise, finish, x, oy, whole.clone(), y)?;
                }
                whole
            }
            _ => 0..0,
        };
        for ox in (0..output.width).filter(|ox| !whole.contains(ox)) {
            let y = y.get_mut(ox * channels..)?.get_mut(..channels)?;
            pixel(depthwise, finish, x, [oy, ox], y)?;
        }
    }
    Some(())
}

/// The columns of the output whose windows do not reach beyond the left or the right edge.
pub(crate) fn whole_columns(depthwise: &Depthwise<'_>) -> Range<usize> {
    let Depthwise { input, output, window, .. } = *depthwise;
    let stride = window.stride[1].max(1);
    let first = window.pad[1].div_ceil(stride);
    let end = match (input.width + window.pad[1]).checked_sub(window.kernel[1]) {
        Some(last) => last / stride + 1,
        None => 0,
    };
    first..end.min(output.width)
}

/// What the windows of `columns`, not none, of output row `oy` see of the input's rows, and whether these are in the input: outside,
/// weights are 0 and values are those of another row. `None` where the input is shorter than its shape says.
pub(crate) fn three_rows<'x>(
    depthwise: &Depthwise<'_>,
    x: &'x [i8],
    oy: usize,
    columns: &Range<usize>,
) -> Option<[(bool, &'x [i8]); 3]> {
    let Depthwise { input, window, .. } = *depthwise;
    let first_column = columns.start * window.stride[1] - window.pad[1];
    let pixels = (columns.len() - 1) * window.stride[1] + 3;
    let mut rows = [(false, &[][..]); 3];
    for (ky, row) in rows.iter_mut().enumerate() {
        let iy = (oy * window.stride[0] + ky).wrapping_sub(window.pad[0]);
        let inside = iy < input.height;
        let first = if inside { iy } else { 0 } * input.width + first_column;
        *row = (inside, x.get(first * input.channels..)?.get(..pixels * input.channels)?);
    }
    Some(rows)
}

/// Columns `columns`, not none, of row `oy`, which is `y`.
#[inline(never)]
fn row_3x3(
    depthwise: &Depthwise<'_>,
    finish: Finish<'_>,
    x: &[i8],
    oy: usize,
    columns: Range<usize>,
    y: &mut [i8],
) -> Option<()> {
    let Depthwise { input, window, .. } = *depthwise;
    let channels = input.channels;
    let rows = three_rows(depthwise, x, oy, &columns)?;
    let step = window.stride[1] * channels;
    for channel in 0..channels {
        let mut w = [[0; 3]; 3];
        let mut sum = 0;
        let mut weights = depthwise.weights.get(channel..)?.iter().step_by(channels);
        for (w, (inside, _)) in w.iter_mut().zip(rows) {
            for (to, &weight) in w.iter_mut().zip(&mut weights).filter(|_| inside) {
                *to = weight as i32;
                sum += *to;
            }
        }
        let start = finish.bias.get(channel)?.wrapping_sub(sum * depthwise.input_zero as i32);
        let mult = *finish.mults.get(channel)?;
        let [mut a, mut b, mut c] = rows.map(|(_, row)| row.as_ptr().wrapping_add(channel));
        let y = y.get_mut(columns.start * channels + channel..)?;
        for y in y.iter_mut().step_by(channels).take(columns.len()) {
            // SAFETY: the windows of all columns lie within the three rows.
            let acc = unsafe {
                three(three(three(start, a, channels, w[0]), b, channels, w[1]), c, channels, w[2])
            };
            *y = finish.value(mult, acc);
            [a, b, c] = [a, b, c].map(|row| row.wrapping_add(step));
        }
    }
    Some(())
}

/// One pixel `y`, whatever the kernel and however much of its window lies outside.
#[inline(never)]
fn pixel(
    depthwise: &Depthwise<'_>,
    finish: Option<Finish<'_>>,
    x: &[i8],
    [oy, ox]: [usize; 2],
    y: &mut [i8],
) -> Option<()> {
    let Depthwise { input, window, .. } = *depthwise;
    let rows = inside(oy, window, 0, input.height);
    let columns = inside(ox, window, 1, input.width);
    let (blocks, rest) = y.as_chunks_mut::<CHANNELS>();
    let mut first = 0;
    for y in blocks {
        let accs = sums::<CHANNELS>(depthwise, x, [oy, ox], [&rows, &columns], first)?;
        store(depthwise, finish, first, accs, y)?;
        first += CHANNELS;
    }
    for y in rest.as_chunks_mut::<1>().0 {
        let accs = sums::<1>(depthwise, x, [oy, ox], [&rows, &columns], first)?;
        store(depthwise, finish, first, accs, y)?;
        first += 1;
    }
    Some(())
}

/// The sums of `N` channels over the taps `rows` and `columns`, without the bias.
#[inline(always)]
fn sums<const N: usize>(
    depthwise: &Depthwise<'_>,
    x: &[i8],
    [oy, ox]: [usize; 2],
    [rows, columns]: [&Range<usize>; 2],
    first: usize,
) -> Option<[i32; N]> {
    let Depthwise { input, window, .. } = *depthwise;
    let channels = input.channels.max(1);
    let zero = depthwise.input_zero as i32;
    let mut accs = [0i32; N];
    for ky in rows.clone() {
        let iy = oy * window.stride[0] + ky - window.pad[0];
        let ix = ox * window.stride[1] + columns.start - window.pad[1];
        let x = x.get((iy * input.width + ix) * channels + first..)?.chunks(channels);
        // Zipped, chunks would be counted first, by divisions.
        let w = (ky * window.kernel[1] + columns.start) * channels + first;
        let mut w = depthwise.weights.get(w..)?.chunks(channels);
        for x in x.take(columns.len()) {
            let (x, w) = (x.first_chunk::<N>()?, w.next()?.first_chunk::<N>()?);
            for n in 0..N {
                accs[n] += (x[n] as i32 - zero) * w[n] as i32;
            }
        }
    }
    Some(accs)
}

/// The outputs of channels `first..`.
#[inline(always)]
fn store<const N: usize>(
    depthwise: &Depthwise<'_>,
    finish: Option<Finish<'_>>,
    first: usize,
    mut accs: [i32; N],
    y: &mut [i8; N],
) -> Option<()> {
    match finish {
        Some(finish) => {
            let bias = finish.bias.get(first..)?.first_chunk::<N>()?;
            let mults = finish.mults.get(first..)?.first_chunk::<N>()?;
            for n in 0..N {
                y[n] = finish.value(mults[n], accs[n].wrapping_add(bias[n]));
            }
        }
        None => {
            for (acc, bias) in accs.iter_mut().zip(depthwise.bias.part(first, N).integers()) {
                *acc = acc.wrapping_add(bias);
            }
            depthwise.finish.store(first, &accs, y);
        }
    }
    Some(())
}
