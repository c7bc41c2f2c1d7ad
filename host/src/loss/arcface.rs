//! ArcFace: `s cos(theta_y + m)` for the target class, `s cos(theta_j)` for the others, theta_j the angle between embedding and
//! class weight (Deng et al., "ArcFace: Additive Angular Margin Loss", 2019).
//!
//! Corner cases:
//! - Where theta + m passes pi, cos(theta + m) would rise again and push the wrong way. From there on the target is
//!   `cos(theta) - m sin(m)`: lower than cos(theta + m) at the seam, and falling as the angle grows.
//! - The Jacobian is the true one, sin(theta + m) / sin(theta): the margin is taken by the addition theorem, so that autodiff
//!   sees all of it, and finite differences agree.
//! - sin(theta) has an infinite slope at cos(theta) = +-1: the cosine is clamped to 1 - 1e-6 on both sides, where the
//!   gradient of that sample's target is then 0.
//! - Class weights start from a normal distribution; only their direction matters.

use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor};

use crate::synth::dice::Dice;

use super::angular::{class_weights, cosines, target, with_target};
use super::{Loss, Moment, cross_entropy};

/// The paper's margin in radians.
pub fn default_margin() -> f64 {
    0.5
}

/// The head: class weights [c, d].
#[derive(Module, Debug)]
pub struct ArcFace {
    pub(super) weight: Param<Tensor<2>>,
    scale: f64,
    margin: f64,
}

impl ArcFace {
    /// A fresh head for `classes` classes and embeddings of length `dimension`; `margin` in radians.
    pub(crate) fn new(
        [classes, dimension]: [usize; 2],
        scale: f64,
        margin: f64,
        dice: &mut Dice,
        device: &Device,
    ) -> Self {
        ArcFace { weight: class_weights(classes, dimension, dice, device), scale, margin }
    }
}

impl Loss for ArcFace {
    fn forward(&self, embeddings: Tensor<2>, labels: Tensor<1, Int>, at: Moment) -> Tensor<1> {
        let margin = self.margin * at.warmth;
        cross_entropy(logits(embeddings, self.weight.val(), &labels, self.scale, margin), labels)
    }
}

/// Embeddings [b, d] and class weights [c, d] to logits [b, c].
fn logits(x: Tensor<2>, weight: Tensor<2>, labels: &Tensor<1, Int>, scale: f64, margin: f64) -> Tensor<2> {
    let cosines = cosines(x, weight);
    let moved = with_margin(target(&cosines, labels), margin);
    with_target(cosines, labels, moved).mul_scalar(scale)
}

/// cos(theta) to cos(theta + margin), continued monotonely beyond pi.
pub(super) fn with_margin(cosine: Tensor<2>, margin: f64) -> Tensor<2> {
    let sine = (cosine.clone() * cosine.clone()).neg().add_scalar(1.0).sqrt();
    let inside = cosine.clone().mul_scalar(margin.cos()) - sine.mul_scalar(margin.sin());
    let beyond = cosine.clone().detach().lower_elem(-margin.cos());
    inside.mask_where(beyond, cosine.sub_scalar(margin * margin.sin()))
}

#[cfg(test)]
mod tests {
    use super::super::check::{Golden, assert_gradient, labels, matrix, values, worst_gradient_error};
    use super::*;

    #[test]
    fn gradient_equals_finite_differences_on_both_sides_of_the_seam() {
        let classes = [0, 3, 6, 3, 1];
        let x = values(20, 5);
        let mut w = values(28, 6);
        // The first sample lies opposite to its class: beyond pi.
        for i in 0..4 {
            w[i] = -x[i] + 0.02 * i as f64;
        }
        let loss = |x: Tensor<2>, w: Tensor<2>| {
            let of = labels(&classes, &x.device());
            cross_entropy(logits(x, w, &of, 8.0, 0.4), of)
        };
        let error = worst_gradient_error(loss, &x, &w, 4);
        assert!(error < 1e-6, "{error:e}");
    }

    #[test]
    fn golden_value_and_gradient() {
        let golden = Golden::read("arcface");
        let [scale, margin] = ["scale", "margin"].map(|p| golden.parameter(p));
        let loss = |x, w, of: Tensor<1, Int>| cross_entropy(logits(x, w, &of, scale, margin), of);
        golden.assert_loss(loss);
        assert_gradient(&golden, loss);
    }

    #[test]
    fn the_target_falls_as_the_angle_grows_all_the_way() {
        let device = Device::flex();
        let cosines: Vec<f64> = (1..1800).map(|i| (i as f64 / 10.0).to_radians().cos()).collect();
        let moved = with_margin(matrix(&cosines, 1, &device), 0.5).into_data().try_to_vec::<f64>().unwrap();
        assert!(moved.windows(2).all(|w| w[1] < w[0]), "not monotone");
        assert!(moved.iter().zip(&cosines).all(|(m, c)| m < c), "the margin must make it harder");
    }

    #[test]
    fn a_perfect_and_an_opposite_embedding_give_finite_gradients() {
        let device = Device::flex().autodiff();
        let x = Tensor::<2>::from_floats([[1.0, 0.0], [-1.0, 0.0]], &device).require_grad();
        let w = Tensor::<2>::from_floats([[2.0, 0.0], [0.0, 1.0]], &device);
        let of = Tensor::<1, Int>::from_ints([0, 0], &device);
        let grads = cross_entropy(logits(x.clone(), w, &of, 30.0, 0.5), of).backward();
        let grad = x.grad(&grads).unwrap().into_data().try_to_vec::<f32>().unwrap();
        assert!(grad.iter().all(|g| g.is_finite()), "{grad:?}");
    }
}
