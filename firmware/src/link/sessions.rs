//! A device's sessions: one in use, and one that has yet to prove itself.
//!
//! Whoever sends an `Open` gets a session opened beside the one in use, whose host notices nothing; only the first packet that
//! opens in the new one, which takes the pairing's key, ends the old one. So a recorded `Open` does no harm, nor do recorded
//! packets: the device's half of each session is drawn anew.

use super::handshake::{Open, Opened, Refusal};
use super::packet::PacketHeader;
use super::session::{Session, accept};
use crate::bundle::PublicKey;
use crate::link::agreement::Ephemeral;
use crate::pairings::Pairing;

/// The sequence that a session begins with.
pub const FIRST: u32 = 1;

/// A session, what was done in it last, and what opened it.
#[derive(Debug)]
struct Pending {
    open: Open,
    opened: Opened,
    session: Session,
}

/// The sessions.
#[derive(Debug, Default)]
pub struct Sessions {
    /// In use, and the sequence that it is to go on with; `None` when it has come to an end.
    active: Option<(Session, Option<u32>)>,
    pending: Option<Pending>,
}

/// What a packet in a session is.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard<'m> {
    /// The next message, to be acted upon once.
    Next {
        /// What was sealed.
        message: &'m [u8],
        /// Whether it is the first of a session, which is the one in use from now on.
        first: bool,
    },
    /// The last one again.
    Again,
    /// One before the last; there is nothing to say to it.
    Old,
    /// It is not what the peer sealed.
    Forged,
    /// It is what the peer sealed, but not what comes next.
    Skipped,
    /// There is no such session.
    NoSession,
}

impl Sessions {
    /// Opens a session beside the one in use. The same `open` again gets the same answer.
    ///
    /// # Errors
    /// When the host's key is weak.
    pub fn open(
        &mut self,
        open: &Open,
        pairing: &Pairing,
        identity: &PublicKey,
        fresh: impl FnOnce() -> Ephemeral,
    ) -> Result<Opened, Refusal> {
        if let Some(pending) = self.pending.as_ref().filter(|pending| pending.open == *open) {
            return Ok(pending.opened);
        }
        let (opened, session) = accept(open, pairing, identity, &fresh())?;
        self.pending = Some(Pending { open: *open, opened, session });
        Ok(opened)
    }

    /// The session in use.
    pub fn active(&self) -> Option<&Session> {
        self.active.as_ref().map(|(session, _)| session)
    }

    /// Ends the session in use, for a host that is paired no more.
    pub fn end(&mut self) {
        self.active = None;
    }

