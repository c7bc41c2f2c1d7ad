//! Center loss: softmax, and `lambda / 2` times the mean squared distance between an embedding and the centre of its class (Wen et
//! al., "A Discriminative Feature Learning Approach for Deep Face Recognition", 2016).
//!
//! Corner cases:
//! - The mean over the batch, not the sum: lambda keeps its meaning whatever the batch's size.
//! - Centres do not follow the gradient but the rule of the paper: `c_j -= alpha * sum (c_j - x_i) / (1 + n_j)` over the n_j
//!   embeddings of the class in the batch. The division keeps a class that is seen twice from moving twice as far.
//! - They are constants to the gradient, start at the origin, are state, and lie in the checkpoint.

use burn::module::{Module, RunningState};
use burn::tensor::{Device, IndexingUpdateOp, Int, Tensor};

use crate::synth::dice::Dice;

use super::{Loss, Moment, Softmax};

/// The paper's weight of the centre term.
pub fn default_lambda() -> f64 {
    0.003
}

/// The paper's rate of the centres.
pub fn default_alpha() -> f64 {
    0.5
}

/// The head: softmax's, and centres [c, d].
#[derive(Module, Debug)]
pub struct Center {
    pub(super) softmax: Softmax,
    centres: RunningState<Tensor<2>>,
    lambda: f64,
    alpha: f64,
}

impl Center {
    /// A fresh head for `classes` classes and embeddings of length `dimension`.
    pub(crate) fn new(shape: [usize; 2], lambda: f64, alpha: f64, dice: &mut Dice, device: &Device) -> Self {
        let centres = RunningState::new(Tensor::zeros(shape, device));
        Center { softmax: Softmax::new(shape, dice, device), centres, lambda, alpha }
    }
}

impl Loss for Center {
    fn forward(&self, embeddings: Tensor<2>, labels: Tensor<1, Int>, at: Moment) -> Tensor<1> {
        let centres = self.centres.value_sync().to_device(&embeddings.device());
        let pull = pull(embeddings.clone(), centres.clone(), &labels);
        self.centres.update(moved(centres, embeddings.clone().detach(), &labels, self.alpha));
        self.softmax.forward(embeddings, labels, at) + pull.mul_scalar(self.lambda)
    }
}

/// Half the mean squared distance to the own centre.
fn pull(x: Tensor<2>, centres: Tensor<2>, labels: &Tensor<1, Int>) -> Tensor<1> {
    let away = x - centres.select(0, labels.clone());
    (away.clone() * away).sum_dim(1).mean().mul_scalar(0.5)
}

/// The centres after a batch.
fn moved(centres: Tensor<2>, x: Tensor<2>, labels: &Tensor<1, Int>, alpha: f64) -> Tensor<2> {
    let [classes, _] = centres.dims();
    let [batch, _] = x.dims();
    let counts = Tensor::<2>::zeros([classes, 1], &x.device()).cast(x.dtype());
    let ones = Tensor::<2>::ones([batch, 1], &x.device()).cast(x.dtype());
    let counts = counts.select_assign(0, labels.clone(), ones, IndexingUpdateOp::Add);
    let away = x - centres.clone().select(0, labels.clone());
    let sums = centres.zeros_like().select_assign(0, labels.clone(), away, IndexingUpdateOp::Add);
    centres + (sums / counts.add_scalar(1.0)).mul_scalar(alpha)
}

#[cfg(test)]
mod tests {
    use super::super::check::{Golden, assert_gradient, labels, matrix};
    use super::super::{cross_entropy, softmax};
    use super::*;

    #[test]
    fn golden_value_and_gradient() {
        let golden = Golden::read("center");
        let lambda = golden.parameter("lambda");
        let loss = |x: Tensor<2>, w: Tensor<2>, of: Tensor<1, Int>| {
            let centres = golden.matrix("centres", &x.device());
            let bias = Tensor::zeros_like(&w.clone().sum_dim(1).squeeze_dim::<1>(1));
            let pull = pull(x.clone(), centres, &of);
            cross_entropy(softmax::logits(x, w, bias), of) + pull.mul_scalar(lambda)
        };
        golden.assert_loss(loss);
        assert_gradient(&golden, loss);
    }

    #[test]
    fn centres_move_by_the_papers_rule() {
        let golden = Golden::read("center");
        let device = Device::flex();
        let (x, of) = (golden.matrix("x", &device), golden.labels(&device));
        let moved = moved(golden.matrix("centres", &device), x, &of, golden.parameter("alpha"));
        let expected = golden.matrix("centres_after", &device);
        assert!((moved - expected).abs().max().into_scalar::<f64>() < 1e-12);
    }

    #[test]
    fn a_class_seen_twice_moves_two_thirds_of_alpha_of_the_way() {
        let device = Device::flex();
        let centres = matrix(&[0.0, 0.0, 5.0, 5.0], 2, &device);
        let x = matrix(&[3.0, 0.0, 3.0, 0.0], 2, &device);
        let moved =
            moved(centres, x, &labels(&[0, 0], &device), 0.5).into_data().try_to_vec::<f64>().unwrap();
        assert_eq!(moved, [1.0, 0.0, 5.0, 5.0]);
    }
}
