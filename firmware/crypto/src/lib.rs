//! The cryptography of a device: SHA-256 and HMAC, ChaCha20-Poly1305, X25519 and Ed25519, each behind a few functions.
//!
//! The primitives are RustCrypto's and dalek's. What stands here puts them together so that nothing of them can panic, and is a package
//! of its own for the sake of boards: their firmware is compiled for size, and so generic code of these primitives is compiled here,
//! once, and not wherever it is used.
#![cfg_attr(not(test), no_std)]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod aead;
mod ed25519;
mod keystream;
mod sha256;
mod sha512;
mod x25519;

pub use aead::{Aead, NONCE, TAG, TooLong};
pub use ed25519::{PublicKey, SigningKey, is_signed};
pub use keystream::{Keystream, block};
pub use sha256::{Sha256, hmac, sha256};
pub use x25519::{BASE_POINT, generator, x25519};

use subtle::ConstantTimeEq;

/// Whether two secrets or proofs are the same, in a time that tells nothing of them.
pub fn is_same(a: &[u8; 32], b: &[u8; 32]) -> bool {
    a.ct_eq(b).into()
}
