//! The picture at hand: received in pieces, its face found, cropped, embedded, each once.
//!
//! Where a face is not known and the device has no detector, a model that aligns takes a picture for one in which a face is framed. Of
//! the device's own camera, before which people can be asked to stand, that is the middle: the largest rectangle of the input's shape,
//! scaled. A host's picture has to be of the input's size exactly: a host can cut it, and one of another size is a mistake.

use crate::align::{self, AlignError};
use crate::decide::Rejection;
use crate::decide::quality::QualityRules;
use crate::detect::{self, Face, Settings};
use crate::embedding::MAX_DIMENSION;
use crate::engine::Models;
use crate::frame::{Frame, Intake, Landmarks, TooLarge};
use crate::link::message::{FrameHeader, MAX_PIECE};
use crate::link::{Fault, Reply};
use crate::model::ModelInfo;

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

impl From<Rejection> for Missing {
    fn from(why: Rejection) -> Self {
        Missing::Rejected(why)
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
    /// For the picture that a host sends, halved until it fits.
    frame: B,
    /// For the detector's picture, and then for the embedder's.
    crop: B,
    /// The picture that a host sends, and the landmarks that came with it.
    sent: Option<(Intake, Option<Landmarks>)>,
    stage: Stage,
    crop_bytes: usize,
    /// Where the crop's face lies in the picture, if somebody found it.
    landmarks: Option<Landmarks>,
    /// Faces in the picture.
    faces: u8,
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
            sent: None,
            stage: Stage::Raw,
            crop_bytes: 0,
            landmarks: None,
            faces: 0,
            embedding: [0; MAX_DIMENSION],
            dimension: 0,
            wire: [0; MAX_DIMENSION],
        }
    }

    /// Bytes in which a picture is kept.
    pub(super) fn capacity(&self) -> u32 {
        self.frame.as_ref().len() as u32
    }

    /// Forgets the picture and makes ready for the next; a header that is refused forgets nothing.
    pub(super) fn begin(&mut self, header: FrameHeader) -> Result<(), Fault> {
        let FrameHeader { format, width, height, .. } = header;
        if width == 0 || height == 0 {
            return Err(Fault::EmptyFrame { width, height });
        }
        let capacity = self.capacity();
        let too_large = |needed| Fault::FrameTooLarge { needed, capacity };
        let intake = Intake::new(format, width, height, capacity as usize)
            .map_err(|TooLarge { needed, .. }| too_large(needed))?;
        // A piece says in 32 bits where it belongs.
        if intake.total() > u32::MAX.into() {
            return Err(too_large(intake.total()));
        }
        let landmarks = header.landmarks().map(|points| intake.landmarks(&points));
        self.sent = Some((intake, landmarks));
        self.restart();
        Ok(())
    }

    /// Takes a piece; returns the bytes received so far.
    pub(super) fn take(&mut self, offset: u32, bytes: &[u8]) -> Result<u32, Fault> {
        let (expected, total) = self.progress();
        let refused = Fault::Piece { expected, found: offset, total };
        let Some((intake, _)) = &mut self.sent else { return Err(refused) };
        if offset != expected || bytes.len() > (total - expected) as usize {
            return Err(refused);
        }
        intake.push(bytes, self.frame.as_mut());
        Ok(expected + bytes.len() as u32)
    }

    /// Bytes of the host's picture that have arrived, and of how many.
    fn progress(&self) -> (u32, u32) {
        // `begin` lets no picture in whose bytes are not counted in 32 bits.
        self.sent.map_or((0, 0), |(intake, _)| (intake.received() as u32, intake.total() as u32))
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
    pub(super) fn crop<M: Models>(&mut self, models: &mut M) -> Result<(), Missing> {
        if self.stage >= Stage::Cropped {
            return Ok(());
        }
        let (received, total) = self.progress();
        let (intake, told) =
            self.sent.filter(|(intake, _)| intake.is_complete()).ok_or(Fault::NoFrame { received, total })?;
        let frame = intake.frame(self.frame.as_ref()).map_err(Fault::from)?;
        let crop = self.crop.as_mut();
        (self.landmarks, self.faces) = face(&frame, told, models, crop)?;
        let info = models.info();
        let (expected, found) = ([info.width, info.height], [frame.width(), frame.height()]);
        if self.landmarks.is_none() && info.template.is_some() && expected != found {
            return Err(Fault::NotFramed { expected, found }.into());
        }
        self.crop_bytes = cut(&frame, self.landmarks.as_ref(), models.info(), crop)?;
        self.stage = Stage::Cropped;
        Ok(())
    }

    /// Finds the face in a camera's picture: how many there are, one where nobody looks for them. `restart` goes back to the host's.
    pub(super) fn detect<M: Models>(&mut self, shot: &Shot<'_>, models: &mut M) -> Result<u8, Fault> {
        self.restart();
        let found = face(&shot.frame, shot.landmarks, models, self.crop.as_mut());
        (self.landmarks, self.faces) = match found {
            Ok(found) => found,
            Err(Missing::Rejected(Rejection::NoFace)) => (None, 0),
            Err(missing) => return Err(missing.into()),
        };
        Ok(self.faces)
    }

    /// Makes the crop of a camera's picture: of the face that was found in it, or of its middle where nobody looks for one.
    pub(super) fn align(&mut self, shot: &Shot<'_>, info: &ModelInfo) -> Result<(), Missing> {
        self.crop_bytes = cut(&shot.frame, self.landmarks.as_ref(), info, self.crop.as_mut())?;
        self.stage = Stage::Cropped;
        Ok(())
    }

    /// The memory for a crop, to be written to: what was made of the picture at hand is lost.
    pub(super) fn lend(&mut self) -> &mut [u8] {
        self.restart();
        self.crop.as_mut()
    }

    /// Whether the crop is worth embedding.
    pub(super) fn assess(&self, rules: &QualityRules, info: &ModelInfo) -> Result<(), Missing> {
        let crop = self.crop.as_ref().get(..self.crop_bytes).unwrap_or(&[]);
        let pose = self.landmarks.as_ref().map_or(Ok(()), |landmarks| rules.check_pose(landmarks));
        pose.and_then(|()| rules.check_crop(crop, info.width.into(), info.order.channels()))
            .map_err(|defect| Missing::Rejected(Rejection::Quality(defect)))
    }

    /// Embeds the picture at hand, if that is not done yet.
    pub(super) fn embed<M: Models>(&mut self, engine: &mut M) -> Result<(), Missing> {
        if self.stage == Stage::Embedded {
            return Ok(());
        }
        self.crop(engine)?;
        let dimension = (engine.info().dimension as usize).min(MAX_DIMENSION);
        let crop = self.crop.as_ref().get(..self.crop_bytes).unwrap_or(&[]);
        engine.embed(crop, &mut self.embedding[..dimension]).map_err(Fault::from)?;
        self.dimension = dimension;
        self.stage = Stage::Embedded;
        Ok(())
    }

    /// What the last `embed` gave.
    pub(super) fn embedding(&self) -> &[i8] {
        self.embedding.get(..self.dimension).unwrap_or_default()
    }

    pub(super) fn crop_piece(&self, offset: u32) -> Result<Reply<'_>, Fault> {
        piece(self.crop.as_ref().get(..self.crop_bytes).unwrap_or(&[]), offset)
    }

    pub(super) fn embedding_piece(&mut self, offset: u32) -> Result<Reply<'_>, Fault> {
        for (byte, &value) in self.wire.iter_mut().zip(&self.embedding) {
            *byte = value as u8;
        }
        piece(self.wire.get(..self.dimension).unwrap_or_default(), offset)
    }
}

