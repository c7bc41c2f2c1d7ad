//! Bundles: people in a file or on the line, encrypted and authenticated, from a host to a device or from a device to keep.
//!
//! An *enrolment* carries names and embeddings that a host made and signed; the device that takes it in transforms and seals them
//! for its own gallery. A *backup* carries a gallery as it is: its people with their numbers and validity, its stored templates, and
//! the seed of its transform, so that they can be put back to the byte; the device signs it.
//!
//! # Layout, version 2
//!
//! ```text
//! bundle   header | record | record | ...                                    records of equal size
//! header   0  "ABUN"           4  u16 version         6  u8 kind: 1 enrolment, 2 backup
//!          7  0                8  u16 dimension      10  0, 0                12  u32 records     16  u32 people
//!         20  u32 its version, from 1 on (a backup: the gallery's operation) 24  salt (32)           56  embedding id (32)
//!         88  name of the first record (32)         120  public key (32)    152  signature (64)      (a backup: zeros)
//!        216  tag (16)
//! record   0  content, encrypted                      B  tag (16)
//! content  0  u8 kind          1  0                   2  u16 templates that follow
//!          4  u32 person       8  payload, as long as a template, 96 bytes at least
//!          P  name of the next record (32), behind the last zeros            (a backup: not there)
//! payload  1 seed (32) | 2 settings (32) | 3 a person as in the gallery | 4 a template's values | 5 public key (32), signature (64)
//! ```
//!
//! An enrolment is people, each followed by its templates. A backup is a seed, settings if there are any, people with their
//! templates (a person may have none), and a signature. Integers are little-endian; what is not used is zero.
//!
//! # Sealing
//!
//! ```text
//! device secret -> bundle key    SHA-256("arcgate bundle key 1" | secret)       what a device and its administrator share
//!               -> identity      SHA-256("arcgate identity 1" | secret)         the seed of an Ed25519 key pair
//! key           SHA-256("arcgate bundle 1" | bundle key | header up to its tag)
//! header's tag  ChaCha20-Poly1305, key, nonce of 12 bytes 0xff, over the header up to its tag
//! record        ChaCha20-Poly1305, key, nonce: its number (u32), 8 zeros
//! ```
//!
//! The key follows from the whole header, and the header says how many records there are: a record can neither be changed, moved,
//! left out nor taken from another bundle. The salt is drawn for every bundle. Whoever has a bundle key can read its bundles.
//!
//! # Signing
//!
//! ```text
//! a record's name   SHA-256("arcgate bundle record 1" | content)
//! of an enrolment   Ed25519, of SHA-256("arcgate enrolment 1" | header up to its signature, salt of zeros)
//! of a backup       Ed25519, of SHA-256("arcgate backup 1" | header up to its tag, salt of zeros | content | content | ...)
//! ```
//!
//! Both are over what the records say and not over how they are sealed, so that whoever has both keys can seal a bundle for another
//! device, and the signature still tells whose it was. A host makes an enrolment whole, so that its signature can come first and
//! name the first record, which names the next: a device takes nothing in that it has not seen to be signed. A device makes a backup
//! record by record, and its signature comes last.
//!
//! A device that takes models of one key takes enrolments of that key alone, and none that is older than one that it took in before
//! ([`State`](crate::state::State)); of a backup, which its keeper wants to go back to, it says whose it is.

mod error;
mod layout;
mod read;
mod seal;
#[cfg(any(feature = "std", test))]
mod sign;
#[cfg(test)]
mod tests;
mod write;

pub use arcgate_crypto::PublicKey;
pub use error::BundleError;
pub use layout::{HEADER, Header, Item, Kind, MAGIC, MAX_RECORD, Member, Origin, VERSIONS, record_bytes};
pub use read::Reader;
pub use seal::{BundleKey, Identity};
#[cfg(any(feature = "std", test))]
pub use sign::{Enrolment, enrolment};
pub use write::{Writer, salt};
