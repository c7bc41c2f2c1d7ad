//! The weights of a training.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use crate::loss::Head;

/// What is trained: the backbone, and the head that is left behind at the end.
#[derive(Module, Debug)]
pub(super) struct Model<N: Module> {
    pub net: N,
    pub head: Head,
    /// From the student's embedding to the teacher's, where their lengths differ.
    pub projection: Option<Param<Tensor<2>>>,
}
