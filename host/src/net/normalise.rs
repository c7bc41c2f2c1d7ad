//! Batch normalisation in training, with the rectifier behind it, as a burn backend extension: one pass over the values
//! where tensor operations take a dozen and transpose between them.
//!
//! `y = gamma * (x - mean) / sqrt(variance + epsilon) + beta` with the batch's own biased moments (Ioffe and Szegedy, 2015),
//! then `max(0, y)` if asked for. Work is split over channels or planes and never within a sum, so results do not depend on
//! the number of threads.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::autodiff::{Autodiff, NodeId};
use burn::backend::tensor::FloatTensor;
use burn::backend::{AutodiffBackend, Dispatch, Flex, backend_extension};
use burn::tensor::{Shape, Slice, Tensor};
use burn_flex::FlexTensor;
use rayon::prelude::*;

use super::flex::{contiguous, shape4, sum, tensor, values, widest};

/// Planes that one rayon task takes at least.
const PLANES_PER_TASK: usize = 8;

/// What a backend needs for [`normalise`]; all tensors f32. `x` and gradients are [b, c, h, w], `gamma` and `beta` [c],
/// moments (mean, biased variance) and sums [2, c].
#[backend_extension(Flex, Autodiff)]
pub trait NormaliseOps: burn::backend::Backend {
    /// Mean and biased variance of each channel.
    fn moments(x: FloatTensor<Self>) -> FloatTensor<Self>;
    /// The output.
    fn normalise(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        moments: FloatTensor<Self>,
        epsilon: f64,
        rectify: bool,
    ) -> FloatTensor<Self>;
}

/// What a backend needs for the gradients of [`normalise`].
pub trait NormaliseGradients: burn::backend::Backend {
    /// The gradients of gamma and beta, one row each, from the output's gradient.
    fn normalise_to_affine(
        grad: FloatTensor<Self>,
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        moments: FloatTensor<Self>,
        epsilon: f64,
        rectify: bool,
    ) -> FloatTensor<Self>;
    /// The gradient of `x`, through the moments too; `sums` is what [`NormaliseGradients::normalise_to_affine`] gave.
    #[expect(clippy::too_many_arguments, reason = "the operands of the derivative")]
    fn normalise_to_input(
        grad: FloatTensor<Self>,
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        moments: FloatTensor<Self>,
        sums: FloatTensor<Self>,
        epsilon: f64,
        rectify: bool,
    ) -> FloatTensor<Self>;
}

/// Normalises `x` [b, c, h, w] by its own moments; returns the output, and the moments [2, c] for the running statistics.
pub fn normalise(
    x: Tensor<4>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    epsilon: f64,
    rectify: bool,
) -> (Tensor<4>, Tensor<2>) {
    let moments = Dispatch::moments(x.clone().into_dispatch());
    let (gamma, beta) = (gamma.into_dispatch(), beta.into_dispatch());
    let y = Dispatch::normalise(x.into_dispatch(), gamma, beta, moments.clone(), epsilon, rectify);
    (Tensor::from_dispatch(y), Tensor::from_dispatch(moments))
}

/// One channel's part of the operation: `y = x * scale + shift`.
#[derive(Clone, Copy)]
struct Line {
    mean: f32,
    inverse: f32,
    scale: f32,
    shift: f32,
    rectify: bool,
}

impl Line {
    /// The gradient that passes the rectifier.
    #[inline(always)]
    fn pass(self, grad: f32, x: f32) -> f32 {
        if self.rectify && x * self.scale + self.shift <= 0.0 { 0.0 } else { grad }
    }

    /// The normalised value.
    #[inline(always)]
    fn unit(self, x: f32) -> f32 {
        (x - self.mean) * self.inverse
    }
}

fn lines(
    gamma: &FlexTensor,
    beta: &FlexTensor,
    moments: &FlexTensor,
    epsilon: f64,
    rectify: bool,
) -> Vec<Line> {
    let (gamma, beta, moments) = (values(gamma), values(beta), values(moments));
    let channels = gamma.len();
    let line = |c: usize| {
        let (mean, variance) = (moments[c], moments[channels + c]);
        let inverse = 1.0 / (variance + epsilon as f32).sqrt();
        let scale = gamma[c] * inverse;
        Line { mean, inverse, scale, shift: beta[c] - mean * scale, rectify }
    };
    (0..channels).map(line).collect()
}

/// `[sum of x, sum of (x - mean)^2]`.
#[inline(always)]
fn spread(xs: &[f32], mean: f32) -> [f64; 2] {
    let about = sum(xs.len(), |i| (xs[i] - mean) * (xs[i] - mean));
    [sum(xs.len(), |i| xs[i]) as f64, about as f64]
}

/// One plane of the output.
#[inline(always)]
fn apply(line: Line, xs: &[f32], ys: &mut [f32]) {
    let floor = if line.rectify { 0.0 } else { f32::NEG_INFINITY };
    ys.iter_mut().zip(xs).for_each(|(y, x)| *y = (x * line.scale + line.shift).max(floor));
}

