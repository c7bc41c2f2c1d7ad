//! SphereFace, A-Softmax: `|x| (lambda cos(theta_y) + psi(theta_y)) / (1 + lambda)` for the target class, `|x| cos(theta_j)` for the
//! others, `psi(theta) = (-1)^k cos(m theta) - 2k` for theta in [k pi / m, (k + 1) pi / m], m a whole number (Liu et al.,
//! "SphereFace: Deep Hypersphere Embedding for Face Recognition", 2017). Embeddings are not normalised, class weights are.
//!
//! Corner cases:
//! - cos(m theta) is Chebyshev's polynomial in cos(theta), and k counts the seams cos(i pi / m) that the cosine lies below. No
//!   arc cosine, no singular slope: the Jacobian is exact up to +-1. At a seam both sides agree, and so do their slopes, which
//!   are 0 there.
//! - Without annealing a network shrinks its embeddings to nothing: at right angles psi is -3 (m = 4), and with no length all
//!   classes cost the same. psi's part of the mean, 1 / (1 + lambda), grows by equal factors over `margin_warmup` of the
//!   training, from `lambda_start` to `lambda_end`: a share and not the authors' number of steps (1000 / (1 + 0.12 step), at its
//!   end after 1,658), which in a short training is over before anything is learnt. At the default end of 5 only one sixth of
//!   psi acts, as in theirs.
//! - An embedding of zeros has no direction: its norm is kept above 1e-6, so its gradient stays finite.

use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor};

use crate::synth::dice::Dice;

use super::angular::{class_weights, falling, target, with_target};
use super::{Loss, Moment, cross_entropy, row_norms, unit_rows};

/// The paper's m.
pub fn default_margin() -> u32 {
    4
}

/// The authors' first lambda.
pub fn default_lambda_start() -> f64 {
    1000.0
}

/// The authors' last lambda.
pub fn default_lambda_end() -> f64 {
    5.0
}

/// The head: class weights [c, d].
#[derive(Module, Debug)]
pub struct SphereFace {
    pub(super) weight: Param<Tensor<2>>,
    margin: usize,
    lambda_start: f64,
    lambda_end: f64,
}

impl SphereFace {
    /// A fresh head for `classes` classes and embeddings of length `dimension`; `margin` multiplies the angle.
    pub(crate) fn new(
        [classes, dimension]: [usize; 2],
        margin: u32,
        [lambda_start, lambda_end]: [f64; 2],
        dice: &mut Dice,
        device: &Device,
    ) -> Self {
        let weight = class_weights(classes, dimension, dice, device);
        SphereFace { weight, margin: margin as usize, lambda_start, lambda_end }
    }

    /// lambda when so much of the margin acts.
    fn lambda(&self, warmth: f64) -> f64 {
        let [first, last] = [self.lambda_start, self.lambda_end].map(|lambda| 1.0 + lambda);
        first * (last / first).powf(warmth) - 1.0
    }
}

impl Loss for SphereFace {
    fn forward(&self, embeddings: Tensor<2>, labels: Tensor<1, Int>, at: Moment) -> Tensor<1> {
        loss(embeddings, self.weight.val(), labels, self.margin, self.lambda(at.warmth))
    }
}

fn loss(x: Tensor<2>, weight: Tensor<2>, labels: Tensor<1, Int>, margin: usize, lambda: f64) -> Tensor<1> {
    let norms = row_norms(x.clone());
    let cosines = unit_rows(x).matmul(unit_rows(weight).transpose());
    let own = target(&cosines, &labels);
    let moved = target_cosine(own, margin, lambda);
    cross_entropy(with_target(cosines, &labels, moved) * norms, labels)
}

/// What stands in the place of the target's cosine.
pub(super) fn target_cosine(own: Tensor<2>, margin: usize, lambda: f64) -> Tensor<2> {
    (own.clone().mul_scalar(lambda) + psi(own, margin)).div_scalar(1.0 + lambda)
}

/// psi of the angles whose cosines are given.
fn psi(cosine: Tensor<2>, margin: usize) -> Tensor<2> {
    let seam = |i: usize| (i as f64 * std::f64::consts::PI / margin as f64).cos();
    let fixed = cosine.clone().detach();
    let below = |i: usize| fixed.clone().lower_elem(seam(i)).float().cast(fixed.dtype());
    let half_turns = (1..margin).map(below).reduce(|a, b| a + b).unwrap_or_else(|| fixed.zeros_like());
    falling(chebyshev(cosine, margin), half_turns)
}

/// cos(n theta) from cos(theta), n at least 1.
fn chebyshev(cosine: Tensor<2>, n: usize) -> Tensor<2> {
    let (mut before, mut now) = (cosine.ones_like(), cosine.clone());
    for _ in 1..n {
        let next = cosine.clone().mul_scalar(2.0) * now.clone() - before;
        (before, now) = (now, next);
    }
    now
}

#[cfg(test)]
mod tests {
    use super::super::check::{Golden, assert_gradient, matrix};
    use super::*;

    #[test]
    fn golden_value_and_gradient() {
        let golden = Golden::read("sphereface");
        let (margin, lambda) = (golden.parameter("margin") as usize, golden.parameter("lambda"));
        let loss = |x, w, labels| loss(x, w, labels, margin, lambda);
        golden.assert_loss(loss);
        assert_gradient(&golden, loss);
    }

    #[test]
    fn psi_falls_all_the_way_from_one_to_one_minus_two_m() {
        let device = Device::flex();
        for margin in 1..=6 {
            let cosines: Vec<f64> = (0..=1800).map(|i| (i as f64 / 10.0).to_radians().cos()).collect();
            let psi = psi(matrix(&cosines, 1, &device), margin).into_data().try_to_vec::<f64>().unwrap();
            assert!(psi.windows(2).all(|w| w[1] < w[0] + 1e-12), "m = {margin} is not monotone");
            let last = -2.0 * margin as f64 + 1.0;
            assert!((psi[0] - 1.0).abs() < 1e-9 && (psi[1800] - last).abs() < 1e-9, "m = {margin}");
        }
    }

    #[test]
    fn lambda_falls_by_equal_factors_to_its_end() {
        let device = Device::flex();
        let head = SphereFace::new([3, 4], 4, [1000.0, 5.0], &mut Dice::new(1, 0, 0, 0), &device);
        let near =
            |warmth: f64, wanted: f64| assert!((head.lambda(warmth) - wanted).abs() < 1e-9, "at {warmth}");
        near(0.0, 1000.0);
        near(0.5, (1001.0f64 * 6.0).sqrt() - 1.0);
        near(1.0, 5.0);
    }

    #[test]
    fn an_embedding_of_zeros_gives_finite_gradients() {
        let device = Device::flex().autodiff();
        let x = Tensor::<2>::from_floats([[0.0, 0.0], [-1.0, 0.0]], &device).require_grad();
        let w = Tensor::<2>::from_floats([[2.0, 0.0], [0.0, 1.0]], &device);
        let grads = loss(x.clone(), w, Tensor::from_ints([0, 0], &device), 4, 5.0).backward();
        let grad = x.grad(&grads).unwrap().into_data().try_to_vec::<f32>().unwrap();
        assert!(grad.iter().all(|g| g.is_finite()), "{grad:?}");
    }
}
