//! What a simulated device has beside its gallery: flashes for its state, its events and two models, each a file of one folder; and
//! how it starts from what they hold. A Linux board has the same.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use embedded_io::{Read, ReadReady, Write, WriteReady};
use embedded_storage::nor_flash::NorFlash;

use super::{CROP, Desktop, FileFlash, FlashError, memory};
use crate::detect::{Face, LookError, MOST_FACES, Settings};
use crate::device::{Device, Kept, Parts, Remains, Updates};
use crate::engine::plan::PlanModels;
use crate::engine::{EmbedError, Embedder, Models};
use crate::gallery::Monotonic;
use crate::link::LinkTrust;
use crate::model::ModelInfo;
use crate::model::thresholds::ThresholdTable;
use crate::secret::DeviceSecret;
use crate::state::Slot;
use crate::update::{Slots, Verifier};

/// Sectors of the state, of the event log, and of a slot for models.
const STATE: usize = 4;
const EVENTS: usize = 64;
const MODEL: usize = 1024;

/// Bytes that a model may run in.
const ARENA: usize = 16 << 20;

/// The flashes.
#[derive(Debug)]
pub struct Chip {
    /// `None` when it could not be read the last time.
    state: Option<FileFlash>,
    events: Option<FileFlash>,
    /// Of a device that takes models.
    slots: Option<Slots<FileFlash>>,
}

impl Chip {
    /// Opens the files in `folder`, or makes them; with a verifier, the device takes models.
    ///
    /// # Errors
    /// As [`FileFlash::open_or_create`].
    pub fn open(folder: &Path, verifier: Option<Verifier>) -> Result<Self, FlashError> {
        Self::open_as(folder, verifier, |flash| flash)
    }

    /// As [`Chip::open`], of [durable](FileFlash::durable) files.
    ///
    /// # Errors
    /// As there.
    pub fn open_durable(folder: &Path, verifier: Option<Verifier>) -> Result<Self, FlashError> {
        Self::open_as(folder, verifier, FileFlash::durable)
    }

    fn open_as(
        folder: &Path,
        verifier: Option<Verifier>,
        kind: fn(FileFlash) -> FileFlash,
    ) -> Result<Self, FlashError> {
        std::fs::create_dir_all(folder)?;
        let open = |name: &str, sectors| FileFlash::open_or_create(&folder.join(name), sectors).map(kind);
        let (state, events) = (open("state", STATE)?, open("events", EVENTS)?);
        let slots = match verifier {
            Some(verifier) => Some(Slots::new([open("model-a", MODEL)?, open("model-b", MODEL)?], verifier)),
            None => None,
        };
        Ok(Chip { state: Some(state), events: Some(events), slots })
    }
}

/// The models that a start found in a slot.
pub type FromSlot = PlanModels<Arc<[u8]>, Vec<u8>>;

/// What a device is put together from, at each start.
pub struct Bench<F, P, M> {
    /// The model that runs while no slot has one.
    pub model: Box<dyn Models + Send>,
    /// What it has beside its gallery.
    pub chip: Option<Chip>,
    /// For people.
    pub gallery: F,
    /// The wire of the link.
    pub port: P,
    /// Against galleries put back.
    pub counter: M,
}

impl<F: NorFlash, P: Read + ReadReady + Write + WriteReady, M: Monotonic> Bench<F, P, M> {
    /// The device as it starts.
    pub fn start(self, link: LinkTrust, secret: &impl DeviceSecret) -> Device<Desktop<F, P, M>> {
        self.start_with(link, secret, |found| Box::new(found))
    }

    /// As [`Bench::start`]; what a slot holds runs as `engine` has it.
    pub fn start_with(
        self,
        link: LinkTrust,
        secret: &impl DeviceSecret,
        engine: impl FnOnce(FromSlot) -> Box<dyn Models + Send>,
    ) -> Device<Desktop<F, P, M>> {
        let Bench { model, chip, gallery, port, counter } = self;
        let mut memory = memory(&gallery);
        let (mut kept, mut events, mut updates, mut models) = (Kept::nothing(), None, None, model);
        if let Some(Chip { state, events: log, slots }) = chip {
            kept = state.map_or_else(Kept::nothing, |state| Kept::open(state, secret));
            events = log;
            if let Some(slots) = slots {
                let copies = [Slot::A, Slot::B].map(|slot| slots.bytes(slot).to_vec());
                let read = |slot, range: Range<usize>| -> Arc<[u8]> {
                    let [a, b] = &copies;
                    let bytes = if slot == Slot::A { a } else { b };
                    Arc::from(bytes.get(range).unwrap_or_default())
                };
                let (started, found) =
                    Updates::start(slots, &mut kept, read, vec![0; ARENA], &mut memory.crop[..CROP]);
                updates = Some(started);
                if !found.info().is_none() {
                    models = engine(found);
                } else if models.arena().len() < ARENA {
                    models = Box::new(Waiting { models, arena: vec![0; ARENA] });
                }
            }
        }
        Device::new(Parts { models, gallery, events, kept, updates, port, link, counter, memory }, secret)
    }

    /// What the next start finds.
    pub fn after(remains: Remains<Desktop<F, P, M>>) -> Self {
        let Remains { models, gallery, events, state, slots, port, counter } = remains;
        let chip = events.is_some().then_some(Chip { state, events, slots });
        Bench { model: models, chip, gallery, port, counter }
    }
}

/// Models that came with the device, and room to try others.
struct Waiting {
    models: Box<dyn Models + Send>,
    arena: Vec<u8>,
}

impl Embedder for Waiting {
    fn info(&self) -> &ModelInfo {
        self.models.info()
    }

    fn thresholds(&self) -> Option<ThresholdTable<'_>> {
        self.models.thresholds()
    }

    fn embed(&mut self, crop: &[u8], out: &mut [i8]) -> Result<(), EmbedError> {
        self.models.embed(crop, out)
    }

    fn embed_watched(
        &mut self,
        crop: &[u8],
        out: &mut [i8],
        after: &mut dyn FnMut(usize),
    ) -> Result<(), EmbedError> {
        self.models.embed_watched(crop, out, after)
    }
}

impl Models for Waiting {
    fn detector(&self) -> Option<&ModelInfo> {
        self.models.detector()
    }

    fn find(
        &mut self,
        picture: &[u8],
        settings: &Settings,
    ) -> Result<heapless::Vec<Face, MOST_FACES>, LookError> {
        self.models.find(picture, settings)
    }

    fn arena(&mut self) -> &mut [u8] {
        &mut self.arena
    }
}
