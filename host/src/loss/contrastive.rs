//! Contrastive loss: half the squared distance of a pair of one class, half the squared shortfall `max(0, m - d)` of a pair of two
//! (Hadsell, Chopra, LeCun, "Dimensionality Reduction by Learning an Invariant Mapping", 2006). d is Euclidean, not squared;
//! another form in use takes d itself with two margins.
//!
//! Corner cases:
//! - Distances are between unit embeddings, because that is what a device compares; `unit = false` takes them as they are, which
//!   is the paper's form.
//! - All pairs of a batch count. The mean is taken over each kind for itself and the two are added, so that the many pairs of
//!   two classes do not drown the few of one. Of two classes it is the mean over the pairs within the margin: soon they are few,
//!   and over all pairs their push would fade against the pull until everybody is drawn together.
//! - The root has an infinite slope at distance 0: two embeddings of different classes that coincide get no push, but finite
//!   gradients.
//! - A batch without two images of a class has nothing to pull, one of one class nothing to push: the other term alone counts.

use burn::module::Module;
use burn::tensor::{Int, Tensor};

use super::pairs::{Pairs, root, squared_distances};
use super::{Loss, Moment, unit_rows};

/// The usual margin.
pub fn default_margin() -> f64 {
    1.0
}

/// The loss; it has no parameters.
#[derive(Module, Debug)]
pub struct Contrastive {
    margin: f64,
    unit: bool,
}

impl Contrastive {
    /// `margin` in units of distance; `unit` normalises embeddings first.
    pub(crate) fn new(margin: f64, unit: bool) -> Self {
        Contrastive { margin, unit }
    }
}

impl Loss for Contrastive {
    fn forward(&self, embeddings: Tensor<2>, labels: Tensor<1, Int>, at: Moment) -> Tensor<1> {
        loss(embeddings, labels, self.margin * at.warmth, self.unit)
    }
}

fn loss(x: Tensor<2>, labels: Tensor<1, Int>, margin: f64, unit: bool) -> Tensor<1> {
    let pairs = Pairs::of(&labels);
    let squared = squared_distances(if unit { unit_rows(x) } else { x });
    let pull = pairs.same(&squared).map(|d| d.mean().mul_scalar(0.5));
    let push = pairs.different(&squared).map(|d| {
        let short = root(d).neg().add_scalar(margin).clamp_min(0.0);
        let within = short.clone().detach().greater_elem(0.0).int().sum().into_scalar::<i64>().max(1);
        (short.clone() * short).sum().mul_scalar(0.5 / within as f64)
    });
    match (pull, push) {
        (Some(pull), Some(push)) => pull + push,
        (one, other) => one.or(other).unwrap_or_else(|| squared.sum().mul_scalar(0.0)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{Golden, assert_gradient};
    use super::*;

    #[test]
    fn golden_value_and_gradient() {
        for (name, unit) in [("contrastive", true), ("contrastive_raw", false)] {
            let golden = Golden::read(name);
            let loss = |x: Tensor<2>, _: Tensor<2>, of| loss(x, of, golden.parameter("margin"), unit);
            golden.assert_loss(loss);
            assert_gradient(&golden, loss);
        }
    }

    #[test]
    fn pairs_beyond_the_margin_do_not_thin_the_push() {
        let device = burn::tensor::Device::flex();
        let of = |rows: &[f32]| -> f32 {
            let classes: Vec<i64> = (0..rows.len() as i64 / 2).collect();
            let x =
                Tensor::from_data(burn::tensor::TensorData::new(rows.to_vec(), [rows.len() / 2, 2]), &device);
            let labels =
                Tensor::from_data(burn::tensor::TensorData::new(classes.clone(), [classes.len()]), &device);
            loss(x, labels, 1.0, true).into_scalar()
        };
        let near = [1.0, 0.0, 1.0, 0.5];
        assert!((of(&near) - of(&[near.as_slice(), &[-1.0, -0.2]].concat())).abs() < 1e-6);
        assert_eq!(of(&[1.0, 0.0, -1.0, 0.0]), 0.0);
    }

    #[test]
    fn coinciding_embeddings_give_finite_gradients() {
        let device = burn::tensor::Device::flex().autodiff();
        let x = Tensor::<2>::from_floats([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]], &device).require_grad();
        let grads = loss(x.clone(), Tensor::from_ints([0, 0, 1], &device), 1.0, true).backward();
        let grad = x.grad(&grads).unwrap().into_data().try_to_vec::<f32>().unwrap();
        assert!(grad.iter().all(|g| g.is_finite()), "{grad:?}");
    }
}
