//! Pairing: how a host and a device come to share a key, while somebody stands before the device.
//!
//! Somebody presses the device's button; for [`PAIRING_MODE_MS`] it takes [`ATTEMPTS`] attempts, and one success ends it. As in
//! Bluetooth's numeric comparison, each side's share is fixed before it sees the other's:
//!
//! ```text
//! host -> device   Commit   SHA-256("arcgate pairing 1 commitment" | host's share (48) | role (1) | label)
//! device -> host   share    X25519 public, 16 random bytes
//! host -> device   Reveal   host's share, role, label; the device checks the commitment and shows the code
//!
//! transcript   SHA-256("arcgate pairing 1" | identity (32) | host's share (48) | device's share (48) | role (1) | label)
//! code         the first 8 bytes of SHA-256("arcgate pairing 1 code" | transcript), little-endian, modulo 1,000,000
//! derived      HKDF-SHA256, salt = transcript, input = X25519 of both ephemerals (32) | zeros (32)
//!              info = "arcgate pairing 1 key" | 0, "... host" | code (u32), "... device" | code (u32) | host number (u16)
//!
//! somebody reads the code on the device and types it at the host, which refuses another one than its own
//! host -> device   Confirm  the derived proof over the code that was typed; the device refuses another one than its own
//! device -> host   Paired   the host's number, and the device's proof
//! ```
//!
//! Who sits between the two has to give each of them a share before seeing the last random bytes that go into its code: to the
//! device by the commitment, to the host because that reveals last. So the two codes are independent, and equal with a chance of
//! one in a million. What can be tried again without a press of the button is bounded: a host reveals once for each time that
//! it is told to pair, and a device draws no more than [`ATTEMPTS`] shares for a press, whether or not they are revealed. So a
//! press gives three chances in a million, and every attempt that fails is an attempt that the people before the device see fail.
//! Who only listens learns the code and nothing of the key; who only disturbs prevents the pairing. A device that somebody else
//! can press the button of can be paired by them: that is what pressing means.

use core::fmt;

use arcgate_crypto::{PublicKey, Sha256, is_same, sha256};
use serde::{Deserialize, Serialize};

use super::agreement::{Derived, Ephemeral, Share};
use super::handshake::{Refusal, Reveal};
use crate::pairings::Role;
use crate::pairings::{Label, PAIRINGS, Pairing, Pairings, PairingsError};
use crate::time::Uptime;

/// Milliseconds that a press of the button lasts.
pub const PAIRING_MODE_MS: u64 = 60_000;

/// Attempts for a press.
pub const ATTEMPTS: u8 = 3;

/// Six decimal digits that a device shows and people type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Code(pub u32);

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:06}", self.0)
    }
}

impl Reveal {
    /// What a host commits to.
    pub fn commitment(&self) -> [u8; 32] {
        let mut digest = Sha256::new(&[b"arcgate pairing 1 commitment"]);
        self.share.hash(&mut digest);
        self.who(&mut digest);
        digest.finish()
    }

    fn who(&self, digest: &mut Sha256) {
        // The label comes last, so that its length needs no place.
        digest.update(&[&[self.role.byte()], self.label.as_bytes()]);
    }

    fn transcript(&self, identity: &PublicKey, device: &Share) -> Sha256 {
        let mut digest = Sha256::new(&[b"arcgate pairing 1", identity]);
        [&self.share, device].into_iter().for_each(|share| share.hash(&mut digest));
        self.who(&mut digest);
        digest
    }
}

/// What both sides have when host and device have seen each other's shares.
#[derive(Debug, Clone)]
struct Agreed {
    code: Code,
    derived: Derived,
}

impl Agreed {
    /// `None` when the other's key is weak.
    fn new(
        identity: &PublicKey,
        reveal: &Reveal,
        device: &Share,
        own: &Ephemeral,
        other: &Share,
    ) -> Option<Self> {
        let transcript = reveal.transcript(identity, device);
        let digest = sha256(&[b"arcgate pairing 1 code", &transcript.finish()]);
        let [a, b, c, d, e, f, g, h, ..] = digest;
        let code = Code((u64::from_le_bytes([a, b, c, d, e, f, g, h]) % 1_000_000) as u32);
        Some(Agreed { code, derived: Derived::new(&transcript, [&own.agree(other)?, &[0; 32]]) })
    }

