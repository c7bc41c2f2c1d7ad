//! What follows from a device's secret, besides the seals of its gallery.

use sha2::{Digest, Sha256};

use crate::bundle::{BundleKey, Identity};
use crate::decide::time::{UnixTime, Uptime};
use crate::gallery::DeviceSecret;

/// What bundles are sealed and signed with, and what an administrator shows to have.
pub(crate) struct Keys {
    pub(super) bundle: BundleKey,
    pub(super) identity: Identity,
    pub(super) random: [u8; 32],
    /// Challenges drawn since the start.
    drawn: u32,
    /// The last of them, until it was answered, and when it was drawn.
    challenge: Option<([u8; 16], Uptime)>,
}

impl core::fmt::Debug for Keys {
    /// Nothing of them: they are secret.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Keys")
    }
}

/// Milliseconds within which a challenge is to be answered: what is held back longer tells an old time.
const PATIENCE: u64 = 30_000;

impl Keys {
    pub(crate) fn of<S: DeviceSecret>(secret: &S) -> Self {
        let (bytes, random) = (secret.secret(), secret.random().unwrap_or_default());
        let (bundle, identity) = (BundleKey::of_device(&bytes), Identity::of_device(&bytes));
        Keys { bundle, identity, random, drawn: 0, challenge: None }
    }

    /// Another challenge each time. Without random bytes they are the same after every start: what was told at one can then be
    /// told again at another.
    pub(super) fn challenge(&mut self, now: Uptime) -> [u8; 16] {
        self.drawn = self.drawn.wrapping_add(1);
        let digest = Sha256::new_with_prefix(b"arcgate challenge 1").chain_update(self.bundle.0);
        let drawn = digest.chain_update(self.random).chain_update(self.drawn.to_le_bytes()).finalize();
        let challenge = core::array::from_fn(|i| drawn[i]);
        self.challenge = Some((challenge, now));
        challenge
    }

    /// Whether somebody with the bundle key tells this time, soon, in answer to the last challenge, which is used up.
    pub(super) fn is_proven(&mut self, time: UnixTime, proof: &[u8; 32], now: Uptime) -> bool {
        let Some((challenge, drawn)) = self.challenge.take() else { return false };
        if now.0.checked_sub(drawn.0).is_none_or(|passed| passed > PATIENCE) {
            return false;
        }
        let expected = self.bundle.proof_of_time(&challenge, time.0);
        // All bytes are compared, so that the time it takes tells nothing.
        expected.iter().zip(proof).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
    }
}
