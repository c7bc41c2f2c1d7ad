//! Key agreement: X25519 between two ephemeral keys (RFC 7748), and HKDF-SHA256 (RFC 5869) from what they agree on.

use hkdf::Hkdf;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use x25519_dalek::{PublicKey, StaticSecret};

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
    secret: StaticSecret,
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
        let secret = StaticSecret::from(secret);
        let public = PublicKey::from(&secret).to_bytes();
        Ephemeral { secret, share: Share { public, nonce } }
    }

    /// What the other side gets of it.
    pub fn share(&self) -> Share {
        self.share
    }

    /// What both sides know from each other's shares; `None` when the other's key is one of the few that make it the same for
    /// everybody.
    pub(super) fn agree(&self, other: &Share) -> Option<[u8; 32]> {
        let agreed = self.secret.diffie_hellman(&PublicKey::from(other.public));
        agreed.was_contributory().then(|| agreed.to_bytes())
    }
}

/// Keys and proofs that follow from secrets and a transcript.
#[derive(Clone)]
pub(super) struct Derived(Hkdf<Sha256>);

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
        let mut material = [0; 64];
        material[..32].copy_from_slice(first);
        material[32..].copy_from_slice(second);
        Derived(Hkdf::new(Some(&transcript.finalize()), &material))
    }

    /// HKDF-Expand for a purpose: the parts of `info` are of lengths that the first of them determines.
    pub(super) fn expand<const N: usize>(&self, info: &[&[u8]]) -> [u8; N] {
        const { assert!(N <= 255 * 32, "more than HKDF gives") };
        let mut out = [0; N];
        // It fails for more than the length asserted only.
        let _ = self.0.expand_multi_info(info, &mut out);
        out
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
