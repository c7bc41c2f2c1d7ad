//! What follows from a device's secret, besides the seals of its gallery.

use arcgate_crypto::is_same;

use crate::bundle::{BundleKey, Identity};
use crate::secret::DeviceSecret;
use crate::time::{UnixTime, Uptime};

/// What bundles are sealed and signed with, and what an administrator shows to have.
pub(crate) struct Keys {
    pub(super) bundle: BundleKey,
    pub(super) identity: Identity,
    pub(super) random: [u8; 32],
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
        Keys { bundle, identity, random, challenge: None }
    }

    /// Keeps what was drawn at random as the challenge to be answered.
    pub(super) fn challenge(&mut self, drawn: [u8; 16], now: Uptime) -> [u8; 16] {
        self.challenge = Some((drawn, now));
        drawn
    }

    /// Whether somebody with the bundle key tells this time, soon, in answer to the last challenge, which is used up.
    pub(super) fn is_proven(&mut self, time: UnixTime, proof: &[u8; 32], now: Uptime) -> bool {
        let Some((challenge, drawn)) = self.challenge.take() else { return false };
        if now.0.checked_sub(drawn.0).is_none_or(|passed| passed > PATIENCE) {
            return false;
        }
        let expected = self.bundle.proof_of_time(&challenge, time.0);
        is_same(&expected, proof)
    }
}
