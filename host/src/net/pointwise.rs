//! 1x1 convolution as a burn backend extension: matrix products that read their operands where they lie.
//!
//! As tensor operations, the gradients of a product transpose and copy both operands and make one weight gradient an image
//! before they are summed. Here every product is one call with strides. Work is split over images (gradient of the
//! weights: over output channels, images one after the other), so results do not depend on the number of threads.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::autodiff::{Autodiff, NodeId};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;
use burn_flex::FlexTensor;
use gemm::{Parallelism, gemm};
use rayon::prelude::*;

use super::flex::{contiguous, shape4, tensor, values};

/// Output channels whose weight gradients one rayon task takes.
const ROWS_PER_TASK: usize = 16;

/// What a backend needs for [`pointwise`]; all tensors f32 and of four sides.
#[backend_extension(Flex, Autodiff)]
pub trait PointwiseOps: burn::backend::Backend {
    /// `x` [b, ci, h, w] with `weight` [co, ci, 1, 1].
    fn pointwise(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self>;
}

/// What a backend needs for the gradients of [`pointwise`].
pub trait PointwiseGradients: burn::backend::Backend {
    /// The gradient of `x` from the output's gradient.
    fn pointwise_to_input(grad: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self>;
    /// The gradient of `weight` from the output's gradient.
    fn pointwise_to_weight(grad: FloatTensor<Self>, x: FloatTensor<Self>) -> FloatTensor<Self>;
}

/// The 1x1 convolution of `x` [b, ci, h, w] with `weight` [co, ci, 1, 1], stride 1.
pub fn pointwise(x: Tensor<4>, weight: Tensor<4>) -> Tensor<4> {
    Tensor::from_dispatch(Dispatch::pointwise(x.into_dispatch(), weight.into_dispatch()))
}

/// A matrix inside a slice: `values[row * rows + column * columns]`.
#[derive(Clone, Copy)]
struct Matrix<'a> {
    values: &'a [f32],
    /// From one row to the next.
    rows: usize,
    /// From one column to the next.
    columns: usize,
}

/// `out` [m, n], row by row, becomes `a` [m, k] times `b` [k, n], added to what it held if `add`.
fn product([m, n, k]: [usize; 3], a: Matrix<'_>, b: Matrix<'_>, out: &mut [f32], add: bool) {
    let reach = |rows: usize, columns: usize, of: Matrix<'_>| {
        rows.saturating_sub(1) * of.rows + columns.saturating_sub(1) * of.columns
    };
    assert!(out.len() >= m * n && a.values.len() > reach(m, k, a) && b.values.len() > reach(k, n, b));
    let (one, zero) = (1.0, if add { 1.0 } else { 0.0 });
    // SAFETY: the assertion keeps every index of the three matrices inside its slice, and `out` is borrowed exclusively.
    unsafe {
        gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            n as isize,
            add,
            a.values.as_ptr(),
            a.columns as isize,
            a.rows as isize,
            b.values.as_ptr(),
            b.columns as isize,
            b.rows as isize,
            zero,
            one,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

impl PointwiseOps for Flex {
    fn pointwise(x: FlexTensor, weight: FlexTensor) -> FlexTensor {
        let (x, weight) = (contiguous(x), contiguous(weight));
        let ([b, ci, h, w], [co, ..]) = (shape4(&x), shape4(&weight));
        let pixels = h * w;
        let weight = Matrix { values: values(&weight), rows: ci, columns: 1 };
        let mut out = vec![0.0; b * co * pixels];
        out.par_chunks_mut(co * pixels).zip(values(&x).par_chunks(ci * pixels)).for_each(|(out, x)| {
            product([co, pixels, ci], weight, Matrix { values: x, rows: pixels, columns: 1 }, out, false);
        });
        tensor(out, [b, co, h, w])
    }
}

impl PointwiseGradients for Flex {
    fn pointwise_to_input(grad: FlexTensor, weight: FlexTensor) -> FlexTensor {
        let (grad, weight) = (contiguous(grad), contiguous(weight));
        let ([b, co, h, w], [_, ci, ..]) = (shape4(&grad), shape4(&weight));
        let pixels = h * w;
        // The transposed weights: a row for each input channel.
        let weight = Matrix { values: values(&weight), rows: 1, columns: ci };
        let mut out = vec![0.0; b * ci * pixels];
        out.par_chunks_mut(ci * pixels).zip(values(&grad).par_chunks(co * pixels)).for_each(|(out, grad)| {
            product([ci, pixels, co], weight, Matrix { values: grad, rows: pixels, columns: 1 }, out, false);
        });
        tensor(out, [b, ci, h, w])
    }

    fn pointwise_to_weight(grad: FlexTensor, x: FlexTensor) -> FlexTensor {
        let (grad, x) = (contiguous(grad), contiguous(x));
        let ([b, co, h, w], [_, ci, ..]) = (shape4(&grad), shape4(&x));
        let pixels = h * w;
        let (gs, xs) = (values(&grad), values(&x));
        let mut out = vec![0.0; co * ci];
        out.par_chunks_mut(ROWS_PER_TASK * ci).enumerate().for_each(|(task, out)| {
            let rows = out.len() / ci;
            for image in 0..b {
                let grad = &gs[(image * co + task * ROWS_PER_TASK) * pixels..][..rows * pixels];
                let x = &xs[image * ci * pixels..][..ci * pixels];
                let grad = Matrix { values: grad, rows: pixels, columns: 1 };
                // The transposed image: a row for each pixel.
                product(
                    [rows, ci, pixels],
                    grad,
                    Matrix { values: x, rows: 1, columns: pixels },
                    out,
                    image > 0,
                );
            }
        });
        tensor(out, [co, ci, 1, 1])
    }
}

#[derive(Debug)]
struct PointwiseBackward;

impl<B: PointwiseGradients> Backward<B, 2> for PointwiseBackward {
    /// The nodes of input and weight.
    type State = (NodeId, NodeId);

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
        let [x_node, weight_node] = ops.parents;
        let grad = grads.consume::<B>(&ops.node);
        let (x, weight) = ops.state;
        let x: FloatTensor<B> = checkpointer.retrieve_node_output(x);
        let weight: FloatTensor<B> = checkpointer.retrieve_node_output(weight);
        if let Some(node) = weight_node {
            grads.register::<B>(node.id, B::pointwise_to_weight(grad.clone(), x));
        }
        if let Some(node) = x_node {
            grads.register::<B>(node.id, B::pointwise_to_input(grad, weight));
        }
    }
}

impl<B: PointwiseOps + PointwiseGradients, C: CheckpointStrategy> PointwiseOps for Autodiff<B, C> {
    fn pointwise(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
        match PointwiseBackward.prepare::<C>([x.node(), weight.node()]).compute_bound().stateful() {
            OpsKind::Tracked(mut prep) => {
                let state = (prep.checkpoint(&x), prep.checkpoint(&weight));
                prep.finish(state, B::pointwise(x.into_primitive(), weight.into_primitive()))
            }
            OpsKind::UnTracked(prep) => {
                prep.finish(B::pointwise(x.into_primitive(), weight.into_primitive()))
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
    fn output_and_both_gradients_equal_burns_convolution() {
        let device = Device::flex().autodiff();
        device.seed(4);
        for (b, ci, co, h, w) in [(3, 5, 37, 4, 6), (2, 16, 8, 7, 3), (4, 9, 3, 1, 1)] {
            let normal = Distribution::Normal(0.0, 1.0);
            let x = Tensor::<4>::random([b, ci, h, w], normal, &device).require_grad();
            let q = Tensor::<4>::random([co, ci, 1, 1], normal, &device).require_grad();
            let ours = pointwise(x.clone(), q.clone());
            let theirs = conv2d(x.clone(), q.clone(), None, ConvOptions::new([1; 2], [0; 2], [1; 2], 1));
            let same =
                |a: TensorData, b: TensorData| a.assert_approx_eq::<f32>(&b, Tolerance::rel_abs(1e-4, 1e-3));
            same(ours.to_data(), theirs.to_data());
            let (a, b) = ((ours.clone() * ours).sum().backward(), (theirs.clone() * theirs).sum().backward());
            same(x.grad(&a).unwrap().into_data(), x.grad(&b).unwrap().into_data());
            same(q.grad(&a).unwrap().into_data(), q.grad(&b).unwrap().into_data());
        }
    }
}
