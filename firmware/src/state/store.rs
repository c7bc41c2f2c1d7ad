//! Slots, and the state that is in them.

use embedded_storage::nor_flash::NorFlash;

use super::{State, StateError};
use crate::flash::seal::{self, NONCE, OVERHEAD, Sealer};
use crate::flash::{self, FlashFault, UNIT};
use crate::pairings::{Pairing, Pairings, PairingsError};
use crate::secret::DeviceSecret;
use crate::wire;

/// The layout that this code writes and reads.
const VERSION: u8 = 1;

/// Bytes of a record: of the longest state, with all labels full, and a few to spare.
const RECORD: usize = 20 * UNIT;

/// Where a slot's record and mark lie.
const RECORD_AT: u32 = UNIT as u32;
const MARK_AT: u32 = RECORD_AT + RECORD as u32;

/// Bytes of a slot.
const SLOT: u32 = MARK_AT + UNIT as u32;

/// A claim or a mark.
const NOTED: [u8; UNIT] = [0; UNIT];

/// What was found in the flash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Found {
    /// A state.
    Whole,
    /// Nothing at all: a new device, or a chip that somebody erased.
    Blank,
    /// Something, but no state of this device.
    Damaged,
}

/// The slot of the record that counts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) block: u32,
    slot: u32,
    pub(super) number: u32,
}

/// A [`State`] and the flash `F` that keeps it.
#[derive(Debug)]
pub struct Store<F> {
    flash: F,
    sealer: Sealer,
    state: State,
    found: Found,
    pub(super) counting: Option<Place>,
    /// The highest number of any record, also of one whose mark cannot be seen now.
    last: u32,
    /// A block, and the first of its slots that nothing was written to, once that is known for certain.
    free: Option<(u32, u32)>,
}

impl<F: NorFlash> Store<F> {
    /// Reads the state, and counts a boot. Where there is none, [`State::unknown`] is written: what was found says
    /// [`Store::found`].
    ///
    /// # Errors
    /// When the region is too small or the flash fails. Then nothing is known, least of all that there was no state.
    pub fn open<S: DeviceSecret>(flash: F, secret: &S) -> Result<Self, StateError> {
        const { assert!(flash::takes_units::<F>(), "the flash's units must divide 32 bytes") };
        let sealer = Sealer::new(secret, b"arcgate state 1");
        let (state, found) = (State::unknown(), Found::Blank);
        let mut store = Store { flash, sealer, state, found, counting: None, last: 0, free: None };
        if store.blocks() < 2 || Self::slots() < 2 {
            let block = (2 * SLOT).next_multiple_of(F::ERASE_SIZE as u32);
            return Err(StateError::Small { needed: 2 * block, found: store.flash.capacity() as u32 });
        }
        store.read()?;
        let boots = store.state.boots.saturating_add(1);
        store.update(|state| state.boots = boots)?;
        Ok(store)
    }

    /// The state as it is kept.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// What was found at boot.
    pub fn found(&self) -> Found {
        self.found
    }

    /// Changes the state, and returns when the change is kept; a state that does not change is not written.
    ///
    /// # Errors
    /// When the flash fails: [`Store::state`] then stays as it was, and which of the two is read at the next boot is open.
    pub fn update(&mut self, change: impl FnOnce(&mut State)) -> Result<(), StateError> {
        let mut changed = self.state.clone();
        change(&mut changed);
        if changed != self.state || self.counting.is_none() {
            self.write(&changed)?;
            self.state = changed;
        }
        Ok(())
    }

    /// Gives the flash back.
    pub fn into_flash(self) -> F {
        self.flash
    }

    fn blocks(&self) -> u32 {
        (self.flash.capacity() / F::ERASE_SIZE) as u32
    }

    const fn slots() -> u32 {
        F::ERASE_SIZE as u32 / SLOT
    }

    fn offset(block: u32, slot: u32) -> u32 {
        block * F::ERASE_SIZE as u32 + slot * SLOT
    }

    /// Looks at every slot for the record that counts.
    fn read(&mut self) -> Result<(), FlashFault> {
        self.found = Found::Blank;
        for block in 0..self.blocks() {
            for slot in 0..Self::slots() {
                let offset = Self::offset(block, slot);
                if flash::is_blank(&mut self.flash, offset, offset + SLOT)? {
                    continue;
                }
                if self.counting.is_none() {
                    self.found = Found::Damaged;
                }
                let is_marked = !flash::is_blank(&mut self.flash, offset + MARK_AT, offset + SLOT)?;
                let counting = self.counting.map_or(0, |place| place.number);
                let least = if is_marked { counting } else { self.last };
                let Some((number, state)) = self.newer(offset, least)? else { continue };
                self.last = self.last.max(number);
                if is_marked && let Some(state) = state {
                    self.counting = Some(Place { block, slot, number });
                    (self.state, self.found) = (state, Found::Whole);
                }
            }
        }
        Ok(())
    }

