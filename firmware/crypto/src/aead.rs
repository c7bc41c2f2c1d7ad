//! ChaCha20-Poly1305 (RFC 8439, section 2.8), put together here from the cipher and the authenticator: the crate that joins them
//! panics where a stream ends, and firmware has no way to panic.
//!
//! ```text
//! one-time key   the first 32 bytes of the keystream's block 0
//! ciphertext     message ^ keystream from block 1 on
//! tag            Poly1305(one-time key; data | 0.. | ciphertext | 0.. | u64 length of data | u64 length of ciphertext)
//! ```

use chacha20::ChaCha20;
use chacha20::cipher::{Block, KeyIvInit, StreamCipher, StreamCipherCore};
use poly1305::Poly1305;
use poly1305::universal_hash::{KeyInit, UniversalHash};
use subtle::ConstantTimeEq;

use crate::keystream::Blocks;

/// Bytes of a key.
const KEY: usize = 32;

/// Bytes of a nonce.
pub const NONCE: usize = 12;

/// Bytes of a tag.
pub const TAG: usize = 16;

/// More than a keystream has, 256 GB; never of what fits into a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLong;

/// A key that seals and opens.
#[derive(Clone)]
pub struct Aead([u8; KEY]);

impl core::fmt::Debug for Aead {
    /// Nothing of it: it is secret.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Aead")
    }
}

impl Aead {
    /// With this key.
    pub fn new(key: [u8; KEY]) -> Self {
        Aead(key)
    }

    /// Encrypts `message` in place, and gives the tag of it and of `data`. A nonce serves one message.
    ///
    /// # Errors
    /// When the message is longer than the keystream.
    pub fn seal(&self, nonce: &[u8; NONCE], data: &[u8], message: &mut [u8]) -> Result<[u8; TAG], TooLong> {
        let (mut stream, authenticator) = self.begin(nonce);
        stream.try_apply_keystream(message).map_err(|_| TooLong)?;
        Ok(tag(authenticator, data, message))
    }

    /// Decrypts `message` in place if `tag` is its and `data`'s, and says whether it was; else the message stays as it was.
    #[must_use]
    pub fn open(&self, nonce: &[u8; NONCE], data: &[u8], message: &mut [u8], found: &[u8; TAG]) -> bool {
        let (mut stream, authenticator) = self.begin(nonce);
        let is_own: bool = tag(authenticator, data, message).ct_eq(found).into();
        is_own && stream.try_apply_keystream(message).is_ok()
    }

    /// The keystream from block 1 on, and the authenticator that has its key from block 0.
    fn begin(&self, nonce: &[u8; NONCE]) -> (ChaCha20, Poly1305) {
        let (mut stream, mut first) =
            (Blocks::new(&self.0.into(), &(*nonce).into()), Block::<Blocks>::default());
        stream.write_keystream_block(&mut first);
        let key: [u8; KEY] = core::array::from_fn(|i| first[i]);
        (ChaCha20::from_core(stream), Poly1305::new(&key.into()))
    }
}

fn tag(mut authenticator: Poly1305, data: &[u8], sealed: &[u8]) -> [u8; TAG] {
    authenticator.update_padded(data);
    authenticator.update_padded(sealed);
    let lengths = (sealed.len() as u128) << 64 | data.len() as u128;
    authenticator.update(&[lengths.to_le_bytes().into()]);
    authenticator.finalize().into()
}

#[cfg(test)]
mod tests {
    use chacha20poly1305::ChaCha20Poly1305;
    use chacha20poly1305::aead::AeadInOut;
    use proptest::prelude::*;

    use super::*;

    /// The example of RFC 8439, section 2.8.2.
    #[test]
    fn the_example_of_the_rfc_is_sealed_as_there() {
        let key = Aead::new(core::array::from_fn(|i| 0x80 + i as u8));
        let nonce = [7, 0, 0, 0, 0x40, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47];
        let data = [0x50, 0x51, 0x52, 0x53, 0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7];
        let plain =
            b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, \
            sunscreen would be it.";
        let mut message = *plain;
        let tag = key.seal(&nonce, &data, &mut message).unwrap();
        assert_eq!(u128::from_be_bytes(tag), 0x1ae1_0b59_4f09_e26a_7e90_2ecb_d060_0691);
        assert_eq!(message[..8], [0xd3, 0x1a, 0x8d, 0x34, 0x64, 0x8e, 0x60, 0xdb]);
        assert_eq!(message[112..], [0x61, 0x16]);
        assert!(key.open(&nonce, &data, &mut message, &tag));
        assert_eq!(message, *plain);
    }

    proptest! {
        #[test]
        fn it_is_the_crate_that_joins_them(
            key: [u8; KEY],
            nonce: [u8; NONCE],
            data in prop::collection::vec(any::<u8>(), 0..80),
            plain in prop::collection::vec(any::<u8>(), 0..300),
            hit: prop::sample::Index,
        ) {
            let (joined, own) = (ChaCha20Poly1305::new(&key.into()), Aead::new(key));
            let (mut message, mut expected) = (plain.clone(), plain.clone());
            let tag = own.seal(&nonce, &data, &mut message).unwrap();
            let theirs = joined.encrypt_inout_detached(&nonce.into(), &data, expected.as_mut_slice().into());
            prop_assert_eq!((&message, tag), (&expected, theirs.unwrap().into()));
            // A changed bit anywhere opens nothing and changes nothing.
            let (mut sealed, mut other, mut changed) = (message.clone(), data.clone(), tag);
            let bit = hit.index((TAG + sealed.len() + other.len()) * 8);
            let mut bytes = changed.iter_mut().chain(&mut sealed).chain(&mut other);
            *bytes.nth(bit / 8).unwrap() ^= 1 << (bit % 8);
            let before = sealed.clone();
            prop_assert!(!own.open(&nonce, &other, &mut sealed, &changed));
            prop_assert_eq!(sealed, before);
            prop_assert!(own.open(&nonce, &data, &mut message, &tag));
            prop_assert_eq!(message, plain);
        }
    }
}
