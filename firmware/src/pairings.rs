//! The hosts that a device knows.

use heapless::String;
use serde::{Deserialize, Serialize};

/// Hosts that a device can be paired with.
pub const PAIRINGS: usize = 8;

/// Bytes of a [`Label`].
pub const LABEL: usize = 32;

/// What a host calls itself, for people who read the list.
pub type Label = String<LABEL>;

/// What a host was paired for; each may all that the ones before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Role {
    /// Has pictures looked at and reads how the device does: a door's controller, a monitor.
    Operator,
    /// Looks after people, keys and the device itself.
    Administrator,
}

impl Role {
    /// For keys and transcripts.
    pub(crate) const fn byte(self) -> u8 {
        match self {
            Role::Operator => 1,
            Role::Administrator => 2,
        }
    }
}

impl core::fmt::Display for Role {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Role::Operator => "operator",
            Role::Administrator => "administrator",
        })
    }
}

/// A host and what the device shares with it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pairing {
    /// The host's number on this device, drawn at random.
    pub host: u16,
    /// What it may ask.
    pub role: Role,
    /// What both know and nobody else.
    #[serde(deserialize_with = "crate::wire::array")]
    pub key: [u8; 32],
    /// What it calls itself.
    pub label: Label,
}

impl core::fmt::Debug for Pairing {
    /// All but the key.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Pairing").field("host", &self.host).field("role", &self.role).finish_non_exhaustive()
    }
}

/// A [`Pairing`] as others see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairedHost {
    /// As [`Pairing::host`].
    pub host: u16,
    /// As [`Pairing::role`].
    pub role: Role,
    /// As [`Pairing::label`].
    pub label: Label,
}

impl From<&Pairing> for PairedHost {
    fn from(pairing: &Pairing) -> Self {
        PairedHost { host: pairing.host, role: pairing.role, label: pairing.label.clone() }
    }
}

/// Why the list of pairings stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum PairingsError {
    /// No room for another host.
    Full {
        /// Hosts there are.
        capacity: u8,
    },
    /// No host has this number.
    Unknown {
        /// The number.
        host: u16,
    },
    /// It could not be stored.
    Storage,
}

impl core::fmt::Display for PairingsError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            PairingsError::Full { capacity } => {
                write!(f, "the device is paired with {capacity} hosts already; one has to be removed first")
            }
            PairingsError::Unknown { host } => write!(f, "no paired host has number {host}"),
            PairingsError::Storage => write!(f, "the device could not store its pairings"),
        }
    }
}

impl core::error::Error for PairingsError {}

/// Where a device keeps its pairings: at most [`PAIRINGS`], each number once.
pub trait Pairings {
    /// All of them.
    fn list(&self) -> &[Pairing];

    /// Keeps one more, for good once this returns.
    ///
    /// # Errors
    /// When there is no room or it cannot be stored; then nothing has changed.
    fn add(&mut self, pairing: Pairing) -> Result<(), PairingsError>;

    /// Forgets one, for good once this returns.
    ///
    /// # Errors
    /// When no host has the number or it cannot be stored; then nothing has changed.
    fn remove(&mut self, host: u16) -> Result<(), PairingsError>;

    /// The host with this number.
    fn get(&self, host: u16) -> Option<&Pairing> {
        self.list().iter().find(|pairing| pairing.host == host)
    }
}
