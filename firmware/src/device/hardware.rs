//! What a board is made of, as types and as parts.

use embedded_io::{Read, ReadReady, Write, WriteReady};
use embedded_storage::nor_flash::NorFlash;

use crate::engine::Models;
use crate::flash::SlotFlash;
use crate::flash::nor::MemoryNor;
use crate::gallery::{Monotonic, Room};
use crate::link::LinkTrust;
use crate::update::Slots;

use super::{Kept, Updates};

/// The parts of one board, named once; everything else of a device is the same on all of them.
pub trait Hardware {
    /// The models, on the board's arena.
    type Models: Models;
    /// Flash for people.
    type Flash: NorFlash;
    /// Flash for events and state.
    type Store: NorFlash;
    /// Flash for two models, or [`NoSlots`].
    type Slots: SlotFlash;
    /// The serial port of the link.
    type Port: Read + ReadReady + Write + WriteReady;
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

/// Of a board whose model is in its firmware.
pub type NoSlots = MemoryNor<[u8; 0]>;

/// Everything that a board hands over to its device.
#[derive(Debug)]
pub struct Parts<H: Hardware> {
    /// As [`Hardware::Models`].
    pub models: H::Models,
    /// For people.
    pub gallery: H::Flash,
    /// For the event log, where there is one.
    pub events: Option<H::Store>,
    /// What it remembers besides.
    pub kept: Kept<H::Store>,
    /// Where models come in, and the version of the one that runs.
    pub updates: Option<Updates<H::Slots>>,
    /// As [`Hardware::Port`].
    pub port: H::Port,
    /// Whom it trusts on that.
    pub link: LinkTrust,
    /// As [`Hardware::Counter`].
    pub counter: H::Counter,
    /// Lent to it.
    pub memory: Memory<H::Bytes, H::Room>,
}

/// What is left of a device that was taken apart.
#[derive(Debug)]
pub struct Remains<H: Hardware> {
    /// As [`Parts::models`].
    pub models: H::Models,
    /// As [`Parts::gallery`].
    pub gallery: H::Flash,
    /// As [`Parts::events`].
    pub events: Option<H::Store>,
    /// Of [`Parts::kept`], where that was on flash.
    pub state: Option<H::Store>,
    /// Of [`Parts::updates`].
    pub slots: Option<Slots<H::Slots>>,
    /// As [`Parts::port`].
    pub port: H::Port,
    /// As [`Parts::counter`].
    pub counter: H::Counter,
}
