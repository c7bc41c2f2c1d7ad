//! Key agreement: X25519 between two ephemeral keys (RFC 7748), and HKDF-SHA256 (RFC 5869) from what they agree on.

use curve25519_dalek::montgomery::MontgomeryPoint;
use curve25519_dalek::scalar::clamp_integer;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Random bytes that stand beside an ephemeral key.
pub const NONCE: usize = 16;

/// What one side shows of an [`Ephemeral`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// The X25519 public key.
    pub public: [u8; 32],
    /// Random bytes.
    pub nonce: [u8; NONCE],
}

impl Share {
    /// Counts it among what a transcript holds.
    pub(super) fn hash(&self, transcript: Sha256) -> Sha256 {
        transcript.chain_update(self.public).chain_update(self.nonce)
    }
}

/// A key pair for one session or one pairing, with random bytes beside it.
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

    /// What both sides know from each other's shares; `None` when the other's key is one of the few that make it the same for
    /// everybody.
    pub(super) fn agree(&self, other: &Share) -> Option<[u8; 32]> {
        let agreed = x25519(self.secret, &other.public);
        (!is_same(&agreed, &[0; 32])).then_some(agreed)
    }
}

/// The u-coordinate of the base point.
const BASE_POINT: [u8; 32] = {
    let mut point = [0; 32];
    point[0] = 9;
    point
};

/// The function X25519 of RFC 7748, by the Montgomery ladder over all bits of the clamped scalar: the same steps for every secret.
fn x25519(scalar: [u8; 32], point: &[u8; 32]) -> [u8; 32] {
    let scalar = clamp_integer(scalar);
    let bits = scalar.iter().rev().flat_map(|&byte| (0..8).rev().map(move |bit| byte >> bit & 1 == 1));
    MontgomeryPoint(*point).mul_bits_be(bits).to_bytes()
}

/// HMAC-SHA256 (RFC 2104) of all parts and what ends them.
fn hmac(key: &[u8; 32], parts: &[&[u8]], end: &[u8]) -> [u8; 32] {
    // A key that is shorter than a block of the hash is one of a whole block, filled up with zeros.
    let mut block = [0; 64];
    block[..32].copy_from_slice(key);
    let mac = Hmac::<Sha256>::new(&block.into());
    let mac = parts.iter().fold(mac, |mac, part| mac.chain_update(part));
    mac.chain_update(end).finalize().into_bytes().into()
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
    pub(super) fn new(transcript: Sha256, secrets: [&[u8; 32]; 2]) -> Self {
        let [first, second] = secrets;
        Derived(hmac(&transcript.finalize().into(), &[first, second], &[]))
    }

    /// HKDF-Expand for a purpose, one block of it: the parts of `info` are of lengths that the first of them determines.
    pub(super) fn expand<const N: usize>(&self, info: &[&[u8]]) -> [u8; N] {
        const { assert!(N <= 32, "more than a block of HKDF") };
        let block = hmac(&self.0, info, &[1]);
        core::array::from_fn(|i| block[i % 32])
    }
}

/// Whether two proofs are the same, in a time that tells nothing of them.
pub(crate) fn is_same(a: &[u8; 32], b: &[u8; 32]) -> bool {
    a.ct_eq(b).into()
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
        let (transcript, secrets) = (Sha256::new_with_prefix(b"transcript"), [[3; 32], [4; 32]]);
        let hkdf = hkdf::Hkdf::<Sha256>::new(Some(&transcript.clone().finalize()), &secrets.concat());
        let derived = Derived::new(transcript, secrets.each_ref());
        let (mut expected, mut short) = ([0; 32], [0; 4]);
        hkdf.expand_multi_info(&[b"what", b"for"], &mut expected).unwrap();
        hkdf.expand(b"short", &mut short).unwrap();
        assert_eq!(derived.expand::<32>(&[b"what", b"for"]), expected);
        assert_eq!(derived.expand::<4>(&[b"short"]), short);
    }

    /// The example of RFC 7748, section 6.1.
    #[test]
    fn the_agreement_is_x25519() {
        let bytes =
            |hex: &str| core::array::from_fn(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap());
        let alice = bytes("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
        let bob = bytes("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
        let shared = bytes("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
        let [alice, bob] = [alice, bob].map(|secret| Ephemeral::new(secret, [0; NONCE]));
        assert_eq!(alice.agree(&bob.share()), Some(shared));
    }
}
