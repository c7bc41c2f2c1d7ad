//! Models that replace one another: signed images, two slots, and a device that boots with the old model or the new one.
//!
//! An *image* is a header, signed, and the plans that it speaks for: an embedder's and, if there is one, a detector's. `arcgate
//! pack` makes it. [`Slots`] takes it in, piece by piece, into the slot that is not in use; checks all of it there; and only then
//! says what the [`State`](crate::state::State) is to become.
//!
//! # Layout, version 2
//!
//! ```text
//! image    header (256) | embedder's plan | zeros to 16 | detector's plan | zeros to 32
//! header    0  "ARCUPDT\0"       8  u32 layout version   12  u32 model version     16  u32 bytes behind the header
//!          20  u32 bytes of the embedder's plan          24  u32 bytes of the detector's, 0 without one
//!          28  u32 test vectors  32  SHA-256 of the bytes behind the header         64  SHA-256 of the vectors' embeddings
//!          96  embedding id (32)                        128  public key of who signed it (32)
//!         160  0 (32)           192  signature (64)
//! signature  Ed25519, of SHA-256("arcgate update 1" | header up to the signature)
//! ```
//!
//! Integers are little-endian. What the vectors give: a detector's output maps for all of them, then their embeddings. The image lies in
//! a slot as it is in the file; the detector's plan begins at the next multiple of 16.
//!
//! # Taking one in
//!
//! 1. The header comes first and is checked before anything is erased: signature, version, room.
//! 2. Pieces follow in order; a piece that was taken already does no harm. A block is erased when the first byte of it comes,
//!    the first block, where the header was, before all others: from there on the slot holds no image.
//! 3. When all are there: the hash of what the flash holds, both plans with [`Plan::parse`](crate::engine::plan::Plan::parse), their
//!    arena, crop and picture, and the self-test: pictures that [`vectors`](crate::engine::vectors) draws give the maps and embeddings
//!    that the host computed, to the byte.
//! 4. The header is written. [`Accepted::apply`] changes the state, which counts from when it is kept.
//!
//! A power cut before the last of these leaves the old model in use, in a slot that nothing was written to.
//!
//! # Versions and keys
//!
//! A version lower than the highest accepted is refused, also at boot: nobody goes back to a model with a known weakness, even with
//! an image that was signed once. A board gives the [`UpdateKey`] whose images it takes. The development key, whose private half is
//! below in the source, signs images for boards under development ([`Development`]); a board for use refuses it. Whose images a board
//! takes, of those it takes people to enrol ([`bundle`](crate::bundle)).

mod error;
mod image;
mod key;
mod slots;
#[cfg(all(test, feature = "sim"))]
mod tests;
mod trial;
mod write;

pub use error::{Part, UpdateError};
pub use image::{HEADER, Header, MAGIC, Payload, SIGNED, VERSION, detector_offset, payload_bytes};
pub use key::{DEVELOPMENT_SEED, Development, SigningKey, UpdateKey, Verifier};
pub use slots::{Accepted, Booted, NoModel, Slots};
pub use trial::{Room, Tried, try_plans};
pub use write::{Said, image_bytes, write_image};
