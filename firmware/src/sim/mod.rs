//! The same device on simulated hardware: image files as camera, a file as flash, TCP as UART.
//!
//! Only the drivers differ from a board: [`Device`] is the firmware, and its main loop that of all [boards](crate::board).

mod board;
mod camera;
mod chip;
mod counter;
pub mod cuts;
mod flash;
mod fuse;
pub mod fuzz;
pub mod images;
mod port;
mod raw;
mod running;
mod secret;
mod wire;

use std::marker::PhantomData;
use std::sync::LazyLock;
use std::time::Instant;

use embedded_io::{Read, ReadReady, Write, WriteReady};
use embedded_storage::nor_flash::{NorFlash, ReadNorFlash};

use crate::detect::{Face, LookError, MOST_FACES, Settings};
use crate::device::{Clock, Device, Hardware, Memory};
use crate::engine::{EmbedError, Embedder, Models};
use crate::gallery::{Monotonic, NoCounter, Owned, index_lines_of_flash};
use crate::link::status::Unit;
use crate::model::ModelInfo;
use crate::model::thresholds::ThresholdTable;
pub use board::{Nature, Powered, Unpowered};
pub use camera::{StoredCamera, StoredShot};
pub use chip::{Bench, Chip, FromSlot};
pub use counter::FileCounter;
pub use flash::{ERASE, FileFlash, FlashError};
pub use fuse::{Fuse, FusedError, FusedFlash};
pub use port::{MemoryPort, TcpPort};
pub use raw::Raw;
pub use running::Running;
pub use secret::SimSecret;
pub use wire::{Wire, Wires};

/// Bytes in which a simulated device keeps a picture: 1280 x 1024 in three colours. A larger one is halved as it arrives.
pub const FRAME: usize = 1280 * 1024 * 3;

/// Bytes of the largest crop.
pub const CROP: usize = 256 * 256 * 3;

/// People and templates that a simulated device keeps track of.
pub const RECORDS: usize = 12_288;

/// A computer's parts: a flash `F`, a port `P` and a counter `M`.
#[derive(Debug)]
pub struct Desktop<F, P, M = NoCounter>(PhantomData<(F, P, M)>);

impl<F: NorFlash, P: Read + ReadReady + Write + WriteReady, M: Monotonic> Hardware for Desktop<F, P, M> {
    type Models = Box<dyn Models + Send>;
    type Flash = F;
    type Store = FileFlash;
    type Slots = FileFlash;
    type Port = P;
    type Counter = M;
    type Bytes = Vec<u8>;
    type Room = Owned;
}

/// A simulated device on a flash `F` with a port `P` and a counter `M`.
pub type SimDevice<F, P, M = NoCounter> = Device<Desktop<F, P, M>>;

/// This computer's own clock.
pub const CLOCK: Clock = Clock { now: nanoseconds, unit: Unit::Nanoseconds, per_tick: 1 };

/// Nanoseconds since some moment, of more than 4 seconds the rest.
fn nanoseconds() -> u32 {
    static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
    BEGIN.elapsed().as_nanos() as u32
}

/// Memory for a simulated device: for its pictures, and for all templates that fit into `flash`.
pub fn memory<F: ReadNorFlash>(flash: &F) -> Memory<Vec<u8>, Owned> {
    let gallery = Owned::new(RECORDS, index_lines_of_flash(flash.capacity()));
    Memory { frame: vec![0; FRAME], crop: vec![0; CROP], gallery }
}

impl<E: Embedder + ?Sized> Embedder for Box<E> {
    fn info(&self) -> &ModelInfo {
        (**self).info()
    }

    fn thresholds(&self) -> Option<ThresholdTable<'_>> {
        (**self).thresholds()
    }

    fn embed(&mut self, crop: &[u8], out: &mut [i8]) -> Result<(), EmbedError> {
        (**self).embed(crop, out)
    }

    fn embed_watched(
        &mut self,
        crop: &[u8],
        out: &mut [i8],
        after: &mut dyn FnMut(usize),
    ) -> Result<(), EmbedError> {
        (**self).embed_watched(crop, out, after)
    }
}

impl<M: Models + ?Sized> Models for Box<M> {
    fn detector(&self) -> Option<&ModelInfo> {
        (**self).detector()
    }

    fn find(
        &mut self,
        picture: &[u8],
        settings: &Settings,
    ) -> Result<heapless::Vec<Face, MOST_FACES>, LookError> {
        (**self).find(picture, settings)
    }

    fn arena(&mut self) -> &mut [u8] {
        (**self).arena()
    }
}
