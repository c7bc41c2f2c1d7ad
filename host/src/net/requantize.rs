//! Values to whole steps: what follows every layer of an int8 network, simulated in floats, a burn backend extension.
//!
//! `y = clamp(round(x m))` with m a channel's multiplier for its values from 0 up, and another for those below; halves go to the
//! even step. The gradient goes straight through the rounding (Bengio et al., "Estimating or Propagating Gradients Through
//! Stochastic Neurons for Conditional Computation", 2013) and not through the clamp. Where m holds a learnt step, what it gets is
//! the gradient of "Learned Step Size Quantization" (Esser et al., 2020).

use burn::backend::autodiff::Autodiff;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;
use burn_flex::FlexTensor;
use rayon::prelude::*;

use super::flex::{add, buffer, contiguous, give_back, pieces, shape4, tensor, values, widest};
use super::fused::has_kernels;

/// What a backend needs for [`requantize`]; all tensors f32.
#[backend_extension(Flex, Autodiff)]
pub trait RequantizeOps: burn::backend::Backend {
    /// `x` `[b, h, w, c]` in whole steps from `lo` to `hi`; `up` and `down` are `[c]`.
    fn requantize(
        x: FloatTensor<Self>,
        up: FloatTensor<Self>,
        down: FloatTensor<Self>,
        lo: f32,
        hi: f32,
    ) -> FloatTensor<Self>;
}

/// [`RequantizeOps::requantize`] and its gradients on a backend without autodiff.
pub trait RequantizeKernels: burn::backend::Backend {
    /// The steps.
    fn steps(operands: &Operands<FloatTensor<Self>>) -> FloatTensor<Self>;
    /// The gradients of x, up and down, from the output's.
    fn gradients(grad: FloatTensor<Self>, operands: &Operands<FloatTensor<Self>>) -> [FloatTensor<Self>; 3];
    /// Lets the next layer have the memory of a tensor that nobody else holds.
    fn give_back(t: FloatTensor<Self>);
}

/// What is rounded, and how.
#[derive(Debug, Clone)]
pub struct Operands<T> {
    x: T,
    up: T,
    down: T,
    ends: [f32; 2],
}

/// `x` `[b, h, w, c]` times `up` `[c]`, where it is below 0 times `down` `[c]`, in whole steps and cut to `ends`; straight-through
/// gradients. On a device other than the processor, by burn's own operations.
pub fn requantize(x: Tensor<4>, up: Tensor<1>, down: Tensor<1>, ends: [f32; 2]) -> Tensor<4> {
    let [lo, hi] = ends;
    if !has_kernels(&x.device()) {
        return stock(x, up, down, ends);
    }
    let [up, down] = [up, down].map(Tensor::into_dispatch);
    Tensor::from_dispatch(Dispatch::requantize(x.into_dispatch(), up, down, lo, hi))
}

/// [`requantize`] in burn's own operations.
fn stock(x: Tensor<4>, up: Tensor<1>, down: Tensor<1>, [lo, hi]: [f32; 2]) -> Tensor<4> {
    let (above, below) = (x.clone().clamp_min(0.0), x.clamp_max(0.0));
    straight(above * up.unsqueeze() + below * down.unsqueeze()).clamp(lo, hi)
}

/// `x` rounded, halves to the even number, the gradient going straight through.
pub fn straight<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    // Exact: two floats this near to one another have a difference that is a float.
    let off = (x.clone().round() - x.clone()).detach();
    x + off
}

impl RequantizeOps for Flex {
    fn requantize(x: FlexTensor, up: FlexTensor, down: FlexTensor, lo: f32, hi: f32) -> FlexTensor {
        Self::steps(&Operands { x, up, down, ends: [lo, hi] })
    }
}

impl Operands<FlexTensor> {
    fn contiguous(&self) -> Self {
        let [x, up, down] = [&self.x, &self.up, &self.down].map(|t| contiguous(t.clone()));
        Operands { x, up, down, ends: self.ends }
    }
}

/// Rows of channels that are worked on at once.
const ROWS: usize = 256;

/// Groups of rows whose sums are taken apart and added in order, whatever the number of threads.
const GROUPS: usize = 8;

impl RequantizeKernels for Flex {
    fn steps(operands: &Operands<FlexTensor>) -> FlexTensor {
        let Operands { x, up, down, ends } = operands.contiguous();
        let sides = shape4(&x);
        let (x, up, down) = (values(&x), values(&up), values(&down));
        let piece = ROWS * up.len();
        let mut y = buffer(x.len());
        y.par_chunks_mut(piece).zip(x.par_chunks(piece)).for_each(|(y, x)| {
            widest(
                #[inline(always)]
                || rows(y, x, [up, down], ends),
            );
        });
        tensor(y, sides)
    }

