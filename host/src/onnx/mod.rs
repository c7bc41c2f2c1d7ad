//! ONNX read and written through tract's own protobuf types.

pub mod metadata;