/// One plane's part of the gradients of gamma and beta.
#[inline(always)]
fn to_affine(line: Line, gs: &[f32], xs: &[f32]) -> [f64; 2] {
    let gs = &gs[..xs.len()];
    let of_gamma = sum(xs.len(), |i| line.pass(gs[i], xs[i]) * line.unit(xs[i]));
    [of_gamma as f64, sum(xs.len(), |i| line.pass(gs[i], xs[i])) as f64]
}

/// One plane of the gradient of x; the means are those of the gradients of gamma and beta over the channel.
#[inline(always)]
fn to_input(line: Line, [of_gamma, of_beta]: [f32; 2], gs: &[f32], xs: &[f32], out: &mut [f32]) {
    out.iter_mut().zip(gs.iter().zip(xs)).for_each(|(out, (&g, &x))| {
        *out = line.scale * (line.pass(g, x) - of_beta - line.unit(x) * of_gamma);
    });
}

/// For each channel the sum over the batch of `of(channel, plane of x, plane of grad)`, two figures at once.
fn per_channel(
    shape: [usize; 4],
    of: impl Fn(usize, std::ops::Range<usize>) -> [f64; 2] + Sync,
) -> FlexTensor {
    let [b, c, h, w] = shape;
    let plane = h * w;
    let both: Vec<[f64; 2]> = (0..c)
        .into_par_iter()
        .map(|channel| {
            let planes = (0..b).map(|image| (image * c + channel) * plane);
            planes.map(|at| of(channel, at..at + plane)).fold([0.0; 2], |[p, q], [x, y]| [p + x, q + y])
        })
        .collect();
    let rows = (0..2).flat_map(|row| both.iter().map(move |pair| pair[row] as f32)).collect();
    tensor(rows, [2, c])
}

impl NormaliseOps for Flex {
    fn moments(x: FlexTensor) -> FlexTensor {
        let x = contiguous(x);
        let shape = shape4(&x);
        let xs = values(&x);
        let count = (shape[0] * shape[2] * shape[3]) as f64;
        let sums = per_channel(shape, |_, plane| widest(|| spread(&xs[plane], 0.0)));
        let means: Vec<f32> = values(&sums)[..shape[1]].iter().map(|&s| (s as f64 / count) as f32).collect();
        let squares = per_channel(shape, |c, plane| widest(|| spread(&xs[plane], means[c])));
        let variances = values(&squares)[shape[1]..].iter().map(|&s| (s as f64 / count) as f32);
        tensor(means.iter().copied().chain(variances).collect(), [2, shape[1]])
    }

    fn normalise(
        x: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        moments: FlexTensor,
        epsilon: f64,
        rectify: bool,
    ) -> FlexTensor {
        let x = contiguous(x);
        let [b, c, h, w] = shape4(&x);
        let lines = lines(&gamma, &beta, &moments, epsilon, rectify);
        let mut y = vec![0.0; b * c * h * w];
        let planes = y.par_chunks_mut(h * w).zip(values(&x).par_chunks(h * w)).enumerate();
        planes.with_min_len(PLANES_PER_TASK).for_each(|(i, (ys, xs))| {
            widest(|| apply(lines[i % c], xs, ys));
        });
        tensor(y, [b, c, h, w])
    }
}

impl NormaliseGradients for Flex {
    fn normalise_to_affine(
        grad: FlexTensor,
        x: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        moments: FlexTensor,
        epsilon: f64,
        rectify: bool,
    ) -> FlexTensor {
        let (grad, x) = (contiguous(grad), contiguous(x));
        let lines = lines(&gamma, &beta, &moments, epsilon, rectify);
        let (gs, xs) = (values(&grad), values(&x));
        per_channel(shape4(&x), |c, plane| widest(|| to_affine(lines[c], &gs[plane.clone()], &xs[plane])))
    }

    fn normalise_to_input(
        grad: FlexTensor,
        x: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        moments: FlexTensor,
        sums: FlexTensor,
        epsilon: f64,
        rectify: bool,
    ) -> FlexTensor {
        let (grad, x) = (contiguous(grad), contiguous(x));
        let [b, c, h, w] = shape4(&x);
        let lines = lines(&gamma, &beta, &moments, epsilon, rectify);
        let (gs, xs, sums) = (values(&grad), values(&x), values(&sums));
        let count = (b * h * w) as f32;
        let mut out = vec![0.0; b * c * h * w];
        let planes = out.par_chunks_mut(h * w).enumerate().with_min_len(PLANES_PER_TASK);
        planes.for_each(|(i, plane)| {
            let means = [sums[i % c] / count, sums[c + i % c] / count];
            let (gs, xs) = (&gs[i * h * w..][..h * w], &xs[i * h * w..][..h * w]);
            widest(|| to_input(lines[i % c], means, gs, xs, plane));
        });
        tensor(out, [b, c, h, w])
    }
}

#[derive(Debug)]
struct NormaliseBackward;

