//! The `[loss]` table of a recipe.

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::{
    ArcFace, Center, Combined, Contrastive, CosFace, CurricularFace, Head, Mining, NormFace, Softmax,
    SphereFace, Triplet, angular, arcface, center, contrastive, cosface, sphereface, triplet,
};
use crate::synth::dice::Dice;

/// The `[loss]` table of a recipe: `name`, and what the loss of that name can be told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "lowercase", deny_unknown_fields)]
pub enum LossConfig {
    /// See [`super::contrastive`].
    Contrastive {
        /// In distance.
        #[serde(default = "contrastive::default_margin")]
        margin: f64,
        /// Whether embeddings are normalised first.
        #[serde(default = "yes")]
        unit: bool,
        /// Share of the training over which the margin grows from 0.
        #[serde(default)]
        margin_warmup: f64,
    },
    /// See [`super::triplet`].
    Triplet {
        /// In squared distance.
        #[serde(default = "triplet::default_margin")]
        margin: f64,
        /// "semihard" or "batchhard".
        #[serde(default)]
        mining: Mining,
        /// Share of the training over which the margin grows from 0.
        #[serde(default)]
        margin_warmup: f64,
    },
    /// See [`super::center`].
    Center {
        /// Weight of the centre term.
        #[serde(default = "center::default_lambda")]
        lambda: f64,
        /// Rate of the centres.
        #[serde(default = "center::default_alpha")]
        alpha: f64,
    },
    /// Plain softmax with a bias: trained by dot product, tested by angle.
    Softmax {},
    /// See [`super::normface`].
    NormFace {
        /// Of the logits; derived from the number of classes when absent.
        #[serde(default)]
        scale: Option<f64>,
    },
    /// See [`super::sphereface`].
    SphereFace {
        /// What the angle is multiplied with.
        #[serde(default = "sphereface::default_margin")]
        margin: u32,
        /// The first lambda.
        #[serde(default = "sphereface::default_lambda_start")]
        lambda_start: f64,
        /// The last lambda.
        #[serde(default = "sphereface::default_lambda_end")]
        lambda_end: f64,
        /// Share of the training over which lambda falls from the first to the last.
        #[serde(default = "half")]
        margin_warmup: f64,
    },
    /// See [`super::cosface`].
    CosFace {
        /// In cosine.
        #[serde(default = "cosface::default_margin")]
        margin: f64,
        /// Of the logits; derived from the number of classes when absent.
        #[serde(default)]
        scale: Option<f64>,
        /// Share of the training over which the margin grows from 0.
        #[serde(default = "half")]
        margin_warmup: f64,
    },
    /// See [`super::arcface`].
    ArcFace {
        /// Radians.
        #[serde(default = "arcface::default_margin")]
        margin: f64,
        /// Of the logits; derived from the number of classes when absent.
        #[serde(default)]
        scale: Option<f64>,
        /// Share of the training over which the margin grows from 0.
        #[serde(default = "half")]
        margin_warmup: f64,
    },
    /// See [`super::curricular`].
    CurricularFace {
        /// Radians.
        #[serde(default = "arcface::default_margin")]
        margin: f64,
        /// Of the logits; derived from the number of classes when absent.
        #[serde(default)]
        scale: Option<f64>,
        /// Share of the training over which the margin grows from 0.
        #[serde(default = "half")]
        margin_warmup: f64,
    },
    /// See [`super::combined`].
    Combined {
        /// What the angle is multiplied with.
        #[serde(default = "one")]
        m1: f64,
        /// Radians.
        #[serde(default)]
        m2: f64,
        /// In cosine.
        #[serde(default)]
        m3: f64,
        /// Of the logits; derived from the number of classes when absent.
        #[serde(default)]
        scale: Option<f64>,
        /// Share of the training over which the margins grow from none.
        #[serde(default = "half")]
        margin_warmup: f64,
    },
}

/// A margin that leaves less than this of the cosine gets no larger scale for it.
const LEAST_ROOM: f64 = 0.25;

fn yes() -> bool {
    true
}

/// From scratch a full margin holds a network where it is: it earns more by gathering all embeddings than by parting them.
fn half() -> f64 {
    0.5
}

fn one() -> f64 {
    1.0
}

