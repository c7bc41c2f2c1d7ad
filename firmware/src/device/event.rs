//! What happens on a device, and what its log keeps of it.

use core::fmt;

use crate::decide::Rejection;
use crate::decide::lockout::Wait;
use crate::events::{Reason, Trouble, What};
use crate::gallery::PersonId;
use crate::link::Fault;
use crate::link::answer::Answer;
use crate::link::handshake::Refusal;
use crate::link::packet::Noise;
use crate::link::pairing::Shown;
use crate::link::status::Restored;
use crate::pairings::Role;
use crate::time::UnixTime;

use super::Forgery;
use crate::guide::{Progress, ShotFault};

/// Something that happened on the device, for its log, its LED, its door.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Event {
    /// Who is before the camera: what a door may open for.
    Answered(Answer),
    /// Who is in a picture that a host sent: nobody stands there.
    Asked(Answer),
    /// Somebody has a template more.
    Enrolled(PersonId),
    /// Somebody was forgotten.
    Removed(PersonId),
    /// Everybody was forgotten.
    Erased,
    /// A host took a backup of so many people.
    BackedUp(u32),
    /// A host's bundle was taken in, all of it.
    Restored(Restored),
    /// A host with the device's key said what time it is.
    ClockSet(UnixTime),
    /// What a host or the camera asked for could not be done.
    Refused(Fault),
    /// Bytes on the wire that were no packet.
    Noise(Noise),
    /// A packet that was forged, changed or out of order.
    Forged(Forgery),
    /// Somebody without a session asked for what they were not given.
    TurnedAway(Refusal),
    /// A paired host has opened a session; the one before is over.
    Session {
        /// Its number.
        host: u16,
        /// What it may ask.
        role: Role,
    },
    /// A code to be shown to the people before the device, who type it at the host.
    Pairing(Shown),
    /// A host was paired.
    Paired {
        /// Its number.
        host: u16,
        /// What it may ask.
        role: Role,
    },
    /// A host is paired no more.
    Unpaired {
        /// Its number.
        host: u16,
    },
    /// What became of a shot of the guided enrolment before the camera.
    Shot(Result<Progress, ShotFault>),
    /// The guided enrolment is over, and nobody was enrolled.
    GaveUp,
    /// A model was accepted; it runs from the next start on ([`Device::wants_restart`](super::Device::wants_restart)).
    Updated {
        /// Its version.
        version: u32,
    },
    /// A model was refused; the one before runs on.
    NotUpdated {
        /// The version that it gives itself; 0 where it says none.
        version: u32,
    },
}

impl Event {
    /// What the log keeps of it, given the failures in a row before the camera. Pictures that a host asks about and noise on the wire
    /// are not who was at the door.
    pub(super) fn told(&self, failures: u8) -> Option<What> {
        Some(match self {
            Event::Answered(Answer::Known { best, .. }) => What::Known(best.candidate()),
            Event::Answered(Answer::Unknown { why, nearest }) => {
                let nearest = nearest.as_ref().map(|nearest| nearest.candidate());
                What::Unknown { why: Reason::from(*why), nearest }
            }
            Event::Answered(Answer::Rejected(Rejection::Wait(Wait { locked: true, .. }))) => {
                What::LockedOut { failures }
            }
            Event::Answered(Answer::Rejected(why)) => What::Rejected(Reason::from(*why)),
            Event::Enrolled(person) => What::Enrolled(*person),
            Event::Removed(person) => What::Removed(*person),
            Event::Erased => What::Erased,
            Event::BackedUp(people) => What::BackedUp(*people),
            Event::Restored(done) => What::Restored(done.people),
            Event::ClockSet(_) => What::ClockSet,
            Event::Paired { host, role } => What::Paired { number: u32::from(*host), role: role.byte() },
            Event::Unpaired { host } => What::Unpaired { number: u32::from(*host) },
            Event::Updated { version } => What::UpdateAccepted { version: *version },
            Event::NotUpdated { version } => What::UpdateRefused { version: *version },
            Event::Refused(Fault::Camera(_)) => What::Fault(Trouble::Camera),
            Event::Asked(_)
            | Event::Refused(_)
            | Event::Noise(_)
            | Event::Forged(_)
            | Event::TurnedAway(_)
            | Event::Session { .. }
            | Event::Pairing(_)
            | Event::Shot(_)
            | Event::GaveUp => return None,
        })
    }
}

impl fmt::Display for Event {
    /// One line of plain words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Answered(answer) => answer.fmt(f),
            Event::Asked(answer) => write!(f, "asked about a picture: {answer}"),
            Event::Enrolled(person) => write!(f, "enrolled a template of person {person}"),
            Event::Removed(person) => write!(f, "removed person {person}"),
            Event::Erased => f.write_str("the gallery is empty"),
            Event::BackedUp(people) => write!(f, "a host took a backup of {people} people"),
            Event::Restored(Restored { people, templates, .. }) => {
                write!(f, "took in {people} people and {templates} templates of a bundle")
            }
            Event::ClockSet(time) => write!(f, "it is {} s after 1970", time.0),
            Event::Refused(fault) => write!(f, "refused: {fault}"),
            Event::Noise(noise) => write!(f, "noise on the link: {noise}"),
            Event::Forged(how) => write!(f, "a packet that no paired host sent now: {how}"),
            Event::TurnedAway(why) => write!(f, "turned away: {why}"),
            Event::Session { host, role } => write!(f, "a session with host {host}, {role}"),
            Event::Pairing(Shown { code, role, label }) => {
                write!(f, "code {code}: type it at {label:?}, which will be {role}")
            }
            Event::Paired { host, role } => write!(f, "paired with host {host}, {role}"),
            Event::Unpaired { host } => write!(f, "host {host} is paired no more"),
            Event::Shot(Ok(Progress { taken, wanted })) => write!(f, "shot {taken} of {wanted} kept"),
            Event::Shot(Err(why)) => write!(f, "shot not kept: {why}"),
            Event::GaveUp => f.write_str("nobody stood still for the enrolment"),
            Event::Updated { version } => {
                write!(f, "took model {version}, which runs from the next start on")
            }
            Event::NotUpdated { version } => write!(f, "refused model {version}"),
        }
    }
}
