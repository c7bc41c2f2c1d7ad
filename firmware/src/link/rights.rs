//! What a paired host may ask: the one table of rights.

use super::Request;
use crate::pairings::Role;

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
            | Request::Stats
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
            | Request::EnrollHere { .. }
            | Request::Enrolling
            | Request::StopEnrolling
            | Request::ReadLog { .. }
            | Request::BeginUpdate { .. }
            | Request::UpdatePiece { .. }
            | Request::FinishUpdate
            | Request::Restart
            | Request::ListPairings
            | Request::RemovePairing { .. } => Role::Administrator,
        }
    }
}
