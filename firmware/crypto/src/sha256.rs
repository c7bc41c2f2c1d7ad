//! SHA-256 (FIPS 180-4), of bytes at hand and of bytes that come one after the other, and HMAC (RFC 2104) with it.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Digest;

/// The digest of these parts, one after the other.
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    Sha256::new(parts).finish()
}

/// A digest in the making.
#[derive(Clone)]
pub struct Sha256(sha2::Sha256);

impl core::fmt::Debug for Sha256 {
    /// Nothing of it: what it was fed may be secret.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Sha256")
    }
}

impl Sha256 {
    /// Begins with these parts.
    pub fn new(parts: &[&[u8]]) -> Self {
        let mut digest = Sha256(sha2::Sha256::new());
        digest.update(parts);
        digest
    }

    /// Goes on with these.
    pub fn update(&mut self, parts: &[&[u8]]) {
        parts.iter().for_each(|part| self.0.update(part));
    }

    /// The digest of all so far.
    pub fn finish(&self) -> [u8; 32] {
        self.0.clone().finalize().into()
    }
}

/// HMAC-SHA256 of all parts and of what ends them.
pub fn hmac(key: &[u8; 32], parts: &[&[u8]], end: &[u8]) -> [u8; 32] {
    // A key that is shorter than a block of the hash is one of a whole block, filled up with zeros.
    let block: [u8; 64] = core::array::from_fn(|i| key.get(i).copied().unwrap_or_default());
    let mut mac = Hmac::<sha2::Sha256>::new(&block.into());
    parts.iter().for_each(|part| mac.update(part));
    mac.update(end);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: [u8; 32]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The first example of FIPS 180-4.
    #[test]
    fn parts_are_hashed_as_the_whole() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hex(sha256(&[b"abc"])), abc);
        let mut digest = Sha256::new(&[b"a"]);
        assert_ne!(hex(digest.finish()), abc);
        digest.update(&[b"", b"b", b"c"]);
        assert_eq!(hex(digest.finish()), abc);
    }

    /// The fourth example of RFC 4231, its key of 25 bytes filled up with zeros as every shorter key is.
    #[test]
    fn the_example_of_the_rfc_is_authenticated_as_there() {
        let key = core::array::from_fn(|i| if i < 25 { i as u8 + 1 } else { 0 });
        let expected = "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b";
        assert_eq!(hex(hmac(&key, &[&[0xcd; 20], &[0xcd; 29]], &[0xcd])), expected);
    }
}
