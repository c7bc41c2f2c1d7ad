//! The event log: who was where and what happened to the device, in a ring of erase blocks.
//!
//! A [`Log`] appends one sealed record for an event and, when its region is full, erases the block with the oldest. Each [`Entry`]
//! has a number, given in order and never twice, and is read by pages from a number on.
//!
//! # Layout, version 2
//!
//! ```text
//! region  | block | block | ... |        in the order of their numbers, round and round
//! block   | record | record | ... |
//! record  64 bytes, sealed as every record is (`flash/seal.rs`) for the purpose "arcgate events 2"; its payload is, in postcard, a
//!         stamp and what happened, then zeros
//! ```
//!
//! The number of a record counts slots of 64 bytes; slots that are skipped leave gaps between the numbers.
//!
//! # What a power cut leaves
//!
//! A block is erased before anything is written to it, and no slot is written to that was touched before the last start: the first
//! append after one programs all of a slot to zeros and goes on behind it, so that a write whose cut left nothing to be seen is not written over.
//! What was appended stays until its block is the oldest and room is needed. The one event whose append was cut is there or is
//! not, and may be seen by one reading and not by the next.
//!
//! # What it keeps of people
//!
//! Numbers and angles, never names, pictures or embeddings. Who was where is personal data all the same, so records are sealed
//! under a key of the device. Numbers are not given twice, except when a gallery that could not be read is begun anew: what the log
//! says of somebody who was removed is about a number that is nobody's any more, until its block is erased. Whoever has a device forget
//! everybody at its button has it forget the log too ([`Log::erase`]); a host that erases the gallery does not: it is an
//! administrator's, and so is the log.

mod log;
#[cfg(all(test, feature = "sim"))]
mod tests;

use heapless::Vec;
use serde::{Deserialize, Serialize};

use crate::decide::{Rejection, Unknown};
use crate::flash::FlashFault;
use crate::gallery::{Candidate, PersonId};
use crate::time::{Invalid, Stamp};
pub use log::{Log, RECORD};

/// Why somebody was not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Reason {
    /// [`Unknown::TooFar`].
    TooFar,
    /// [`Unknown::NobodyEnrolled`].
    NobodyEnrolled,
    /// [`Unknown::NoThreshold`].
    NoThreshold,
    /// [`Unknown::Ambiguous`].
    Ambiguous,
    /// [`Unknown::NoAgreement`].
    NoAgreement,
    /// [`Invalid::ClockUnset`].
    ClockUnset,
    /// [`Invalid::Before`].
    NotYet,
    /// [`Invalid::Over`].
    Over,
    /// [`Rejection::ZeroEmbedding`].
    ZeroEmbedding,
    /// [`Rejection::Landmarks`].
    Landmarks,
    /// [`Rejection::Quality`].
    Quality,
    /// [`Rejection::Wait`].
    Wait,
    /// [`Rejection::NoFace`].
    NoFace,
}

impl From<Unknown> for Reason {
    fn from(why: Unknown) -> Self {
        match why {
            Unknown::TooFar => Reason::TooFar,
            Unknown::NobodyEnrolled => Reason::NobodyEnrolled,
            Unknown::NoThreshold => Reason::NoThreshold,
            Unknown::Ambiguous { .. } => Reason::Ambiguous,
            Unknown::NoAgreement { .. } => Reason::NoAgreement,
            Unknown::Invalid(Invalid::ClockUnset) => Reason::ClockUnset,
            Unknown::Invalid(Invalid::Before { .. }) => Reason::NotYet,
            Unknown::Invalid(Invalid::Over { .. }) => Reason::Over,
        }
    }
}

impl From<Rejection> for Reason {
    fn from(why: Rejection) -> Self {
        match why {
            Rejection::ZeroEmbedding => Reason::ZeroEmbedding,
            Rejection::Landmarks => Reason::Landmarks,
            Rejection::Quality(_) => Reason::Quality,
            Rejection::Wait(_) => Reason::Wait,
            Rejection::NoFace => Reason::NoFace,
        }
    }
}

/// What does not work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Trouble {
    /// The gallery cannot be used.
    Gallery,
    /// The state was damaged and was begun anew. One that was erased looks like a new device's, and is not told.
    StateLost,
    /// The state cannot be kept.
    State,
    /// Neither slot has a model.
    NoModel,
    /// The camera gives no pictures.
    Camera,
    /// A bus or port.
    Port,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum What {
    /// The device started.
    Boot,
    /// Somebody enrolled was before the camera.
    Known(Candidate),
    /// Nobody enrolled was.
    Unknown {
        /// Why they are nobody.
        why: Reason,
        /// The nearest person all the same, if anybody is enrolled.
        nearest: Option<Candidate>,
    },
    /// What the camera saw was no evidence.
    Rejected(Reason),
    /// Too many failures.
    LockedOut {
        /// In a row.
        failures: u8,
    },
    /// Somebody has a template more.
    Enrolled(PersonId),
    /// Somebody was forgotten.
    Removed(PersonId),
    /// Everybody was forgotten.
    Erased,
    /// The log before this was erased.
    LogErased,
    /// A backup of so many people was taken.
    BackedUp(u32),
    /// A bundle brought so many new people, and is taken in whole.
    Restored(u32),
    /// The clock was set: the stamp says to what.
    ClockSet,
    /// Somebody may talk to the device from now on.
    Paired {
        /// The pairing's number.
        number: u32,
        /// What they may do.
        role: u8,
    },
    /// Somebody may no longer.
    Unpaired {
        /// The pairing's number.
        number: u32,
    },
    /// A model was accepted.
    UpdateAccepted {
        /// Its version.
        version: u32,
    },
    /// A model was refused.
    UpdateRefused {
        /// The version it gives itself.
        version: u32,
    },
    /// The model that should run does not hold, and the other one runs.
    FellBack {
        /// That one's version.
        version: u32,
    },
    /// Something stopped working.
    Fault(Trouble),
    /// It works again.
    Recovered(Trouble),
    /// A bundle of so many people begins to come; [`What::Restored`] says that all of it did.
    Restoring(u32),
}

/// One line of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Entry {
    /// Its number.
    pub number: u32,
    /// When.
    pub stamp: Stamp,
    /// What.
    pub what: What,
}

/// Some lines of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page<const N: usize> {
    /// In the order of their numbers.
    pub entries: Vec<Entry, N>,
    /// Where the next page begins, if there is one.
    pub next: Option<u32>,
}

/// Why an event was not logged, or the log not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum LogError {
    /// The region is smaller than two erase blocks, or these than two records.
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

impl core::fmt::Display for LogError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            LogError::Small { needed, found } => {
                write!(f, "the event log needs at least {needed} bytes of flash, there are {found}")
            }
            LogError::Exhausted => f.write_str("the event log has given every number"),
            LogError::Flash(fault) => fault.fmt(f),
        }
    }
}

impl core::error::Error for LogError {}

impl From<FlashFault> for LogError {
    fn from(fault: FlashFault) -> Self {
        LogError::Flash(fault)
    }
}
