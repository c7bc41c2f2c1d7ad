//! What the loop trains: a float network, or one as int8 computes it.

use burn::module::{Module, ModuleDisplay};
use burn::tensor::Tensor;
use tract_onnx::pb::ModelProto;

use super::{Recipe, export};
use crate::net::Net;

/// A network from normalised pixels [b, planes, rows, columns] to embeddings [b, d], not normalised to unit length.
pub(super) trait Backbone: Module + ModuleDisplay {
    /// What the exported model computes.
    fn forward(&self, pixels: Tensor<4>) -> Tensor<2>;

    /// What is trained, and what [`Backbone::run_on`] wants to hear of the batch.
    fn learn(&self, pixels: Tensor<4>) -> (Tensor<2>, Vec<Tensor<2>>);

    /// Hears of a batch that was learnt from.
    fn run_on(&self, seen: &[Tensor<2>]);

    /// The model that the training gives.
    fn export(&self, recipe: &Recipe) -> ModelProto;
}

impl Backbone for Net {
    fn forward(&self, pixels: Tensor<4>) -> Tensor<2> {
        Net::forward(self, pixels)
    }

    /// Normalised by the batch's own moments.
    fn learn(&self, pixels: Tensor<4>) -> (Tensor<2>, Vec<Tensor<2>>) {
        Net::learn(self, pixels)
    }

    fn run_on(&self, moments: &[Tensor<2>]) {
        Net::run_on(self, moments);
    }

    fn export(&self, recipe: &Recipe) -> ModelProto {
        export::export(self, &recipe.net, &recipe.float_input(), &recipe.name)
    }
}
