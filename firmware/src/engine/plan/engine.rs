//! A plan and its arena as an engine.

use super::PlanError;
use super::ready::Ready;
use crate::engine::{EmbedError, Embedder, Models};
use crate::kernels::Isa;
use crate::model::thresholds::ThresholdTable;
use crate::model::{ModelInfo, Task};

/// Runs a plan over one arena: a static buffer on a device, a vector on the host. Clones share what was prepared for the
/// processor.
#[derive(Debug, Clone)]
pub struct PlanEngine<B, A> {
    ready: Ready<B>,
    arena: A,
}

impl<B: AsRef<[u8]>, A: AsMut<[u8]>> PlanEngine<B, A> {
    /// Validates the plan, takes the arena that it will run in, and prepares it for the widest instructions that the processor
    /// has kernels for.
    ///
    /// # Errors
    /// When the plan is no valid one, a detector's or for other cores, the arena has fewer than
    /// [`Plan::arena_bytes`](super::Plan::arena_bytes) bytes, or one of the two does not lie where the plan's target wants it. Memory
    /// that moves with the engine may lie elsewhere later: then plans packed for [`Target::Dsp`](super::Target::Dsp) run slowly.
    pub fn new(bytes: B, mut arena: A) -> Result<Self, PlanError> {
        let ready = Ready::new(bytes, arena.as_mut(), Task::Embedding)?;
        Ok(PlanEngine { ready, arena })
    }

    /// The same engine on `isa`, which gives the same bytes: for whoever compares them. `None` if this build or processor does not
    /// have it.
    pub fn on(self, isa: Isa) -> Option<Self> {
        Some(PlanEngine { ready: self.ready.on(isa)?, ..self })
    }

    /// The instructions that it runs on.
    pub fn isa(&self) -> Isa {
        self.ready.isa()
    }

    /// Bytes of the arena that the plan takes.
    pub fn arena_bytes(&self) -> usize {
        self.ready.header().arena_bytes
    }

    /// Operations of the plan.
    pub fn steps(&self) -> usize {
        self.ready.header().steps
    }
}

impl<B: AsRef<[u8]>, A: AsMut<[u8]>> Embedder for PlanEngine<B, A> {
    fn info(&self) -> &ModelInfo {
        self.ready.info()
    }

    fn thresholds(&self) -> Option<ThresholdTable<'_>> {
        self.ready.plan().thresholds()
    }

    fn embed(&mut self, crop: &[u8], out: &mut [i8]) -> Result<(), EmbedError> {
        self.ready.embed(self.arena.as_mut(), crop, out, |_| ())
    }

    fn embed_watched(
        &mut self,
        crop: &[u8],
        out: &mut [i8],
        after: &mut dyn FnMut(usize),
    ) -> Result<(), EmbedError> {
        self.ready.embed(self.arena.as_mut(), crop, out, after)
    }
}

impl<B: AsRef<[u8]>, A: AsMut<[u8]>> Models for PlanEngine<B, A> {
    fn arena(&mut self) -> &mut [u8] {
        self.arena.as_mut()
    }
}
