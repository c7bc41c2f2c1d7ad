//! Depthwise convolution as a burn backend extension: on the CPU several times faster, forward and backward, than burn's
//! grouped convolution, which is laid out for few groups.
//!
//! Planes are small (a few thousand values), so each tap of the kernel is one pass over a plane that stays in the first
//! cache, and every pass is a multiply-add of contiguous values that compilers vectorize. Work is split over planes
//! (backward to the weights: over channels), never within a sum, so results do not depend on the number of threads.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::autodiff::{Autodiff, NodeId};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::Tensor;
use burn_flex::FlexTensor;
use rayon::prelude::*;

use super::flex::{contiguous, shape4, sum, tensor, values, widest};

/// Planes that one rayon task takes at least.
const PLANES_PER_TASK: usize = 8;

/// What a backend needs for [`depthwise`]; all tensors f32, kernels square.
#[backend_extension(Flex, Autodiff)]
pub trait DepthwiseOps: burn::backend::Backend {
    /// `x` [b, c, h, w] with `weight` [c, 1, k, k].
    fn depthwise(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        stride: usize,
        pad: usize,
    ) -> FloatTensor<Self>;
}

/// What a backend needs for the gradients of [`depthwise`].
pub trait DepthwiseGradients: burn::backend::Backend {
    /// The gradient with respect to `x` of height `h` and width `w`, from the output's gradient.
    fn depthwise_to_input(
        grad: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        h: usize,
        w: usize,
        stride: usize,
        pad: usize,
    ) -> FloatTensor<Self>;
    /// The gradient with respect to the weights of side `k`, from the output's gradient.
    fn depthwise_to_weight(
        grad: FloatTensor<Self>,
        x: FloatTensor<Self>,
        k: usize,
        stride: usize,
        pad: usize,
    ) -> FloatTensor<Self>;
}

/// Convolves each channel of `x` [b, c, h, w] with its own square kernel of `weight` [c, 1, k, k]; `pad` zeros on every
/// side. The output is `(side + 2 * pad - k) / stride + 1` on each side.
pub fn depthwise(x: Tensor<4>, weight: Tensor<4>, stride: usize, pad: usize) -> Tensor<4> {
    Tensor::from_dispatch(Dispatch::depthwise(x.into_dispatch(), weight.into_dispatch(), stride, pad))
}

/// How a kernel slides over a plane, and the plane with its padding as one run of values.
///
/// In the padded plane, `pitch` values a row, the value under a tap of the kernel lies a fixed distance behind the window's
/// corner. So a tap is one multiply-add over a long run that goes on across the ends of rows; what it computes there is
/// never read.
#[derive(Clone, Copy)]
struct Slide {
    h: usize,
    w: usize,
    k: usize,
    stride: usize,
    pad: usize,
    /// Output rows and columns.
    rows: usize,
    columns: usize,
    /// Values of a row of the padded plane.
    pitch: usize,
}

impl Slide {
    fn new([h, w]: [usize; 2], k: usize, stride: usize, pad: usize) -> Self {
        let output = |input: usize| (input + 2 * pad - k) / stride + 1;
        Slide { h, w, k, stride, pad, rows: output(h), columns: output(w), pitch: w + 2 * pad }
    }

    /// Values of the padded plane.
    fn padded(self) -> usize {
        (self.h + 2 * self.pad) * self.pitch
    }

    /// Outputs of a plane.
    fn outputs(self) -> usize {
        self.rows * self.columns
    }

    /// How far behind the window's corner each tap lies.
    fn taps(self) -> impl Iterator<Item = usize> {
        (0..self.k).flat_map(move |ky| (0..self.k).map(move |kx| ky * self.pitch + kx))
    }

    /// Runs of window corners: all of them at stride 1, otherwise one run a row of outputs.
    fn runs(self) -> impl Iterator<Item = std::ops::Range<usize>> {
        let width = (self.columns - 1) * self.stride + 1;
        let (count, step) = if self.stride == 1 { (1, 0) } else { (self.rows, self.stride * self.pitch) };
        let len = if self.stride == 1 { (self.rows - 1) * self.pitch + width } else { width };
        (0..count).map(move |run| run * step..run * step + len)
    }

    /// Copies a plane into its place in a padded one, whose border stays as it is.
    fn pad_into(self, plane: &[f32], padded: &mut [f32]) {
        for (y, line) in plane.chunks_exact(self.w).enumerate() {
            padded[(y + self.pad) * self.pitch + self.pad..][..self.w].copy_from_slice(line);
        }
    }