fn piece(whole: &[u8], offset: u32) -> Result<Reply<'_>, Fault> {
    let total = whole.len() as u32;
    let rest = whole.get(offset as usize..).filter(|r| !r.is_empty());
    let rest = rest.ok_or(Fault::Offset { found: offset, total })?;
    Ok(Reply::Piece { total, offset, bytes: &rest[..rest.len().min(MAX_PIECE)] })
}

/// Where the face is in a picture: as somebody told, else the one that the picture is about by the device's detector; in `room` it
/// is shown the picture. Also how many there are. Nowhere without a detector, or where the model takes pictures whole.
fn face<M: Models>(
    frame: &Frame<'_>,
    told: Option<Landmarks>,
    models: &mut M,
    room: &mut [u8],
) -> Result<(Option<Landmarks>, u8), Missing> {
    let aligns = models.info().template.is_some();
    let Some(detector) = models.detector().filter(|_| told.is_none() && aligns).cloned() else {
        return Ok((told, 1));
    };
    let picture = input(&detector, room)?;
    let faces = detect::look(frame, &detector, picture, |seen| models.find(seen, &Settings::default()))
        .map_err(Fault::from)?;
    let main = Face::main(&faces, frame.width(), frame.height()).and_then(|at| faces.get(at));
    Ok((Some(main.ok_or(Rejection::NoFace)?.landmarks), faces.len() as u8))
}

/// The memory for a model's input.
fn input<'r>(info: &ModelInfo, room: &'r mut [u8]) -> Result<&'r mut [u8], Fault> {
    let (needed, capacity) = (info.crop_bytes(), room.len() as u32);
    room.get_mut(..needed).ok_or(Fault::CropTooLarge { needed: needed as u32, capacity })
}

/// The model's input from a picture: aligned by landmarks; without them the whole picture, or for a model that aligns the middle of it
/// that has the input's shape. Returns the crop's bytes.
fn cut(
    frame: &Frame<'_>,
    landmarks: Option<&Landmarks>,
    info: &ModelInfo,
    crop: &mut [u8],
) -> Result<usize, Missing> {
    let out = input(info, crop)?;
    match landmarks {
        Some(landmarks) => align::crop(frame, landmarks, info, out)?,
        None if info.template.is_some() => align::central(frame, info, out)?,
        None => align::framed(frame, info, out)?,
    }
    Ok(info.crop_bytes())
}
