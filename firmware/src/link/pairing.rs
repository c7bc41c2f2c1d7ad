//! Pairing: how a host and a device come to share a key, while somebody stands before the device.
//!
//! Somebody presses the device's button; for [`PAIRING_MODE_MS`] it takes [`ATTEMPTS`] attempts, and one success ends it. The device
//! draws a code, shows it and sends it nowhere; somebody types it at the host. That both have the same is proven by CPace (Abdalla,
//! Haase, Hesse 2021; draft-irtf-cfrg-cpace) over X25519, whose base point follows from the code:
//!
//! ```text
//! host -> device   Begin    role, label, 16 random bytes; the device draws the code and shows it
//! device -> host   16 random bytes; somebody reads the code and types it at the host
//!
//! meeting      identity (32) | role (1) | host's random bytes | device's | label
//! generator    Elligator 2 (RFC 9380, edwards25519_XMD:SHA-512_ELL2_NU_ of a domain of its own) of code (u32) | meeting
//! host -> device   X25519(host's secret, generator)
//! device -> host   X25519(device's secret, generator)
//!
//! transcript   SHA-256("arcgate pairing 2" | meeting's SHA-256 | host's public (32) | device's public (32))
//! derived      HKDF-SHA256, salt = transcript, input = X25519 of the other's public (32) | zeros (32)
//!              info = "arcgate pairing 2 key", "... host", "... device" | host number (u16)
//!
//! host -> device   Confirm  the derived proof of the host; the device refuses another one
//! device -> host   Paired   the host's number, and the device's proof
//! ```
//!
//! Whoever does not know the code, on the line or between the two, can guess it once for each attempt: a public key of theirs fits one
//! code, and nothing that is sent tells whether another would have been right. The device proves nothing before the host has. So a
//! press gives three chances in a million against the device, and a typed code one against the host; an attempt that fails is
//! one that the people before the device see fail. Who only listens learns nothing; who only disturbs prevents the pairing. A device that
//! somebody else can press the button of, or whose lights they see while somebody pairs, can be paired by them.

use core::fmt;

use arcgate_crypto::{PublicKey, Sha256, generator, is_same, x25519};
use serde::{Deserialize, Serialize};

use super::agreement::{Derived, NONCE, agree};
use super::handshake::{Begin, Refusal};
use crate::pairings::{Label, PAIRINGS, Pairing, Pairings, PairingsError, Role};
use crate::time::Uptime;

/// Milliseconds that a press of the button lasts.
pub const PAIRING_MODE_MS: u64 = 60_000;

/// Attempts for a press.
pub const ATTEMPTS: u8 = 3;

/// Six decimal digits that a device shows and people type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Code(pub u32);

impl Code {
    /// From random bytes: every code as often as any other, to one part in 10^13.
    fn drawn(random: [u8; 8]) -> Self {
        Code((u64::from_le_bytes(random) % 1_000_000) as u32)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:06}", self.0)
    }
}

/// Who meets, and the random bytes of both: what an attempt is about.
#[derive(Debug, Clone)]
struct Meeting {
    identity: PublicKey,
    begin: Begin,
    nonce: [u8; NONCE],
}

impl Meeting {
    fn digest(&self) -> [u8; 32] {
        let Meeting { identity, begin, nonce } = self;
        // The label comes last, so that its length needs no place.
        Sha256::new(&[identity, &[begin.role.byte()], &begin.nonce, nonce, begin.label.as_bytes()]).finish()
    }

    fn generator(&self, code: Code) -> [u8; 32] {
        generator(&[&code.0.to_le_bytes(), &self.digest()])
    }

    /// What both know when each has the other's public key; `None` when the other's is weak.
    fn agree(&self, secret: [u8; 32], other: &[u8; 32], [host, device]: [&[u8; 32]; 2]) -> Option<Agreed> {
        let transcript = Sha256::new(&[b"arcgate pairing 2", &self.digest(), host, device]);
        Some(Agreed(Derived::new(&transcript, [&agree(secret, other)?, &[0; 32]])))
    }

