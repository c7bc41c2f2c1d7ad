//! Sessions: what only the two that are paired can say to each other, once and in order.
//!
//! ```text
//! host -> device    Open { host number, X25519 public, 16 random bytes }
//! device -> host    Opened { X25519 public, 16 random bytes, proof }
//!
//! transcript  SHA-256("arcgate session 1" | device's identity (32) | host number (u16) | host's share (48) | device's share (48))
//! derived     HKDF-SHA256, salt = transcript, input = pairing key (32) | X25519 of both ephemerals (32)
//!             info = "arcgate session 1" | role (1) | purpose (1): 1 key to the device, 2 key to the host, 3 proof, 4 number
//! packet      session number and sequence in the clear | ChaCha20-Poly1305(message) | tag (16)
//! nonce       direction (1) | 0 (7) | sequence (u32);   associated data: session number (u32) | sequence (u32)
//! ```
//!
//! Numbers are little-endian. The proof shows the host that the device has the pairing's key; the first packet that opens shows
//! the device the same of the host. Whoever records a session and steals the keys of the pairing later reads nothing: the
//! ephemerals are gone. A session's keys differ from every other's as long as one side's random bytes do.
//!
//! A sequence is sealed once in each direction: what is sent again is the same bytes. So no nonce is ever used for two messages.

use arcgate_crypto::{Aead, PublicKey, Sha256, TAG, is_same};

use super::agreement::{Derived, Ephemeral, Share};
use super::handshake::{Open, Opened, Refusal};
use crate::bytes::put;
use crate::pairings::Pairing;
use crate::pairings::Role;

/// Which way a packet goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    ToDevice = 1,
    ToHost = 2,
}

/// One side's half of a session.
#[derive(Clone)]
pub struct Session {
    number: u32,
    host: u16,
    role: Role,
    speaks: Direction,
    hears: Direction,
    outgoing: Aead,
    incoming: Aead,
}

impl core::fmt::Debug for Session {
    /// All but the keys.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Session")
            .field("number", &self.number)
            .field("host", &self.host)
            .finish_non_exhaustive()
    }
}

/// What follows from a handshake.
struct Keys {
    derived: Derived,
    role: Role,
}

impl Keys {
    fn new(identity: &PublicKey, pairing: &Pairing, [host, device]: [&Share; 2], agreed: &[u8; 32]) -> Self {
        let mut transcript = Sha256::new(&[b"arcgate session 1", identity, &pairing.host.to_le_bytes()]);
        [host, device].into_iter().for_each(|share| share.hash(&mut transcript));
        Keys { derived: Derived::new(&transcript, [&pairing.key, agreed]), role: pairing.role }
    }

    fn expand<const N: usize>(&self, purpose: u8) -> [u8; N] {
        self.derived.expand(&[b"arcgate session 1", &[self.role.byte(), purpose]])
    }

    fn proof(&self) -> [u8; 32] {
        self.expand(3)
    }

    fn session(&self, pairing: &Pairing, speaks: Direction) -> Session {
        let [to_device, to_host] = [1, 2].map(|purpose| Aead::new(self.expand(purpose)));
        let (hears, outgoing, incoming) = match speaks {
            Direction::ToDevice => (Direction::ToHost, to_device, to_host),
            Direction::ToHost => (Direction::ToDevice, to_host, to_device),
        };
        // Zero is what packets outside of sessions have.
        let number = u32::from_le_bytes(self.expand(4)).max(1);
        Session { number, host: pairing.host, role: pairing.role, speaks, hears, outgoing, incoming }
    }
}

/// Opens a session on the host's side.
#[derive(Debug, Clone)]
pub struct Opening {
    pairing: Pairing,
    ephemeral: Ephemeral,
}

impl Opening {
    /// Of a host with this pairing.
    pub fn new(pairing: Pairing, ephemeral: Ephemeral) -> Self {
        Opening { pairing, ephemeral }
    }

    /// What to send.
    pub fn message(&self) -> Open {
        Open { host: self.pairing.host, share: self.ephemeral.share() }
    }

    /// The session with the device of this identity; `None` when it was not that device that answered.
    pub fn finish(&self, identity: &PublicKey, opened: &Opened) -> Option<Session> {
        let agreed = self.ephemeral.agree(&opened.share)?;
        let shares = [&self.ephemeral.share(), &opened.share];
        let keys = Keys::new(identity, &self.pairing, shares, &agreed);
        is_same(&keys.proof(), &opened.proof).then(|| keys.session(&self.pairing, Direction::ToDevice))
    }
}

/// Opens a session on the side of the device of this identity.
///
/// # Errors
/// When the host's key is weak.
pub fn accept(
    open: &Open,
    pairing: &Pairing,
    identity: &PublicKey,
    ephemeral: &Ephemeral,
) -> Result<(Opened, Session), Refusal> {
    let agreed = ephemeral.agree(&open.share).ok_or(Refusal::WeakKey)?;
    let share = ephemeral.share();
    let keys = Keys::new(identity, pairing, [&open.share, &share], &agreed);
    Ok((Opened { share, proof: keys.proof() }, keys.session(pairing, Direction::ToHost)))
}

impl Session {
    /// What packets of it carry; never zero.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// The host's number on the device.
    pub fn host(&self) -> u16 {
        self.host
    }

