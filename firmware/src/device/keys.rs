//! What follows from a device's secret, besides the seals of its gallery.

use sha2::{Digest, Sha256};

use crate::bundle::{BundleKey, Identity};
use crate::decide::time::UnixTime;
use crate::gallery::DeviceSecret;

/// What bundles are sealed and signed with, and what an administrator shows to have.
#[derive(Debug)]
pub(crate) struct Keys {
    pub(super) bundle: BundleKey,
    pub(super) identity: Identity,
    pub(super) random: [u8; 32],
    /// Challenges drawn since the start.
    drawn: u32,
    /// The last of them, until it was answered.
    challenge: Option<[u8; 16]>,
}

impl Keys {
    pub(crate) fn of<S: DeviceSecret>(secret: &S) -> Self {
        let (bytes, random) = (secret.secret(), secret.random().unwrap_or_default());
        let (bundle, identity) = (BundleKey::of_device(&bytes), Identity::of_device(&bytes));
        Keys { bundle, identity, random, drawn: 0, challenge: None }
    }

    /// Another challenge each time. Without random bytes they are the same after every start: what was told at one can then be
    /// told again at another.
    pub(super) fn challenge(&mut self) -> [u8; 16] {
        self.drawn = self.drawn.wrapping_add(1);
        let digest = Sha256::new_with_prefix(b"arcgate challenge 1").chain_update(self.bundle.0);
        let drawn = digest.chain_update(self.random).chain_update(self.drawn.to_le_bytes()).finalize();
        *self.challenge.insert(core::array::from_fn(|i| drawn[i]))
    }

    /// Whether somebody with the bundle key tells this time, in answer to the last challenge, which is used up.
    pub(super) fn is_proven(&mut self, time: UnixTime, proof: &[u8; 32]) -> bool {
        let Some(challenge) = self.challenge.take() else { return false };
        let expected = self.bundle.proof_of_time(&challenge, time.0);
        // All bytes are compared, so that the time it takes tells nothing.
        expected.iter().zip(proof).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
    }
}
