//! The combined margin: `s (cos(m1 theta_y + m2) - m3)` for the target class, `s cos(theta_j)` for the others (Deng et al.,
//! "ArcFace: Additive Angular Margin Loss", 2019, equation 4). (1, m, 0) is ArcFace, (1, 0, m) CosFace, (m, 0, 0) SphereFace with
//! normalised embeddings.
//!
//! Corner cases:
//! - All three margins act, whatever the other two are.
//! - Where m1 theta + m2 passes pi, and each further half turn, the cosine is continued as SphereFace's psi,
//!   `(-1)^k cos(phi) - 2k`: it falls all the way. (ArcFace alone continues by its own straight line.)
//! - The angle is the arc cosine of the clamped cosine; the Jacobian is the true one, m1 sin(phi) / sin(theta).

use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor};

use crate::synth::dice::Dice;

use super::angular::{class_weights, cosines, falling, target, with_target};
use super::{Loss, Moment, cross_entropy};

/// The three margins: a factor of the angle, radians, cosine.
pub type Margins = [f64; 3];

/// The head: class weights [c, d].
#[derive(Module, Debug)]
pub struct Combined {
    pub(super) weight: Param<Tensor<2>>,
    scale: f64,
    m1: f64,
    m2: f64,
    m3: f64,
}

impl Combined {
    /// A fresh head for `classes` classes and embeddings of length `dimension`.
    pub(crate) fn new(
        [classes, dimension]: [usize; 2],
        scale: f64,
        [m1, m2, m3]: Margins,
        dice: &mut Dice,
        device: &Device,
    ) -> Self {
        Combined { weight: class_weights(classes, dimension, dice, device), scale, m1, m2, m3 }
    }
}

impl Loss for Combined {
    fn forward(&self, embeddings: Tensor<2>, labels: Tensor<1, Int>, at: Moment) -> Tensor<1> {
        let w = at.warmth;
        let margins = [1.0 + (self.m1 - 1.0) * w, self.m2 * w, self.m3 * w];
        loss(embeddings, self.weight.val(), labels, self.scale, margins)
    }
}

fn loss(x: Tensor<2>, weight: Tensor<2>, labels: Tensor<1, Int>, scale: f64, margins: Margins) -> Tensor<1> {
    let cosines = cosines(x, weight);
    let moved = with_margins(target(&cosines, &labels), margins);
    cross_entropy(with_target(cosines, &labels, moved).mul_scalar(scale), labels)
}

/// cos(theta) to cos(m1 theta + m2) - m3.
pub(super) fn with_margins(cosine: Tensor<2>, [m1, m2, m3]: Margins) -> Tensor<2> {
    let angle = cosine.acos().mul_scalar(m1).add_scalar(m2);
    let half_turns = angle.clone().detach().div_scalar(std::f64::consts::PI).floor();
    falling(angle.cos(), half_turns).sub_scalar(m3)
}

#[cfg(test)]
mod tests {
    use super::super::arcface;
    use super::super::check::{Golden, assert_gradient, matrix};
    use super::*;

    #[test]
    fn golden_value_and_gradient() {
        let golden = Golden::read("combined");
        let margins = ["m1", "m2", "m3"].map(|p| golden.parameter(p));
        let loss = |x, w, labels| loss(x, w, labels, golden.parameter("scale"), margins);
        golden.assert_loss(loss);
        assert_gradient(&golden, loss);
    }

    fn over_all_angles(margins: Margins) -> Vec<f64> {
        let cosines: Vec<f64> = (1..1800).map(|i| (i as f64 / 10.0).to_radians().cos()).collect();
        with_margins(matrix(&cosines, 1, &Device::flex()), margins).into_data().try_to_vec::<f64>().unwrap()
    }

    #[test]
    fn the_target_falls_all_the_way_and_no_margin_is_ignored() {
        for margins in [[1.0, 0.5, 0.0], [2.3, 0.0, 0.0], [4.0, 0.3, 0.2], [1.0, 0.0, 0.35]] {
            assert!(over_all_angles(margins).windows(2).all(|w| w[1] < w[0]), "{margins:?}");
        }
        let all = over_all_angles([1.2, 0.3, 0.2]);
        for less in [[1.0, 0.3, 0.2], [1.2, 0.0, 0.2], [1.2, 0.3, 0.0]] {
            assert!(all.iter().zip(over_all_angles(less)).all(|(a, b)| *a < b), "{less:?}");
        }
    }

    #[test]
    fn one_of_the_margins_alone_is_the_loss_of_that_name() {
        let cosines: Vec<f64> = (1..1500).map(|i| (i as f64 / 10.0).to_radians().cos()).collect();
        let cosines = matrix(&cosines, 1, &Device::flex());
        let worst = |a: Tensor<2>, b: Tensor<2>| (a - b).abs().max().into_scalar::<f64>();
        let arc = arcface::with_margin(cosines.clone(), 0.5);
        assert!(worst(with_margins(cosines.clone(), [1.0, 0.5, 0.0]), arc) < 1e-12);
        let cos = cosines.clone().sub_scalar(0.35);
        assert!(worst(with_margins(cosines, [1.0, 0.0, 0.35]), cos) < 1e-12);
    }
}