    fn gradients(grad: FlexTensor, operands: &Operands<FlexTensor>) -> [FlexTensor; 3] {
        let Operands { x, up, down, ends } = operands.contiguous();
        let sides = shape4(&x);
        let grad = contiguous(grad);
        let (x, up, down) = (values(&x), values(&up), values(&down));
        let channels = up.len();
        let mut to_x = buffer(x.len());
        let group = (x.len() / channels).div_ceil(GROUPS).max(1) * channels;
        let all = to_x.par_chunks_mut(group).zip(x.par_chunks(group)).zip(values(&grad).par_chunks(group));
        let sums: Vec<[Vec<f32>; 2]> = all
            .map(|((to_x, x), grad)| {
                let mut sums = [vec![0.0; channels], vec![0.0; channels]];
                widest(
                    #[inline(always)]
                    || back(to_x, [x, grad], [up, down], ends, &mut sums),
                );
                sums
            })
            .collect();
        let sum = |of: usize| {
            let mut total = vec![0.0; channels];
            sums.iter().for_each(|sums| add(&mut total, &sums[of]));
            tensor(total, [channels])
        };
        let (up, down) = (sum(0), sum(1));
        give_back(grad);
        [tensor(to_x, sides), up, down]
    }

    fn give_back(t: FlexTensor) {
        give_back(t);
    }
}

/// Rows of `y` from those of `x`.
#[inline(always)]
fn rows(y: &mut [f32], x: &[f32], [up, down]: [&[f32]; 2], [lo, hi]: [f32; 2]) {
    let n = up.len();
    for (y, x) in y.chunks_exact_mut(n).zip(x.chunks_exact(n)) {
        let (up, down) = (&up[..n], &down[..n]);
        for c in 0..n {
            let m = if x[c] < 0.0 { down[c] } else { up[c] };
            y[c] = (x[c] * m).round_ties_even().clamp(lo, hi);
        }
    }
}

/// Rows of x's gradient, and what they add to the multipliers'; pieces of rows, so that sums of many values stay exact enough.
#[inline(always)]
fn back(
    to_x: &mut [f32],
    [x, grad]: [&[f32]; 2],
    [up, down]: [&[f32]; 2],
    [lo, hi]: [f32; 2],
    sums: &mut [Vec<f32>; 2],
) {
    let n = up.len();
    let [mut above, mut below] = [vec![0.0; n], vec![0.0; n]];
    for piece in pieces(0..x.len(), ROWS * n) {
        above.fill(0.0);
        below.fill(0.0);
        let rows = to_x[piece.clone()].chunks_exact_mut(n);
        let given = x[piece.clone()].chunks_exact(n).zip(grad[piece].chunks_exact(n));
        for (to_x, (x, grad)) in rows.zip(given) {
            let (up, down) = (&up[..n], &down[..n]);
            let (above, below) = (&mut above[..n], &mut below[..n]);
            for c in 0..n {
                let negative = x[c] < 0.0;
                let m = if negative { down[c] } else { up[c] };
                let step = (x[c] * m).round_ties_even();
                let passed = if step >= lo && step <= hi { grad[c] } else { 0.0 };
                to_x[c] = passed * m;
                let to_m = passed * x[c];
                above[c] += if negative { 0.0 } else { to_m };
                below[c] += if negative { to_m } else { 0.0 };
            }
        }
        add(&mut sums[0], &above);
        add(&mut sums[1], &below);
    }
}

#[derive(Debug)]
struct RequantizeBackward;

impl<B: RequantizeKernels> Backward<B, 3> for RequantizeBackward {
    type State = Operands<FloatTensor<B>>;

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let found = B::gradients(grads.consume::<B>(&ops.node), &ops.state);
        for (node, gradient) in ops.parents.into_iter().zip(found) {
            if let Some(node) = node {
                grads.register::<B>(node.id, gradient);
            }
        }
        B::give_back(ops.state.x);
    }
}

impl<B: RequantizeOps + RequantizeKernels, C: CheckpointStrategy> RequantizeOps for Autodiff<B, C> {
    fn requantize(
        x: FloatTensor<Self>,
        up: FloatTensor<Self>,
        down: FloatTensor<Self>,
        lo: f32,
        hi: f32,
    ) -> FloatTensor<Self> {
        let nodes = [x.node(), up.node(), down.node()];
        let [x, up, down] = [x, up, down].map(|t| t.into_primitive());
        match RequantizeBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let operands = Operands { x, up, down, ends: [lo, hi] };
                let y = B::steps(&operands);
                prep.finish(operands, y)
            }
            OpsKind::UnTracked(prep) => prep.finish(B::requantize(x, up, down, lo, hi)),
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;
    use crate::synth::dice::Dice;
    use crate::train::state::floats;