    fn pairing(&self, host: u16, agreed: &Agreed) -> Pairing {
        let key = agreed.0.expand(&[b"arcgate pairing 2 key"]);
        Pairing { host, role: self.begin.role, key, label: self.begin.label.clone() }
    }
}

/// What host and device share if they had the same code.
#[derive(Debug, Clone)]
struct Agreed(Derived);

impl Agreed {
    fn host_proof(&self) -> [u8; 32] {
        self.0.expand(&[b"arcgate pairing 2 host"])
    }

    fn device_proof(&self, host: u16) -> [u8; 32] {
        self.0.expand(&[b"arcgate pairing 2 device", &host.to_le_bytes()])
    }
}

/// The host's side: what it wants to be. One proposal takes one code.
#[derive(Debug, Clone)]
pub struct Proposal {
    begin: Begin,
}

/// The host's side, once the code was typed.
#[derive(Clone)]
pub struct Typed {
    meeting: Meeting,
    secret: [u8; 32],
    public: [u8; 32],
}

impl fmt::Debug for Typed {
    /// All but the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Typed").field("public", &self.public).finish_non_exhaustive()
    }
}

/// The host's side, once the device has given its public key.
#[derive(Debug, Clone)]
pub struct Proven {
    meeting: Meeting,
    agreed: Agreed,
}

impl Proposal {
    /// For one attempt, with random bytes.
    pub fn new(role: Role, label: Label, nonce: [u8; NONCE]) -> Self {
        Proposal { begin: Begin { role, label, nonce } }
    }

    /// What to begin with.
    pub fn begin(&self) -> &Begin {
        &self.begin
    }

    /// Goes on with the code that the device of this identity shows and the random bytes that it sent; `secret` is random and used for
    /// nothing else.
    pub fn typed(self, identity: &PublicKey, nonce: [u8; NONCE], code: Code, secret: [u8; 32]) -> Typed {
        let meeting = Meeting { identity: *identity, begin: self.begin, nonce };
        let public = x25519(secret, &meeting.generator(code));
        Typed { meeting, secret, public }
    }
}

impl Typed {
    /// To be sent to the device.
    pub fn public(&self) -> [u8; 32] {
        self.public
    }

    /// Goes on with the device's public key; `None` when it is weak.
    pub fn meet(self, device: &[u8; 32]) -> Option<Proven> {
        let Typed { meeting, secret, public } = self;
        let agreed = meeting.agree(secret, device, [&public, device])?;
        Some(Proven { meeting, agreed })
    }
}

impl Proven {
    /// The proof to send.
    pub fn proof(&self) -> [u8; 32] {
        self.agreed.host_proof()
    }

