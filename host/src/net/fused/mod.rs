//! A layer of the backbone as one operation, a burn backend extension: convolution, batch normalisation, activation, and what
//! is added behind them.
//!
//! As tensor operations a layer reads and writes its maps many times over, forward and backward, and memory is what a training
//! waits for. Here maps are channels last, `[b, h, w, c]`; they are worked on in pieces that stay in a core's cache, and the
//! gradient of a convolution's output exists only a piece at a time.
//!
//! Pieces and the groups whose sums are added follow from the shapes, not from the threads, so results do not depend on these.

mod kernels;
pub(super) mod stock;
#[cfg(test)]
mod tests;

use burn::backend::autodiff::Autodiff;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{AutodiffBackend, Dispatch, Flex, backend_extension};
use burn::tensor::{Device, Tensor};
use burn_flex::FlexTensor;

/// Which convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Convolution {
    /// Each pixel's values `[ci]` times the weights `[co, ci]`, whose further sides count as ci: 1x1, or any over
    /// [`super::patches::patches`].
    Dense,
    /// Each channel with its own kernel, weights [c, 1, kh, kw].
    Depthwise {
        /// Of the kernel, down and across.
        stride: usize,
        /// Zeros on every side.
        pad: usize,
    },
}

/// What a backend needs for [`layer`]; all tensors f32.
#[backend_extension(Flex, Autodiff)]
pub trait LayerOps: burn::backend::Backend {
    /// The output and the moments [2, c] that it was normalised by; a `residual` or `fixed` moments without values are none.
    #[allow(
        clippy::too_many_arguments,
        reason = "a layer's operands; expected, it would be missed in what the macro makes"
    )]
    fn layer(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        slopes: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        fixed: FloatTensor<Self>,
        convolution: Convolution,
        epsilon: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
}

/// What a layer computes with.
#[derive(Debug, Clone)]
pub struct Operands<T> {
    /// Input [b, h, w, ci].
    pub x: T,
    /// Weights of the convolution.
    pub weight: T,
    /// Of the normalisation, `[c]`.
    pub gamma: T,
    /// Of the normalisation, `[c]`.
    pub beta: T,
    /// Of the activation, `[c]`: values below 0 are multiplied by them.
    pub slopes: T,
    /// Which convolution.
    pub convolution: Convolution,
    /// Added to the variance.
    pub epsilon: f64,
}

/// What a layer keeps for its gradients.
#[derive(Debug, Clone)]
pub struct Saved<T> {
    operands: Operands<T>,
    /// The convolution's output.
    z: T,
    moments: T,
    /// Whether the moments are constants.
    fixed: bool,
}

/// The gradients of [`Operands`].
pub struct Slopes<T> {
    x: Option<T>,
    weight: T,
    gamma: T,
    beta: T,
    slopes: T,
}

/// A layer and its gradients on a backend without autodiff.
pub trait LayerKernels: burn::backend::Backend {
    /// The output; what is kept of it, if `save`; the moments.
    fn forward(
        operands: Operands<FloatTensor<Self>>,
        residual: FloatTensor<Self>,
        fixed: FloatTensor<Self>,
        save: bool,
    ) -> (FloatTensor<Self>, Option<Saved<FloatTensor<Self>>>, FloatTensor<Self>);
    /// The gradients, that of x if `to_x`, from the output's.
    fn gradients(
        grad: &FloatTensor<Self>,
        saved: &Saved<FloatTensor<Self>>,
        to_x: bool,
    ) -> Slopes<FloatTensor<Self>>;
    /// Lets the next layer have the memory of a tensor that nobody else holds.
    fn give_back(t: FloatTensor<Self>);
}

