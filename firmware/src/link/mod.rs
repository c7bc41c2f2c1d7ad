//! Messages between a host and a device, and how they travel.
//!
//! A host asks, a device answers: one reply a request, never anything unasked. [`message`] says what, [`packet`] how:
//!
//! ```text
//! packet on the wire   COBS( header | message | CRC-32C, little-endian ) 0x00
//! header               postcard: session u32, sequence u32
//! message              postcard: Request or Reply
//! ```
//!
//! No byte of a packet is zero, so after any noise the next zero is a place to begin again. A host draws a session at
//! random and counts its requests; it sends a request again, with the same number, until a reply with that number
//! comes. A device does what a number asks once: the same number again gets the same reply again, so a request may be
//! repeated whatever it asks for. That makes the link lose nothing, however noisy. The memory of it ends with the power: a
//! request that was done but not answered before a cut is done again after it, and refused where it cannot be
//! ([`Fault::NoFrame`], nobody has that number); what is enrolled can be listed.
//!
//! This version neither authenticates nor encrypts: whoever reaches the wire may enroll and remove.

pub mod message;
pub mod packet;

pub use message::{Fault, Reply, Request};
