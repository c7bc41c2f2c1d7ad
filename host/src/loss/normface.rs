//! NormFace, the modified softmax: `s cos(theta_j)` for every class (Wang et al., "NormFace: L2 Hypersphere Embedding for
//! Face Verification", 2017). What the margin losses are without their margin.
//!
//! Corner cases:
//! - The scale must be named or follow from the classes: with the s = 64 of the margin losses this loss is worse than plain
//!   softmax. The default is 1.25 times the least one that reaches the target probability, which gives the paper's 20 for
//!   CASIA-WebFace's 10,572 classes.

use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor};

use crate::synth::dice::Dice;

use super::angular::{class_weights, cosines};
use super::{Loss, Moment, cross_entropy};

/// The head: class weights [c, d].
#[derive(Module, Debug)]
pub struct NormFace {
    pub(super) weight: Param<Tensor<2>>,
    scale: f64,
}

impl NormFace {
    /// A fresh head for `classes` classes and embeddings of length `dimension`.
    pub(crate) fn new(
        [classes, dimension]: [usize; 2],
        scale: f64,
        dice: &mut Dice,
        device: &Device,
    ) -> Self {
        NormFace { weight: class_weights(classes, dimension, dice, device), scale }
    }
}

impl Loss for NormFace {
    fn forward(&self, embeddings: Tensor<2>, labels: Tensor<1, Int>, _: Moment) -> Tensor<1> {
        loss(embeddings, self.weight.val(), labels, self.scale)
    }
}

fn loss(x: Tensor<2>, weight: Tensor<2>, labels: Tensor<1, Int>, scale: f64) -> Tensor<1> {
    cross_entropy(cosines(x, weight).mul_scalar(scale), labels)
}

#[cfg(test)]
mod tests {
    use super::super::check::{Golden, assert_gradient};
    use super::*;

    #[test]
    fn golden_value_and_gradient() {
        let golden = Golden::read("normface");
        let loss = |x, w, labels| loss(x, w, labels, golden.parameter("scale"));
        golden.assert_loss(loss);
        assert_gradient(&golden, loss);
    }
}
