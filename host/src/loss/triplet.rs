//! Triplet loss: `mean max(0, |a - p|^2 - |a - n|^2 + alpha)` over unit embeddings (Schroff, Kalenichenko, Philbin, "FaceNet: A
//! Unified Embedding for Face Recognition and Clustering", 2015). Distances are squared; alpha = 0.05 on plain distances is
//! another loss.
//!
//! Mining, within a batch of P classes with K images each:
//! - `semihard` (FaceNet's): for every anchor and positive, the nearest negative that is farther than the positive. Where none
//!   is, the farthest negative there is, so that a collapsed embedding still has something to learn.
//! - `batchhard` (Hermans, Beyer, Leibe, 2017): for every anchor, the farthest positive and the nearest negative.
//!
//! Corner cases:
//! - Who is mined is decided on values and is a constant to the gradient. Of equals the first counts.
//! - Triplets that satisfy the margin stay in the mean with 0.
//! - A batch without two images of a class, or of one class alone, has no triplets: its loss is 0. The sampler puts K images of
//!   each class into a batch; with few classes, one at the seam of two rounds may hold a class twice.
//! - From scratch it converges badly: let the margin grow (`margin_warmup`).

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::pairs::{classes, host, squared_distances};
use super::{Loss, Moment, unit_rows};

/// FaceNet's margin, in squared distance.
pub fn default_margin() -> f64 {
    0.2
}

/// Which triplets count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mining {
    /// The nearest negative beyond each positive.
    #[default]
    SemiHard,
    /// The farthest positive and the nearest negative of each anchor.
    BatchHard,
}

/// The loss; it has no parameters.
#[derive(Module, Debug)]
pub struct Triplet {
    margin: f64,
    #[module(skip)]
    mining: Mining,
}

impl Triplet {
    /// `margin` in squared distance.
    pub(crate) fn new(margin: f64, mining: Mining) -> Self {
        Triplet { margin, mining }
    }
}

impl Loss for Triplet {
    fn forward(&self, embeddings: Tensor<2>, labels: Tensor<1, Int>, at: Moment) -> Tensor<1> {
        loss(embeddings, labels, self.margin * at.warmth, self.mining)
    }
}

fn loss(x: Tensor<2>, labels: Tensor<1, Int>, margin: f64, mining: Mining) -> Tensor<1> {
    let squared = squared_distances(unit_rows(x));
    let device = squared.device();
    let classes = classes(&labels);
    let mined = mine(&host(&squared), &classes, mining);
    let flat: Tensor<1> = squared.reshape([-1]);
    if mined.is_empty() {
        return flat.sum().mul_scalar(0.0);
    }
    let n = classes.len();
    let places = |of: fn(&[usize; 3]) -> usize| indices(mined.iter().map(|t| t[0] * n + of(t)), &device);
    let (near, far) = (flat.clone().select(0, places(|t| t[1])), flat.select(0, places(|t| t[2])));
    (near - far).add_scalar(margin).clamp_min(0.0).mean()
}

fn indices(of: impl Iterator<Item = usize>, device: &Device) -> Tensor<1, Int> {
    let of: Vec<i64> = of.map(|i| i as i64).collect();
    let shape = [of.len()];
    Tensor::from_data(TensorData::new(of, shape), device)
}

/// Anchor, positive and negative of every triplet, from the squared distances [b, b], row by row.
fn mine(squared: &[f64], classes: &[i64], mining: Mining) -> Vec<[usize; 3]> {
    let n = classes.len();
    let mut triplets = Vec::new();
    for a in 0..n {
        let row = &squared[a * n..][..n];
        let positives = || (0..n).filter(|&p| p != a && classes[p] == classes[a]);
        let negatives = || (0..n).filter(|&x| classes[x] != classes[a]);
        let nearest = |of: &mut dyn Iterator<Item = usize>| of.min_by(|&i, &j| row[i].total_cmp(&row[j]));
        // `max_by` gives the last of equals; reversed, the first.
        let farthest = |of: &mut dyn Iterator<Item = usize>| of.min_by(|&i, &j| row[j].total_cmp(&row[i]));
        match mining {
            Mining::SemiHard => {
                for p in positives() {
                    let beyond = nearest(&mut negatives().filter(|&x| row[x] > row[p]));
                    triplets.extend(beyond.or_else(|| farthest(&mut negatives())).map(|x| [a, p, x]));
                }
            }
            Mining::BatchHard => {
                let (p, x) = (farthest(&mut positives()), nearest(&mut negatives()));
                triplets.extend(p.zip(x).map(|(p, x)| [a, p, x]));
            }
        }
    }
    triplets
}

#[cfg(test)]
mod tests {
    use super::super::check::{Golden, assert_gradient};
    use super::*;

    #[test]
    fn golden_value_and_gradient() {
        for (name, mining) in
            [("triplet_semihard", Mining::SemiHard), ("triplet_batchhard", Mining::BatchHard)]
        {
            let golden = Golden::read(name);
            let loss = |x: Tensor<2>, _: Tensor<2>, of| loss(x, of, golden.parameter("margin"), mining);
            golden.assert_loss(loss);
            assert_gradient(&golden, loss);
        }
    }

    #[test]
    fn mining_by_hand() {
        // Four points on a line at 0, 1, 1.5 and 4; the first two are one class.
        let at = [0.0, 1.0, 1.5, 4.0_f64];
        let squared: Vec<f64> = at.iter().flat_map(|a| at.map(|b| (a - b) * (a - b))).collect();
        let classes = [7, 7, 8, 9];
        // Seen from 1, both negatives of 0 lie... 1.5 is nearer than 0, so 4 is the nearest one beyond it.
        assert_eq!(mine(&squared, &classes, Mining::SemiHard), [[0, 1, 2], [1, 0, 3]]);
        assert_eq!(mine(&squared, &classes, Mining::BatchHard), [[0, 1, 2], [1, 0, 2]]);
        // No negative beyond the positive: the farthest one.
        let at = [0.0, 9.0, 1.0, 2.0_f64];
        let squared: Vec<f64> = at.iter().flat_map(|a| at.map(|b| (a - b) * (a - b))).collect();
        assert_eq!(mine(&squared, &classes, Mining::SemiHard), [[0, 1, 3], [1, 0, 2]]);
        assert!(mine(&squared, &[1, 2, 3, 4], Mining::SemiHard).is_empty());
        assert!(mine(&squared, &[1, 1, 1, 1], Mining::BatchHard).is_empty());
    }
}
