//! Ed25519 (RFC 8032).

use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use ed25519_dalek::Signer;
use sha2::Digest;

use crate::sha512::Sha512;

/// The public half of a key pair.
pub type PublicKey = [u8; 32];

/// A key pair.
#[derive(Clone)]
pub struct SigningKey(ed25519_dalek::SigningKey);

impl core::fmt::Debug for SigningKey {
    /// Its public half.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("SigningKey").field(&self.public()).finish()
    }
}

impl SigningKey {
    /// The pair of a private half, 32 bytes that nobody else knows.
    pub fn new(private: &[u8; 32]) -> Self {
        SigningKey(ed25519_dalek::SigningKey::from_bytes(private))
    }

    /// Its public half.
    pub fn public(&self) -> PublicKey {
        self.0.verifying_key().to_bytes()
    }

    /// The signature of a digest.
    pub fn sign(&self, digest: &[u8; 32]) -> [u8; 64] {
        self.0.sign(digest).to_bytes()
    }
}

/// Whether `signature` of `digest` is that of `key`: as in section 5.1.7 of the RFC without the cofactor, where neither the key
/// nor the signature's point may be of small order. `VerifyingKey::verify_strict` says the same by tables whose bounds are checked.
pub fn is_signed(key: &PublicKey, digest: &[u8; 32], signature: &[u8; 64]) -> bool {
    let Some((point, rest)) = signature.split_first_chunk::<32>() else { return false };
    let scalar = rest.first_chunk().and_then(|&scalar| Scalar::from_canonical_bytes(scalar).into_option());
    let (Some(scalar), Some(public)) = (scalar, CompressedEdwardsY(*key).decompress()) else { return false };
    let challenge = Sha512::new_with_prefix(point).chain_update(key).chain_update(digest).finalize();
    let challenge = Scalar::from_bytes_mod_order_wide(&challenge.into());
    let expected = EdwardsPoint::mul_base(&scalar) - public * challenge;
    !public.is_small_order() && !expected.is_small_order() && expected.compress().0 == *point
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signature, VerifyingKey};
    use proptest::prelude::*;

    use super::*;

    fn strict(key: &PublicKey, digest: &[u8; 32], signature: &[u8; 64]) -> bool {
        let signature = Signature::from_bytes(signature);
        VerifyingKey::from_bytes(key).is_ok_and(|key| key.verify_strict(digest, &signature).is_ok())
    }

    /// A point of small order or of another encoding fits any digest where nobody looks: the identity, the point of order two, and
    /// the identity with y beyond the field's order.
    #[test]
    fn points_of_small_order_sign_nothing() {
        let point = |first: u8, middle: u8, last: u8| {
            core::array::from_fn(|i| {
                if i == 0 {
                    first
                } else if i == 31 {
                    last
                } else {
                    middle
                }
            })
        };
        let points: [[u8; 32]; 4] =
            [point(1, 0, 0), point(0xec, 0xff, 0x7f), point(0xee, 0xff, 0x7f), point(0, 0, 0)];
        let good = SigningKey::new(&[1; 32]);
        for key in points.into_iter().chain([good.public()]) {
            for begin in points {
                let mut signature = [0; 64];
                signature[..32].copy_from_slice(&begin);
                for digest in [[0; 32], [5; 32]] {
                    assert!(!is_signed(&key, &digest, &signature));
                    assert!(!strict(&key, &digest, &signature));
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Right, changed by a bit, or with another of the scalars that are the same by the group's order.
        #[test]
        fn a_signature_is_judged_as_by_the_crate(secret: [u8; 32], digest: [u8; 32], hit in 0..8 * 128usize) {
            let pair = SigningKey::new(&secret);
            let (key, signature) = (pair.public(), pair.sign(&digest));
            prop_assert!(is_signed(&key, &digest, &signature));
            let (mut key, mut said, mut changed) = (key, digest, signature);
            let mut bytes = key.iter_mut().chain(&mut said).chain(&mut changed);
            *bytes.nth(hit / 8).unwrap() ^= 1 << (hit % 8);
            prop_assert!(!is_signed(&key, &said, &changed));
            prop_assert!(!strict(&key, &said, &changed));
            // The scalar plus the order of the group.
            let order = *b"\xed\xd3\xf5\x5c\x1a\x63\x12\x58\xd6\x9c\xf7\xa2\xde\xf9\xde\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x10";
            let (mut again, mut carry) = (signature, 0);
            for (byte, added) in again[32..].iter_mut().zip(order) {
                carry += u16::from(*byte) + u16::from(added);
                (*byte, carry) = (carry as u8, carry >> 8);
            }
            prop_assert!(!is_signed(&pair.public(), &digest, &again));
        }
    }
}
