//! What travels outside of a session: who is there, the opening of a session, and pairing.
//!
//! Nothing here is sealed, and a device does nothing for it but answer: what it says must be proven before it counts.

use serde::{Deserialize, Serialize};

use super::agreement::{NONCE, Share};
use crate::pairings::{Label, PairingsError, Role};

/// What a host says before it has a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromHost {
    /// Who is there? -> [`FromDevice::Greeting`]
    Hello,
    /// Begin a session. -> [`FromDevice::Opened`], [`FromDevice::Refused`]
    Open(Open),
    /// Begin pairing. -> [`FromDevice::CodeShown`], [`FromDevice::Refused`]
    Pair(Begin),
    /// The code was typed. -> [`FromDevice::Met`], [`FromDevice::Refused`]
    Meet {
        /// The host's X25519 public key on the code's generator.
        #[serde(deserialize_with = "crate::wire::array")]
        public: [u8; 32],
    },
    /// And it was the right one. -> [`FromDevice::Paired`], [`FromDevice::Refused`]
    Confirm {
        /// [`Proven::proof`](super::pairing::Proven::proof).
        #[serde(deserialize_with = "crate::wire::array")]
        proof: [u8; 32],
    },
}

/// What a device says outside of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromDevice {
    /// What it is.
    Greeting(Greeting),
    /// A session is ready for its first packet.
    Opened(Opened),
    /// A packet came in a session that is not open: the device was restarted, or another host has the link now.
    NoSession {
        /// The packet's.
        session: u32,
    },
    /// The device shows the code.
    CodeShown {
        /// Its random bytes.
        #[serde(deserialize_with = "crate::wire::array")]
        nonce: [u8; NONCE],
    },
    /// The device's part of the pairing.
    Met {
        /// Its X25519 public key on the code's generator.
        #[serde(deserialize_with = "crate::wire::array")]
        public: [u8; 32],
    },
    /// The host is paired.
    Paired {
        /// Its number.
        host: u16,
        /// That the device has the same key.
        #[serde(deserialize_with = "crate::wire::array")]
        proof: [u8; 32],
    },
    /// Why not.
    Refused(Refusal),
}

/// What a device tells everybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Greeting {
    /// [`PROTOCOL`](super::message::PROTOCOL).
    pub protocol: u16,
    /// Major, minor, patch of the firmware.
    pub firmware: [u16; 3],
    /// Whether everybody on the wire is an administrator.
    pub open: bool,
    /// In pairing mode, the most that a host can be paired for.
    pub pairing: Option<Role>,
    /// The device's Ed25519 public key, by which hosts keep their pairings.
    #[serde(deserialize_with = "crate::wire::array")]
    pub identity: [u8; 32],
}

/// A host asks for a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Open {
    /// Its number on this device.
    pub host: u16,
    /// Its ephemeral.
    pub share: Share,
}

/// A device's answer to [`Open`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    /// Its ephemeral.
    pub share: Share,
    /// That it has the pairing's key.
    #[serde(deserialize_with = "crate::wire::array")]
    pub proof: [u8; 32],
}

/// Who wants to be paired, and for what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begin {
    /// What for.
    pub role: Role,
    /// What it calls itself.
    pub label: Label,
    /// Random bytes.
    #[serde(deserialize_with = "crate::wire::array")]
    pub nonce: [u8; NONCE],
}

/// Why a device opens no session, or does not pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Refusal {
    /// The message is none of this version.
    Message {
        /// The device's.
        protocol: u16,
    },
    /// The device does not know the host.
    UnknownHost {
        /// Its number.
        host: u16,
    },
    /// A public key that every secret agrees on the same with.
    WeakKey,
    /// Nobody has pressed the button, or too long ago, or what followed has failed too often.
    NotPairing,
    /// More is asked for than the press of the button gives.
    Role {
        /// The most that it gives.
        at_most: Role,
    },
    /// Another code was typed than the device shows.
    Code,
    /// The steps of a pairing come one after the other.
    Order,
    /// The pairing cannot be kept.
    Pairings(PairingsError),
}

impl core::fmt::Display for Refusal {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Refusal::Message { protocol } => {
                write!(f, "the device does not know this message; it speaks version {protocol}")
            }
            Refusal::UnknownHost { host } => write!(f, "the device is paired with no host of number {host}"),
            Refusal::WeakKey => write!(f, "the public key is one that agrees on the same with everybody"),
            Refusal::NotPairing => write!(f, "the device is not in pairing mode"),
            Refusal::Role { at_most } => {
                write!(f, "the button was pressed for no more than the role {at_most}")
            }
            Refusal::Code => write!(f, "another code was typed than the device shows"),
            Refusal::Order => write!(f, "the steps of a pairing came in another order"),
            Refusal::Pairings(error) => write!(f, "{error}"),
        }
    }
}

impl core::error::Error for Refusal {}
