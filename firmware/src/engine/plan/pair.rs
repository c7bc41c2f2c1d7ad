//! An embedder and a detector in one arena.

use super::ready::Ready;
use super::{PlanEngine, PlanError};
use crate::decide::table::ThresholdTable;
use crate::detect::{Face, MOST_FACES, Settings};
use crate::engine::{EmbedError, Embedder, LookError, ModelInfo, Models, Task};

/// The plans of a device: one that embeds and, where the device finds faces itself, one that detects. They run one after the other
/// in the same arena, which is as large as the larger of the two wants it. Clones share what was prepared for the processor.
#[derive(Debug, Clone)]
pub struct PlanModels<B, A> {
    /// Owns the arena.
    embedder: PlanEngine<B, A>,
    detector: Option<Ready<B>>,
}

impl<B: AsRef<[u8]>, A: AsMut<[u8]>> PlanModels<B, A> {
    /// Validates the plans and takes the arena that they will run in.
    ///
    /// # Errors
    /// As [`PlanEngine::new`], for each of the two.
    pub fn new(embedder: B, detector: Option<B>, arena: A) -> Result<Self, PairError> {
        let mut embedder = PlanEngine::new(embedder, arena).map_err(PairError::Embedder)?;
        let detector = detector.map(|plan| Ready::new(plan, embedder.arena(), Task::Detection)).transpose();
        Ok(PlanModels { embedder, detector: detector.map_err(PairError::Detector)? })
    }
}

/// Which of two plans cannot run, and why.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum PairError {
    /// The one that embeds.
    Embedder(PlanError),
    /// The one that detects.
    Detector(PlanError),
}

impl core::fmt::Display for PairError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            PairError::Embedder(error) => write!(f, "the model: {error}"),
            PairError::Detector(error) => write!(f, "the detector: {error}"),
        }
    }
}

impl core::error::Error for PairError {}

impl<B: AsRef<[u8]>, A: AsMut<[u8]>> Embedder for PlanModels<B, A> {
    fn info(&self) -> &ModelInfo {
        self.embedder.info()
    }

    fn thresholds(&self) -> Option<ThresholdTable<'_>> {
        self.embedder.thresholds()
    }

    fn embed(&mut self, crop: &[u8], out: &mut [i8]) -> Result<(), EmbedError> {
        self.embedder.embed(crop, out)
    }

    fn embed_watched(
        &mut self,
        crop: &[u8],
        out: &mut [i8],
        after: &mut dyn FnMut(usize),
    ) -> Result<(), EmbedError> {
        self.embedder.embed_watched(crop, out, after)
    }
}

impl<B: AsRef<[u8]>, A: AsMut<[u8]>> Models for PlanModels<B, A> {
    fn detector(&self) -> Option<&ModelInfo> {
        self.detector.as_ref().map(Ready::info)
    }

    fn find(
        &mut self,
        picture: &[u8],
        settings: &Settings,
    ) -> Result<heapless::Vec<Face, MOST_FACES>, LookError> {
        let detector = self.detector.as_mut().ok_or(LookError::NoDetector)?;
        detector.faces(self.embedder.arena(), picture, settings)
    }
}
