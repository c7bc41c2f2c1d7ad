//! Keys of bundles: what follows from a device's secret, and what a bundle is sealed and signed with.

use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use ed25519_dalek::{Signer, SigningKey};
use sha2::{Digest, Sha256, Sha512};

use super::BundleError;
use super::layout::{HEADER, HEADER_BODY, Header, SALT, TAG};
use crate::cipher::Aead;

/// What a device and its administrator share: seals bundles and opens them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct BundleKey(pub [u8; 32]);

impl core::fmt::Debug for BundleKey {
    /// Nothing of it: it is secret.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("BundleKey")
    }
}

impl BundleKey {
    /// The key of the device with this secret.
    pub fn of_device(secret: &[u8; 32]) -> Self {
        BundleKey(Sha256::new_with_prefix(b"arcgate bundle key 1").chain_update(secret).finalize().into())
    }

    /// What shows to who drew `challenge` that somebody with this key says what time it is:
    /// SHA-256("arcgate clock 1" | key | challenge (16) | seconds since 1970 (u64)).
    pub fn proof_of_time(&self, challenge: &[u8; 16], seconds: u64) -> [u8; 32] {
        let digest = Sha256::new_with_prefix(b"arcgate clock 1").chain_update(self.0);
        digest.chain_update(challenge).chain_update(seconds.to_le_bytes()).finalize().into()
    }
}

/// An Ed25519 public key.
pub type PublicKey = [u8; 32];

/// Who a device is: the key pair that signs its backups.
#[derive(Clone)]
pub struct Identity(SigningKey);

impl core::fmt::Debug for Identity {
    /// Its public half.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("Identity").field(&self.public()).finish()
    }
}

impl Identity {
    /// The identity of the device with this secret.
    pub fn of_device(secret: &[u8; 32]) -> Self {
        let seed = Sha256::new_with_prefix(b"arcgate identity 1").chain_update(secret).finalize();
        Identity(SigningKey::from_bytes(&seed.into()))
    }

    /// What others know it by.
    pub fn public(&self) -> PublicKey {
        self.0.verifying_key().to_bytes()
    }

    pub(super) fn sign(&self, digest: &[u8; 32]) -> [u8; 64] {
        self.0.sign(digest).to_bytes()
    }
}

/// Whether `signature` of `digest` is that of `key`: Ed25519 (RFC 8032, section 5.1.7) without the cofactor, where neither the key
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

/// What seals and opens one bundle, and what its signature is over.
#[derive(Clone)]
pub struct Sealer {
    cipher: Aead,
    said: Sha256,
}

impl core::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Sealer")
    }
}

/// The nonce of the header's tag.
const HEADER_NONCE: [u8; 12] = [0xff; 12];

fn nonce(record: u32) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[..4].copy_from_slice(&record.to_le_bytes());
    nonce
}

impl Sealer {
    /// For the bundle with `header`.
    pub fn new(key: &BundleKey, header: &Header) -> Self {
        let mut body = header.body();
        let digest = Sha256::new_with_prefix(b"arcgate bundle 1").chain_update(key.0).chain_update(body);
        body[SALT].fill(0);
        let said = Sha256::new_with_prefix(b"arcgate backup 1").chain_update(body);
        Sealer { cipher: Aead::new(digest.finalize().into()), said }
    }

    /// The header with its tag.
    pub fn header(&self, header: &Header) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        let body = header.body();
        bytes[..HEADER_BODY].copy_from_slice(&body);
        // Of so few bytes it cannot fail, and a tag of zeros would only be refused.
        if let Ok(tag) = self.cipher.seal(&HEADER_NONCE, &body, &mut []) {
            bytes[HEADER_BODY..].copy_from_slice(&tag);
        }
        bytes
    }

    /// Whether this key wrote the header.
    pub fn is_own(&self, header: &Header, bytes: &[u8]) -> bool {
        let tag: Option<&[u8; TAG]> = bytes.get(HEADER_BODY..HEADER).and_then(|tag| tag.try_into().ok());
        tag.is_some_and(|tag| self.cipher.open(&HEADER_NONCE, &header.body(), &mut [], tag))
    }

    /// Seals a record whose content is written.
    ///
    /// # Errors
    /// When the record is shorter than a tag.
    pub fn seal(&mut self, number: u32, record: &mut [u8]) -> Result<(), BundleError> {
        let damaged = BundleError::Damaged { record: number };
        let (content, tag) = record.split_last_chunk_mut::<TAG>().ok_or(damaged)?;
        self.said.update(&*content);
        *tag = self.cipher.seal(&nonce(number), &[], content).map_err(|_| damaged)?;
        Ok(())
    }

    /// Opens a record in place and gives its content; [`Sealer::hear`] counts it.
    ///
    /// # Errors
    /// When it is not what was sealed.
    pub fn open<'r>(&self, number: u32, record: &'r mut [u8]) -> Result<&'r [u8], BundleError> {
        let damaged = BundleError::Damaged { record: number };
        let (content, tag) = record.split_last_chunk_mut::<TAG>().ok_or(damaged)?;
        if self.cipher.open(&nonce(number), &[], content, tag) { Ok(content) } else { Err(damaged) }
    }

    /// Counts a content among what the signature is over.
    pub fn hear(&mut self, content: &[u8]) {
        self.said.update(content);
    }

    /// The digest of everything said so far.
    pub fn said(&self) -> [u8; 32] {
        self.said.clone().finalize().into()
    }
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
        let good = Identity::of_device(&[1; 32]);
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
            let identity = Identity::of_device(&secret);
            let (key, signature) = (identity.public(), identity.sign(&digest));
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
            prop_assert!(!is_signed(&identity.public(), &digest, &again));
        }
    }
}
