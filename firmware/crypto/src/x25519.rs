//! X25519 (RFC 7748).

use curve25519_dalek::montgomery::MontgomeryPoint;
use curve25519_dalek::scalar::clamp_integer;

/// The u-coordinate of the base point.
pub const BASE_POINT: [u8; 32] = {
    let mut point = [0; 32];
    point[0] = 9;
    point
};

/// The function X25519, by the Montgomery ladder over all bits of the clamped scalar: the same steps for every secret.
pub fn x25519(scalar: [u8; 32], point: &[u8; 32]) -> [u8; 32] {
    let scalar = clamp_integer(scalar);
    let bits = scalar.iter().rev().flat_map(|&byte| (0..8).rev().map(move |bit| byte >> bit & 1 == 1));
    MontgomeryPoint(*point).mul_bits_be(bits).to_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7748, section 6.1.
    #[test]
    fn the_example_of_the_rfc_agrees_as_there() {
        let bytes =
            |hex: &str| core::array::from_fn(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap());
        let alice = bytes("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
        let bob = bytes("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
        let shared = bytes("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
        let [of_alice, of_bob] = [alice, bob].map(|secret| x25519(secret, &BASE_POINT));
        assert_eq!(x25519(alice, &of_bob), shared);
        assert_eq!(x25519(bob, &of_alice), shared);
    }
}
