//! What turns a crop into an int8 embedding, what finds the face before that, and what a model says of itself.
//!
//! Two engines stand behind one trait: [`plan`] interprets a model lowered by the host (every device), `tract` runs the
//! same ONNX (feature `tract`: the oracle, and the engine of Linux-class boards). They give the same bytes.

pub mod plan;
#[cfg(feature = "tract")]
pub mod tract;

pub use arcgate_kernels as kernels;

use serde::{Deserialize, Serialize};

use crate::decide::table::ThresholdTable;
use crate::detect::{DetectError, Face, MOST_FACES, Settings};
use crate::frame::Landmarks;

/// The colours a model was trained on, in the order of its input planes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ChannelOrder {
    /// One plane of luma.
    Grey,
    /// Red, green, blue.
    Rgb,
    /// Blue, green, red.
    Bgr,
}

impl ChannelOrder {
    /// Planes of the model's input, and bytes of one pixel of a crop.
    pub const fn channels(self) -> usize {
        match self {
            ChannelOrder::Grey => 1,
            ChannelOrder::Rgb | ChannelOrder::Bgr => 3,
        }
    }
}

/// What a model is for.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Task {
    /// A crop to an embedding.
    #[default]
    Embedding,
    /// A picture to faces with landmarks.
    Detection,
}

/// What a model says of itself: everything a device needs besides the arithmetic.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelInfo {
    /// Columns of the input crop.
    pub width: u16,
    /// Rows of the input crop.
    pub height: u16,
    /// Order of the input planes. A crop is always interleaved R, G, B (or one grey byte); the engine reorders.
    pub order: ChannelOrder,
    /// Where the five landmarks lie in the input, in pixels; `None` when the model takes a framed picture unaligned.
    pub template: Option<Landmarks>,
    /// Length of the embedding; 0 for a detector.
    pub dimension: u16,
    /// SHA-256 over graph, weights, scales and preprocessing; galleries bind to it.
    pub embedding_id: [u8; 32],
}

impl ModelInfo {
    /// Of no model: no dimension, no input.
    pub const NONE: ModelInfo = ModelInfo {
        width: 0,
        height: 0,
        order: ChannelOrder::Grey,
        template: None,
        dimension: 0,
        embedding_id: [0; 32],
    };

    /// Whether it is of no model.
    pub fn is_none(&self) -> bool {
        self.dimension == 0 && self.width == 0
    }

    /// Bytes of a crop: `height * width * channels`.
    pub fn crop_bytes(&self) -> usize {
        self.width as usize * self.height as usize * self.order.channels()
    }
}

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

/// Why a detector looked at nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum LookError {
    /// The engine has no detector.
    NoDetector,
    /// The picture is not `height * width * channels` bytes.
    PictureLength {
        /// Bytes of a picture for this model.
        expected: usize,
        /// Bytes given.
        found: usize,
    },
    /// The plan's bytes changed since it was validated.
    Changed,
    /// The runtime below the engine failed (tract only).
    Runtime,
    /// The maps are not those of the picture, which validation excludes.
    Maps(DetectError),
}

impl core::fmt::Display for LookError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            LookError::NoDetector => write!(f, "there is no detector"),
            LookError::PictureLength { expected, found } => {
                write!(f, "the detector takes pictures of {expected} bytes, {found} were given")
            }
            LookError::Changed => write!(f, "the detector's plan has changed since it was read"),
            LookError::Runtime => write!(f, "the runtime failed to run the detector"),
            LookError::Maps(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for LookError {}

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