    /// The window corner of each output.
    fn corners(self) -> impl Iterator<Item = usize> {
        let corner = move |y: usize, x: usize| (y * self.pitch + x) * self.stride;
        (0..self.rows).flat_map(move |y| (0..self.columns).map(move |x| corner(y, x)))
    }

    /// Puts each output's gradient at its window's corner; the values between corners stay as they are.
    fn spread(self, grads: &[f32], corners: &mut [f32]) {
        for (corner, &grad) in self.corners().zip(grads) {
            corners[corner] = grad;
        }
    }
}

/// `to[i] += q * from[i]`.
#[inline(always)]
fn add_times(to: &mut [f32], from: &[f32], q: f32) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to += q * from);
}

/// The sum of `a[i] * b[i]`.
#[inline(always)]
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let b = &b[..a.len()];
    sum(a.len(), |i| a[i] * b[i])
}

impl DepthwiseOps for Flex {
    fn depthwise(x: FlexTensor, weight: FlexTensor, stride: usize, pad: usize) -> FlexTensor {
        let (x, weight) = (contiguous(x), contiguous(weight));
        let ([b, c, h, w], [.., k]) = (shape4(&x), shape4(&weight));
        let slide = Slide::new([h, w], k, stride, pad);
        let (xs, ws) = (values(&x), values(&weight));
        let mut out = vec![0.0; b * c * slide.outputs()];
        let planes = out.par_chunks_mut(slide.outputs()).enumerate().with_min_len(PLANES_PER_TASK);
        let scratch = || (vec![0.0; slide.padded()], vec![0.0; slide.padded()]);
        planes.for_each_init(scratch, |(padded, sums), (i, plane)| {
            slide.pad_into(&xs[i * h * w..][..h * w], padded);
            let weights = &ws[i % c * k * k..][..k * k];
            widest(|| {
                for run in slide.runs() {
                    let sums = &mut sums[run.clone()];
                    sums.fill(0.0);
                    for (tap, &q) in slide.taps().zip(weights) {
                        add_times(sums, &padded[run.start + tap..][..sums.len()], q);
                    }
                }
            });
            plane.iter_mut().zip(slide.corners()).for_each(|(out, corner)| *out = sums[corner]);
        });
        tensor(out, [b, c, slide.rows, slide.columns])
    }
}

impl DepthwiseGradients for Flex {
    fn depthwise_to_input(
        grad: FlexTensor,
        weight: FlexTensor,
        h: usize,
        w: usize,
        stride: usize,
        pad: usize,
    ) -> FlexTensor {
        let (grad, weight) = (contiguous(grad), contiguous(weight));
        let ([b, c, ..], [.., k]) = (shape4(&grad), shape4(&weight));
        let slide = Slide::new([h, w], k, stride, pad);
        let (gs, ws) = (values(&grad), values(&weight));
        let mut out = vec![0.0; b * c * h * w];
        let planes = out.par_chunks_mut(h * w).enumerate().with_min_len(PLANES_PER_TASK);
        let scratch = || (vec![0.0; slide.padded()], vec![0.0; slide.padded()]);
        planes.for_each_init(scratch, |(corners, padded), (i, plane)| {
            slide.spread(&gs[i * slide.outputs()..][..slide.outputs()], corners);
            padded.fill(0.0);
            let weights = &ws[i % c * k * k..][..k * k];
            widest(|| {
                for run in slide.runs() {
                    let corners = &corners[run.clone()];
                    for (tap, &q) in slide.taps().zip(weights) {
                        add_times(&mut padded[run.start + tap..][..corners.len()], corners, q);
                    }
                }
            });
            for (y, line) in plane.chunks_exact_mut(w).enumerate() {
                line.copy_from_slice(&padded[(y + pad) * slide.pitch + pad..][..w]);
            }
        });
        tensor(out, [b, c, h, w])
    }

