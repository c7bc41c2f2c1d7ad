//! The two slots: an image comes into one while the model in the other runs.

use core::ops::Range;

use arcgate_crypto::sha256;
use embedded_storage::nor_flash::NorFlash;

use super::{HEADER, Header, Room, UpdateError, Verifier, detector_offset, try_plans};
use crate::bytes;
use crate::flash::{self, FlashFault, SlotFlash};
use crate::state::{Slot, State};

/// Bytes that are programmed at a time.
const PAGE: usize = 256;

/// An image that was found to hold and may be booted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    /// Where it lies.
    pub slot: Slot,
    /// Its version.
    pub version: u32,
}

impl Accepted {
    /// Makes it the model that counts; it does when this state is kept.
    pub fn apply(&self, state: &mut State) {
        state.active = self.slot;
        state.model_floor = state.model_floor.max(self.version);
    }
}

/// The model that a device boots with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Booted {
    /// To be [applied](Accepted::apply) to the state.
    pub accepted: Accepted,
    /// Where the embedder's plan lies in the slot.
    pub embedder: Range<usize>,
    /// Where the detector's does, if there is one.
    pub detector: Option<Range<usize>>,
    /// Why it is not the one in the other slot, if that should have been it.
    pub fell_back: Option<UpdateError>,
}

/// No slot has a model that can run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoModel {
    /// Why the one that should have run does not.
    pub first: UpdateError,
    /// Why the other does not.
    pub second: UpdateError,
}

impl core::fmt::Display for NoModel {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "no model: {}; in the other slot: {}", self.first, self.second)
    }
}

impl core::error::Error for NoModel {}

/// An image that comes.
#[derive(Debug)]
struct Incoming {
    header: Header,
    bytes: [u8; HEADER],
    slot: Slot,
    /// Bytes behind the header that came.
    received: u32,
    /// Those of the last page.
    page: [u8; PAGE],
    /// Bytes of the slot that were erased.
    erased: u32,
}

/// Two slots on flashes `F` that are read in place.
#[derive(Debug)]
pub struct Slots<F> {
    flashes: [F; 2],
    verifier: Verifier,
    running: Option<Slot>,
    incoming: Option<Incoming>,
}

impl<F: SlotFlash> Slots<F> {
    /// Slots A and B.
    pub fn new(flashes: [F; 2], verifier: Verifier) -> Self {
        const { assert!(flash::takes_units::<F>(), "the flash's units must divide 32 bytes") };
        Slots { flashes, verifier, running: None, incoming: None }
    }

    /// Looks for the model to run: the one that the state names if it holds, otherwise the other one if that does and is not older
    /// than what was accepted before. Where no version was ever accepted, as after the state was lost, the one with the higher
    /// version goes first.
    ///
    /// # Errors
    /// Why neither holds.
    pub fn boot(&mut self, state: &State, mut room: Room<'_>) -> Result<Booted, NoModel> {
        self.running = None;
        let mut first = state.active;
        if state.model_floor == 0 {
            let version = |slot| self.header(slot).map_or(0, |header| header.version);
            if version(first.other()) > version(first) {
                first = first.other();
            }
        }
        let mut failed = None;
        for slot in [first, first.other()] {
            match self.check_slot(slot, state.model_floor, &mut room) {
                Ok(header) => {
                    self.running = Some(slot);
                    let embedder = HEADER..HEADER + header.embedder as usize;
                    let begin = HEADER + detector_offset(header.embedder).unwrap_or(0) as usize;
                    let detector = (header.detector > 0).then(|| begin..begin + header.detector as usize);
                    let accepted = Accepted { slot, version: header.version };
                    return Ok(Booted { accepted, embedder, detector, fell_back: failed });
                }
                Err(second) => match failed {
                    None => failed = Some(second),
                    Some(first) => return Err(NoModel { first, second }),
                },
            }
        }
        Err(NoModel { first: UpdateError::NotAnImage, second: UpdateError::NotAnImage })
    }

