//! Softmax cross-entropy on `w_j . x + b_j`.
//!
//! Trained by dot product and tested by angle: the baseline that the angular losses are measured against. Weights start
//! from N(0, 0.01), biases from 0.

use burn::module::{Initializer, Module, Param};
use burn::tensor::{Device, Int, Tensor};

use crate::net::normal;
use crate::synth::dice::Dice;

use super::{Loss, Moment, cross_entropy};

/// The head: class weights `[c, d]` and biases `[c]`.
#[derive(Module, Debug)]
pub struct Softmax {
    pub(super) weight: Param<Tensor<2>>,
    bias: Param<Tensor<1>>,
}

impl Softmax {
    /// A fresh head for `classes` classes and embeddings of length `dimension`.
    pub(crate) fn new([classes, dimension]: [usize; 2], dice: &mut Dice, device: &Device) -> Self {
        let weight = normal([classes, dimension], 0.01, dice, device);
        Softmax { weight, bias: Initializer::Zeros.init([classes], device) }
    }
}

/// `[b, d]` with weights `[c, d]` and biases `[c]` to logits `[b, c]`.
pub(super) fn logits(x: Tensor<2>, weight: Tensor<2>, bias: Tensor<1>) -> Tensor<2> {
    x.matmul(weight.transpose()) + bias.unsqueeze()
}

impl Loss for Softmax {
    fn forward(&self, embeddings: Tensor<2>, labels: Tensor<1, Int>, _: Moment) -> Tensor<1> {
        cross_entropy(logits(embeddings, self.weight.val(), self.bias.val()), labels)
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{Golden, assert_gradient, labels, matrix};
    use super::*;

    #[test]
    fn golden_value_and_gradient() {
        let golden = Golden::read("softmax");
        let loss = |x: Tensor<2>, w: Tensor<2>, of| {
            let bias = Tensor::zeros_like(&w.clone().sum_dim(1).squeeze_dim::<1>(1));
            cross_entropy(logits(x, w, bias), of)
        };
        golden.assert_loss(loss);
        assert_gradient(&golden, loss);
    }

    #[test]
    fn the_bias_counts() {
        let device = Device::flex();
        // Logits (1.3, -0.2, 1.1, 0) for class 2: ln(sum of exponentials) - 1.1.
        let x = matrix(&[1.0, 1.0], 2, &device);
        let w = matrix(&[1.0, 0.0, 0.5, -0.5, 0.0, 1.0, 0.0, 0.0], 2, &device);
        let bias = matrix(&[0.3, -0.2, 0.1, 0.0], 4, &device).squeeze_dim::<1>(0);
        let found = cross_entropy(logits(x, w, bias), labels(&[2], &device)).into_scalar::<f64>();
        let expected = (1.3_f64.exp() + (-0.2_f64).exp() + 1.1_f64.exp() + 1.0).ln() - 1.1;
        assert!((found - expected).abs() < 1e-12);
    }
}
