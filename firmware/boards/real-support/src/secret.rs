//! What seals a board's flash.
//!
//! ```text
//! given to the build    ARCGATE_DEVICE_KEY, as `arcgate keys device` wrote it: bundles of a host with that key are this board's
//! otherwise             SHA-256("arcgate board secret 1" | the default secret of software (32) | the chip's own number)
//! ```
//!
//! Both lie in the program or follow from it and from a number that the chip tells whoever may run code on it: boards differ, and what
//! was copied from one flash does not open on another board, but nothing is kept from who can read the program. What keeps that from
//! being read is the chip's own protection, which is for whoever puts a board to use to switch on; each board's `main.rs` names it. On the
//! Pico 2 there is none: its flash is a chip of its own, which can be read without the RP2350. Without a given key no host has the board's
//! bundle key.

use core::cell::RefCell;

use arcgate_crypto::sha256;
use arcgate_firmware::secret::{DeviceSecret, SoftwareSecret};

use crate::given;

/// The chip's source of random bytes.
pub trait Entropy {
    /// Draws bytes; `None` when the source fails.
    fn draw(&mut self) -> Option<[u8; 32]>;
}

/// The secret of one chip, and its source of random bytes `R`.
#[derive(Debug)]
pub struct ChipSecret<R> {
    secret: [u8; 32],
    source: RefCell<R>,
}

impl<R: Entropy> ChipSecret<R> {
    /// Of the chip with this number.
    pub fn new(number: &[u8], source: R) -> Self {
        let of_chip = || sha256(&[b"arcgate board secret 1", &SoftwareSecret::default().0, number]);
        ChipSecret { secret: given::DEVICE_KEY.unwrap_or_else(of_chip), source: RefCell::new(source) }
    }
}

impl<R: Entropy> DeviceSecret for ChipSecret<R> {
    fn is_software(&self) -> bool {
        true
    }

    fn secret(&self) -> [u8; 32] {
        self.secret
    }

    fn random(&self) -> Option<[u8; 32]> {
        let drawn = self.source.try_borrow_mut().ok()?.draw();
        if drawn.is_none() {
            defmt::error!("the generator gives no random bytes");
        }
        drawn
    }
}
