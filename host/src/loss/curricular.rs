//! CurricularFace: ArcFace's target; another class whose cosine exceeds it, a hard negative, becomes `cos(theta_j) (t + cos(theta_j))`
//! (Huang et al., "CurricularFace: Adaptive Curriculum Learning Loss for Deep Face Recognition", 2020). `t` follows the mean
//! target cosine, `t <- 0.99 t + 0.01 mean cos(theta_y)`, so hard negatives weigh little at first and more as training goes on.
//!
//! Corner cases:
//! - The target beyond pi is continued as ArcFace's is.
//! - `t` moves before it is used, from the cosines without margin, and is a constant to the gradient. It starts at 0, is
//!   state, and lies in the checkpoint.
//! - cos(theta_j) inside the product is not detached: the gradient is that of the whole product, `t + 2 cos(theta_j)`.
//! - Which negatives are hard is decided on values and is a constant to the gradient; the loss jumps there, by design of the
//!   paper.

use burn::module::{Module, Param, RunningState};
use burn::tensor::{Device, Int, Tensor};

use crate::synth::dice::Dice;

use super::angular::{class_weights, cosines, target, with_target};
use super::arcface::with_margin;
use super::{Loss, Moment, cross_entropy};

/// How much of `t` stays at each step.
const KEEP: f64 = 0.99;

/// The head: class weights `[c, d]`, and t `[1]`.
#[derive(Module, Debug)]
pub struct CurricularFace {
    pub(super) weight: Param<Tensor<2>>,
    t: RunningState<Tensor<1>>,
    scale: f64,
    margin: f64,
}

impl CurricularFace {
    /// A fresh head for `classes` classes and embeddings of length `dimension`; `margin` in radians.
    pub(crate) fn new(
        [classes, dimension]: [usize; 2],
        scale: f64,
        margin: f64,
        dice: &mut Dice,
        device: &Device,
    ) -> Self {
        let weight = class_weights(classes, dimension, dice, device);
        CurricularFace { weight, t: RunningState::new(Tensor::zeros([1], device)), scale, margin }
    }
}

impl Loss for CurricularFace {
    fn forward(&self, embeddings: Tensor<2>, labels: Tensor<1, Int>, at: Moment) -> Tensor<1> {
        let cosines = cosines(embeddings, self.weight.val());
        let before = self.t.value_sync().to_device(&cosines.device());
        let t = moved(before, target(&cosines, &labels).detach());
        self.t.update(t.clone());
        let logits = logits(cosines, &labels, t, self.margin * at.warmth);
        cross_entropy(logits.mul_scalar(self.scale), labels)
    }
}

/// t after a batch with these target cosines [b, 1].
fn moved(t: Tensor<1>, own: Tensor<2>) -> Tensor<1> {
    t.mul_scalar(KEEP) + own.mean().mul_scalar(1.0 - KEEP)
}

/// Cosines [b, c] to logits of scale 1.
fn logits(cosines: Tensor<2>, labels: &Tensor<1, Int>, t: Tensor<1>, margin: f64) -> Tensor<2> {
    let moved = with_margin(target(&cosines, labels), margin);
    let hard = cosines.clone().detach().greater(moved.clone().detach().expand(cosines.dims()));
    let weighed = cosines.clone() * (cosines.clone() + t.unsqueeze::<2>());
    with_target(cosines.mask_where(hard, weighed), labels, moved)
}

#[cfg(test)]
mod tests {
    use super::super::check::{Golden, assert_gradient, labels, matrix, vector};
    use super::*;

    #[test]
    fn golden_value_and_gradient() {
        let golden = Golden::read("curricularface");
        let [scale, margin, t] = ["scale", "margin", "t"].map(|p| golden.parameter(p));
        let loss = |x: Tensor<2>, w: Tensor<2>, of: Tensor<1, Int>| {
            let t = vector(&[t], &x.device());
            cross_entropy(logits(cosines(x, w), &of, t, margin).mul_scalar(scale), of)
        };
        golden.assert_loss(loss);
        assert_gradient(&golden, loss);
    }

    #[test]
    fn t_follows_the_mean_target_cosine() {
        let device = Device::flex();
        let t = moved(vector(&[0.5], &device), matrix(&[0.2, 0.4], 1, &device));
        assert!((t.into_scalar::<f64>() - (0.99 * 0.5 + 0.01 * 0.3)).abs() < 1e-12);
    }

    #[test]
    fn t_is_state_of_the_head() {
        let device = Device::flex().autodiff();
        let head = CurricularFace::new([2, 2], 10.0, 0.5, &mut Dice::new(1, 0, 0, 0), &device);
        let x = Tensor::<2>::from_floats([[1.0, 0.0], [0.0, 1.0]], &device);
        for _ in 0..3 {
            let of = Tensor::from_ints([0, 1], &device);
            let loss = head.forward(x.clone(), of, Moment { warmth: 1.0 });
            assert!(loss.into_scalar::<f32>().is_finite());
        }
        let own = target(&cosines(x, head.weight.val()), &labels(&[0, 1], &device));
        let mean = own.mean().into_scalar::<f32>();
        let expected = mean * (1.0 - 0.99_f32.powi(3));
        let t = head.t.value_sync().into_scalar::<f32>();
        assert!((t - expected).abs() < 1e-6, "{t} is not {expected}");
        let stored = crate::train::state::values(&head.valid());
        assert!(stored.values().any(|v| v.as_slice() == [t]), "t is not in a checkpoint");
    }
}
