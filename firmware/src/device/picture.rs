//! The picture at hand: received in pieces, cropped, embedded, each once.

use crate::align::{self, AlignError};
use crate::decide::Rejection;
use crate::decide::quality::QualityRules;
use crate::embedding::MAX_DIMENSION;
use crate::engine::{Embedder, ModelInfo};
use crate::frame::{Frame, Landmarks};
use crate::link::message::{FrameHeader, MAX_PIECE};
use crate::link::{Fault, Reply};

use super::Shot;

/// How far the picture has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Raw,
    Cropped,
    Embedded,
}

/// Why there is no crop or no embedding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    /// The picture shows nobody.
    Rejected(Rejection),
    /// It is not there, or does not fit.
    Fault(Fault),
}

impl From<Fault> for Missing {
    fn from(fault: Fault) -> Self {
        Missing::Fault(fault)
    }
}

impl From<AlignError> for Missing {
    fn from(error: AlignError) -> Self {
        match error {
            AlignError::Coordinate { .. } | AlignError::Scale { .. } => {
                Missing::Rejected(Rejection::Landmarks)
            }
            AlignError::NoTemplate => Missing::Fault(Fault::NoTemplate),
            AlignError::OutputLength { expected, found } => {
                Missing::Fault(Fault::CropTooLarge { needed: expected as u32, capacity: found as u32 })
            }
        }
    }
}

impl From<Missing> for Fault {
    fn from(missing: Missing) -> Self {
        match missing {
            Missing::Rejected(why) => Fault::Rejected(why),
            Missing::Fault(fault) => fault,
        }
    }
}

#[derive(Debug)]
pub(super) struct Picture<B> {
    /// For the picture as it is sent.
    frame: B,
    /// For the model's input.
    crop: B,
    header: Option<FrameHeader>,
    received: u32,
    stage: Stage,
    crop_bytes: usize,
    /// Where the crop's face lies in the picture, if somebody found it.
    landmarks: Option<Landmarks>,
    embedding: [i8; MAX_DIMENSION],
    dimension: usize,
    /// The embedding as bytes, for the link.
    wire: [u8; MAX_DIMENSION],
}

impl<B: AsRef<[u8]> + AsMut<[u8]>> Picture<B> {
    pub(super) fn new(frame: B, crop: B) -> Self {
        Picture {
            frame,
            crop,
            header: None,
            received: 0,
            stage: Stage::Raw,
            crop_bytes: 0,
            landmarks: None,
            embedding: [0; MAX_DIMENSION],
            dimension: 0,
            wire: [0; MAX_DIMENSION],
        }
    }

    /// Bytes of the largest picture.
    pub(super) fn capacity(&self) -> u32 {
        self.frame.as_ref().len() as u32
    }

    /// Forgets the picture and makes ready for the next; a header that is refused forgets nothing.
    pub(super) fn begin(&mut self, header: FrameHeader) -> Result<(), Fault> {
        let FrameHeader { width, height, .. } = header;
        if width == 0 || height == 0 {
            return Err(Fault::EmptyFrame { width, height });
        }
        let capacity = self.capacity();
        if header.bytes() > capacity as u64 {
            return Err(Fault::FrameTooLarge { needed: header.bytes(), capacity });
        }
        (self.header, self.received) = (Some(header), 0);
        self.restart();
        Ok(())
    }

    /// Takes a piece; returns the bytes received so far.
    pub(super) fn take(&mut self, offset: u32, bytes: &[u8]) -> Result<u32, Fault> {
        let total = self.header.map_or(0, |h| h.bytes() as u32);
        let refused = Fault::Piece { expected: self.received, found: offset, total };
        let end = (offset as usize).checked_add(bytes.len()).ok_or(refused)?;
        if self.header.is_none() || offset != self.received || end > total as usize {
            return Err(refused);
        }
        self.frame.as_mut().get_mut(offset as usize..end).ok_or(refused)?.copy_from_slice(bytes);
        self.received = end as u32;
        Ok(self.received)
    }

    /// Forgets crop and embedding, so that they are made again from the picture that a host has sent.
    pub(super) fn restart(&mut self) {
        self.stage = Stage::Raw;
    }

    /// The memory for a crop, whatever is in it.
    pub(super) fn room(&self, info: &ModelInfo) -> Result<&[u8], Fault> {
        let (crop, needed) = (self.crop.as_ref(), info.crop_bytes());
        crop.get(..needed).ok_or(Fault::CropTooLarge { needed: needed as u32, capacity: crop.len() as u32 })
    }

