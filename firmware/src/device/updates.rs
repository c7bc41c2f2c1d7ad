//! Models on their way in, and the model that a start finds.

use core::ops::Range;

use embedded_storage::nor_flash::NorFlash;

use crate::engine::plan::PlanModels;
use crate::events::{Trouble, What};
use crate::flash::SlotFlash;
use crate::state::Slot;
use crate::time::Uptime;
use crate::update::{HEADER, Header, Room, Slots, UpdateError, Verifier};

use super::Kept;

/// Milliseconds without a piece after which an update is given up, and the camera looks again.
const PATIENCE: u64 = 30_000;

/// A model on its way.
#[derive(Debug, Clone, Copy)]
struct Incoming {
    version: u32,
    total: u32,
    /// When its last piece came.
    last: Uptime,
}

/// The slots for models, and which of them runs.
#[derive(Debug)]
pub struct Updates<F> {
    slots: Slots<F>,
    running: Option<u32>,
    incoming: Option<Incoming>,
    /// What the start found out of order.
    found: Option<What>,
}

impl<F: SlotFlash> Updates<F> {
    /// Looks for the model to run and prepares it in the arena; `read` gives the engine the bytes of a range of a slot. Where no slot
    /// has one, the device starts without, and waits for one.
    pub fn start<B, A, K>(
        mut slots: Slots<F>,
        kept: &mut Kept<K>,
        mut read: impl FnMut(Slot, Range<usize>) -> B,
        mut arena: A,
        crop: &mut [u8],
    ) -> (Self, PlanModels<B, A>)
    where
        B: AsRef<[u8]>,
        A: AsMut<[u8]>,
        K: NorFlash,
    {
        let booted = slots.boot(kept.state(), Room { arena: arena.as_mut(), crop });
        let mut models = PlanModels::none(arena);
        let mut updates = Updates { slots, running: None, incoming: None, found: None };
        let loaded = booted.ok().filter(|booted| {
            let slot = booted.accepted.slot;
            let detector = booted.detector.clone().map(|range| read(slot, range));
            models.load(read(slot, booted.embedder.clone()), detector).is_ok()
        });
        match loaded {
            None => updates.found = Some(What::Fault(Trouble::NoModel)),
            Some(booted) => {
                let version = booted.accepted.version;
                updates.running = Some(version);
                updates.found = booted.fell_back.map(|_| What::FellBack { version });
                // If that cannot be kept, the next start looks again.
                let _ = kept.update(|state| booted.accepted.apply(state));
            }
        }
        (updates, models)
    }

    /// The slots again.
    pub(super) fn into_slots(self) -> Slots<F> {
        self.slots
    }

    /// Who may sign models, and people to enrol.
    pub(super) fn verifier(&self) -> &Verifier {
        self.slots.verifier()
    }

    /// The version of the model that runs, if it came as an image.
    pub(super) fn version(&self) -> Option<u32> {
        self.running
    }

    /// What the start found out of order, once.
    pub(super) fn take_found(&mut self) -> Option<What> {
        self.found.take()
    }

    /// Whether an image is coming, and lately.
    pub(super) fn is_coming(&self, now: Uptime) -> bool {
        let lately = |incoming: Incoming| now.0.saturating_sub(incoming.last.0) <= PATIENCE;
        self.slots.is_begun() && self.incoming.is_some_and(lately)
    }

    /// The version on its way; 0 when none is.
    pub(super) fn coming(&self) -> u32 {
        self.incoming.map_or(0, |incoming| incoming.version)
    }

    /// Begins to take an image in: bytes that have come, and of how many. A header that is refused leaves what is under way alone.
    pub(super) fn begin<K: NorFlash>(
        &mut self,
        header: &[u8],
        kept: &Kept<K>,
        now: Uptime,
    ) -> Result<(u32, u32), UpdateError> {
        let total = self.slots.begin(header, kept.state())?;
        self.incoming = Some(Incoming { version: stated(header), total, last: now });
        Ok((0, total))
    }

    /// Takes the next bytes: as [`Updates::begin`].
    pub(super) fn piece(
        &mut self,
        offset: u32,
        bytes: &[u8],
        now: Uptime,
    ) -> Result<(u32, u32), UpdateError> {
        let received = self.slots.piece(offset, bytes)?;
        let incoming = self.incoming.as_mut().ok_or(UpdateError::NotBegun)?;
        incoming.last = now;
        Ok((received, incoming.total))
    }

    /// Checks the image and tries it; from the next start on it runs. Gives its version.
    pub(super) fn finish<K: NorFlash>(
        &mut self,
        kept: &mut Kept<K>,
        room: Room<'_>,
    ) -> Result<u32, UpdateError> {
        let accepted = self.slots.finish(room);
        if !matches!(accepted, Err(UpdateError::Incomplete { .. })) {
            self.incoming = None;
        }
        let accepted = accepted?;
        kept.update(|state| accepted.apply(state)).map_err(UpdateError::from)?;
        Ok(accepted.version)
    }
}

/// The version that an image gives itself, also one that is refused; 0 where it says none.
pub(super) fn stated(header: &[u8]) -> u32 {
    header.first_chunk::<HEADER>().and_then(|bytes| Header::read(bytes).ok()).map_or(0, |(h, _)| h.version)
}
