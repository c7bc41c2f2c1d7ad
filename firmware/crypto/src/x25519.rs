//! X25519 (RFC 7748).

use crate::sha512::Sha512;
use curve25519_dalek::edwards::EdwardsPoint;
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

/// The u-coordinate of a point that follows from `parts` put together, and of which nobody knows what multiple of the base point it is:
/// edwards25519_XMD:SHA-512_ELL2_NU_ of RFC 9380 under a domain of its own.
pub fn generator(parts: &[&[u8]]) -> [u8; 32] {
    mapped(parts, b"arcgate-pairing-2-with-edwards25519_XMD:SHA-512_ELL2_NU_")
}

fn mapped(parts: &[&[u8]], domain: &'static [u8]) -> [u8; 32] {
    EdwardsPoint::encode_to_curve::<Sha512>(parts, &[domain]).to_montgomery().to_bytes()
}

#[cfg(test)]
mod tests {
    use curve25519_dalek::edwards::CompressedEdwardsY;

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

    /// Appendix J.5.2 of RFC 9380: the y-coordinates of three points.
    #[test]
    fn points_are_mapped_as_in_the_rfc() {
        let domain = b"QUUX-V01-CS02-with-edwards25519_XMD:SHA-512_ELL2_NU_";
        let cases: [(&[u8], &str); 3] = [
            (b"", "222e314d04a4d5725e9f2aff9fb2a6b69ef375a1214eb19021ceab2d687f0f9b"),
            (b"abc", "67732d50f9a26f73111dd1ed5dba225614e538599db58ba30aaea1f5c827fa42"),
            (b"abcdef0123456789", "2f8a6c24dd1adde73909cada6a4a137577b0f179d336685c4a955a0a8e1a86fb"),
        ];
        for (message, y) in cases {
            let mut bytes: [u8; 32] =
                core::array::from_fn(|i| u8::from_str_radix(&y[2 * i..2 * i + 2], 16).unwrap());
            bytes.reverse();
            let point = CompressedEdwardsY(bytes).decompress().unwrap().to_montgomery().to_bytes();
            assert_eq!(mapped(&[message], domain), point);
            let (begin, end) = message.split_at(message.len() / 2);
            assert_eq!(mapped(&[begin, end], domain), point, "parts are one message");
            assert_ne!(generator(&[message]), point, "another domain");
        }
    }

    #[test]
    fn who_has_the_same_generator_agrees() {
        let [one, other] = [b"one", b"two"].map(|seed| generator(&[seed]));
        let (a, b) = ([1; 32], [2; 32]);
        assert_eq!(x25519(a, &x25519(b, &one)), x25519(b, &x25519(a, &one)));
        assert_ne!(x25519(a, &x25519(b, &other)), x25519(b, &x25519(a, &one)));
    }
}
