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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::frame::PixelFormat;
    use crate::gallery::PersonId;
    use crate::link::message::{FrameHeader, Who};
    use crate::time::{UnixTime, Validity};
    use crate::wire;

    /// Requests that there are: as many as the enumeration has variants, since it is their first byte that counts them.
    const REQUESTS: u8 = 30;

    /// What an operator may ask, by hand.
    fn of_operators() -> [Request<'static>; 6] {
        let frame = FrameHeader { format: PixelFormat::Grey8, width: 8, height: 8, landmarks: None };
        [
            Request::Info,
            Request::BeginFrame(frame),
            Request::FramePiece { offset: 0, bytes: &[] },
            Request::Identify,
            Request::Stats,
            Request::Profile { first: 0 },
        ]
    }

    /// What only an administrator may.
    fn of_administrators() -> [Request<'static>; 24] {
        let (person, who) = (PersonId(1), Who::New("Ada"));
        let validity = Validity { from: 0, until: 1 };
        [
            Request::Enroll(who),
            Request::List { after: None },
            Request::Remove(person),
            Request::ReadCrop { offset: 0 },
            Request::ReadEmbedding { offset: 0 },
            Request::EraseGallery,
            Request::BeginBackup { salt: [0; 32] },
            Request::BackupRecord { number: 0 },
            Request::BeginRestore { header: &[], replace: false, people_only: false },
            Request::RestoreRecord { number: 0, bytes: &[] },
            Request::Challenge,
            Request::SetClock { time: UnixTime(0), proof: [0; 32] },
            Request::SetValidity { person, validity },
            Request::EnrollHere { who, shots: 1 },
            Request::Enrolling,
            Request::StopEnrolling,
            Request::ReadLog { from: 0 },
            Request::BeginUpdate { header: &[] },
            Request::UpdatePiece { offset: 0, bytes: &[] },
            Request::FinishUpdate,
            Request::Restart,
            Request::Verify { first: 0 },
            Request::ListPairings,
            Request::RemovePairing { host: 1 },
        ]
    }

    #[test]
    fn an_operator_is_refused_everything_but_what_is_listed_here() {
        for request in of_operators() {
            assert_eq!(Role::needed(&request), Role::Operator, "{request:?}");
        }
        for request in of_administrators() {
            let needed = Role::needed(&request);
            assert_eq!(needed, Role::Administrator, "{request:?}");
            assert!(Role::Operator < needed, "{request:?}");
        }
    }

    #[test]
    fn the_lists_hold_every_request_there_is() {
        let mut bytes = [0; 256];
        let mut first = |request: &Request<'_>| {
            wire::write(request, &mut bytes).expect("a short request");
            bytes[0]
        };
        let listed: BTreeSet<u8> =
            of_operators().iter().chain(&of_administrators()).map(&mut first).collect();
        assert_eq!(listed, (0..REQUESTS).collect());
        // There is none behind the last; from 128 on a byte says that another follows.
        assert!((REQUESTS..128).all(|number| {
            let mut bytes = [0; 256];
            bytes[0] = number;
            wire::read::<Request<'_>>(&bytes).is_none()
        }));
    }
}
