//! An embedder and a detector in one arena.

use super::PlanError;
use super::ready::Ready;
use crate::detect::{Face, LookError, MOST_FACES, Settings};
use crate::engine::{EmbedError, Embedder, Models};
use crate::model::thresholds::ThresholdTable;
use crate::model::{ModelInfo, Task};

/// The plans of a device: one that embeds and, where the device finds faces itself, one that detects. They run one after the other
/// in the same arena, which is as large as the larger of the two wants it. Clones share what was prepared for the processor.
#[derive(Debug, Clone)]
pub struct PlanModels<B, A> {
    arena: A,
    embedder: Option<Ready<B>>,
    detector: Option<Ready<B>>,
}

impl<B: AsRef<[u8]>, A: AsMut<[u8]>> PlanModels<B, A> {
    /// Validates the plans and takes the arena that they will run in.
    ///
    /// # Errors
    /// As [`PlanEngine::new`](super::PlanEngine::new), for each of the two.
    pub fn new(embedder: B, detector: Option<B>, arena: A) -> Result<Self, PairError> {
        let mut models = Self::none(arena);
        models.load(embedder, detector)?;
        Ok(models)
    }

    /// Of a device that has no model yet: an arena.
    pub fn none(arena: A) -> Self {
        PlanModels { arena, embedder: None, detector: None }
    }

    /// Validates plans and runs these from now on; none if one is refused.
    ///
    /// # Errors
    /// As [`PlanModels::new`].
    pub fn load(&mut self, embedder: B, detector: Option<B>) -> Result<(), PairError> {
        (self.embedder, self.detector) = (None, None);
        let arena = self.arena.as_mut();
        let embedder = Ready::new(embedder, arena, Task::Embedding).map_err(PairError::Embedder)?;
        let detector = detector.map(|plan| Ready::new(plan, arena, Task::Detection)).transpose();
        (self.detector, self.embedder) = (detector.map_err(PairError::Detector)?, Some(embedder));
        Ok(())
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
        self.embedder.as_ref().map_or(&ModelInfo::NONE, Ready::info)
    }

    fn thresholds(&self) -> Option<ThresholdTable<'_>> {
        self.embedder.as_ref()?.plan().thresholds()
    }

    fn embed(&mut self, crop: &[u8], out: &mut [i8]) -> Result<(), EmbedError> {
        self.embed_watched(crop, out, &mut |_| ())
    }

    fn embed_watched(
        &mut self,
        crop: &[u8],
        out: &mut [i8],
        after: &mut dyn FnMut(usize),
    ) -> Result<(), EmbedError> {
        let embedder = self.embedder.as_mut().ok_or(EmbedError::NoModel)?;
        embedder.embed(self.arena.as_mut(), crop, out, after)
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
        detector.faces(self.arena.as_mut(), picture, settings)
    }

    fn arena(&mut self) -> &mut [u8] {
        self.arena.as_mut()
    }
}
