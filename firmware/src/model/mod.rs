//! What a model says of itself: what its input is, how long its embedding, and within which angle that is somebody
//! ([`thresholds`]).

pub mod thresholds;

use serde::{Deserialize, Serialize};

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