impl LossConfig {
    /// The head for `classes` classes and embeddings of length `dimension`.
    pub(crate) fn head(&self, classes: usize, dimension: usize, dice: &mut Dice, device: &Device) -> Head {
        let shape = [classes, dimension];
        let scale = self.scale(classes).unwrap_or(1.0);
        match *self {
            LossConfig::Contrastive { margin, unit, .. } => Head::Contrastive(Contrastive::new(margin, unit)),
            LossConfig::Triplet { margin, mining, .. } => Head::Triplet(Triplet::new(margin, mining)),
            LossConfig::Center { lambda, alpha } => {
                Head::Center(Center::new(shape, lambda, alpha, dice, device))
            }
            LossConfig::Softmax {} => Head::Softmax(Softmax::new(shape, dice, device)),
            LossConfig::NormFace { .. } => Head::NormFace(NormFace::new(shape, scale, dice, device)),
            LossConfig::SphereFace { margin, lambda_start, lambda_end, .. } => {
                Head::SphereFace(SphereFace::new(shape, margin, [lambda_start, lambda_end], dice, device))
            }
            LossConfig::CosFace { margin, .. } => {
                Head::CosFace(CosFace::new(shape, scale, margin, dice, device))
            }
            LossConfig::ArcFace { margin, .. } => {
                Head::ArcFace(ArcFace::new(shape, scale, margin, dice, device))
            }
            LossConfig::CurricularFace { margin, .. } => {
                Head::CurricularFace(CurricularFace::new(shape, scale, margin, dice, device))
            }
            LossConfig::Combined { m1, m2, m3, .. } => {
                Head::Combined(Combined::new(shape, scale, [m1, m2, m3], dice, device))
            }
        }
    }

    /// What its logits are multiplied with where there are `classes` classes; none for losses without a scale.
    pub fn scale(&self, classes: usize) -> Option<f64> {
        let room = || self.target(&[1.0]).map_or(1.0, |at_0| at_0[0].max(LEAST_ROOM));
        match *self {
            LossConfig::NormFace { scale }
            | LossConfig::CosFace { scale, .. }
            | LossConfig::ArcFace { scale, .. }
            | LossConfig::CurricularFace { scale, .. }
            | LossConfig::Combined { scale, .. } => {
                Some(scale.unwrap_or_else(|| angular::scale_for(classes, room())))
            }
            LossConfig::Contrastive { .. }
            | LossConfig::Triplet { .. }
            | LossConfig::Center { .. }
            | LossConfig::Softmax {}
            | LossConfig::SphereFace { .. } => None,
        }
    }

    /// Whether it compares the images of a batch with one another, so that a batch must hold several of a class.
    pub fn needs_pairs(&self) -> bool {
        matches!(self, LossConfig::Contrastive { .. } | LossConfig::Triplet { .. })
    }

    /// Share of the training over which the margin grows from nothing.
    fn margin_warmup(&self) -> f64 {
        match *self {
            LossConfig::Contrastive { margin_warmup, .. }
            | LossConfig::Triplet { margin_warmup, .. }
            | LossConfig::SphereFace { margin_warmup, .. }
            | LossConfig::CosFace { margin_warmup, .. }
            | LossConfig::ArcFace { margin_warmup, .. }
            | LossConfig::CurricularFace { margin_warmup, .. }
            | LossConfig::Combined { margin_warmup, .. } => margin_warmup,
            LossConfig::Center { .. } | LossConfig::Softmax {} | LossConfig::NormFace { .. } => 0.0,
        }
    }

    /// How much of the margin acts after a share `done` (0..=1) of the training.
    pub fn warmth(&self, done: f64) -> f64 {
        let warmup = self.margin_warmup();
        if warmup > 0.0 { (done / warmup).min(1.0) } else { 1.0 }
    }

    /// What is wrong with the values, and what would be accepted.
    ///
    /// # Errors
    /// The first field that is out of its range.
    pub fn check(&self) -> Result<(), String> {
        let within = |name: &str, value: f64, low: f64, high: f64| {
            let ok = (low..=high).contains(&value);
            ok.then_some(()).ok_or_else(|| format!("loss.{name} = {value}\n  accepted: {low} to {high}"))
        };
        within("margin_warmup", self.margin_warmup(), 0.0, 1.0)?;
        let scaled = |scale: Option<f64>| within("scale", scale.unwrap_or(1.0), 1.0, 256.0);
        match *self {
            LossConfig::Contrastive { margin, .. } => within("margin", margin, 1e-3, 100.0),
            LossConfig::Triplet { margin, .. } => within("margin", margin, 1e-3, 4.0),
            LossConfig::Center { lambda, alpha } => {
                within("lambda", lambda, 0.0, 10.0)?;
                within("alpha", alpha, 0.0, 1.0)
            }
            LossConfig::Softmax {} => Ok(()),
            LossConfig::NormFace { scale } => scaled(scale),
            LossConfig::SphereFace { margin, lambda_start, lambda_end, .. } => {
                within("margin", margin.into(), 1.0, 8.0)?;
                within("lambda_end", lambda_end, 0.0, 1e6)?;
                within("lambda_start", lambda_start, lambda_end, 1e6)
            }
            LossConfig::CosFace { margin, scale, .. } => {
                within("margin", margin, 0.0, 1.0)?;
                scaled(scale)
            }
            LossConfig::ArcFace { margin, scale, .. } | LossConfig::CurricularFace { margin, scale, .. } => {
                within("margin", margin, 0.0, 1.5)?;
                scaled(scale)
            }
            LossConfig::Combined { m1, m2, m3, scale, .. } => {
                within("m1", m1, 1.0, 4.0)?;
                within("m2", m2, 0.0, 1.5)?;
                within("m3", m3, 0.0, 1.0)?;
                scaled(scale)
            }
        }
    }
}
