//! Operations that move values without computing new ones: the greatest of a window, repeated pixels, channels side by side.

use core::num::NonZero;

use crate::{Shape, Window};

/// The greatest value of each window, channel by channel. What lies outside the input is in no window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxPool {
    /// Shape of the input.
    pub input: Shape,
    /// Shape of the output: as many channels, and every window touches the input.
    pub output: Shape,
    /// How the window slides.
    pub window: Window,
}

impl MaxPool {
    /// Values that are looked at, at most.
    pub fn comparisons(&self) -> u64 {
        let [rows, columns] = self.window.kernel.map(|k| k as u64);
        (self.output.bytes() as u64).saturating_mul(rows * columns)
    }

    /// From `x` (the input's shape) to `y` (the output's). `None` where `x` is shorter than its shape says.
    pub fn run(&self, x: &[i8], y: &mut [i8]) -> Option<()> {
        let (channels, width) = (self.input.channels, NonZero::new(self.output.width)?);
        let pixels = y.chunks_exact_mut(channels.max(1));
        for (at, greatest) in pixels.enumerate() {
            let [rows, columns] = [at / width, at % width];
            greatest.fill(i8::MIN);
            for row in self.seen(0, rows, self.input.height) {
                for column in self.seen(1, columns, self.input.width) {
                    let pixel = (row * self.input.width + column) * channels;
                    for (most, &value) in greatest.iter_mut().zip(x.get(pixel..)?) {
                        *most = (*most).max(value);
                    }
                }
            }
        }
        Some(())
    }

    /// The rows (axis 0) or columns (axis 1) of the input, `size` in all, that the window of an output's row or column covers.
    fn seen(&self, axis: usize, output: usize, size: usize) -> core::ops::Range<usize> {
        let Window { kernel, stride, pad } = self.window;
        let first = output * stride[axis];
        first.saturating_sub(pad[axis])..(first + kernel[axis]).saturating_sub(pad[axis]).min(size)
    }
}

/// Every pixel of `x` as a block of `output / input` rows and columns of `y`. `None` where a side is 0 or `x` is too short.
pub fn upsample(input: Shape, output: Shape, x: &[i8], y: &mut [i8]) -> Option<()> {
    let channels = input.channels.max(1);
    let [down, right] = [output.height.checked_div(input.height)?, output.width.checked_div(input.width)?]
        .map(|by| by.max(1));
    for (row, pixels) in y.chunks_exact_mut((output.width * channels).max(1)).enumerate() {
        // Zipped, chunks would be counted first, by divisions.
        let mut source = x.get(row / down * input.width * channels..)?.chunks_exact(channels);
        for block in pixels.chunks_exact_mut((right * channels).max(1)) {
            let pixel = source.next()?;
            for y in block.chunks_exact_mut(channels) {
                y.iter_mut().zip(pixel).for_each(|(y, &x)| *y = x);
            }
        }
    }
    Some(())
}

/// The channels of `x`, each value through a table of 256, as the channels of `y` from `first` on.
///
/// `x` has `channels` of them and `y` has `of`; both have as many pixels.
pub fn place(table: &[i8], first: usize, channels: usize, of: usize, x: &[i8], y: &mut [i8]) {
    let Some((table, _)) = table.split_first_chunk::<256>() else { return };
    let mut pixels = y.chunks_exact_mut(of.max(1));
    for values in x.chunks_exact(channels.max(1)) {
        let Some(pixel) = pixels.next() else { return };
        for (y, &x) in pixel.iter_mut().skip(first).zip(values) {
            *y = table[x as u8 as usize];
        }
    }
}
