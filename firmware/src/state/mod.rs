//! The little that a device remembers besides people: how often it booted, who may talk to it, which model it runs, how often
//! strangers failed, which bundle of people came last.
//!
//! A [`Store`] keeps one [`State`] on two erase blocks or more. It is read once, at boot, and written whole whenever it changes,
//! sealed with a key that follows from the device's secret, in the next of the slots that go round over all blocks, so that
//! all wear alike.
//!
//! # Layout, version 1
//!
//! ```text
//! block  | slot | slot | ... | rest |
//! slot     0  claim (32): zeros      32  record (640)     672  mark (32): zeros
//! record   sealed as every record is (`flash/seal.rs`) for the purpose "arcgate state 1", numbered from 1 on; its payload is, in
//!          postcard, the version and the state, then zeros: what a state of before did not have reads as 0
//! ```
//!
//! # Writing, and what a power cut leaves
//!
//! The claim is programmed and read back before the record, the record before the mark. Power that goes at a write may leave bits
//! that read differently every time, or none that can be seen, so nothing rests on what a cut can have touched: a slot whose claim
//! was begun is never used again, and only a record whose mark was begun counts, since that was complete. Of those the one with
//! the highest number is the state. Every other slot is passed over, but for its number: the mark itself may read as blank at one boot
//! and as begun at the next, so no number comes twice, and what was written since counts then too.
//!
//! The block with the record that counts is never erased: when it is full, the next one is, even if cuts have filled that one
//! already. So a cut at any write or erase leaves the state as it was before or after the change.
//!
//! # Who can change it
//!
//! Without the secret nobody reads keys and names of pairings, makes a state, or takes a record from elsewhere. Somebody who can
//! write to the chip can erase all of it, put back an older copy of the whole region, or damage the newest records, after which the
//! one before them counts. Erased or damaged to the last record, it is begun anew: nobody is paired, and failures are
//! [`FAILURES_UNKNOWN`], as many as there can be, so that whoever erases it to escape a lock-out meets the longest one. The lowest model version that is accepted is lost with it; [`Slots`](crate::update::Slots)
//! takes what is installed instead. The version of the last bundle is lost too, and nothing stands in for it. **An older
//! state brought back is not noticed**: with it come its pairings, its failures, its model version and its bundle's.

mod store;
#[cfg(all(test, feature = "sim"))]
mod tests;

use heapless::Vec;
use serde::{Deserialize, Serialize};

use crate::flash::FlashFault;
use crate::pairings::{PAIRINGS, Pairing, Pairings, PairingsError};
pub use store::{Found, Store};

/// Failures of a device that does not know how many there were. Where nobody is enrolled it may forget them: there is nobody to be
/// taken for.
pub const FAILURES_UNKNOWN: u8 = u8::MAX;

/// One of the two places for models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Slot {
    /// The first.
    #[default]
    A,
    /// The second.
    B,
}

impl Slot {
    /// The one that it is not.
    pub fn other(self) -> Self {
        match self {
            Slot::A => Slot::B,
            Slot::B => Slot::A,
        }
    }
}

impl core::fmt::Display for Slot {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Slot::A => "A",
            Slot::B => "B",
        })
    }
}

/// What a device remembers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Boots so far.
    pub boots: u32,
    /// Who may talk to it.
    pub pairings: Vec<Pairing, PAIRINGS>,
    /// The model that runs.
    pub active: Slot,
    /// The highest model version accepted so far: lower ones are refused.
    pub model_floor: u32,
    /// Failed presentations in a row, see [`Lockout`](crate::decide::lockout::Lockout).
    pub failures: u8,
    /// What enrolment bundles count from: the highest version that was taken in whole, took the place of everybody, or was begun before
    /// somebody was removed; 0 where there was none.
    pub bundle_version: u32,
    /// Whether somebody was removed since, whom that bundle must not bring back.
    pub bundle_is_spent: bool,
    /// The highest version of an enrolment bundle that was begun.
    pub bundle_begun: u32,
}

impl State {
    /// Of a device that remembers nothing.
    pub fn unknown() -> Self {
        State {
            boots: 0,
            pairings: Vec::new(),
            active: Slot::A,
            model_floor: 0,
            failures: FAILURES_UNKNOWN,
            bundle_version: 0,
            bundle_is_spent: false,
            bundle_begun: 0,
        }
    }

    /// The lowest version of an enrolment bundle that is taken in; one that replaces everybody is not older than any that was begun, with
    /// which whom it forgets could come back.
    pub fn least_bundle(&self, replaces: bool) -> u32 {
        let least = self.bundle_version.saturating_add(self.bundle_is_spent.into());
        if replaces { least.max(self.bundle_begun) } else { least }
    }

    /// An enrolment bundle begins; until it is whole an older one may still come, but for whoever is removed before.
    pub fn begin_bundle(&mut self, version: u32) {
        self.bundle_begun = self.bundle_begun.max(version);
    }

    /// An enrolment bundle was taken in whole, or takes the place of everybody.
    pub fn take_bundle(&mut self, version: u32) {
        if version > self.bundle_version {
            (self.bundle_version, self.bundle_is_spent) = (version, false);
        }
    }

    /// Somebody is removed: the bundle that brought them, or a part of which did, is not to bring them back.
    pub fn spend_bundle(&mut self) {
        self.bundle_version = self.bundle_version.max(self.bundle_begun);
        self.bundle_is_spent = self.bundle_version > 0;
    }
}

/// Those of a state in RAM last as long as the power.
impl Pairings for State {
    fn list(&self) -> &[Pairing] {
        &self.pairings
    }

    fn add(&mut self, pairing: Pairing) -> Result<(), PairingsError> {
        self.pairings.push(pairing).map_err(|_| PairingsError::Full { capacity: PAIRINGS as u8 })
    }

    fn remove(&mut self, host: u16) -> Result<(), PairingsError> {
        self.get(host).ok_or(PairingsError::Unknown { host })?;
        self.pairings.retain(|pairing| pairing.host != host);
        Ok(())
    }
}

/// Why a state could not be read or kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum StateError {
    /// The region is smaller than two erase blocks, or these than two slots.
    Small {
        /// Bytes that it needs.
        needed: u32,
        /// Bytes there are.
        found: u32,
    },
    /// Every number was given.
    Exhausted,
    /// The flash driver failed.
    Flash(FlashFault),
}

impl core::fmt::Display for StateError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            StateError::Small { needed, found } => {
                write!(f, "the state needs at least {needed} bytes of flash, there are {found}")
            }
            StateError::Exhausted => f.write_str("the state was written as often as it can be"),
            StateError::Flash(fault) => fault.fmt(f),
        }
    }
}

impl core::error::Error for StateError {}

impl From<FlashFault> for StateError {
    fn from(fault: FlashFault) -> Self {
        StateError::Flash(fault)
    }
}