/// The output [b, h', w', c] of a layer for `x` [b, h, w, ci], and the moments [2, c], mean and biased variance, that it was
/// normalised by: its own, or `fixed`, through which no gradient goes. `affine` is gamma, beta and the slopes of the
/// activation, `[c]` each; `residual` is added last. On a device other than the processor, by burn's own operations.
pub fn layer(
    x: Tensor<4>,
    weight: Tensor<4>,
    affine: [Tensor<1>; 3],
    residual: Option<Tensor<4>>,
    fixed: Option<Tensor<2>>,
    convolution: Convolution,
    epsilon: f64,
) -> (Tensor<4>, Tensor<2>) {
    let device = x.device();
    if !has_kernels(&device) {
        return stock::layer(x, weight, affine, residual, fixed, convolution, epsilon);
    }
    let [gamma, beta, slopes] = affine.map(Tensor::into_dispatch);
    let residual = residual.unwrap_or_else(|| Tensor::zeros([0; 4], &device)).into_dispatch();
    let fixed = fixed.unwrap_or_else(|| Tensor::zeros([0; 2], &device)).into_dispatch();
    let (x, weight) = (x.into_dispatch(), weight.into_dispatch());
    let (y, moments) = Dispatch::layer(x, weight, gamma, beta, slopes, residual, fixed, convolution, epsilon);
    (Tensor::from_dispatch(y), Tensor::from_dispatch(moments))
}

/// Whether a device's backend has the kernels of these extensions: flex has.
pub(super) fn has_kernels(device: &Device) -> bool {
    device.clone().inner() == Device::flex()
}

impl<T> Operands<T> {
    fn map<U>(self, of: impl Fn(T) -> U) -> Operands<U> {
        Operands {
            x: of(self.x),
            weight: of(self.weight),
            gamma: of(self.gamma),
            beta: of(self.beta),
            slopes: of(self.slopes),
            convolution: self.convolution,
            epsilon: self.epsilon,
        }
    }
}

impl LayerOps for Flex {
    fn layer(
        x: FlexTensor,
        weight: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        slopes: FlexTensor,
        residual: FlexTensor,
        fixed: FlexTensor,
        convolution: Convolution,
        epsilon: f64,
    ) -> (FlexTensor, FlexTensor) {
        let operands = Operands { x, weight, gamma, beta, slopes, convolution, epsilon };
        let (y, _, moments) = Self::forward(operands, residual, fixed, false);
        (y, moments)
    }
}

#[derive(Debug)]
struct LayerBackward;

impl<B: LayerKernels> Backward<B, 6> for LayerBackward {
    type State = Saved<FloatTensor<B>>;

    fn backward(self, ops: Ops<Self::State, 6>, grads: &mut Gradients, _: &mut Checkpointer) {
        let [x, weight, gamma, beta, slopes, residual] = ops.parents;
        let grad = grads.consume::<B>(&ops.node);
        let saved = ops.state;
        let found = B::gradients(&grad, &saved, x.is_some());
        let rest = [(weight, found.weight), (gamma, found.gamma), (beta, found.beta), (slopes, found.slopes)];
        for (node, gradient) in rest {
            if let Some(node) = node {
                grads.register::<B>(node.id, gradient);
            }
        }
        match residual {
            Some(residual) => grads.register::<B>(residual.id, grad),
            None => B::give_back(grad),
        }
        if let (Some(x), Some(gradient)) = (x, found.x) {
            grads.register::<B>(x.id, gradient);
        }
        B::give_back(saved.z);
        B::give_back(saved.operands.x);
    }
}

impl<B: LayerOps + LayerKernels, C: CheckpointStrategy> LayerOps for Autodiff<B, C> {
    /// The moments count as constants: the layer differentiates through its own.
    fn layer(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        slopes: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        fixed: FloatTensor<Self>,
        convolution: Convolution,
        epsilon: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let nodes = [x.node(), weight.node(), gamma.node(), beta.node(), slopes.node(), residual.node()];
        let operands = Operands { x, weight, gamma, beta, slopes, convolution, epsilon };
        let run = |save| {
            B::forward(
                operands.map(|t| t.into_primitive()),
                residual.into_primitive(),
                fixed.into_primitive(),
                save,
            )
        };
        let (y, moments) = match LayerBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let (y, saved, moments) = run(true);
                (prep.finish(saved.expect("it was asked for"), y), moments)
            }
            OpsKind::UnTracked(prep) => {
                let (y, _, moments) = run(false);
                (prep.finish(y), moments)
            }
        };
        (y, Self::from_inner(moments))
    }
}
