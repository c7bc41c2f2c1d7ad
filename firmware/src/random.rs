//! Random bytes on a device, also on one that has no source of them.
//!
//! ```text
//! first key    SHA-256("arcgate random 1" | device secret (32) | bytes of the board's source, or zeros (32) | boots (u32, little-endian))
//! a draw       ChaCha20(key, nonce 0): the first 32 bytes are the next key, what follows are the bytes drawn
//! ```
//!
//! Nobody without the secret foretells a byte. What is drawn differs from start to start as long as the board has a source of
//! random bytes or counts its boots; with neither, every start draws the same. The key is replaced with each draw
//! ("fast key erasure", Bernstein 2017), so that whoever reads the memory later learns no byte that was drawn before.

use arcgate_crypto::{block, sha256};

use crate::secret::DeviceSecret;

/// The generator.
#[derive(Clone)]
pub struct Random {
    key: [u8; 32],
}

impl core::fmt::Debug for Random {
    /// Nothing of it: it is secret.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Random")
    }
}

impl Random {
    /// Begins at a start of the device, its `boots`th.
    pub fn new<S: DeviceSecret>(secret: &S, boots: u32) -> Self {
        let (secret, source) = (secret.secret(), secret.random().unwrap_or_default());
        Random { key: sha256(&[b"arcgate random 1", &secret, &source, &boots.to_le_bytes()]) }
    }

    /// Draws bytes, at most 32.
    pub fn draw<const N: usize>(&mut self) -> [u8; N] {
        const { assert!(N <= 32, "key and draw are one block of the keystream") };
        let block = block(&self.key);
        self.key = core::array::from_fn(|i| block[i]);
        core::array::from_fn(|i| block[32 + i % 32])
    }

    /// Another generator, of which this one knows nothing afterwards.
    pub fn split(&mut self) -> Self {
        Random { key: self.draw() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::SoftwareSecret;

    /// A board with a source that always gives the same.
    struct Stuck(u8);

    impl DeviceSecret for Stuck {
        fn is_software(&self) -> bool {
            true
        }

        fn secret(&self) -> [u8; 32] {
            [1; 32]
        }

        fn random(&self) -> Option<[u8; 32]> {
            Some([self.0; 32])
        }
    }

    #[test]
    fn another_secret_source_or_boot_draws_something_else() {
        let drawn = [
            Random::new(&SoftwareSecret([1; 32]), 0).draw::<32>(),
            Random::new(&SoftwareSecret([1; 32]), 1).draw(),
            Random::new(&SoftwareSecret([2; 32]), 0).draw(),
            Random::new(&Stuck(1), 0).draw(),
            Random::new(&Stuck(2), 0).draw(),
        ];
        for (i, a) in drawn.iter().enumerate() {
            assert!(drawn[..i].iter().all(|b| a != b), "{i}");
        }
    }

    #[test]
    fn draws_differ_and_the_keys_behind_them_are_gone() {
        let mut random = Random::new(&SoftwareSecret::default(), 0);
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..1000 {
            let key = random.key;
            assert!(seen.insert(random.draw::<16>()));
            assert_ne!(random.key, key);
        }
    }
}