impl<B: NormaliseGradients> Backward<B, 3> for NormaliseBackward {
    /// The nodes of x, gamma and beta, the moments, epsilon, whether rectified.
    type State = (NodeId, NodeId, NodeId, FloatTensor<B>, f64, bool);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
        let [x_node, gamma_node, beta_node] = ops.parents;
        let grad = grads.consume::<B>(&ops.node);
        let (x, gamma, beta, moments, epsilon, rectify) = ops.state;
        let x: FloatTensor<B> = checkpointer.retrieve_node_output(x);
        let gamma: FloatTensor<B> = checkpointer.retrieve_node_output(gamma);
        let beta: FloatTensor<B> = checkpointer.retrieve_node_output(beta);
        let sums = B::normalise_to_affine(
            grad.clone(),
            x.clone(),
            gamma.clone(),
            beta.clone(),
            moments.clone(),
            epsilon,
            rectify,
        );
        let row = |i: isize| {
            let row = B::float_slice(sums.clone(), &[Slice::new(i, Some(i + 1), 1), Slice::full()]);
            let channels = burn::backend::TensorMetadata::shape(&sums)[1];
            B::float_reshape(row, Shape::new([channels]))
        };
        if let Some(node) = gamma_node {
            grads.register::<B>(node.id, row(0));
        }
        if let Some(node) = beta_node {
            grads.register::<B>(node.id, row(1));
        }
        if let Some(node) = x_node {
            let to_x = B::normalise_to_input(grad, x, gamma, beta, moments, sums, epsilon, rectify);
            grads.register::<B>(node.id, to_x);
        }
    }
}

impl<B: NormaliseOps + NormaliseGradients, C: CheckpointStrategy> NormaliseOps for Autodiff<B, C> {
    /// The moments count as constants: [`NormaliseOps::normalise`] differentiates through them.
    fn moments(x: FloatTensor<Self>) -> FloatTensor<Self> {
        Self::from_inner(B::moments(x.into_primitive()))
    }

    fn normalise(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        moments: FloatTensor<Self>,
        epsilon: f64,
        rectify: bool,
    ) -> FloatTensor<Self> {
        let moments = moments.into_primitive();
        let run = |x: FloatTensor<Self>, gamma: FloatTensor<Self>, beta: FloatTensor<Self>, moments| {
            let (x, gamma, beta) = (x.into_primitive(), gamma.into_primitive(), beta.into_primitive());
            B::normalise(x, gamma, beta, moments, epsilon, rectify)
        };
        match NormaliseBackward.prepare::<C>([x.node(), gamma.node(), beta.node()]).compute_bound().stateful()
        {
            OpsKind::Tracked(mut prep) => {
                let [of_x, of_gamma, of_beta] = [&x, &gamma, &beta].map(|t| prep.checkpoint(t));
                let state = (of_x, of_gamma, of_beta, moments.clone(), epsilon, rectify);
                prep.finish(state, run(x, gamma, beta, moments))
            }
            OpsKind::UnTracked(prep) => prep.finish(run(x, gamma, beta, moments)),
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::module::batch_norm_train;
    use burn::tensor::{Device, Distribution, TensorData, Tolerance, activation};

    use super::*;

    #[test]
    fn output_moments_and_gradients_equal_burns_own() {
        let device = Device::flex().autodiff();
        device.seed(5);
        for (b, c, h, w, rectify) in [(3, 5, 7, 6, false), (4, 3, 5, 5, true), (6, 2, 1, 1, true)] {
            let normal = |mean: f64| Distribution::Normal(mean, 1.0);
            let x = Tensor::<4>::random([b, c, h, w], normal(0.7), &device).require_grad();
            let gamma = Tensor::<1>::random([c], normal(1.0), &device).require_grad();
            let beta = Tensor::<1>::random([c], normal(0.0), &device).require_grad();
            let weight = Tensor::<4>::random([b, c, h, w], normal(0.0), &device);
            let (ours, moments) = normalise(x.clone(), gamma.clone(), beta.clone(), 1e-5, rectify);
            let theirs = batch_norm_train(x.clone(), gamma.clone(), beta.clone(), 1e-5);
            let same =
                |a: TensorData, b: TensorData| a.assert_approx_eq::<f32>(&b, Tolerance::rel_abs(2e-4, 2e-4));
            same(moments.clone().slice(0..1).reshape([c]).into_data(), theirs.mean.to_data());
            same(moments.slice(1..2).reshape([c]).into_data(), theirs.variance.to_data());
            let theirs = if rectify { activation::relu(theirs.output) } else { theirs.output };
            same(ours.to_data(), theirs.to_data());
            let (a, b) = ((ours * weight.clone()).sum().backward(), (theirs * weight).sum().backward());
            same(x.grad(&a).unwrap().into_data(), x.grad(&b).unwrap().into_data());
            same(gamma.grad(&a).unwrap().into_data(), gamma.grad(&b).unwrap().into_data());
            same(beta.grad(&a).unwrap().into_data(), beta.grad(&b).unwrap().into_data());
        }
    }
}
