//! Sealed records of the state and the event log: ChaCha20-Poly1305 under a key that only this device has.
//!
//! ```text
//! key     SHA-256(purpose | device secret (32))
//! record  0  u32 number   4  salt (8)   12  payload, sealed   B  tag (16)
//! salt    the first 8 bytes of SHA-256("arcgate record 1" | key | u32 offset of the record | u32 number | payload)
//! nonce   the record's first 12 bytes
//! data    u32 offset of the record
//! ```
//!
//! The salt follows from what is sealed, as in SIV modes (RFC 5297): where a power cut or a chip erased by hand makes a number come
//! again, the nonce comes again with the same payload alone, and two records tell no more than that they are equal. A record opens
//! at its place on its device only.

use arcgate_crypto::{Aead, TAG, sha256};

use crate::secret::DeviceSecret;

/// Bytes of a record before its payload.
pub const NONCE: usize = 12;

/// Bytes of a record besides its payload.
pub const OVERHEAD: usize = NONCE + TAG;

/// What seals and opens records of one purpose.
pub struct Sealer {
    key: [u8; 32],
    cipher: Aead,
}

impl core::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Sealer")
    }
}

impl Sealer {
    /// For records of `purpose` on the device with `secret`.
    pub fn new<S: DeviceSecret>(secret: &S, purpose: &[u8]) -> Self {
        let key = sha256(&[purpose, &secret.secret()]);
        Sealer { key, cipher: Aead::new(key) }
    }

    /// Seals the record that lies at `offset` and whose payload is written; `false` only when it is too short.
    #[must_use]
    pub fn seal(&self, number: u32, offset: u32, record: &mut [u8]) -> bool {
        let Some((nonce, payload, tag)) = parts(record) else { return false };
        let (place, number) = (offset.to_le_bytes(), number.to_le_bytes());
        let salt = sha256(&[b"arcgate record 1", &self.key, &place, &number, payload]);
        *nonce = core::array::from_fn(|i| if i < 4 { number[i] } else { salt[i - 4] });
        self.cipher.seal(nonce, &place, payload).is_ok_and(|sum| {
            *tag = sum;
            true
        })
    }

    /// Opens the record at `offset` in place and gives its number and payload; `None` when it is not what was sealed there.
    pub fn open<'r>(&self, offset: u32, record: &'r mut [u8]) -> Option<(u32, &'r [u8])> {
        let (nonce, payload, tag) = parts(record)?;
        self.cipher.open(nonce, &offset.to_le_bytes(), payload, tag).then(|| (number(nonce), &*payload))
    }
}

/// The number that a record states; it holds if the record opens.
pub fn number(nonce: &[u8; NONCE]) -> u32 {
    u32::from_le_bytes([nonce[0], nonce[1], nonce[2], nonce[3]])
}

fn parts(record: &mut [u8]) -> Option<(&mut [u8; NONCE], &mut [u8], &mut [u8; TAG])> {
    let (nonce, rest) = record.split_first_chunk_mut()?;
    let (payload, tag) = rest.split_last_chunk_mut()?;
    Some((nonce, payload, tag))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::SoftwareSecret;

    #[test]
    fn a_record_opens_at_its_place_on_its_device_for_its_purpose() {
        let sealer = |secret, purpose: &[u8]| Sealer::new(&SoftwareSecret([secret; 32]), purpose);
        let own = sealer(1, b"a");
        let seal = |number, payload: u8| {
            let mut record = [payload; 64];
            assert!(own.seal(number, 4096, &mut record));
            record
        };
        let sealed = seal(7, 9);
        assert_eq!(own.open(4096, &mut sealed.clone()), Some((7, &[9; 36][..])));
        assert!(!sealed[NONCE..48].windows(3).any(|w| w == [9; 3]), "the payload shows");
        for bit in 0..64 * 8 {
            let mut changed = sealed;
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(own.open(4096, &mut changed), None, "bit {bit}");
        }
        for (other, place) in [(sealer(2, b"a"), 4096), (sealer(1, b"b"), 4096), (own, 4160)] {
            assert_eq!(other.open(place, &mut sealed.clone()), None);
        }
    }

    #[test]
    fn a_number_that_comes_again_has_another_nonce_for_another_payload() {
        let sealer = Sealer::new(&SoftwareSecret::default(), b"a");
        let nonce = |number, offset, payload: u8| {
            let mut record = [payload; 64];
            assert!(sealer.seal(number, offset, &mut record));
            record[..NONCE].to_vec()
        };
        assert_eq!(nonce(3, 64, 1), nonce(3, 64, 1));
        assert_ne!(nonce(3, 64, 1), nonce(3, 64, 2));
        assert_ne!(nonce(3, 64, 1), nonce(3, 128, 1));
    }
}
