//! What a wire of the graph holds while it is lowered.
//!
//! Quantized graphs do their non-linear work in float islands between DequantizeLinear and QuantizeLinear. Whatever an
//! island computes from one int8 tensor, element by element, is a function of 256 values (for each channel): so a wire
//! carries that function as a table, computed by tract's own operators on the 256 values, and no rule of floating-point
//! arithmetic has to be written a second time. A sum or product of two tensors is kept as such until it is
//! quantized.

use std::sync::Arc;

use tract_onnx::prelude::Tensor;

use super::network::TensorId;

/// Where values come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The graph's u8 pixels.
    Pixels,
    /// An int8 activation.
    Tensor(TensorId),
}

/// A source seen with a stride in rows and columns: what a strided 1x1 convolution becomes in tract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View {
    /// What is seen.
    pub source: Source,
    /// Every how many rows and columns.
    pub stride: [usize; 2],
}

/// Scale and zero point of a DequantizeLinear.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Affine {
    /// Real value of one step.
    pub scale: f32,
    /// The step that stands for zero.
    pub zero: i32,
}

/// A function of one tensor, element by element.
#[derive(Debug, Clone)]
pub struct Map {
    /// Of which tensor.
    pub view: View,
    /// `[1 or channels, 256]` values of any type, indexed by the byte of the source; `None` for the source itself.
    pub table: Option<Arc<Tensor>>,
    /// The quantization that the source was read with, if it was dequantized.
    pub affine: Option<Affine>,
    /// Whether the table still is that dequantization and nothing more.
    pub is_affine: bool,
}

impl Map {
    /// The source itself.
    pub fn identity(view: View) -> Self {
        Map { view, table: None, affine: None, is_affine: false }
    }
}

/// How two tensors become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// `a + b`.
    Sum,
    /// `a * b`.
    Product,
}

/// Two dequantized tensors as one, perhaps clamped.
#[derive(Debug, Clone)]
pub struct Pair {
    /// How.
    pub operation: Operation,
    /// The two tensors with their quantization.
    pub operands: [(View, Affine); 2],
    /// Least value, if a Relu, Max or Clip follows.
    pub lo: f32,
    /// Greatest value.
    pub hi: f32,
}

/// What a wire holds.
#[derive(Debug, Clone)]
pub enum Value {
    /// A function of one tensor.
    Map(Map),
    /// A sum or a product of two.
    Pair(Pair),
}
