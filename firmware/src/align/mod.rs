//! Five landmarks to a similarity transform and the fixed-point warp into the model's input.
//!
//! In: a [`Frame`], five points in it, and what the model says of its input. Out: a crop, rows from top to bottom,
//! interleaved R, G, B (or one luma byte). The bytes are the same on every machine: the transform is IEEE f64 addition,
//! subtraction, multiplication and one division in a fixed order (never fused), everything after it is integers.
//!
//! - [`similarity`]: landmarks -> transform, closed form;
//! - [`warp`](warp()): transform -> crop, bilinear, border replicated;
//! - [`framed`](framed()) and [`central`]: no landmarks at all, the whole frame or its middle averaged into the input.

mod framed;
pub mod similarity;
mod warp;

use core::fmt;

pub(crate) use framed::scaled;
pub use framed::{central, framed};
pub use similarity::Similarity;
pub use warp::{luma, warp};

use crate::frame::{Frame, Landmarks};
use crate::model::ModelInfo;

/// Why a frame was not aligned.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum AlignError {
    /// A coordinate is not a number, or lies farther from the origin than [`similarity::MAX_COORDINATE`].
    Coordinate {
        /// Which of the five points, from 0.
        point: u8,
        /// Its column.
        x: f32,
        /// Its row.
        y: f32,
    },
    /// The points have no size, or nothing in common with the template's shape: one pixel of the crop would be this many
    /// pixels of the frame. [`similarity::MIN_SCALE`] to [`similarity::MAX_SCALE`] are accepted.
    Scale {
        /// Frame pixels per crop pixel; infinite or NaN when the points coincide.
        scale: f32,
    },
    /// The model takes framed pictures: it has no template to align to. [`framed`](framed()) is for it.
    NoTemplate,
    /// The crop's geometry and the buffer disagree.
    OutputLength {
        /// Bytes of a crop.
        expected: usize,
        /// Bytes given.
        found: usize,
    },
}

impl fmt::Display for AlignError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AlignError::Coordinate { point, x, y } => {
                let most = similarity::MAX_COORDINATE;
                write!(f, "landmark {point} is at ({x}, {y}); accepted: within -{most} to {most}")
            }
            AlignError::Scale { scale } => {
                let (least, most) = (similarity::MIN_SCALE, similarity::MAX_SCALE);
                write!(
                    f,
                    "the landmarks span {scale} frame pixels per crop pixel; accepted: {least} to {most}, so points \
                     that do not coincide and that lie as in a face"
                )
            }
            AlignError::NoTemplate => {
                write!(f, "the model has no alignment template: it takes whole framed pictures")
            }
            AlignError::OutputLength { expected, found } => {
                write!(f, "a crop takes {expected} bytes, there is room for {found}")
            }
        }
    }
}

impl core::error::Error for AlignError {}

/// The crop of `info`'s model around the face with `landmarks`. `out` takes exactly [`ModelInfo::crop_bytes`].
///
/// # Errors
/// When the model has no template, the landmarks are degenerate, or `out` has another length.
pub fn crop(
    frame: &Frame<'_>,
    landmarks: &Landmarks,
    info: &ModelInfo,
    out: &mut [u8],
) -> Result<(), AlignError> {
    let template = info.template.as_ref().ok_or(AlignError::NoTemplate)?;
    let similarity = Similarity::from_landmarks(landmarks, template)?;
    warp(frame, &similarity, info.width, info.height, info.order, out)
}

/// Whether `out` takes `width * height * channels` bytes.
fn check_length(width: u16, height: u16, channels: usize, out: &[u8]) -> Result<(), AlignError> {
    let expected = width as usize * height as usize * channels;
    if out.len() == expected { Ok(()) } else { Err(AlignError::OutputLength { expected, found: out.len() }) }
}
