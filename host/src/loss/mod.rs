//! What a classification head makes of embeddings: one file a loss, one trait. Formulas, defaults and the answer to each
//! corner case stand in the files.

pub mod arcface;
pub mod softmax;

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, activation};
use serde::{Deserialize, Serialize};

use crate::synth::dice::Dice;
pub use arcface::ArcFace;
pub use softmax::Softmax;

/// A loss with the parameters of its head.
pub trait Loss {
    /// The mean loss of embeddings [b, d] whose classes are `labels` [b].
    ///
    /// `warmth` in 0..=1 is how much of a margin acts yet; losses without a margin ignore it.
    fn forward(&self, embeddings: Tensor<2>, labels: Tensor<1, Int>, warmth: f64) -> Tensor<1>;
}

/// The `[loss]` table of a recipe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "lowercase", deny_unknown_fields)]
pub enum LossConfig {
    /// Plain softmax with a bias: trained by dot product, tested by angle.
    Softmax {},
    /// An additive angular margin.
    ArcFace {
        /// Radians.
        #[serde(default = "arcface::default_margin")]
        margin: f64,
        /// Of the logits; derived from the number of classes when absent.
        #[serde(default)]
        scale: Option<f64>,
        /// Share of the training over which the margin grows from 0.
        #[serde(default)]
        margin_warmup: f64,
    },
}

impl LossConfig {
    /// The head for `classes` classes and embeddings of length `dimension`.
    pub(crate) fn head(&self, classes: usize, dimension: usize, dice: &mut Dice, device: &Device) -> Head {
        match *self {
            LossConfig::Softmax {} => Head::Softmax(Softmax::new(classes, dimension, dice, device)),
            LossConfig::ArcFace { margin, scale, .. } => {
                let scale = scale.unwrap_or_else(|| arcface::scale_for(classes));
                Head::ArcFace(ArcFace::new(classes, dimension, scale, margin, dice, device))
            }
        }
    }

    /// How much of the margin acts after a share `done` (0..=1) of the training.
    pub fn warmth(&self, done: f64) -> f64 {
        match *self {
            LossConfig::ArcFace { margin_warmup, .. } if margin_warmup > 0.0 => {
                (done / margin_warmup).min(1.0)
            }
            _ => 1.0,
        }
    }

    /// What is wrong with the values, and what would be accepted.
    ///
    /// # Errors
    /// The first field that is out of its range.
    pub fn check(&self) -> Result<(), String> {
        let LossConfig::ArcFace { margin, scale, margin_warmup } = *self else { return Ok(()) };
        let within = |name: &str, value: f64, low: f64, high: f64| {
            let ok = (low..=high).contains(&value);
            ok.then_some(()).ok_or_else(|| format!("loss.{name} = {value}\n  accepted: {low} to {high}"))
        };
        within("margin", margin, 0.0, 1.5)?;
        within("margin_warmup", margin_warmup, 0.0, 1.0)?;
        within("scale", scale.unwrap_or(1.0), 1.0, 256.0)
    }
}

/// The head of whichever loss the recipe names.
#[derive(Module, Debug)]
pub enum Head {
    /// See [`Softmax`].
    Softmax(Softmax),
    /// See [`ArcFace`].
    ArcFace(ArcFace),
}

impl Loss for Head {
    fn forward(&self, embeddings: Tensor<2>, labels: Tensor<1, Int>, warmth: f64) -> Tensor<1> {
        match self {
            Head::Softmax(loss) => loss.forward(embeddings, labels, warmth),
            Head::ArcFace(loss) => loss.forward(embeddings, labels, warmth),
        }
    }
}

/// Mean cross-entropy of `logits` [b, c] against `labels` [b].
pub fn cross_entropy(logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
    activation::log_softmax(logits, 1).gather(1, labels.unsqueeze_dim(1)).mean().neg()
}

/// Rows of unit length; a row of zeros stays finite.
pub fn unit_rows(x: Tensor<2>) -> Tensor<2> {
    let norm = (x.clone() * x.clone()).sum_dim(1).add_scalar(1e-12).sqrt();
    x / norm
}

#[cfg(test)]
pub(crate) mod check;
