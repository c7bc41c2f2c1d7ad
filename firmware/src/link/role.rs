//! What a paired host may ask: the one table of rights.

use serde::{Deserialize, Serialize};

use super::Request;

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
    /// The least role that may ask this. No wildcard: whoever adds a request decides here.
    ///
    /// An operator hears the name of whom a picture shows, but no list of names: who is enrolled is personal data, and a door
    /// works without it. Crops and embeddings are for whoever tunes the device; the clock decides who is let in.
    pub const fn needed(request: &Request<'_>) -> Role {
        match request {
            Request::Info
            | Request::BeginFrame(_)
            | Request::FramePiece { .. }
            | Request::Identify
            | Request::Profile { .. } => Role::Operator,
            Request::Enroll(_)
            | Request::List { .. }
            | Request::Remove(_)
            | Request::ReadCrop { .. }
            | Request::ReadEmbedding { .. }
            | Request::EraseGallery
            | Request::BeginBackup { .. }
            | Request::BackupRecord { .. }
            | Request::BeginRestore { .. }
            | Request::RestoreRecord { .. }
            | Request::Challenge
            | Request::SetClock { .. }
            | Request::SetValidity { .. }
            | Request::Verify { .. }
            | Request::ListPairings
            | Request::RemovePairing { .. } => Role::Administrator,
        }
    }

    /// For keys and transcripts.
    pub(super) const fn byte(self) -> u8 {
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
