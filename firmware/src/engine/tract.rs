//! The same ONNX through tract: the oracle, and the engine of Linux-class boards.