    /// Takes a packet of a session.
    pub fn hear<'m>(&mut self, header: PacketHeader, sealed: &'m mut [u8]) -> Heard<'m> {
        let PacketHeader { session: number, sequence } = header;
        if let Some((session, next)) = self.active.as_mut().filter(|(s, _)| s.number() == number) {
            let Some(message) = session.open(sequence, sealed) else { return Heard::Forged };
            return match *next {
                Some(expected) if sequence == expected => {
                    *next = expected.checked_add(1);
                    Heard::Next { message, first: false }
                }
                Some(expected) if sequence > expected => Heard::Skipped,
                // With no next one, the last was the last there is.
                next if next.map_or(u32::MAX, |next| next - 1) == sequence => Heard::Again,
                _ => Heard::Old,
            };
        }
        let Some(pending) = self.pending.take_if(|pending| pending.session.number() == number) else {
            return Heard::NoSession;
        };
        match pending.session.open(sequence, sealed) {
            Some(message) if sequence == FIRST => {
                self.active = Some((pending.session, FIRST.checked_add(1)));
                Heard::Next { message, first: true }
            }
            opened => {
                let heard = if opened.is_some() { Heard::Skipped } else { Heard::Forged };
                self.pending = Some(pending);
                heard
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::agreement::NONCE;
    use crate::link::packet::{MAX_PACKET, encode_sealed};
    use crate::link::session::Opening;
    use crate::link::{Request, packet};
    use crate::pairings::{Label, Role};

    const DEVICE: PublicKey = [8; 32];

    fn pairing(host: u16) -> Pairing {
        Pairing { host, role: Role::Operator, key: [host as u8; 32], label: Label::new() }
    }

    fn ephemeral(seed: u8) -> Ephemeral {
        Ephemeral::new([seed; 32], [seed; NONCE])
    }

    /// Opens a session of `host`, drawing what these seeds give.
    fn opened(sessions: &mut Sessions, host: u16, [ours, theirs]: [u8; 2]) -> Session {
        let opening = Opening::new(pairing(host), ephemeral(ours));
        let answer = sessions.open(&opening.message(), &pairing(host), &DEVICE, || ephemeral(theirs));
        opening.finish(&DEVICE, &answer.unwrap()).unwrap()
    }

    /// What a device makes of `sequence` of `session`: in words, as messages are borrowed.
    fn hear(sessions: &mut Sessions, session: &Session, sequence: u32) -> std::string::String {
        let (header, mut sealed) = sent(session, sequence);
        format!("{:?}", sessions.hear(header, &mut sealed)).split([' ', '{']).next().unwrap().to_owned()
    }

    fn sent(session: &Session, sequence: u32) -> (PacketHeader, std::vec::Vec<u8>) {
        let (mut wire, header) = ([0; MAX_PACKET], PacketHeader { session: session.number(), sequence });
        let length = encode_sealed(header, &Request::Info, session, &mut wire).unwrap();
        let mut decoder = packet::Decoder::new();
        let payload = wire[..length]
            .iter()
            .fold(None, |last, &byte| decoder.push(byte).map(|payload| payload.unwrap().to_vec()).or(last));
        let mut payload = payload.unwrap();
        let (found, sealed) = packet::split(&mut payload).unwrap();
        assert_eq!(found, header);
        (header, sealed.to_vec())
    }

    #[test]
    fn each_sequence_is_done_once_and_none_is_skipped() {
        let mut sessions = Sessions::default();
        let host = opened(&mut sessions, 1, [1, 2]);
        let steps = [
            (2, "Skipped"),
            (1, "Next"),
            (1, "Again"),
            (3, "Skipped"),
            (2, "Next"),
            (1, "Old"),
            (2, "Again"),
            (0, "Old"),
            (u32::MAX, "Skipped"),
            (3, "Next"),
            (2, "Old"),
        ];
        for (sequence, expected) in steps {
            assert_eq!(hear(&mut sessions, &host, sequence), expected, "{sequence}");
        }
        let (header, mut sealed) = sent(&host, 4);
        sealed[0] ^= 1;
        assert_eq!(sessions.hear(header, &mut sealed), Heard::Forged);
        assert_eq!(hear(&mut sessions, &host, 4), "Next");
    }

    #[test]
    fn the_last_sequence_there_is_ends_a_session() {
        let mut sessions = Sessions::default();
        let host = opened(&mut sessions, 1, [1, 2]);
        assert_eq!(hear(&mut sessions, &host, 1), "Next");
        sessions.active.as_mut().unwrap().1 = Some(u32::MAX);
        let steps = [(u32::MAX, "Next"), (u32::MAX, "Again"), (u32::MAX - 1, "Old"), (0, "Old"), (1, "Old")];
        for (sequence, expected) in steps {
            assert_eq!(hear(&mut sessions, &host, sequence), expected, "{sequence}");
        }
    }

    #[test]
    fn a_session_stays_until_another_has_proven_itself() {
        let mut sessions = Sessions::default();
        let first = opened(&mut sessions, 1, [1, 2]);
        assert_eq!(hear(&mut sessions, &first, 1), "Next");
        // The same `Open` again, as from a record: another half of the device's, of which the record knows nothing.
        let replayed = opened(&mut sessions, 1, [1, 3]);
        let (header, sealed) = sent(&first, 1);
        let header = PacketHeader { session: replayed.number(), ..header };
        assert_eq!(sessions.hear(header, &mut sealed.clone()), Heard::Forged);
        assert_eq!(hear(&mut sessions, &first, 2), "Next");
        // Many are opened, the last of them proves itself.
        let lost = opened(&mut sessions, 2, [4, 5]);
        let second = opened(&mut sessions, 3, [6, 7]);
        assert_eq!(hear(&mut sessions, &lost, 1), "NoSession");
        assert_eq!(hear(&mut sessions, &first, 3), "Next");
        assert_eq!(hear(&mut sessions, &second, 1), "Next");
        assert_eq!(sessions.active().map(Session::host), Some(3));
        assert_eq!(hear(&mut sessions, &first, 4), "NoSession");
        sessions.end();
        assert_eq!(hear(&mut sessions, &second, 2), "NoSession");
    }

    #[test]
    fn an_open_that_comes_again_gets_the_same_answer() {
        let mut sessions = Sessions::default();
        let opening = Opening::new(pairing(1), ephemeral(1));
        let mut answers = [2, 3]
            .map(|seed| sessions.open(&opening.message(), &pairing(1), &DEVICE, || ephemeral(seed)).unwrap());
        assert_eq!(answers[0], answers[1]);
        let session = opening.finish(&DEVICE, &answers[0]).unwrap();
        assert_eq!(hear(&mut sessions, &session, 1), "Next");
        answers[1] = sessions.open(&opening.message(), &pairing(1), &DEVICE, || ephemeral(3)).unwrap();
        assert_ne!(answers[0], answers[1], "it is open already");
    }
}