    /// The record of the slot at `offset`, if it has a higher number than `least`; of another version without what it says.
    fn newer(&mut self, offset: u32, least: u32) -> Result<Option<(u32, Option<State>)>, FlashFault> {
        let (mut record, offset) = ([0; RECORD], offset + RECORD_AT);
        self.flash.read(offset, &mut record)?;
        if record.first_chunk().is_none_or(|nonce| seal::number(nonce) <= least) {
            return Ok(None);
        }
        let opened = self.sealer.open(offset, &mut record);
        Ok(opened.map(|(number, payload)| {
            let state = payload.split_first().filter(|&(&version, _)| version == VERSION);
            (number, state.and_then(|(_, state)| wire::read(state)).map(|(state, _)| state))
        }))
    }

    fn write(&mut self, state: &State) -> Result<(), StateError> {
        let number = self.last.checked_add(1).ok_or(StateError::Exhausted)?;
        let (block, slot) = self.claim()?;
        let (offset, mut record) = (Self::offset(block, slot), [0; RECORD]);
        record[NONCE] = VERSION;
        let payload = &mut record[NONCE + 1..RECORD - (OVERHEAD - NONCE)];
        // A test holds that the longest state fits.
        let encoded = wire::write(state, payload).is_some();
        if !(encoded && self.sealer.seal(number, offset + RECORD_AT, &mut record)) {
            return Err(StateError::Small { needed: SLOT + UNIT as u32, found: SLOT });
        }
        self.last = number;
        flash::write_checked(&mut self.flash, offset + RECORD_AT, &record)?;
        // Begun, it may be read as there.
        self.counting = Some(Place { block, slot, number });
        self.note(offset + MARK_AT)?;
        Ok(())
    }

    /// A slot that nothing was ever written to since its block was erased.
    fn claim(&mut self) -> Result<(u32, u32), StateError> {
        if let Some(Place { block, slot, .. }) = self.counting {
            let first = match self.free {
                Some((known, free)) if known == block => free,
                _ => self.first_blank(block, slot + 1)?,
            };
            for slot in first..Self::slots() {
                self.free = Some((block, slot + 1));
                if self.note(Self::offset(block, slot)).is_ok() {
                    return Ok((block, slot));
                }
            }
        }
        let block = self
            .counting
            .map_or(0, |place| if place.block + 1 < self.blocks() { place.block + 1 } else { 0 });
        let begin = Self::offset(block, 0);
        self.free = Some((block, 1));
        self.flash.erase(begin, begin + F::ERASE_SIZE as u32).map_err(FlashFault::from)?;
        self.note(begin)?;
        Ok((block, 0))
    }

    /// The first slot of `block`, from `least` on, behind all in which something can be seen.
    fn first_blank(&mut self, block: u32, least: u32) -> Result<u32, FlashFault> {
        let mut first = Self::slots();
        while first > least {
            let last = Self::offset(block, first - 1);
            if !flash::is_blank(&mut self.flash, last, last + SLOT)? {
                break;
            }
            first -= 1;
        }
        Ok(first)
    }

    /// Programs a claim or a mark.
    fn note(&mut self, offset: u32) -> Result<(), FlashFault> {
        flash::write_checked(&mut self.flash, offset, &NOTED)
    }
}

impl<F: NorFlash> Store<F> {
    fn change(&mut self, changed: State) -> Result<(), PairingsError> {
        self.update(|state| *state = changed).map_err(|_| PairingsError::Storage)
    }
}

impl<F: NorFlash> Pairings for Store<F> {
    fn list(&self) -> &[Pairing] {
        self.state.list()
    }

    fn add(&mut self, pairing: Pairing) -> Result<(), PairingsError> {
        let mut changed = self.state.clone();
        changed.add(pairing)?;
        self.change(changed)
    }

    fn remove(&mut self, host: u16) -> Result<(), PairingsError> {
        let mut changed = self.state.clone();
        changed.remove(host)?;
        self.change(changed)
    }
}
