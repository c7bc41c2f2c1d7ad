//! The secret of a simulated device: one from a file, or the one that is in the software; and this computer's random bytes.

use crate::secret::{DeviceSecret, SoftwareSecret};

/// The secret of a simulated device.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SimSecret {
    own: Option<[u8; 32]>,
}

impl core::fmt::Debug for SimSecret {
    /// Nothing of it.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(if self.own.is_some() { "SimSecret(own)" } else { "SimSecret(software)" })
    }
}

impl SimSecret {
    /// A secret that nobody else has.
    pub fn own(secret: [u8; 32]) -> Self {
        SimSecret { own: Some(secret) }
    }

    /// The one that is in the software, for everybody to read.
    pub fn software() -> Self {
        SimSecret { own: None }
    }
}

impl DeviceSecret for SimSecret {
    fn is_software(&self) -> bool {
        self.own.is_none()
    }

    fn secret(&self) -> [u8; 32] {
        self.own.unwrap_or(SoftwareSecret::default().0)
    }

    fn random(&self) -> Option<[u8; 32]> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).ok().map(|()| bytes)
    }
}
