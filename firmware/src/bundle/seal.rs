//! Keys of bundles: what follows from a device's secret, and what a bundle is sealed and signed with.

use arcgate_crypto::{Aead, PublicKey, Sha256, SigningKey, sha256};

use super::BundleError;
use super::layout::{HEADER, HEADER_BODY, Header, SALT, TAG};
use crate::bytes::put;

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
        BundleKey(sha256(&[b"arcgate bundle key 1", secret]))
    }

    /// What shows to who drew `challenge` that somebody with this key says what time it is:
    /// SHA-256("arcgate clock 1" | key | challenge (16) | seconds since 1970 (u64)).
    pub fn proof_of_time(&self, challenge: &[u8; 16], seconds: u64) -> [u8; 32] {
        sha256(&[b"arcgate clock 1", &self.0, challenge, &seconds.to_le_bytes()])
    }
}

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
        Identity(SigningKey::new(&sha256(&[b"arcgate identity 1", secret])))
    }

    /// What others know it by.
    pub fn public(&self) -> PublicKey {
        self.0.public()
    }

    pub(super) fn sign(&self, digest: &[u8; 32]) -> [u8; 64] {
        self.0.sign(digest)
    }
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
    put(&mut nonce, 0, &record.to_le_bytes());
    nonce
}

impl Sealer {
    /// For the bundle with `header`.
    pub fn new(key: &BundleKey, header: &Header) -> Self {
        let mut body = header.body();
        let cipher = Aead::new(sha256(&[b"arcgate bundle 1", &key.0, &body]));
        body[SALT].fill(0);
        Sealer { cipher, said: Sha256::new(&[b"arcgate backup 1", &body]) }
    }

    /// The header with its tag.
    pub fn header(&self, header: &Header) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        let body = header.body();
        put(&mut bytes, 0, &body);
        // Of so few bytes it cannot fail, and a tag of zeros would only be refused.
        if let Ok(tag) = self.cipher.seal(&HEADER_NONCE, &body, &mut []) {
            put(&mut bytes, HEADER_BODY, &tag);
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
        self.said.update(&[content]);
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
        self.said.update(&[content]);
    }

    /// The digest of everything said so far.
    pub fn said(&self) -> [u8; 32] {
        self.said.finish()
    }
}
