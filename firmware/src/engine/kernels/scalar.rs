//! The scalar kernels: the definition of every int8 operation.
