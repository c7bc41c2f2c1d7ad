//! Depthwise convolution, channels last: each output is a sum over taps of whole rows of channels, which compilers vectorize.
//!
//! An image [h, w, c] and a kernel [kh, kw, c] are slices; what follows works on one image on one thread.

use std::ops::Range;

/// How a kernel slides over a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slide {
    /// Rows and columns of the input.
    pub(super) input: [usize; 2],
    /// Rows and columns of the kernel.
    pub(super) kernel: [usize; 2],
    /// Steps of the kernel, down and across.
    pub(super) stride: usize,
    /// Zeros on every side.
    pub(super) pad: usize,
}

impl Slide {
    /// Rows and columns of the output.
    pub(super) fn output(self) -> [usize; 2] {
        [0, 1].map(|i| (self.input[i] + 2 * self.pad - self.kernel[i]) / self.stride + 1)
    }

    /// Along one axis: the tap of the kernel and the input that it meets, for an output.
    #[inline(always)]
    fn under(self, axis: usize, output: usize) -> impl Iterator<Item = (usize, usize)> {
        let (corner, size) = (output * self.stride, self.input[axis]);
        let from = self.pad.saturating_sub(corner);
        let to = self.kernel[axis].min((size + self.pad).saturating_sub(corner));
        (from..to).map(move |tap| (tap, corner + tap - self.pad))
    }

    /// Along one axis: the tap of the kernel and the output that it feeds, for an input.
    #[inline(always)]
    fn over(self, axis: usize, input: usize) -> impl Iterator<Item = (usize, usize)> {
        let (at, outputs, stride) = (input + self.pad, self.output()[axis], self.stride);
        (0..self.kernel[axis]).filter_map(move |tap| {
            let corner = at.checked_sub(tap)?;
            (corner % stride == 0 && corner / stride < outputs).then(|| (tap, corner / stride))
        })
    }
}

/// Lanes that are summed at once.
const LANES: usize = 16;

/// `out[i]` becomes the sum over taps of `a[tap.0 + i] * b[tap.1 + i]`.
#[inline(always)]
fn gather(out: &mut [f32], a: &[f32], b: &[f32], taps: &[[usize; 2]]) {
    let mut blocks = out.chunks_exact_mut(LANES);
    let mut at = 0;
    for block in blocks.by_ref() {
        let mut sums = [0.0f32; LANES];
        for &[p, q] in taps {
            let (a, b) = (&a[p + at..][..LANES], &b[q + at..][..LANES]);
            for lane in 0..LANES {
                sums[lane] += a[lane] * b[lane];
            }
        }
        block.copy_from_slice(&sums);
        at += LANES;
    }
    for out in blocks.into_remainder() {
        *out = taps.iter().map(|&[p, q]| a[p + at] * b[q + at]).sum();
        at += 1;
    }
}

/// `to[i] += a[i] * b[i]`.
#[inline(always)]
fn add_product(to: &mut [f32], a: &[f32], b: &[f32]) {
    let n = to.len();
    let (a, b) = (&a[..n], &b[..n]);
    for i in 0..n {
        to[i] += a[i] * b[i];
    }
}

/// Rows `rows` of the output for an image `x`.
#[inline(always)]
pub(super) fn forward(slide: Slide, x: &[f32], kernel: &[f32], rows: Range<usize>, out: &mut [f32]) {
    let ([_, columns], channels) = (slide.output(), kernel.len() / (slide.kernel[0] * slide.kernel[1]));
    let mut taps = Vec::new();
    for (at, out) in out.chunks_exact_mut(channels).enumerate() {
        taps.clear();
        for (ky, y) in slide.under(0, rows.start + at / columns) {
            for (kx, x) in slide.under(1, at % columns) {
                taps.push([(y * slide.input[1] + x) * channels, (ky * slide.kernel[1] + kx) * channels]);
            }
        }
        gather(out, x, kernel, &taps);
    }
}

/// The gradient of an image from the output's gradient.
#[inline(always)]
pub(super) fn to_input(slide: Slide, grad: &[f32], kernel: &[f32], out: &mut [f32]) {
    let ([_, columns], channels) = (slide.output(), kernel.len() / (slide.kernel[0] * slide.kernel[1]));
    let mut taps = Vec::new();
    for (at, out) in out.chunks_exact_mut(channels).enumerate() {
        taps.clear();
        for (ky, y) in slide.over(0, at / slide.input[1]) {
            for (kx, x) in slide.over(1, at % slide.input[1]) {
                taps.push([(y * columns + x) * channels, (ky * slide.kernel[1] + kx) * channels]);
            }
        }
        gather(out, grad, kernel, &taps);
    }
}

/// Adds to `kernel` its gradient from one image and its output's gradient.
#[inline(always)]
pub(super) fn to_kernel(slide: Slide, grad: &[f32], x: &[f32], kernel: &mut [f32]) {
    let ([_, columns], channels) = (slide.output(), kernel.len() / (slide.kernel[0] * slide.kernel[1]));
    for (at, grad) in grad.chunks_exact(channels).enumerate() {
        for (ky, y) in slide.under(0, at / columns) {
            for (kx, column) in slide.under(1, at % columns) {
                let sums = &mut kernel[(ky * slide.kernel[1] + kx) * channels..][..channels];
                add_product(sums, &x[(y * slide.input[1] + column) * channels..][..channels], grad);
            }
        }
    }
}