    /// What the host may ask.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Seals a message in place and gives its tag; `None` never comes of messages that fit into a packet. Each sequence is
    /// sealed once.
    pub(super) fn seal(&self, sequence: u32, message: &mut [u8]) -> Option<[u8; TAG]> {
        let (nonce, data) = (nonce(self.speaks, sequence), self.data(sequence));
        self.outgoing.seal(&nonce, &data, message).ok()
    }

    /// Opens what the other side sealed, in place; `None` when it did not.
    pub fn open<'m>(&self, sequence: u32, sealed: &'m mut [u8]) -> Option<&'m [u8]> {
        let (message, tag) = sealed.split_last_chunk_mut::<TAG>()?;
        let (nonce, data) = (nonce(self.hears, sequence), self.data(sequence));
        self.incoming.open(&nonce, &data, message, tag).then_some(&*message)
    }

    fn data(&self, sequence: u32) -> [u8; 8] {
        (u64::from(sequence) << 32 | u64::from(self.number)).to_le_bytes()
    }
}

fn nonce(direction: Direction, sequence: u32) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[0] = direction as u8;
    put(&mut nonce, 8, &sequence.to_le_bytes());
    nonce
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::agreement::NONCE;
    use crate::pairings::Label;

    const DEVICE: PublicKey = [8; 32];

    fn pairing() -> Pairing {
        Pairing { host: 3, role: Role::Operator, key: [7; 32], label: Label::new() }
    }

    fn ephemeral(seed: u8) -> Ephemeral {
        Ephemeral::new([seed; 32], [seed; NONCE])
    }

    /// A host's and a device's half.
    fn halves(device: u8) -> [Session; 2] {
        let opening = Opening::new(pairing(), ephemeral(1));
        let (opened, session) = accept(&opening.message(), &pairing(), &DEVICE, &ephemeral(device)).unwrap();
        [opening.finish(&DEVICE, &opened).unwrap(), session]
    }

    fn sealed(session: &Session, sequence: u32, message: &[u8]) -> std::vec::Vec<u8> {
        let mut bytes = message.to_vec();
        let tag = session.seal(sequence, &mut bytes).unwrap();
        bytes.extend(tag);
        bytes
    }

    #[test]
    fn both_hear_each_other_and_only_where_and_as_it_was_said() {
        let [host, device] = halves(2);
        assert_eq!((host.number(), device.host(), device.role()), (device.number(), 3, Role::Operator));
        for (from, to) in [(&host, &device), (&device, &host)] {
            let bytes = sealed(from, 5, b"who is it?");
            assert!(!bytes.windows(3).any(|part| part == b"who"));
            assert_eq!(to.open(5, &mut bytes.clone()), Some(&b"who is it?"[..]));
            assert_eq!(to.open(6, &mut bytes.clone()), None, "another sequence");
            assert_eq!(from.open(5, &mut bytes.clone()), None, "sent back to who said it");
            for bit in 0..bytes.len() * 8 {
                let mut changed = bytes.clone();
                changed[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(to.open(5, &mut changed), None, "bit {bit}");
            }
            for length in 0..bytes.len() {
                assert_eq!(to.open(5, &mut bytes[..length].to_vec()), None, "{length} bytes");
            }
        }
    }

    #[test]
    fn another_session_of_the_same_two_has_other_keys() {
        let [host, _] = halves(2);
        let [_, other] = halves(4);
        assert_ne!(host.number(), other.number());
        assert_eq!(other.open(1, &mut sealed(&host, 1, b"again")), None);
    }

    #[test]
    fn who_lacks_the_key_the_role_or_the_identity_opens_nothing() {
        let opening = Opening::new(pairing(), ephemeral(1));
        let open = opening.message();
        let others = [
            (Pairing { key: [6; 32], ..pairing() }, DEVICE),
            (Pairing { role: Role::Administrator, ..pairing() }, DEVICE),
            (Pairing { host: 4, ..pairing() }, DEVICE),
            (pairing(), [9; 32]),
        ];
        for (pairing, identity) in others {
            let (opened, session) = accept(&open, &pairing, &identity, &ephemeral(2)).unwrap();
            assert!(opening.finish(&DEVICE, &opened).is_none());
            let [host, _] = halves(2);
            assert_eq!(session.open(1, &mut sealed(&host, 1, b"let me in")), None);
        }
        // Nor does who changes a bit of what the device answers.
        let (opened, _) = accept(&open, &pairing(), &DEVICE, &ephemeral(2)).unwrap();
        let changed = |change: fn(&mut Opened)| {
            let mut opened = opened;
            change(&mut opened);
            opening.finish(&DEVICE, &opened)
        };
        assert!(changed(|_| ()).is_some());
        assert!(changed(|o| o.share.nonce[3] ^= 1).is_none());
        assert!(changed(|o| o.share.public[3] ^= 1).is_none());
        assert!(changed(|o| o.share.public = [0; 32]).is_none());
        assert!(changed(|o| o.proof[31] ^= 1).is_none());
        let weak = Open { share: Share { public: [0; 32], ..open.share }, ..open };
        assert_eq!(accept(&weak, &pairing(), &DEVICE, &ephemeral(2)).err(), Some(Refusal::WeakKey));
    }
}
