//! What only one device knows: the root of all its keys.

/// Where the device's secret comes from.
pub trait DeviceSecret {
    /// Whether it lies where a thief of the flash finds it too, such as in the firmware: then seals find damage, exchange and
    /// other devices' galleries, but keep nothing from that thief.
    fn is_software(&self) -> bool;

    /// The secret; the same at every start of the device.
    fn secret(&self) -> [u8; 32];

    /// Bytes that nobody can foretell, others at every call. Without them the transform of a new gallery follows from the secret
    /// and from how often the flash was written: two new devices with the same secret have the same.
    fn random(&self) -> Option<[u8; 32]> {
        None
    }
}

/// A secret in software: one for all devices, unless the board gives each its own.
#[derive(Debug, Clone, Copy)]
pub struct SoftwareSecret(pub [u8; 32]);

impl Default for SoftwareSecret {
    fn default() -> Self {
        SoftwareSecret(*b"arcgate: no secret in this one. ")
    }
}

impl DeviceSecret for SoftwareSecret {
    fn is_software(&self) -> bool {
        true
    }

    fn secret(&self) -> [u8; 32] {
        self.0
    }
}