    fn pairing(&self, host: u16, reveal: &Reveal) -> Pairing {
        let key = self.derived.expand(&[b"arcgate pairing 1 key"]);
        Pairing { host, role: reveal.role, key, label: reveal.label.clone() }
    }

    /// The host's, over the code that was typed.
    fn host_proof(&self, code: Code) -> [u8; 32] {
        self.derived.expand(&[b"arcgate pairing 1 host", &code.0.to_le_bytes()])
    }

    fn device_proof(&self, host: u16) -> [u8; 32] {
        let code = self.code.0.to_le_bytes();
        self.derived.expand(&[b"arcgate pairing 1 device", &code, &host.to_le_bytes()])
    }
}

/// The host's side: what it wants to be.
#[derive(Debug, Clone)]
pub struct Proposal {
    ephemeral: Ephemeral,
    reveal: Reveal,
}

/// The host's side, once the device has given its share.
#[derive(Debug, Clone)]
pub struct Comparison {
    reveal: Reveal,
    agreed: Agreed,
}

impl Proposal {
    /// For one attempt.
    pub fn new(ephemeral: Ephemeral, role: Role, label: Label) -> Self {
        let share = ephemeral.share();
        Proposal { ephemeral, reveal: Reveal { share, role, label } }
    }

    /// To be revealed when the device has given its share, and not before.
    pub fn reveal(&self) -> &Reveal {
        &self.reveal
    }

    /// Goes on with the share of the device of this identity; `None` when its key is weak. One proposal takes one share.
    pub fn compare(self, identity: &PublicKey, device: &Share) -> Option<Comparison> {
        let Proposal { ephemeral, reveal } = self;
        let agreed = Agreed::new(identity, &reveal, device, &ephemeral, device)?;
        Some(Comparison { reveal, agreed })
    }
}

impl Comparison {
    /// The proof to send when this code was typed; `None` when the device shows another one than belongs here.
    pub fn typed(&self, code: Code) -> Option<[u8; 32]> {
        (code == self.agreed.code).then(|| self.agreed.host_proof(code))
    }

    /// What the host has of it when the device has stored the pairing; `None` when its proof is wrong.
    pub fn finish(&self, host: u16, proof: &[u8; 32]) -> Option<Pairing> {
        is_same(&self.agreed.device_proof(host), proof).then(|| self.agreed.pairing(host, &self.reveal))
    }
}

/// What a device shows to the people before it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Shown {
    /// To be typed at the host.
    pub code: Code,
    /// What the host will be allowed.
    pub role: Role,
    /// What it calls itself.
    pub label: Label,
}

/// The button was pressed.
#[derive(Debug, Clone, Copy)]
struct Press {
    at_most: Role,
    at: Uptime,
    /// Attempts that may still begin.
    left: u8,
}

/// A host is paired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Confirmed {
    /// Its number.
    pub host: u16,
    /// What it may ask.
    pub role: Role,
    /// That the device has the same key.
    pub proof: [u8; 32],
    /// Whether it was not before this.
    pub new: bool,
}

#[derive(Debug, Clone)]
struct Attempt {
    commitment: [u8; 32],
    ephemeral: Ephemeral,
    /// What was revealed and came of it.
    revealed: Option<(Reveal, Agreed)>,
    /// Whom it was stored as.
    paired: Option<u16>,
}

/// The device's side. Every step may come again, as packets do, and gets the same answer.
#[derive(Debug, Default)]
pub struct PairingMode {
    press: Option<Press>,
    attempt: Option<Attempt>,
}

impl PairingMode {
    /// The button was pressed: a host may be paired for `at_most` this.
    pub fn begin(&mut self, at_most: Role, now: Uptime) {
        *self = PairingMode { press: Some(Press { at_most, at: now, left: ATTEMPTS }), attempt: None };
    }

    /// The most that a host can be paired for now. A clock that jumped back ends the mode.
    pub fn role(&self, now: Uptime) -> Option<Role> {
        self.pressed(now).map(|press| press.at_most)
    }

