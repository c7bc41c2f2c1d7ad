//! The windows of a convolution for kernels that work with packed weights.

use super::scalar::{Conv, inside};

/// The place, row and column, of the pixel behind one.
#[inline(always)]
pub fn following([row, column]: [usize; 2], width: usize) -> [usize; 2] {
    if column + 1 < width { [row, column + 1] } else { [row + 1, 0] }
}

/// Where in the input the window of the output pixel at `at` begins, if all of it lies there and has all channels.
#[inline(always)]
pub fn whole(conv: &Conv<'_>, at: [usize; 2]) -> Option<usize> {
    let Conv { input, window, groups, .. } = *conv;
    let first = |axis: usize| (at[axis] * window.stride[axis]).wrapping_sub(window.pad[axis]);
    let (row, column) = (first(0), first(1));
    let fits = |first: usize, taps: usize, size: usize| first < size && taps <= size - first;
    let fits = groups == 1
        && fits(row, window.kernel[0], input.height)
        && fits(column, window.kernel[1], input.width);
    fits.then(|| (row * input.width + column) * input.channels)
}

/// Copies one group's window of one output pixel, with the zero point outside the input.
///
/// `copy_rows(from, into, bytes, count, steps)` copies `count` runs of `bytes` bytes, each `steps` bytes behind the one before: in what
/// it reads, and in what it writes. `None` where a slice is too short.
#[inline(always)]
pub fn gather(
    conv: &Conv<'_>,
    x: &[i8],
    at: [usize; 2],
    group: usize,
    into: &mut [i8],
    copy_rows: impl Fn(&[i8], &mut [i8], usize, usize, [usize; 2]),
) -> Option<()> {
    let Conv { input, window, groups, .. } = *conv;
    let inputs = input.channels.checked_div(groups)?;
    let (rows, columns) = (inside(at[0], window, 0, input.height), inside(at[1], window, 1, input.width));
    if [rows.len(), columns.len()] != window.kernel {
        into.fill(conv.input_zero);
    }
    if rows.is_empty() || columns.is_empty() {
        return Some(());
    }
    let iy = at[0] * window.stride[0] + rows.start - window.pad[0];
    let ix = at[1] * window.stride[1] + columns.start - window.pad[1];
    let x = x.get((iy * input.width + ix) * input.channels..)?;
    let row = window.kernel[1] * inputs;
    let into = into.get_mut(rows.start * row + columns.start * inputs..)?;
    let x_row = input.width * input.channels;
    if groups == 1 {
        copy_rows(x, into, columns.len() * inputs, rows.len(), [x_row, row]);
        return Some(());
    }
    for ky in 0..rows.len() {
        let x = x.get(ky * x_row + group * inputs..)?;
        copy_rows(x, into.get_mut(ky * row..)?, inputs, columns.len(), [input.channels, inputs]);
    }
    Some(())
}