    /// Makes the crop of the host's picture, if it is not made yet.
    pub(super) fn crop(&mut self, info: &ModelInfo) -> Result<(), Missing> {
        if self.stage >= Stage::Cropped {
            return Ok(());
        }
        let total = self.header.map_or(0, |h| h.bytes() as u32);
        let header = self
            .header
            .filter(|_| self.received == total)
            .ok_or(Fault::NoFrame { received: self.received, total })?;
        let (frame, crop) = (self.frame.as_ref(), self.crop.as_mut());
        let data = frame.get(..total as usize).unwrap_or(&[]);
        let frame = Frame::new(header.format, header.width, header.height, data).map_err(Fault::from)?;
        self.landmarks = header.landmarks();
        self.crop_bytes = cut(&frame, self.landmarks.as_ref(), info, crop)?;
        self.stage = Stage::Cropped;
        Ok(())
    }

    /// Makes the crop of a camera's picture; `restart` goes back to the host's.
    pub(super) fn shoot(&mut self, shot: &Shot<'_>, info: &ModelInfo) -> Result<(), Missing> {
        self.restart();
        self.landmarks = shot.landmarks;
        self.crop_bytes = cut(&shot.frame, shot.landmarks.as_ref(), info, self.crop.as_mut())?;
        self.stage = Stage::Cropped;
        Ok(())
    }

    /// Whether the crop is worth embedding.
    pub(super) fn assess(&self, rules: &QualityRules, info: &ModelInfo) -> Result<(), Missing> {
        let crop = self.crop.as_ref().get(..self.crop_bytes).unwrap_or(&[]);
        let pose = self.landmarks.as_ref().map_or(Ok(()), |landmarks| rules.check_pose(landmarks));
        pose.and_then(|()| rules.check_crop(crop, info.width.into(), info.order.channels()))
            .map_err(|defect| Missing::Rejected(Rejection::Quality(defect)))
    }

    /// Embeds the picture at hand, if that is not done yet.
    pub(super) fn embed<E: Embedder>(&mut self, engine: &mut E) -> Result<(), Missing> {
        if self.stage == Stage::Embedded {
            return Ok(());
        }
        self.crop(engine.info())?;
        let dimension = (engine.info().dimension as usize).min(MAX_DIMENSION);
        let crop = self.crop.as_ref().get(..self.crop_bytes).unwrap_or(&[]);
        engine.embed(crop, &mut self.embedding[..dimension]).map_err(Fault::from)?;
        self.dimension = dimension;
        self.stage = Stage::Embedded;
        Ok(())
    }

    /// What the last `embed` gave.
    pub(super) fn embedding(&self) -> &[i8] {
        &self.embedding[..self.dimension]
    }

    pub(super) fn crop_piece(&self, offset: u32) -> Result<Reply<'_>, Fault> {
        piece(self.crop.as_ref().get(..self.crop_bytes).unwrap_or(&[]), offset)
    }

    pub(super) fn embedding_piece(&mut self, offset: u32) -> Result<Reply<'_>, Fault> {
        for (byte, &value) in self.wire.iter_mut().zip(&self.embedding[..self.dimension]) {
            *byte = value as u8;
        }
        piece(&self.wire[..self.dimension], offset)
    }
}

fn piece(whole: &[u8], offset: u32) -> Result<Reply<'_>, Fault> {
    let total = whole.len() as u32;
    let rest = whole.get(offset as usize..).filter(|r| !r.is_empty());
    let rest = rest.ok_or(Fault::Offset { found: offset, total })?;
    Ok(Reply::Piece { total, offset, bytes: &rest[..rest.len().min(MAX_PIECE)] })
}

/// The model's input from a picture: aligned by landmarks; without them the whole picture, which must be exactly the
/// input's size for a model that aligns. Returns the crop's bytes.
fn cut(
    frame: &Frame<'_>,
    landmarks: Option<&Landmarks>,
    info: &ModelInfo,
    crop: &mut [u8],
) -> Result<usize, Missing> {
    let bytes = info.crop_bytes();
    let capacity = crop.len() as u32;
    let out = crop.get_mut(..bytes).ok_or(Fault::CropTooLarge { needed: bytes as u32, capacity })?;
    let (expected, found) = ([info.width, info.height], [frame.width(), frame.height()]);
    match landmarks {
        Some(landmarks) => align::crop(frame, landmarks, info, out)?,
        None if info.template.is_some() && expected != found => {
            return Err(Fault::NotFramed { expected, found }.into());
        }
        None => align::framed(frame, info, out)?,
    }
    Ok(bytes)
}