    fn leaf<const D: usize>(values: &[f32], shape: [usize; D]) -> Tensor<D> {
        let data = TensorData::new(values.to_vec(), shape);
        Tensor::from_data(data, &Device::flex().autodiff()).require_grad()
    }

    /// Output and gradients of the sum of squares of the output.
    fn both(
        how: impl Fn(Tensor<4>, Tensor<1>, Tensor<1>, [f32; 2]) -> Tensor<4>,
        x: &Tensor<4>,
        m: &[Tensor<1>; 2],
    ) -> [Vec<f32>; 4] {
        let y = how(x.clone(), m[0].clone(), m[1].clone(), [-28.0, 21.0]);
        let gradients = y.clone().powi_scalar(2).sum().backward();
        let of = |m: &Tensor<1>| floats(&m.grad(&gradients).unwrap());
        [floats(&y), floats(&x.grad(&gradients).unwrap()), of(&m[0]), of(&m[1])]
    }

    #[test]
    fn kernels_and_burns_own_operations_agree() {
        let mut dice = Dice::new(1, 2, 3, 4);
        let (shape, channels) = ([3, 19, 17, 5], 5);
        let mut values = |n: usize, std: f32| (0..n).map(|_| std * dice.bell()).collect::<Vec<_>>();
        let x = leaf(&values(shape.iter().product(), 40.0), shape);
        let m = [leaf(&values(channels, 0.5), [channels]), leaf(&values(channels, 0.5), [channels])];
        let (kernels, own) = (both(requantize, &x, &m), both(stock, &x, &m));
        assert_eq!(kernels[0], own[0]);
        assert!(kernels[0].contains(&-28.0) && kernels[0].contains(&21.0), "nothing is cut");
        for (kernels, own) in kernels.iter().zip(&own).skip(1) {
            for (k, o) in kernels.iter().zip(own) {
                assert!((k - o).abs() <= 1e-4 * o.abs().max(1.0), "{k} is not {o}");
            }
        }
        // What views and unequal strides hold is the same.
        let turned = x.clone().permute([0, 2, 1, 3]);
        let plain = leaf(&floats(&turned), turned.dims());
        let rounded = |x| floats(&requantize(x, m[0].clone(), m[1].clone(), [-28.0, 21.0]));
        assert_eq!(rounded(turned), rounded(plain));
    }

    #[test]
    fn halves_are_even_and_a_clamp_blocks() {
        let x = leaf(&[0.5, 1.5, 2.5, -0.5, -1.5, 3.5, 3.4, -9.0], [1, 1, 8, 1]);
        let one = leaf(&[1.0], [1]);
        let y = requantize(x.clone(), one.clone(), one, [-4.0, 3.0]);
        assert_eq!(floats(&y), [0.0, 2.0, 2.0, 0.0, -2.0, 3.0, 3.0, -4.0]);
        let gradients = y.sum().backward();
        assert_eq!(floats(&x.grad(&gradients).unwrap()), [1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 1.0, 0.0]);
    }

    #[test]
    fn a_steps_gradient_is_the_difference_with_rounding_errors_held_still() {
        // 255 steps of `s` from zero point 0: inside, on both sides, beyond both ends.
        let (values, ends) = ([0.31_f32, -0.77, 1.26, 9.0, -11.0], [-8.0_f32, 7.0]);
        let pull = [1.0_f32, -2.0, 0.5, 3.0, 0.25];
        let step = 0.4_f32;
        let s = leaf(&[step], [1]);
        let m = s.clone().recip();
        let steps = requantize(leaf(&values, [1, 1, 5, 1]), m.clone(), m, ends);
        let real = steps * s.clone().reshape([1, 1, 1, 1]);
        let loss = (real * leaf(&pull, [1, 1, 5, 1])).sum();
        let found = floats(&s.grad(&loss.backward()).unwrap())[0];
        let errors = values.map(|v| (v / step).round_ties_even() - v / step);
        let held = |s: f64| {
            let real = |at: usize| {
                let steps = f64::from(values[at]) / s + f64::from(errors[at]);
                steps.clamp(f64::from(ends[0]), f64::from(ends[1])) * s
            };
            (0..values.len()).map(|at| f64::from(pull[at]) * real(at)).sum::<f64>()
        };
        let difference = (held(f64::from(step) + 1e-4) - held(f64::from(step) - 1e-4)) / 2e-4;
        assert!((f64::from(found) - difference).abs() < 1e-3, "{found} is not {difference}");
    }
}
