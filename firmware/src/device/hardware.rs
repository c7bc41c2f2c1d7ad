//! What a board is made of, as types and as parts.

use embedded_io::{Read, ReadReady, Write, WriteReady};
use embedded_storage::nor_flash::NorFlash;

use crate::engine::Models;
use crate::gallery::{Monotonic, Room};
use crate::link::LinkTrust;
use crate::link::pairings::Pairings;

/// The parts of one board, named once; everything else of a device is the same on all of them.
pub trait Hardware {
    /// The models, on the board's arena.
    type Models: Models;
    /// Flash that the device writes to.
    type Flash: NorFlash;
    /// The serial port of the link.
    type Port: Read + ReadReady + Write + WriteReady;
    /// Where the hosts are kept that it is paired with.
    type Pairings: Pairings;
    /// A counter against galleries put back, or [`NoCounter`](crate::gallery::NoCounter).
    type Counter: Monotonic;
    /// Memory for pictures.
    type Bytes: AsRef<[u8]> + AsMut<[u8]>;
    /// Memory for the gallery.
    type Room: Room;
}

/// What a device works in, on a board `static` arrays.
#[derive(Debug)]
pub struct Memory<B, Y> {
    /// For the picture that a host sends; a larger one is halved as it arrives.
    pub frame: B,
    /// For the embedder's input and, before that, the detector's: as large as the larger of the two.
    pub crop: B,
    /// For the gallery.
    pub gallery: Y,
}

/// Everything that a board hands over to its device.
#[derive(Debug)]
pub struct Parts<H: Hardware> {
    /// As [`Hardware::Models`].
    pub models: H::Models,
    /// For the gallery.
    pub flash: H::Flash,
    /// As [`Hardware::Port`].
    pub port: H::Port,
    /// As [`Hardware::Pairings`].
    pub pairings: H::Pairings,
    /// As [`Hardware::Counter`].
    pub counter: H::Counter,
    /// Lent to it.
    pub memory: Memory<H::Bytes, H::Room>,
    /// What the board decides.
    pub setup: Setup,
}

/// What a board decides about its device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setup {
    /// Whom it trusts on its link.
    pub link: LinkTrust,
    /// How often it has booted: what a board without random bytes has to count, so that no session's keys come again.
    pub boots: u32,
}
