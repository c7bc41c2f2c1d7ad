//! Key agreement: X25519 between two ephemeral keys (RFC 7748), and HKDF-SHA256 (RFC 5869) from what they agree on.

use arcgate_crypto::{BASE_POINT, Sha256, hmac, is_same, x25519};
use serde::{Deserialize, Serialize};

/// Random bytes that stand beside an ephemeral key.
pub const NONCE: usize = 16;

/// What one side shows of an [`Ephemeral`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// The X25519 public key.
    #[serde(deserialize_with = "crate::wire::array")]
    pub public: [u8; 32],
    /// Random bytes.
    #[serde(deserialize_with = "crate::wire::array")]
    pub nonce: [u8; NONCE],
}

impl Share {
    /// Counts it among what a transcript holds.
    pub(super) fn hash(&self, transcript: &mut Sha256) {
        transcript.update(&[&self.public, &self.nonce]);
    }
}

/// A key pair for one session, with random bytes beside it.
#[derive(Clone)]
pub struct Ephemeral {
    secret: [u8; 32],
    share: Share,
}

impl core::fmt::Debug for Ephemeral {
    /// Its public half.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("Ephemeral").field(&self.share).finish()
    }
}

impl Ephemeral {
    /// From random bytes that are used for nothing else.
    pub fn new(secret: [u8; 32], nonce: [u8; NONCE]) -> Self {
        let public = x25519(secret, &BASE_POINT);
        Ephemeral { secret, share: Share { public, nonce } }
    }

    /// What the other side gets of it.
    pub fn share(&self) -> Share {
        self.share
    }

    /// What both sides know from each other's shares, see [`agree`].
    pub(super) fn agree(&self, other: &Share) -> Option<[u8; 32]> {
        agree(self.secret, &other.public)
    }
}

/// What the owners of a secret and of another's public key both know; `None` when the public key is one of the few that make it the
/// same for everybody.
pub(super) fn agree(secret: [u8; 32], public: &[u8; 32]) -> Option<[u8; 32]> {
    let agreed = x25519(secret, public);
    (!is_same(&agreed, &[0; 32])).then_some(agreed)
}

/// Keys and proofs that follow from secrets and a transcript.
#[derive(Clone)]
pub(super) struct Derived([u8; 32]);

impl core::fmt::Debug for Derived {
    /// Nothing of it: it is secret.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Derived")
    }
}

impl Derived {
    /// HKDF-Extract, the transcript's digest as its salt.
    pub(super) fn new(transcript: &Sha256, secrets: [&[u8; 32]; 2]) -> Self {
        let [first, second] = secrets;
        Derived(hmac(&transcript.finish(), &[first, second], &[]))
    }

    /// HKDF-Expand for a purpose, one block of it: the parts of `info` are of lengths that the first of them determines.
    pub(super) fn expand<const N: usize>(&self, info: &[&[u8]]) -> [u8; N] {
        const { assert!(N <= 32, "more than a block of HKDF") };
        let block = hmac(&self.0, info, &[1]);
        core::array::from_fn(|i| block[i % 32])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_agree_and_a_third_does_not() {
        let [a, b, c] = [1, 2, 3].map(|seed| Ephemeral::new([seed; 32], [seed; NONCE]));
        assert_eq!(a.agree(&b.share()), b.agree(&a.share()));
        assert_ne!(a.agree(&b.share()), c.agree(&b.share()));
        let weak = [[0; 32], core::array::from_fn(|i| u8::from(i == 0))];
        for public in weak {
            assert_eq!(a.agree(&Share { public, nonce: [0; NONCE] }), None);
        }
    }

    #[test]
    fn what_is_derived_is_hkdf() {
        let (transcript, secrets) = (Sha256::new(&[b"transcript"]), [[3; 32], [4; 32]]);
        let hkdf = hkdf::Hkdf::<sha2::Sha256>::new(Some(&transcript.finish()), &secrets.concat());
        let derived = Derived::new(&transcript, secrets.each_ref());
        let (mut expected, mut short) = ([0; 32], [0; 4]);
        hkdf.expand_multi_info(&[b"what", b"for"], &mut expected).unwrap();
        hkdf.expand(b"short", &mut short).unwrap();
        assert_eq!(derived.expand::<32>(&[b"what", b"for"]), expected);
        assert_eq!(derived.expand::<4>(&[b"short"]), short);
    }
}
