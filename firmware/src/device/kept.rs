//! What a device remembers besides people, and the story that it keeps: on flash where there are regions for them; without one
//! the state lasts until the power goes, and nobody tells the story.

use embedded_storage::nor_flash::NorFlash;

use crate::events::{Log, LogError, Page, Trouble, What};
use crate::pairings::{Pairing, Pairings, PairingsError};
use crate::secret::DeviceSecret;
use crate::state::{FAILURES_UNKNOWN, Found, State, StateError, Store};
use crate::time::{Uptime, WallClock};

/// The [`State`] of a device.
#[derive(Debug)]
pub enum Kept<F> {
    /// On flash.
    Flash(Store<F>),
    /// In RAM alone: the board has no region for it, or that failed.
    Ram(State),
}

impl<F: NorFlash> Kept<F> {
    /// Of a device that remembers nothing and has no place for it.
    pub fn nothing() -> Self {
        Kept::Ram(State { failures: 0, ..State::unknown() })
    }

    /// Reads the state in a region, and counts a boot. Where that fails, nothing is known of the time before.
    pub fn open<S: DeviceSecret>(region: F, secret: &S) -> Self {
        Store::open(region, secret).map_or_else(|_| Kept::Ram(State::unknown()), Kept::Flash)
    }

    /// Gives the flash back, if there is one.
    pub(super) fn into_flash(self) -> Option<F> {
        match self {
            Kept::Flash(store) => Some(store.into_flash()),
            Kept::Ram(_) => None,
        }
    }

    /// What is wrong with it, for the log.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        match self {
            Kept::Flash(store) => (store.found() == Found::Damaged).then_some(Trouble::StateLost),
            // A device that never remembers has not failed.
            Kept::Ram(state) => (state.failures == FAILURES_UNKNOWN).then_some(Trouble::State),
        }
    }

    /// As it is.
    pub fn state(&self) -> &State {
        match self {
            Kept::Flash(store) => store.state(),
            Kept::Ram(state) => state,
        }
    }

    /// Changes it, for good once this returns where it is on flash.
    ///
    /// # Errors
    /// As [`Store::update`].
    pub fn update(&mut self, change: impl FnOnce(&mut State)) -> Result<(), StateError> {
        match self {
            Kept::Flash(store) => store.update(change),
            Kept::Ram(state) => {
                change(state);
                Ok(())
            }
        }
    }
}

impl<F: NorFlash> Pairings for Kept<F> {
    fn list(&self) -> &[Pairing] {
        self.state().list()
    }

    fn add(&mut self, pairing: Pairing) -> Result<(), PairingsError> {
        match self {
            Kept::Flash(store) => store.add(pairing),
            Kept::Ram(state) => state.add(pairing),
        }
    }

    fn remove(&mut self, host: u16) -> Result<(), PairingsError> {
        match self {
            Kept::Flash(store) => store.remove(host),
            Kept::Ram(state) => state.remove(host),
        }
    }
}

/// The event log, where there is one.
#[derive(Debug)]
pub(super) struct Journal<F> {
    log: Option<Log<F>>,
    boots: u32,
}

impl<F: NorFlash> Journal<F> {
    /// Goes on with the log behind what it has.
    pub(super) fn open<S: DeviceSecret>(region: Option<F>, secret: &S, boots: u32) -> Self {
        Journal { log: region.map(|region| Log::open(region, secret)), boots }
    }

    /// Notes something. What cannot be noted is counted, and the device goes on.
    pub(super) fn note(&mut self, what: What, wall: &WallClock, now: Uptime) {
        if let Some(log) = &mut self.log {
            log.record(wall.stamp(self.boots, now), what);
        }
    }

    /// Forgets every line and says so in a new one.
    pub(super) fn erase(&mut self, wall: &WallClock, now: Uptime) -> Result<(), LogError> {
        match &mut self.log {
            Some(log) => log.erase(wall.stamp(self.boots, now)),
            None => Ok(()),
        }
    }

    /// Lines from a number on.
    pub(super) fn page<const N: usize>(&mut self, from: u32) -> Result<Page<N>, LogError> {
        match &mut self.log {
            Some(log) => log.page(from),
            None => Ok(Page { entries: heapless::Vec::new(), next: None }),
        }
    }

    /// Gives the flash back, if there is one.
    pub(super) fn into_flash(self) -> Option<F> {
        self.log.map(Log::into_flash)
    }

    /// Lines that could not be written since the start.
    pub(super) fn lost(&self) -> u32 {
        self.log.as_ref().map_or(0, Log::lost)
    }
}
