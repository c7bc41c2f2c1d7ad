//! A layer and the patches in front of it in burn's own operations: what a backend without kernels of ours, a GPU's, runs.
//!
//! A depthwise convolution is a sum over the taps of its kernel: burn's own takes the gradient of a kernel with one convolution
//! a channel.

use burn::tensor::activation::prelu;
use burn::tensor::module::batch_norm_train;
use burn::tensor::ops::PadMode;
use burn::tensor::{Tensor, s};

use super::Convolution;

/// [`super::layer`].
pub(super) fn layer(
    x: Tensor<4>,
    weight: Tensor<4>,
    [gamma, beta, slopes]: [Tensor<1>; 3],
    residual: Option<Tensor<4>>,
    fixed: Option<Tensor<2>>,
    convolution: Convolution,
    epsilon: f64,
) -> (Tensor<4>, Tensor<2>) {
    let z = match convolution {
        Convolution::Dense => dense(x, weight),
        Convolution::Depthwise { stride, pad } => depthwise(x, weight, stride, pad),
    };
    let [b, h, w, c] = z.dims();
    let rows: Tensor<2> = z.reshape([b * h * w, c]);
    let (t, moments) = match fixed {
        Some(moments) => {
            let [mean, variance] = [0, 1].map(|row| moments.clone().slice(s![row..row + 1, ..]));
            let unit = (rows - mean) / variance.add_scalar(epsilon).sqrt();
            (unit * gamma.unsqueeze() + beta.unsqueeze(), moments)
        }
        None => {
            let own = batch_norm_train(rows, gamma, beta, epsilon);
            let moments = Tensor::cat(vec![own.mean.unsqueeze_dim(0), own.variance.unsqueeze_dim(0)], 0);
            (own.output, moments.detach())
        }
    };
    let y = prelu(t, slopes).reshape([b, h, w, c]);
    (residual.into_iter().fold(y, |y, residual| y + residual), moments)
}

/// `x` [b, h, w, ci] by weights [co, ci], whose further sides count as ci.
fn dense(x: Tensor<4>, weight: Tensor<4>) -> Tensor<4> {
    let ([b, h, w, ci], co) = (x.dims(), weight.dims()[0]);
    let weight: Tensor<2> = weight.reshape([co, ci]);
    x.reshape([b * h * w, ci]).matmul(weight.transpose()).reshape([b, h, w, co])
}

/// `x` [b, h, w, c] by kernels [c, 1, kh, kw].
fn depthwise(x: Tensor<4>, weight: Tensor<4>, stride: usize, pad: usize) -> Tensor<4> {
    let ([_, h, w, _], [_, _, kh, kw]) = (x.dims(), weight.dims());
    let kernel = weight.permute([1, 2, 3, 0]);
    if [kh, kw] == [h, w] && pad == 0 {
        return (x * kernel).sum_dim(1).sum_dim(2);
    }
    let x = padded(x, [1, 2], pad);
    let [rows, columns] = [(h, kh), (w, kw)].map(|(size, taps)| (size + 2 * pad - taps) / stride + 1);
    let tap = |i: usize| {
        let (ky, kx) = (i / kw, i % kw);
        let [down, across] = [(ky, rows), (kx, columns)].map(|(from, count)| every(stride, from, count));
        x.clone().slice(s![.., down, across, ..]) * kernel.clone().slice(s![.., ky..ky + 1, kx..kx + 1, ..])
    };
    (1..kh * kw).fold(tap(0), |sum, i| sum + tap(i))
}

/// [`crate::net::patches::patches`].
pub(in crate::net) fn patches(pixels: Tensor<4>) -> Tensor<4> {
    let [b, c, h, w] = pixels.dims();
    let [rows, columns] = [h, w].map(|side| side.div_ceil(2));
    let pixels = padded(pixels, [2, 3], 1);
    let tap = |i: usize| {
        let [down, across] = [(i / 3, rows), (i % 3, columns)].map(|(from, count)| every(2, from, count));
        pixels.clone().slice(s![.., .., down, across])
    };
    let taps: Tensor<5> = Tensor::stack((0..9).map(tap).collect(), 2);
    taps.permute([0, 3, 4, 1, 2]).reshape([b, rows, columns, 9 * c])
}

/// Zeros around two sides of a tensor.
fn padded(x: Tensor<4>, sides: [usize; 2], pad: usize) -> Tensor<4> {
    let pads = [0, 1, 2, 3].map(|side| if sides.contains(&side) { (pad, pad) } else { (0, 0) });
    if pad == 0 { x } else { x.pad(pads, PadMode::Constant(0.0)) }
}

/// `count` places from `from` on, `stride` apart.
fn every(stride: usize, from: usize, count: usize) -> burn::tensor::Slice {
    let end = from + (count - 1) * stride + 1;
    burn::tensor::Slice::new(from as isize, Some(end as isize), stride as isize)
}
