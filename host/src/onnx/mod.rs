//! ONNX read and written through tract's own protobuf types.

pub mod build;
pub mod file;
pub mod float;
pub mod identity;
pub mod metadata;
pub mod origin;
pub(crate) mod property;
pub mod tensor;
pub mod thresholds;
pub mod value;
