//! CosFace, the large margin cosine loss: `s (cos(theta_y) - m)` for the target class, `s cos(theta_j)` for the others (Wang et
//! al., "CosFace: Large Margin Cosine Loss for Deep Face Recognition", 2018).
//!
//! Corner cases: none of its own. The target is a straight line in the cosine, so it falls with the angle everywhere, and the
//! Jacobian is 1. Only the cosine itself is kept from +-1, where its embedding's gradient is 0 anyway.

use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor};

use crate::synth::dice::Dice;

use super::angular::{class_weights, cosines, target, with_target};
use super::{Loss, Moment, cross_entropy};

/// The paper's margin, in cosine.
pub fn default_margin() -> f64 {
    0.35
}

/// The head: class weights [c, d].
#[derive(Module, Debug)]
pub struct CosFace {
    pub(super) weight: Param<Tensor<2>>,
    scale: f64,
    margin: f64,
}

impl CosFace {
    /// A fresh head for `classes` classes and embeddings of length `dimension`; `margin` in cosine.
    pub(crate) fn new(
        [classes, dimension]: [usize; 2],
        scale: f64,
        margin: f64,
        dice: &mut Dice,
        device: &Device,
    ) -> Self {
        CosFace { weight: class_weights(classes, dimension, dice, device), scale, margin }
    }
}

impl Loss for CosFace {
    fn forward(&self, embeddings: Tensor<2>, labels: Tensor<1, Int>, at: Moment) -> Tensor<1> {
        loss(embeddings, self.weight.val(), labels, self.scale, self.margin * at.warmth)
    }
}

fn loss(x: Tensor<2>, weight: Tensor<2>, labels: Tensor<1, Int>, scale: f64, margin: f64) -> Tensor<1> {
    let cosines = cosines(x, weight);
    let moved = target(&cosines, &labels).sub_scalar(margin);
    cross_entropy(with_target(cosines, &labels, moved).mul_scalar(scale), labels)
}

#[cfg(test)]
mod tests {
    use super::super::check::{Golden, assert_gradient};
    use super::*;

    #[test]
    fn golden_value_and_gradient() {
        let golden = Golden::read("cosface");
        let loss = |x, w, labels| loss(x, w, labels, golden.parameter("scale"), golden.parameter("margin"));
        golden.assert_loss(loss);
        assert_gradient(&golden, loss);
    }
}