    /// Puts an image that the program carries into a slot, as if a host had sent it, where neither slot has a model that can run;
    /// `None` otherwise. It takes what erasing a slot takes.
    ///
    /// # Errors
    /// As [`Slots::begin`], [`Slots::piece`] and [`Slots::finish`]. After a power cut the next start begins anew.
    pub fn install(
        &mut self,
        image: &[u8],
        state: &State,
        room: Room<'_>,
    ) -> Result<Option<Accepted>, UpdateError> {
        let again = Room { arena: &mut *room.arena, crop: &mut *room.crop };
        if self.boot(state, again).is_ok() {
            return Ok(None);
        }
        let (header, payload) = image.split_at_checked(HEADER).ok_or(UpdateError::NotAnImage)?;
        self.begin(header, state)?;
        self.piece(0, payload)?;
        self.finish(room).map(Some)
    }

    /// Who may sign.
    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// The bytes of a slot, where [`Booted`] says where the plans lie.
    pub fn bytes(&self, slot: Slot) -> &[u8] {
        self.flash(slot).bytes()
    }

    /// The header of the image in a slot, signed by who may.
    ///
    /// # Errors
    /// When there is none.
    pub fn header(&self, slot: Slot) -> Result<Header, UpdateError> {
        self.verifier.check(self.bytes(slot))
    }

    /// Begins to take an image into the slot that is not running, which holds none from here on; one that was begun before is
    /// given up. Gives the bytes that are to follow.
    ///
    /// # Errors
    /// When the header is not signed by who may, the model is older than one that was accepted, it does not fit, or the slot has
    /// the model of the next start: then nothing was erased, and an image that is coming goes on.
    pub fn begin(&mut self, header: &[u8], state: &State) -> Result<u32, UpdateError> {
        let slot = self.running.unwrap_or(state.active).other();
        let found = self.verifier.check(header)?;
        check_version(&found, state.model_floor)?;
        let payload = found.payload_bytes();
        let (needed, room) = (payload.saturating_add(HEADER as u32), self.flash(slot).capacity() as u32);
        if needed > room {
            return Err(UpdateError::Slot { needed, found: room });
        }
        if self.running.is_some() && slot == state.active {
            return Err(UpdateError::Accepted);
        }
        let bytes = *header.first_chunk().ok_or(UpdateError::NotAnImage)?;
        self.incoming = None;
        let erased = F::ERASE_SIZE as u32;
        self.flash_mut(slot).erase(0, erased).map_err(FlashFault::from)?;
        self.incoming = Some(Incoming { header: found, bytes, slot, received: 0, page: [0; PAGE], erased });
        Ok(payload)
    }

    /// Whether an image is coming.
    pub fn is_begun(&self) -> bool {
        self.incoming.is_some()
    }

    /// Takes the bytes at `offset` behind the header, and gives how many came so far. What came before already is passed over.
    ///
    /// # Errors
    /// When they are not the next ones; when the flash fails, the image is to be begun again.
    pub fn piece(&mut self, offset: u32, bytes: &[u8]) -> Result<u32, UpdateError> {
        let Some(incoming) = self.incoming.as_mut() else { return Err(UpdateError::NotBegun) };
        let (expected, of) = (incoming.received, incoming.header.payload_bytes());
        let end = u64::from(offset) + bytes.len() as u64;
        if end <= u64::from(expected) {
            return Ok(expected);
        }
        if offset != expected || end > u64::from(of) {
            return Err(UpdateError::Order { expected, found: offset, of });
        }
        let [a, b] = &mut self.flashes;
        let flash = if incoming.slot == Slot::A { a } else { b };
        match incoming.take(flash, bytes) {
            Ok(()) => Ok(incoming.received),
            Err(fault) => {
                self.incoming = None;
                Err(fault.into())
            }
        }
    }