    fn pressed(&self, now: Uptime) -> Option<Press> {
        let since = |press: &Press| now.0.checked_sub(press.at.0);
        self.press.filter(|press| since(press).is_some_and(|passed| passed < PAIRING_MODE_MS))
    }

    /// A host committed: the device's share, `fresh` if this is another attempt.
    ///
    /// # Errors
    /// When the device is not in pairing mode, or no attempt is left.
    pub fn commit(
        &mut self,
        commitment: &[u8; 32],
        fresh: impl FnOnce() -> Ephemeral,
        now: Uptime,
    ) -> Result<Share, Refusal> {
        match &self.attempt {
            Some(attempt) if attempt.commitment == *commitment => return Ok(attempt.ephemeral.share()),
            _ => {}
        }
        let press = self.pressed(now).ok_or(Refusal::NotPairing)?;
        let Some(left) = press.left.checked_sub(1) else {
            *self = PairingMode::default();
            return Err(Refusal::NotPairing);
        };
        self.press = Some(Press { left, ..press });
        let (commitment, ephemeral) = (*commitment, fresh());
        let share = ephemeral.share();
        self.attempt = Some(Attempt { commitment, ephemeral, revealed: None, paired: None });
        Ok(share)
    }

    /// A host revealed what it had committed to: the code to show, unless it is shown already.
    ///
    /// # Errors
    /// When it comes out of order, is not what was committed to, or asks for more than may be given; this ends the attempt.
    pub fn reveal(
        &mut self,
        identity: &PublicKey,
        reveal: &Reveal,
        now: Uptime,
    ) -> Result<Option<Shown>, Refusal> {
        let press = self.pressed(now);
        let mut attempt = self.attempt.take().ok_or(Refusal::Order)?;
        if let Some((seen, _)) = &attempt.revealed {
            let again = seen == reveal;
            self.attempt = Some(attempt);
            return if again { Ok(None) } else { Err(Refusal::Order) };
        }
        let at_most = press.ok_or(Refusal::NotPairing)?.at_most;
        if !is_same(&reveal.commitment(), &attempt.commitment) {
            return Err(Refusal::Commitment);
        }
        if reveal.role > at_most {
            return Err(Refusal::Role { at_most });
        }
        let (own, share) = (&attempt.ephemeral, attempt.ephemeral.share());
        let agreed = Agreed::new(identity, reveal, &share, own, &reveal.share).ok_or(Refusal::WeakKey)?;
        let shown = Shown { code: agreed.code, role: reveal.role, label: reveal.label.clone() };
        attempt.revealed = Some((reveal.clone(), agreed));
        self.attempt = Some(attempt);
        Ok(Some(shown))
    }

    /// A host shows which code was typed. The pairing is stored when this returns; `number` draws numbers at random.
    ///
    /// # Errors
    /// When it comes out of order or too late, another code was typed, or the pairing cannot be stored; this ends the attempt.
    pub fn confirm(
        &mut self,
        proof: &[u8; 32],
        pairings: &mut impl Pairings,
        mut number: impl FnMut() -> u16,
        now: Uptime,
    ) -> Result<Confirmed, Refusal> {
        let press = self.pressed(now);
        let mut attempt = self.attempt.take().ok_or(Refusal::Order)?;
        let (reveal, agreed) = attempt.revealed.as_ref().ok_or(Refusal::Order)?;
        if !is_same(&agreed.host_proof(agreed.code), proof) {
            return Err(Refusal::Code);
        }
        let (host, new) = match attempt.paired {
            Some(host) => (host, false),
            None => {
                press.ok_or(Refusal::NotPairing)?;
                // Of as many numbers one is free, unless the draws repeat each other.
                let free = (0..=PAIRINGS).map(|_| number()).find(|&host| pairings.get(host).is_none());
                let host = free.ok_or(Refusal::Pairings(PairingsError::Storage))?;
                pairings.add(agreed.pairing(host, reveal)).map_err(Refusal::Pairings)?;
                self.press = None;
                (host, true)
            }
        };
        let confirmed = Confirmed { host, role: reveal.role, proof: agreed.device_proof(host), new };
        attempt.paired = Some(host);
        self.attempt = Some(attempt);
        Ok(confirmed)
    }
}

#[cfg(all(test, feature = "sim"))]
mod tests;
