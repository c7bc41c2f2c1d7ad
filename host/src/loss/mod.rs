//! What is learnt from embeddings: one file a loss, one trait. Formulas, defaults and the answer to each corner case stand in
//! the files.
//!
//! | by pairs of a batch | by a class's weights | by angle to a class's weights |
//! |---|---|---|
//! | [`contrastive`], [`triplet`] | [`softmax`], [`center`] | [`normface`], [`sphereface`], [`cosface`], [`arcface`], [`curricular`], [`combined`] |

mod angular;
pub mod arcface;
pub mod center;
pub mod combined;
mod config;
pub mod contrastive;
pub mod cosface;
pub mod curricular;
mod geometry;
pub mod normface;
mod pairs;
pub mod softmax;
pub mod sphereface;
pub mod triplet;

use burn::module::Module;
use burn::tensor::{Int, Tensor, activation};

pub use arcface::ArcFace;
pub use center::Center;
pub use combined::Combined;
pub use config::LossConfig;
pub use contrastive::Contrastive;
pub use cosface::CosFace;
pub use curricular::CurricularFace;
pub use normface::NormFace;
pub use softmax::Softmax;
pub use sphereface::SphereFace;
pub use triplet::{Mining, Triplet};

/// Where a training stands when a loss is taken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moment {
    /// How much of a margin acts yet, 0..=1; losses without a margin ignore it.
    pub warmth: f64,
}

/// A loss with the parameters and the state of its head.
///
/// Parameters follow the gradient. State (centres, t) moves by the loss's own rule each time that a loss is taken; both lie in
/// the checkpoint.
pub trait Loss {
    /// The mean loss of embeddings `[b, d]` whose classes are `labels` `[b]`.
    fn forward(&self, embeddings: Tensor<2>, labels: Tensor<1, Int>, at: Moment) -> Tensor<1>;
}

/// The head of whichever loss the recipe names.
#[derive(Module, Debug)]
#[expect(missing_docs, reason = "each variant is the loss that it names")]
pub enum Head {
    Contrastive(Contrastive),
    Triplet(Triplet),
    Center(Center),
    Softmax(Softmax),
    NormFace(NormFace),
    SphereFace(SphereFace),
    CosFace(CosFace),
    ArcFace(ArcFace),
    CurricularFace(CurricularFace),
    Combined(Combined),
}

impl Head {
    /// The class weights [c, d], where the loss has any.
    pub fn class_weights(&self) -> Option<Tensor<2>> {
        let weight = match self {
            Head::Contrastive(_) | Head::Triplet(_) => return None,
            Head::Center(loss) => &loss.softmax.weight,
            Head::Softmax(loss) => &loss.weight,
            Head::NormFace(loss) => &loss.weight,
            Head::SphereFace(loss) => &loss.weight,
            Head::CosFace(loss) => &loss.weight,
            Head::ArcFace(loss) => &loss.weight,
            Head::CurricularFace(loss) => &loss.weight,
            Head::Combined(loss) => &loss.weight,
        };
        Some(weight.val())
    }
}

impl Loss for Head {
    fn forward(&self, embeddings: Tensor<2>, labels: Tensor<1, Int>, at: Moment) -> Tensor<1> {
        match self {
            Head::Contrastive(loss) => loss.forward(embeddings, labels, at),
            Head::Triplet(loss) => loss.forward(embeddings, labels, at),
            Head::Center(loss) => loss.forward(embeddings, labels, at),
            Head::Softmax(loss) => loss.forward(embeddings, labels, at),
            Head::NormFace(loss) => loss.forward(embeddings, labels, at),
            Head::SphereFace(loss) => loss.forward(embeddings, labels, at),
            Head::CosFace(loss) => loss.forward(embeddings, labels, at),
            Head::ArcFace(loss) => loss.forward(embeddings, labels, at),
            Head::CurricularFace(loss) => loss.forward(embeddings, labels, at),
            Head::Combined(loss) => loss.forward(embeddings, labels, at),
        }
    }
}

/// Mean cross-entropy of `logits` `[b, c]` against `labels` `[b]`.
pub fn cross_entropy(logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
    activation::log_softmax(logits, 1).gather(1, labels.unsqueeze_dim(1)).mean().neg()
}

/// The norm of each row, [b, 1]; that of a row of zeros is 1e-6.
pub fn row_norms(x: Tensor<2>) -> Tensor<2> {
    (x.clone() * x).sum_dim(1).add_scalar(1e-12).sqrt()
}

/// Rows of unit length; a row of zeros stays finite.
pub fn unit_rows(x: Tensor<2>) -> Tensor<2> {
    let norms = row_norms(x.clone());
    x / norms
}

#[cfg(test)]
pub(crate) mod check;
