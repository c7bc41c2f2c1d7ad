//! The int8 kernels. [`scalar`] is the definition; whatever else comes here must equal it to the byte.

pub mod requant;
pub mod scalar;