    fn depthwise_to_weight(
        grad: FlexTensor,
        x: FlexTensor,
        k: usize,
        stride: usize,
        pad: usize,
    ) -> FlexTensor {
        let (grad, x) = (contiguous(grad), contiguous(x));
        let [b, c, h, w] = shape4(&x);
        let slide = Slide::new([h, w], k, stride, pad);
        let (gs, xs) = (values(&grad), values(&x));
        let mut out = vec![0.0; c * k * k];
        let scratch = || (vec![0.0; slide.padded()], vec![0.0; slide.padded()]);
        out.par_chunks_mut(k * k).enumerate().for_each_init(scratch, |(corners, padded), (channel, taps)| {
            for image in 0..b {
                let i = image * c + channel;
                slide.spread(&gs[i * slide.outputs()..][..slide.outputs()], corners);
                slide.pad_into(&xs[i * h * w..][..h * w], padded);
                widest(|| {
                    for run in slide.runs() {
                        let corners = &corners[run.clone()];
                        for (sum, tap) in taps.iter_mut().zip(slide.taps()) {
                            *sum += dot(corners, &padded[run.start + tap..]);
                        }
                    }
                });
            }
        });
        tensor(out, [c, 1, k, k])
    }
}

#[derive(Debug)]
struct DepthwiseBackward;

impl<B: DepthwiseGradients> Backward<B, 2> for DepthwiseBackward {
    /// The nodes of input and weight, stride, pad.
    type State = (NodeId, NodeId, usize, usize);

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
        let [x_node, weight_node] = ops.parents;
        let grad = grads.consume::<B>(&ops.node);
        let (x, weight, stride, pad) = ops.state;
        let x: FloatTensor<B> = checkpointer.retrieve_node_output(x);
        let weight: FloatTensor<B> = checkpointer.retrieve_node_output(weight);
        let ([.., h, w], [.., k]): ([usize; 4], [usize; 4]) = (x.shape().dims(), weight.shape().dims());
        if let Some(node) = weight_node {
            grads.register::<B>(node.id, B::depthwise_to_weight(grad.clone(), x, k, stride, pad));
        }
        if let Some(node) = x_node {
            grads.register::<B>(node.id, B::depthwise_to_input(grad, weight, h, w, stride, pad));
        }
    }
}

impl<B: DepthwiseOps + DepthwiseGradients, C: CheckpointStrategy> DepthwiseOps for Autodiff<B, C> {
    fn depthwise(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        stride: usize,
        pad: usize,
    ) -> FloatTensor<Self> {
        match DepthwiseBackward.prepare::<C>([x.node(), weight.node()]).compute_bound().stateful() {
            OpsKind::Tracked(mut prep) => {
                let state = (prep.checkpoint(&x), prep.checkpoint(&weight), stride, pad);
                prep.finish(state, B::depthwise(x.into_primitive(), weight.into_primitive(), stride, pad))
            }
            OpsKind::UnTracked(prep) => {
                prep.finish(B::depthwise(x.into_primitive(), weight.into_primitive(), stride, pad))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::module::conv2d;
    use burn::tensor::ops::ConvOptions;
    use burn::tensor::{Device, Distribution, TensorData, Tolerance};

    use super::*;

    #[test]
    fn output_and_both_gradients_equal_the_grouped_convolution() {
        let device = Device::flex().autodiff();
        device.seed(3);
        for (c, h, w, k, stride, pad) in [
            (3, 12, 9, 3, 1, 1),
            (4, 11, 8, 3, 2, 1),
            (2, 6, 10, 3, 2, 0),
            (5, 5, 5, 5, 1, 2),
            (2, 3, 3, 3, 1, 0),
        ] {
            let x = Tensor::<4>::random([2, c, h, w], Distribution::Normal(0.0, 1.0), &device).require_grad();
            let q = Tensor::<4>::random([c, 1, k, k], Distribution::Normal(0.0, 1.0), &device).require_grad();
            let ours = depthwise(x.clone(), q.clone(), stride, pad);
            let options = ConvOptions::new([stride; 2], [pad; 2], [1; 2], c);
            let theirs = conv2d(x.clone(), q.clone(), None, options);
            let same =
                |a: TensorData, b: TensorData| a.assert_approx_eq::<f32>(&b, Tolerance::rel_abs(1e-4, 1e-4));
            same(ours.to_data(), theirs.to_data());
            // Weighted by itself, so that every output has another gradient.
            let (a, b) = ((ours.clone() * ours).sum().backward(), (theirs.clone() * theirs).sum().backward());
            same(x.grad(&a).unwrap().into_data(), x.grad(&b).unwrap().into_data());
            same(q.grad(&a).unwrap().into_data(), q.grad(&b).unwrap().into_data());
        }
    }
}
