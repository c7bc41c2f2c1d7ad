//! The keystream of ChaCha20 (RFC 8439, section 2.4) without a message.

use chacha20::cipher::{Block, KeyIvInit, StreamCipher, StreamCipherCore};
use chacha20::variants::Ietf;
use chacha20::{ChaCha20, ChaChaCore, R20};

/// The keystream by whole blocks of 64 bytes.
pub(crate) type Blocks = ChaChaCore<R20, Ietf>;

/// Bytes that only the key foretells.
pub struct Keystream(ChaCha20);

impl core::fmt::Debug for Keystream {
    /// Nothing of it: it is secret.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Keystream")
    }
}

impl Keystream {
    /// From its beginning.
    pub fn new(key: &[u8; 32], nonce: &[u8; 12]) -> Self {
        Keystream(ChaCha20::new(key.into(), nonce.into()))
    }

    /// The next four bytes; `None` at the end, after 256 GB.
    pub fn word(&mut self) -> Option<[u8; 4]> {
        let mut word = [0; 4];
        self.0.try_apply_keystream(&mut word).ok()?;
        Some(word)
    }
}

/// The first block of the keystream with the nonce 0.
pub fn block(key: &[u8; 32]) -> [u8; 64] {
    let mut block = Block::<Blocks>::default();
    Blocks::new(key.into(), &[0; 12].into()).write_keystream_block(&mut block);
    block.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first example of RFC 8439, appendix A.1.
    #[test]
    fn the_example_of_the_rfc_is_drawn_as_there() {
        let first = [0x76, 0xb8, 0xe0, 0xad, 0xa0, 0xf1, 0x3d, 0x90, 0x40, 0x5d, 0x6a, 0xe5];
        assert_eq!(block(&[0; 32])[..12], first);
        let mut words = Keystream::new(&[0; 32], &[0; 12]);
        let drawn: Vec<u8> = (0..3).flat_map(|_| words.word().unwrap()).collect();
        assert_eq!(drawn, first);
    }
}
