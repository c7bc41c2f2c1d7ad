//! Why a training fails.

use std::path::PathBuf;

use super::metrics::MetricsError;
use super::{CheckpointError, InitError, PlaceError, SourceError};
use crate::quantize::ImportError;

/// Why a training ended without a model.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// There are no images.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A checkpoint cannot be written or read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The file with the first weights cannot be used.
    #[error(transparent)]
    Init(#[from] InitError),
    /// The weights cannot be written.
    #[error("cannot write {}: {why}", path.display())]
    Weights {
        /// Which file.
        path: PathBuf,
        /// What the file system said.
        why: std::io::Error,
    },
    /// Nothing was named to fine-tune.
    #[error(
        "the recipe's [quantization] table fine-tunes a trained network, and none was named\n  \
         accepted: --init with its float .onnx or its .safetensors (also with --resume), or a recipe without the table"
    )]
    NothingToTune,
    /// The network has no int8 form to simulate.
    #[error(transparent)]
    Quantize(#[from] ImportError),
    /// The metrics cannot be kept.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// The device cannot be used.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// The loss is no number any more.
    #[error("the loss is {loss} at step {step}: {cause}")]
    NotFinite {
        /// The loss.
        loss: f32,
        /// The step, counted from 0.
        step: usize,
        /// Where the first number that is none was found, and what helps.
        cause: String,
    },
    /// Nothing moves any more.
    #[error(
        "the loss is frozen at {loss}: for {steps} steps up to step {step} its gradient was 0\n  {cause}"
    )]
    Frozen {
        /// The loss.
        loss: f32,
        /// The step, counted from 0.
        step: usize,
        /// Steps without a gradient.
        steps: usize,
        /// Why, and what helps.
        cause: &'static str,
    },
    /// The watcher stopped it.
    #[error("stopped after {images} images{}", checkpoint.as_ref().map_or_else(String::new, |c| format!("; go on with --resume (checkpoint {})", c.display())))]
    Stopped {
        /// Images seen.
        images: usize,
        /// Where the state was written.
        checkpoint: Option<PathBuf>,
    },
}
