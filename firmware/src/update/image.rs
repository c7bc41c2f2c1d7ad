//! Bytes of an image. Nothing here knows a key or touches flash.

use arcgate_crypto::{PublicKey, sha256};

use super::UpdateError;
use crate::bytes::{self, u32_at};
use crate::engine::vectors;
use crate::flash::UNIT;

/// What begins an image.
pub const MAGIC: [u8; 8] = *b"ARCUPDT\0";

/// The layout that this code writes and reads.
pub const VERSION: u32 = 2;

/// Bytes of the header.
pub const HEADER: usize = 256;

/// Bytes of the header that are signed.
pub const SIGNED: usize = HEADER - 64;

/// What a plan's place is a multiple of.
const ALIGN: u32 = 16;

/// What an image says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The model's version, from 1 on: the higher counts.
    pub version: u32,
    /// Bytes of the embedder's plan.
    pub embedder: u32,
    /// Bytes of the detector's; 0 without one.
    pub detector: u32,
    /// Drawn pictures of the self-test, for each plan.
    pub vectors: u32,
    /// SHA-256 of the bytes behind the header.
    pub payload_hash: [u8; 32],
    /// What [`try_plans`](super::try_plans) gives for so many.
    pub vectors_hash: [u8; 32],
    /// The embedder's embedding id: galleries bind to it.
    pub embedding_id: [u8; 32],
    /// Who signed it.
    pub signer: PublicKey,
}

/// Where the detector's plan begins behind the header.
pub const fn detector_offset(embedder: u32) -> Option<u32> {
    embedder.checked_next_multiple_of(ALIGN)
}

/// Bytes behind the header of an image with plans so long.
pub const fn payload_bytes(embedder: u32, detector: u32) -> Option<u32> {
    match detector_offset(embedder) {
        Some(at) => match at.checked_add(detector) {
            Some(end) => end.checked_next_multiple_of(UNIT as u32),
            None => None,
        },
        None => None,
    }
}

/// The plans behind a header.
#[derive(Debug, Clone, Copy)]
pub struct Payload<'p> {
    /// The embedder's.
    pub embedder: &'p [u8],
    /// The detector's, if there is one.
    pub detector: Option<&'p [u8]>,
}

impl Header {
    /// The header up to its signature.
    pub fn body(&self) -> [u8; SIGNED] {
        let mut bytes = [0; SIGNED];
        let mut put = |at, field: &[u8]| bytes::put(&mut bytes, at, field);
        put(0, &MAGIC);
        put(8, &VERSION.to_le_bytes());
        put(12, &self.version.to_le_bytes());
        put(16, &self.payload_bytes().to_le_bytes());
        put(20, &self.embedder.to_le_bytes());
        put(24, &self.detector.to_le_bytes());
        put(28, &self.vectors.to_le_bytes());
        put(32, &self.payload_hash);
        put(64, &self.vectors_hash);
        put(96, &self.embedding_id);
        put(128, &self.signer);
        bytes
    }

    /// What is signed.
    pub fn digest(&self) -> [u8; 32] {
        sha256(&[b"arcgate update 1", &self.body()])
    }

    /// Bytes behind the header; what [`Header::read`] gave fits.
    pub fn payload_bytes(&self) -> u32 {
        payload_bytes(self.embedder, self.detector).unwrap_or(u32::MAX)
    }

    /// Reads a header, and gives its bytes; its signature is not checked.
    ///
    /// # Errors
    /// When it is no image's, one of another version, or contradicts itself.
    pub fn read(bytes: &[u8]) -> Result<(Self, &[u8; HEADER]), UpdateError> {
        let Some(bytes) = bytes.first_chunk::<HEADER>().filter(|bytes| bytes.starts_with(&MAGIC)) else {
            return Err(UpdateError::NotAnImage);
        };
        let found = u32_at(bytes, 8);
        if found != VERSION {
            return Err(UpdateError::Layout { found, readable: VERSION });
        }
        let field = |at| bytes::field(bytes, at);
        let header = Header {
            version: u32_at(bytes, 12),
            embedder: u32_at(bytes, 20),
            detector: u32_at(bytes, 24),
            vectors: u32_at(bytes, 28),
            payload_hash: field(32),
            vectors_hash: field(64),
            embedding_id: field(96),
            signer: field(128),
        };
        let fits = payload_bytes(header.embedder, header.detector).is_some()
            && header.version > 0
            && header.embedder > 0
            && (1..=vectors::MAX).contains(&header.vectors)
            && header.body() == bytes[..SIGNED];
        if fits { Ok((header, bytes)) } else { Err(UpdateError::Header) }
    }

    /// The plans in the bytes behind the header; `None` where those end too early.
    pub fn payload<'p>(&self, behind: &'p [u8]) -> Option<Payload<'p>> {
        let behind = behind.get(..self.payload_bytes() as usize)?;
        let embedder = behind.get(..self.embedder as usize)?;
        let detector = match self.detector {
            0 => None,
            bytes => Some(behind.get(detector_offset(self.embedder)? as usize..)?.get(..bytes as usize)?),
        };
        Some(Payload { embedder, detector })
    }
}