    /// What the host has of it when the device has stored the pairing; `None` when its proof is wrong.
    pub fn finish(&self, host: u16, proof: &[u8; 32]) -> Option<Pairing> {
        is_same(&self.agreed.device_proof(host), proof).then(|| self.meeting.pairing(host, &self.agreed))
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

/// What a device draws at random for an attempt.
pub struct Drawn {
    /// The secret of its key pair.
    pub secret: [u8; 32],
    /// The bytes that it sends.
    pub nonce: [u8; NONCE],
    /// What its code is made of.
    pub code: [u8; 8],
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

#[derive(Clone)]
struct Attempt {
    meeting: Meeting,
    code: Code,
    secret: [u8; 32],
    /// The host's public key, the device's, and what follows from them.
    met: Option<([u8; 32], [u8; 32], Agreed)>,
    /// Whom it was stored as.
    paired: Option<u16>,
}

impl fmt::Debug for Attempt {
    /// Neither the code nor the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempt").field("paired", &self.paired).finish_non_exhaustive()
    }
}

/// The device's side. Every step may come again, as packets do, and gets the same answer.
#[derive(Debug, Default)]
pub struct PairingMode {
    press: Option<Press>,
    attempt: Option<Attempt>,
}

impl PairingMode {
    /// The button was pressed: a host may be paired for `at_most` this.
    pub fn press(&mut self, at_most: Role, now: Uptime) {
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

    /// A host begins: the random bytes to answer with and, unless this comes again, the code to show. `draw` draws at random.
    ///
    /// # Errors
    /// When the device is not in pairing mode, more is asked for than may be given, or no attempt is left.
    pub fn begin(
        &mut self,
        identity: &PublicKey,
        begin: &Begin,
        draw: impl FnOnce() -> Drawn,
        now: Uptime,
    ) -> Result<([u8; NONCE], Option<Shown>), Refusal> {
        if let Some(attempt) = &self.attempt
            && attempt.meeting.begin == *begin
        {
            return Ok((attempt.meeting.nonce, None));
        }
        let press = self.pressed(now).ok_or(Refusal::NotPairing)?;
        if begin.role > press.at_most {
            return Err(Refusal::Role { at_most: press.at_most });
        }
        let Some(left) = press.left.checked_sub(1) else {
            *self = PairingMode::default();
            return Err(Refusal::NotPairing);
        };
        self.press = Some(Press { left, ..press });
        let Drawn { secret, nonce, code } = draw();
        let code = Code::drawn(code);
        let shown = Shown { code, role: begin.role, label: begin.label.clone() };
        let meeting = Meeting { identity: *identity, begin: begin.clone(), nonce };
        self.attempt = Some(Attempt { meeting, code, secret, met: None, paired: None });
        Ok((nonce, Some(shown)))
    }

    /// The code was typed at the host, whose public key this is: the device's.
    ///
    /// # Errors
    /// When it comes out of order or too late, or is not the one that came first or is weak; this ends the attempt.
    pub fn meet(&mut self, host: &[u8; 32], now: Uptime) -> Result<[u8; 32], Refusal> {
        let press = self.pressed(now);
        let mut attempt = self.attempt.take().ok_or(Refusal::Order)?;
        let public = match &attempt.met {
            Some((seen, public, _)) if seen == host => *public,
            Some(_) => return Err(Refusal::Order),
            None => {
                press.ok_or(Refusal::NotPairing)?;
                let public = x25519(attempt.secret, &attempt.meeting.generator(attempt.code));
                let agreed = attempt.meeting.agree(attempt.secret, host, [host, &public]);
                attempt.met = Some((*host, public, agreed.ok_or(Refusal::WeakKey)?));
                public
            }
        };
        self.attempt = Some(attempt);
        Ok(public)
    }

    /// A host proves which code was typed. The pairing is stored when this returns; `number` draws numbers at random.
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
        let (.., agreed) = attempt.met.as_ref().ok_or(Refusal::Order)?;
        if !is_same(&agreed.host_proof(), proof) {
            return Err(Refusal::Code);
        }
        let (host, new) = match attempt.paired {
            Some(host) => (host, false),
            None => {
                press.ok_or(Refusal::NotPairing)?;
                // Of as many numbers one is free, unless the draws repeat each other.
                let free = (0..=PAIRINGS).map(|_| number()).find(|&host| pairings.get(host).is_none());
                let host = free.ok_or(Refusal::Pairings(PairingsError::Storage))?;
                pairings.add(attempt.meeting.pairing(host, agreed)).map_err(Refusal::Pairings)?;
                self.press = None;
                (host, true)
            }
        };
        let role = attempt.meeting.begin.role;
        let confirmed = Confirmed { host, role, proof: agreed.device_proof(host), new };
        attempt.paired = Some(host);
        self.attempt = Some(attempt);
        Ok(confirmed)
    }
}

#[cfg(all(test, feature = "sim"))]
mod tests;
