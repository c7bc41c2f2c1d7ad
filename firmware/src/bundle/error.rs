//! Why a bundle is refused.

use serde::{Deserialize, Serialize};

/// Why a bundle is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum BundleError {
    /// It does not begin as a bundle does.
    NotABundle,
    /// Written by another version.
    Version {
        /// Its number.
        found: u16,
        /// The number that this code reads.
        readable: u16,
    },
    /// Sealed with another key, or its header was changed.
    Key,
    /// The header contradicts itself.
    Header,
    /// A record was changed, or stands elsewhere than it was written.
    Damaged {
        /// Its number, from 0.
        record: u32,
    },
    /// A record is of a kind that cannot stand there, or says what no gallery can hold.
    Content {
        /// Its number, from 0.
        record: u32,
    },
    /// A record has another length than the header's dimension asks for.
    Length {
        /// What it should have.
        expected: u32,
        /// What it has.
        found: u32,
    },
    /// The signature is not that of its public key.
    Signature,
    /// It ends too early, or goes on after its end.
    Records {
        /// Records that the header promises.
        expected: u32,
        /// Records there are.
        found: u32,
    },
    /// A record is not the one that was signed, although it was sealed with this key.
    Unsigned {
        /// Its number, from 0.
        record: u32,
    },
    /// An enrolment that is older than one that was taken in or replaced everybody, or as old as one that was begun before somebody was
    /// removed.
    Rollback {
        /// Its version.
        found: u32,
        /// The lowest version accepted.
        least: u32,
    },
}

impl core::fmt::Display for BundleError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            BundleError::NotABundle => write!(f, "this is no bundle"),
            BundleError::Version { found, readable } => {
                write!(f, "the bundle has layout version {found}, readable is {readable}")
            }
            BundleError::Key => {
                write!(f, "the bundle was sealed with another key, or its header was changed")
            }
            BundleError::Header => write!(f, "the bundle's header contradicts itself"),
            BundleError::Damaged { record } => write!(f, "record {record} of the bundle was changed"),
            BundleError::Content { record } => {
                write!(f, "record {record} of the bundle says what cannot stand there")
            }
            BundleError::Length { expected, found } => {
                write!(f, "a record of the bundle has {expected} bytes, this one has {found}")
            }
            BundleError::Signature => write!(f, "the bundle's signature is not that of its key"),
            BundleError::Records { expected, found } => {
                write!(f, "the bundle promises {expected} records, there are {found}")
            }
            BundleError::Unsigned { record } => {
                write!(f, "record {record} of the bundle is not the one that was signed")
            }
            BundleError::Rollback { found, least } => {
                write!(f, "the bundle has version {found}, accepted: {least} and higher")
            }
        }
    }
}

impl core::error::Error for BundleError {}
