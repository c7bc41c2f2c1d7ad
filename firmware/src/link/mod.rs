//! Messages between a host and a device, how they travel, and who may send them.
//!
//! A host asks, a device answers: one reply a request, never anything unasked. [`message`] says what, [`packet`] how:
//!
//! ```text
//! packet on the wire   COBS( header | message | CRC-32C, little-endian ) 0x00
//! header               postcard: session u32, sequence u32
//! message              outside of a session (session 0)   postcard: FromHost or FromDevice
//!                      in a session                       ChaCha20-Poly1305 of postcard: Request or Reply, and its tag (16)
//!                      on an open link                    postcard: Request or Reply
//! ```
//!
//! No byte of a packet is zero, so after any noise the next zero is a place to begin again. A host counts its requests; it sends a
//! request again, the same bytes, until a reply with that number comes. A device does what a number asks once: the same number
//! again gets the same bytes again, so a request may be repeated whatever it asks for. That makes the link lose nothing, however
//! noisy. The memory of it ends with the power: a request that was done but not answered before a cut is done again after it,
//! and refused where it cannot be ([`Fault::NoFrame`], nobody has that number); what is enrolled can be listed.
//!
//! Who may ask is decided by [`pairing`], which gives a host a key and a [`Role`](crate::pairings::Role) while somebody stands before the
//! device, and [`session`], which proves that key anew each time. Without a session a device tells what it is
//! ([`handshake::Greeting`]) and, to who opens a session under a host's number, whether that host is paired. The CRC stands outside of
//! the seal, so that noise and forgery are told apart.
//!
//! What this keeps: who reads the wire learns how long messages are and when they come; who writes to it has nothing done and
//! reads nothing. What it does not: who holds the wire can make a host give up, as by cutting it, and the keys in a device's memory
//! are as safe as that memory.

pub mod agreement;
pub mod answer;
mod fault;
pub mod handshake;
pub mod message;
pub mod packet;
pub mod pairing;
mod rights;
pub mod session;
pub mod sessions;
pub mod status;

pub use fault::Fault;
pub use message::{Reply, Request};

/// Whom a device trusts on its link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkTrust {
    /// Whoever reaches the wire: everybody is an administrator, and nothing is sealed. For a device in the host's own process, and
    /// for one on a bench.
    Open,
    /// Hosts that are paired.
    Paired,
}
