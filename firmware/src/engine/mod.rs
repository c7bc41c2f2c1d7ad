//! What turns a crop into an int8 embedding, and what finds the face before that.
//!
//! Two engines stand behind one trait: [`plan`] interprets a model lowered by the host (every device), `tract` runs the
//! same ONNX (feature `tract`: the oracle, and the engine of Linux-class boards). They give the same bytes.

pub mod plan;
#[cfg(feature = "tract")]
pub mod tract;
pub mod vectors;

use crate::detect::{Face, LookError, MOST_FACES, Settings};
use crate::model::ModelInfo;
use crate::model::thresholds::ThresholdTable;

/// Why an engine gave no embedding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum EmbedError {
    /// The crop is not `height * width * channels` bytes.
    CropLength {
        /// Bytes of a crop for this model.
        expected: usize,
        /// Bytes given.
        found: usize,
    },
    /// The output is not `dimension` long.
    OutputLength {
        /// The model's dimension.
        expected: usize,
        /// Places given.
        found: usize,
    },
    /// There is no model yet.
    NoModel,
    /// The runtime below the engine failed (tract only; a plan that was validated cannot fail).
    Runtime,
}

impl core::fmt::Display for EmbedError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            EmbedError::CropLength { expected, found } => {
                write!(f, "the model takes crops of {expected} bytes, {found} were given")
            }
            EmbedError::OutputLength { expected, found } => {
                write!(f, "the model's embedding has {expected} bytes, there is room for {found}")
            }
            EmbedError::NoModel => write!(f, "there is no model yet"),
            EmbedError::Runtime => write!(f, "the runtime failed to run the model"),
        }
    }
}

impl core::error::Error for EmbedError {}

/// A model that turns a crop into an int8 embedding.
pub trait Embedder {
    /// What the model says of itself.
    fn info(&self) -> &ModelInfo;

    /// The model's thresholds; none where `arcgate calibrate` has not run, or the engine does not carry them.
    fn thresholds(&self) -> Option<ThresholdTable<'_>> {
        None
    }

    /// Embeds one crop: `height * width` pixels, rows from top to bottom, interleaved R, G, B whatever the model's
    /// channel order (one byte a pixel for a grey model). `out` takes exactly `dimension` values with zero point 0.
    ///
    /// # Errors
    /// When `crop` or `out` has the wrong length; nothing else can fail on a device.
    fn embed(&mut self, crop: &[u8], out: &mut [i8]) -> Result<(), EmbedError>;

    /// [`Embedder::embed`] that calls `after` with the number of each operation when it has run: for whoever measures them. An
    /// engine that does not tell its operations apart calls it never.
    ///
    /// # Errors
    /// Those of [`Embedder::embed`].
    fn embed_watched(
        &mut self,
        crop: &[u8],
        out: &mut [i8],
        after: &mut dyn FnMut(usize),
    ) -> Result<(), EmbedError> {
        let _ = after;
        self.embed(crop, out)
    }
}

/// The models of a device: an embedder and, where it finds faces itself, a detector.
pub trait Models: Embedder {
    /// What the detector says of itself, if there is one.
    fn detector(&self) -> Option<&ModelInfo> {
        None
    }

    /// The faces in a picture of the detector's size, the surest first: `height * width` pixels, rows from top to bottom,
    /// interleaved R, G, B whatever the detector's channel order (one byte a pixel for a grey one). [`look`](crate::detect::look())
    /// makes such pictures.
    ///
    /// # Errors
    /// When there is no detector, or `picture` has the wrong length; nothing else can fail on a device.
    fn find(
        &mut self,
        picture: &[u8],
        settings: &Settings,
    ) -> Result<heapless::Vec<Face, MOST_FACES>, LookError> {
        let _ = (picture, settings);
        Err(LookError::NoDetector)
    }

    /// The memory that the models run in, between two runs: what lies in it is of no use to the next. Empty where they have their own.
    fn arena(&mut self) -> &mut [u8] {
        &mut []
    }
}