    /// Checks the image that came, whole, tries it, and completes its slot. It is the model of the next boot when the state that
    /// [`Accepted::apply`] makes is kept.
    ///
    /// # Errors
    /// When bytes are missing; when the image is refused, and it has to be begun again.
    pub fn finish(&mut self, mut room: Room<'_>) -> Result<Accepted, UpdateError> {
        let incoming = self.incoming.as_ref().ok_or(UpdateError::NotBegun)?;
        let (expected, found) = (incoming.header.payload_bytes(), incoming.received);
        if found != expected {
            return Err(UpdateError::Incomplete { expected, found });
        }
        let Some(Incoming { header, bytes, slot, .. }) = self.incoming.take() else {
            return Err(UpdateError::NotBegun);
        };
        self.check_payload(slot, &header, &mut room, Trial::Run)?;
        flash::write_checked(self.flash_mut(slot), 0, &bytes)?;
        Ok(Accepted { slot, version: header.version })
    }

    /// Gives the flashes back.
    pub fn into_flashes(self) -> [F; 2] {
        self.flashes
    }

    fn flash(&self, slot: Slot) -> &F {
        let [a, b] = &self.flashes;
        if slot == Slot::A { a } else { b }
    }

    fn flash_mut(&mut self, slot: Slot) -> &mut F {
        let [a, b] = &mut self.flashes;
        if slot == Slot::A { a } else { b }
    }

    fn check_slot(&self, slot: Slot, least: u32, room: &mut Room<'_>) -> Result<Header, UpdateError> {
        let header = self.header(slot)?;
        check_version(&header, least)?;
        self.check_payload(slot, &header, room, Trial::None)?;
        Ok(header)
    }

    fn check_payload(
        &self,
        slot: Slot,
        header: &Header,
        room: &mut Room<'_>,
        trial: Trial,
    ) -> Result<(), UpdateError> {
        let Some((behind, payload)) = self.bytes(slot).get(HEADER..).and_then(|behind| {
            Some((behind.get(..header.payload_bytes() as usize)?, header.payload(behind)?))
        }) else {
            let (needed, found) = (header.payload_bytes(), self.bytes(slot).len() as u32);
            return Err(UpdateError::Slot { needed: needed.saturating_add(HEADER as u32), found });
        };
        if sha256(&[behind]) != header.payload_hash {
            return Err(UpdateError::Hash);
        }
        let vectors = header.vectors;
        let count = if trial == Trial::Run { vectors } else { 0 };
        let tried = try_plans(&payload, count, room, || self.flash(slot).alive())?;
        if tried.embedding_id != header.embedding_id {
            return Err(UpdateError::Identity);
        }
        match trial {
            Trial::Run if tried.digest != header.vectors_hash => Err(UpdateError::SelfTest { vectors }),
            _ => Ok(()),
        }
    }
}

/// Whether the self-test is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trial {
    Run,
    None,
}

fn check_version(header: &Header, least: u32) -> Result<(), UpdateError> {
    match header.version {
        found if found < least => Err(UpdateError::Rollback { found, least }),
        _ => Ok(()),
    }
}

impl Incoming {
    /// Takes the next bytes, and programs each page that is full and the last one.
    fn take<F: NorFlash>(&mut self, flash: &mut F, mut bytes: &[u8]) -> Result<(), FlashFault> {
        let whole = self.header.payload_bytes();
        while !bytes.is_empty() {
            let filled = self.received as usize % PAGE;
            let (now, later) = bytes.split_at(bytes.len().min(PAGE - filled));
            bytes::put(&mut self.page, filled, now);
            (bytes, self.received) = (later, self.received + now.len() as u32);
            let end = filled + now.len();
            if end == PAGE || self.received == whole {
                // Pages begin where a multiple of one lies behind the header, and images end with a whole unit.
                let at = HEADER as u32 + self.received - end as u32;
                while self.erased < at + end as u32 {
                    flash.erase(self.erased, self.erased + F::ERASE_SIZE as u32)?;
                    self.erased += F::ERASE_SIZE as u32;
                }
                flash::write_checked(flash, at, &self.page[..end])?;
            }
        }
        Ok(())
    }
}
