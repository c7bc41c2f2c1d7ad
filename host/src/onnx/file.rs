//! ONNX files on disk.

use std::path::{Path, PathBuf};

use prost::Message;
use tract_onnx::pb::ModelProto;

use crate::disk;

/// Why an ONNX file could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file system said no.
    #[error("cannot {verb} {}: {source}", path.display())]
    Io {
        /// "read" or "write".
        verb: &'static str,
        /// Which file.
        path: PathBuf,
        /// What it said.
        source: std::io::Error,
    },
    /// The bytes are no ONNX model.
    #[error("{} is not an ONNX model, or is damaged: {why}", path.display())]
    NotOnnx {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The bytes are neither an ONNX model nor a plan, where both are taken.
    #[error("{} is neither a plan nor an ONNX model, or is damaged: {why}", path.display())]
    Neither {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it as a model.
        why: String,
    },
}

/// The error of a file that should be a plan or an ONNX model.
pub fn neither(path: &Path, why: &str) -> FileError {
    FileError::Neither { path: path.into(), why: why.into() }
}

/// Reads a model.
///
/// # Errors
/// When the file cannot be read, is no protobuf of a model, or has no graph.
pub fn read(path: &Path) -> Result<ModelProto, FileError> {
    let bytes =
        std::fs::read(path).map_err(|source| FileError::Io { verb: "read", path: path.into(), source })?;
    decode(&bytes).map_err(|why| FileError::NotOnnx { path: path.into(), why })
}

/// Decodes a model from its bytes; the error is what is wrong, in words.
pub fn decode(bytes: &[u8]) -> Result<ModelProto, String> {
    let model = ModelProto::decode(bytes).map_err(|e| e.to_string())?;
    if model.graph.as_ref().is_none_or(|g| g.node.is_empty()) {
        return Err("it holds no graph".into());
    }
    Ok(model)
}

/// Writes a model so that a cut leaves the old file or the new one.
///
/// # Errors
/// When the file system says no.
pub fn write(path: &Path, model: &ModelProto) -> Result<(), FileError> {
    disk::replace(path, &model.encode_to_vec()).map_err(|source| FileError::Io {
        verb: "write",
        path: path.into(),
        source,
    })
}
