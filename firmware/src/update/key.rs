//! Who may sign images, and people to enrol.

use arcgate_crypto::{PublicKey, is_signed};

use super::{HEADER, Header, SIGNED, UpdateError};

/// The public half of the key whose images, and whose enrolments, a board takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpdateKey(pub PublicKey);

/// The private half of the development key. **Everybody has it.**
pub const DEVELOPMENT_SEED: [u8; 32] = *b"arcgate: development, not secret";

impl UpdateKey {
    /// The public half of the development key.
    pub const DEVELOPMENT: UpdateKey = UpdateKey([
        0xf3, 0x12, 0xe5, 0x73, 0x56, 0x08, 0x94, 0x69, 0x2e, 0x37, 0x61, 0x53, 0xf1, 0xb8, 0x0e, 0xc7, 0x75,
        0xca, 0xcf, 0x4f, 0x96, 0x69, 0xdd, 0x34, 0xfd, 0x66, 0xa3, 0x84, 0xc2, 0xab, 0x71, 0xce,
    ]);

    fn begin(&self) -> [u8; 8] {
        core::array::from_fn(|i| self.0[i])
    }
}

/// Whether images of the development key are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Development {
    /// Besides those of the board's own key: for boards on a desk.
    Accepted,
    /// They are refused, and so is a board's key that is that one.
    Refused,
}

impl Development {
    /// As this build was asked for: accepted with the feature `development`.
    pub const BUILD: Development =
        if cfg!(feature = "development") { Development::Accepted } else { Development::Refused };
}

/// What checks signatures.
#[derive(Debug, Clone, Copy)]
pub struct Verifier {
    key: UpdateKey,
    development: Development,
}

impl Verifier {
    /// For images of `key`.
    ///
    /// # Errors
    /// When that is the development key, where it is refused.
    pub fn new(key: UpdateKey, development: Development) -> Result<Self, UpdateError> {
        if key == UpdateKey::DEVELOPMENT && development == Development::Refused {
            return Err(UpdateError::DevelopmentKey);
        }
        Ok(Verifier { key, development })
    }

    /// Whether what `signer` signed is taken.
    ///
    /// # Errors
    /// When it is another key than the board's, or the development key where that is refused.
    pub fn accepts(&self, signer: &PublicKey) -> Result<(), UpdateError> {
        // Compared as a whole: a pattern would compare byte by byte.
        let signer = UpdateKey(*signer);
        let is_development = signer == UpdateKey::DEVELOPMENT;
        if signer == self.key || is_development && self.development == Development::Accepted {
            return Ok(());
        }
        Err(match is_development {
            true => UpdateError::DevelopmentKey,
            false => UpdateError::OtherKey { found: signer.begin(), accepted: self.key.begin() },
        })
    }

    /// Reads a header that is signed by who may.
    ///
    /// # Errors
    /// When it is none, or another key's, or was changed.
    pub fn check(&self, bytes: &[u8]) -> Result<Header, UpdateError> {
        let (header, bytes) = Header::read(bytes)?;
        self.accepts(&header.signer)?;
        let signature = bytes.last_chunk().ok_or(UpdateError::Signature)?;
        match is_signed(&header.signer, &header.digest(), signature) {
            true => Ok(header),
            false => Err(UpdateError::Signature),
        }
    }
}

/// What signs images and enrolments: on the host, never on a device.
#[derive(Debug)]
pub struct SigningKey(arcgate_crypto::SigningKey);

impl SigningKey {
    /// The key pair of a private half, which is 32 bytes drawn at random.
    pub fn new(private: &[u8; 32]) -> Self {
        SigningKey(arcgate_crypto::SigningKey::new(private))
    }

    /// What a board is given.
    pub fn public(&self) -> UpdateKey {
        UpdateKey(self.0.public())
    }

    /// The bytes of a header, signed; its signer becomes this key.
    pub fn sign(&self, header: &Header) -> [u8; HEADER] {
        let header = Header { signer: self.public().0, ..*header };
        let mut bytes = [0; HEADER];
        let (body, signature) = bytes.split_at_mut(SIGNED);
        body.copy_from_slice(&header.body());
        signature.copy_from_slice(&self.sign_digest(&header.digest()));
        bytes
    }

    /// The signature of a digest.
    pub fn sign_digest(&self, digest: &[u8; 32]) -> [u8; 64] {
        self.0.sign(digest)
    }
}
