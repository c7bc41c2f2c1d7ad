//! Somebody enrolled: a number, a name, and when they are let in.

use heapless::String;
use serde::{Deserialize, Serialize};

use crate::time::Validity;

/// The longest name, in bytes of UTF-8.
pub const NAME_BYTES: usize = 32;

/// A name as it is stored.
pub type Name = String<NAME_BYTES>;

/// A person's number: given once and never again until the gallery is erased, stable over compaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct PersonId(pub u32);

impl core::fmt::Display for PersonId {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.fmt(f)
    }
}

/// Somebody enrolled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// Stable number.
    pub id: PersonId,
    /// As it was enrolled; empty when the record that had it is damaged.
    pub name: Name,
    /// Shots kept.
    pub templates: u16,
    /// When they are let in; [`Validity::NEVER`] when the record that said so is damaged.
    pub validity: Validity,
}
