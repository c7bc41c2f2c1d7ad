//! A detector's plan: a picture to faces.

use super::ready::Ready;
use super::{OutputMap, PlanError};
use crate::detect::{Face, LookError, Settings};
use crate::kernels::{Isa, as_i8};
use crate::model::{ModelInfo, Task};

/// Runs a detector's plan over one arena: a static buffer on a device, a vector on the host. Clones share what was
/// prepared for the processor.
#[derive(Debug, Clone)]
pub struct PlanDetector<B, A> {
    ready: Ready<B>,
    arena: A,
}

impl<B: AsRef<[u8]>, A: AsRef<[u8]> + AsMut<[u8]>> PlanDetector<B, A> {
    /// Validates the plan, takes the arena that it will run in, and prepares it for the widest instructions that the processor
    /// has kernels for.
    ///
    /// # Errors
    /// As [`super::PlanEngine::new`]; an embedder's plan is refused.
    pub fn new(bytes: B, mut arena: A) -> Result<Self, PlanError> {
        let ready = Ready::new(bytes, arena.as_mut(), Task::Detection)?;
        Ok(PlanDetector { ready, arena })
    }

    /// The same detector on `isa`, which gives the same bytes: for whoever compares them. `None` if this build or processor does
    /// not have it.
    pub fn on(self, isa: Isa) -> Option<Self> {
        Some(PlanDetector { ready: self.ready.on(isa)?, ..self })
    }

    /// The instructions that it runs on.
    pub fn isa(&self) -> Isa {
        self.ready.isa()
    }

    /// What the model says of itself: the size of its pictures, the order of its planes.
    pub fn info(&self) -> &ModelInfo {
        self.ready.info()
    }

    /// The faces in a picture, best first, at most `N`: `height * width` pixels, rows from top to bottom, interleaved R, G, B
    /// whatever the model's channel order (one byte a pixel for a grey model).
    ///
    /// # Errors
    /// When `picture` has the wrong length; nothing else can fail on a device.
    pub fn faces<const N: usize>(
        &mut self,
        picture: &[u8],
        settings: &Settings,
    ) -> Result<heapless::Vec<Face, N>, LookError> {
        self.ready.faces(self.arena.as_mut(), picture, settings)
    }

    /// Runs the plan on a picture and gives the maps as they come out: for each stride cls, obj, bbox and kps, cells in rows.
    ///
    /// # Errors
    /// As [`PlanDetector::faces`].
    pub fn maps(&mut self, picture: &[u8]) -> Result<impl Iterator<Item = (OutputMap, &[i8])>, LookError> {
        self.look(picture, |_| ())?;
        let plan = self.ready.plan();
        let arena = self.arena.as_ref();
        let places: heapless::Vec<OutputMap, { super::MAPS }> = plan.maps().flatten().collect();
        Ok(places.into_iter().filter_map(move |map| Some((map, as_i8(arena.get(map.tensor.range())?)))))
    }

    /// Runs the plan on a picture and shows `see` the bytes of each map, in the order of [`PlanDetector::maps`].
    ///
    /// # Errors
    /// As [`PlanDetector::faces`].
    pub fn each_map(&mut self, picture: &[u8], mut see: impl FnMut(&[u8])) -> Result<(), LookError> {
        self.look(picture, |_| ())?;
        for map in self.ready.plan().maps() {
            let place = map.map_err(|_| LookError::Changed)?.tensor.range();
            see(self.arena.as_ref().get(place).ok_or(LookError::Changed)?);
        }
        Ok(())
    }

    /// Runs the plan on a picture and calls `after` with the index of each operation when it is done: for whoever measures them.
    ///
    /// # Errors
    /// As [`PlanDetector::faces`].
    pub fn look(&mut self, picture: &[u8], after: impl FnMut(usize)) -> Result<(), LookError> {
        self.ready.look(self.arena.as_mut(), picture, after)
    }
}
