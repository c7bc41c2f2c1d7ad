//! Sealing: ChaCha20-Poly1305 under a key that only this device has, and only for this model.
//!
//! ```text
//! key     SHA-256("arcgate gallery 3" | device secret (32) | embedding id (32))
//! mark    the first byte of SHA-256("arcgate names 3" | key (32) | name)
//! seed    SHA-256("arcgate transform 3" | key (32) | random bytes of the device (32) | highest sector sequence before the format (4))
//! nonce   sector sequence (4) | sector salt (4) | slot (2) | 0 (2)           a header: slot 0xffff, the last two its index
//! data    the record's clear part (16)                                       a header: its clear part (76)
//! sealed  the record's payload                                               a header: the seed of the transform
//! ```
//!
//! So a record opens on the device that wrote it, with the model it was made by, in its slot and under its sector's sequence
//! number, or not at all.

use arcgate_crypto::{Aead, sha256};

use super::layout::{CLEAR, Header, Place, TAG};
use super::transform::Seed;
use crate::bytes::put;
use crate::secret::DeviceSecret;

/// What seals and opens.
pub struct Sealer {
    secret: [u8; 32],
    /// What the next seed is drawn from, besides the key.
    random: [u8; 32],
    key: [u8; 32],
    cipher: Aead,
}

impl core::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Sealer")
    }
}

impl Sealer {
    /// For galleries of the model `embedding_id` on the device with `secret`.
    pub fn new<S: DeviceSecret>(secret: &S, embedding_id: &[u8; 32]) -> Self {
        Self::with(secret.secret(), secret.random().unwrap_or_default(), embedding_id)
    }

    /// Goes on for galleries of another model.
    pub fn rebind(&mut self, embedding_id: &[u8; 32]) {
        *self = Self::with(self.secret, self.random, embedding_id);
    }

    fn with(secret: [u8; 32], random: [u8; 32], embedding_id: &[u8; 32]) -> Self {
        let key = sha256(&[b"arcgate gallery 3", &secret, embedding_id]);
        Sealer { secret, random, key, cipher: Aead::new(key) }
    }

    /// The seed of a gallery that begins with the sector after `sequence`.
    pub fn draw_seed(&self, sequence: u32) -> Seed {
        sha256(&[b"arcgate transform 3", &self.key, &self.random, &sequence.to_le_bytes()])
    }

    /// Eight bits that follow from a name, and say nothing of it to who lacks the key.
    pub fn name_mark(&self, name: &str) -> u8 {
        sha256(&[b"arcgate names 3", &self.key, name.as_bytes()])[0]
    }

    /// Seals a whole record: its clear part is written, its payload not yet sealed. `false` only when the record is too short.
    pub fn seal(&self, record: &mut [u8], place: Place) -> bool {
        let Some((clear, payload, tag)) = parts(record) else { return false };
        self.cipher.seal(&place.nonce(), clear, payload).is_ok_and(|sum| {
            *tag = sum;
            true
        })
    }

    /// Opens a whole record in place; `false`, and its payload is not to be used, when it is not what was sealed.
    #[must_use]
    pub fn open(&self, record: &mut [u8], place: Place) -> bool {
        let Some((clear, payload, tag)) = parts(record) else { return false };
        self.cipher.open(&place.nonce(), clear, payload, tag)
    }

    /// Seals `seed` into the header of sector `index` and writes its tag. `false` never comes of so few bytes.
    #[must_use]
    pub fn seal_header(&self, header: &mut Header, index: u16, seed: &Seed) -> bool {
        let (nonce, body) = (header_nonce(header, index), header.body());
        header.seed = *seed;
        self.cipher.seal(&nonce, &body, &mut header.seed).is_ok_and(|tag| {
            header.tag = tag;
            true
        })
    }

    /// The seed in the header of sector `index`; `None` when this device did not write it, or for another model.
    pub fn open_header(&self, header: &Header, index: u16) -> Option<Seed> {
        let (nonce, mut seed) = (header_nonce(header, index), header.seed);
        self.cipher.open(&nonce, &header.body(), &mut seed, &header.tag).then_some(seed)
    }
}

fn header_nonce(header: &Header, index: u16) -> [u8; 12] {
    let mut nonce = Place { sequence: header.sequence, salt: header.salt, slot: u16::MAX }.nonce();
    put(&mut nonce, 10, &index.to_le_bytes());
    nonce
}

/// The clear part, the payload and the tag of a record.
fn parts(record: &mut [u8]) -> Option<(&[u8; CLEAR], &mut [u8], &mut [u8; TAG])> {
    let (clear, rest) = record.split_first_chunk_mut()?;
    let (payload, tag) = rest.split_last_chunk_mut()?;
    Some((clear, payload, tag))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::SoftwareSecret;

    const PLACE: Place = Place { sequence: 3, salt: 9, slot: 17 };

    fn sealer() -> Sealer {
        Sealer::new(&SoftwareSecret([1; 32]), &[2; 32])
    }

    #[test]
    fn opens_only_where_and_as_it_was_sealed() {
        let plain: [u8; 96] = core::array::from_fn(|i| i as u8);
        let mut sealed = plain;
        assert!(sealer().seal(&mut sealed, PLACE));
        assert_eq!(sealed[..CLEAR], plain[..CLEAR]);
        assert!(!sealed.windows(8).any(|w| plain[CLEAR..80].windows(8).any(|p| p == w)), "the payload shows");
        let opens = |sealer: &Sealer, mut bytes: [u8; 96], place| sealer.open(&mut bytes, place);
        let mut opened = sealed;
        assert!(sealer().open(&mut opened, PLACE));
        assert_eq!(opened[..80], plain[..80]);
        for bit in 0..96 * 8 {
            let mut changed = sealed;
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(!opens(&sealer(), changed, PLACE), "bit {bit}");
        }
        for place in [Place { sequence: 4, ..PLACE }, Place { salt: 8, ..PLACE }, Place { slot: 18, ..PLACE }]
        {
            assert!(!opens(&sealer(), sealed, place), "{place:?}");
        }
        assert!(!opens(&Sealer::new(&SoftwareSecret([0; 32]), &[2; 32]), sealed, PLACE), "another device");
        assert!(!opens(&Sealer::new(&SoftwareSecret([1; 32]), &[0; 32]), sealed, PLACE), "another model");
    }
}
