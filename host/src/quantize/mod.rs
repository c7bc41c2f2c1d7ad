//! Float ONNX to int8 QOperator ONNX with its scales on the lattice.

pub mod lattice;
