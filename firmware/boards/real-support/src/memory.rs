//! The static memory of a board.

use arcgate_firmware::device::Manifest;
use arcgate_firmware::engine::plan::Target;
use arcgate_firmware::flash::MemoryMap;
use arcgate_firmware::gallery::{self, Entry, Line, Rooms};
use arcgate_firmware::update::HEADER;

/// Bytes of stack that the device takes at most, as measured on emulated cores, and a little more.
const STACK: u32 = 72_500;

/// Where plans run; it begins where plans for any core want it.
#[derive(Debug)]
#[repr(align(4))]
struct Arena<const N: usize>([u8; N]);

/// All memory that a device is lent, bytes but for the last two.
///
/// `ARENA` for running a model, `CROP` for the largest input of one, `FRAME` for the picture that a host sends, `CAMERA` for the
/// camera's picture; `RECORDS` people and templates, `LINES` lines of opened templates.
#[derive(Debug)]
pub struct Memory<
    const ARENA: usize,
    const CROP: usize,
    const FRAME: usize,
    const CAMERA: usize,
    const RECORDS: usize,
    const LINES: usize,
> {
    arena: Arena<ARENA>,
    crop: [u8; CROP],
    frame: [u8; FRAME],
    camera: [u8; CAMERA],
    records: [Entry; RECORDS],
    lines: [Line; LINES],
}

impl<
    const ARENA: usize,
    const CROP: usize,
    const FRAME: usize,
    const CAMERA: usize,
    const RECORDS: usize,
    const LINES: usize,
> Memory<ARENA, CROP, FRAME, CAMERA, RECORDS, LINES>
{
    /// As the program starts.
    #[expect(clippy::new_without_default, reason = "it is far too large to lie anywhere but in a static")]
    pub const fn new() -> Self {
        Memory {
            arena: Arena([0; ARENA]),
            crop: [0; CROP],
            frame: [0; FRAME],
            camera: [0; CAMERA],
            records: [Entry::NONE; RECORDS],
            lines: [Line::ZERO; LINES],
        }
    }

    /// What a board with this memory has room for: its flash, `ram` bytes in all, and plans for `target`.
    pub const fn manifest(map: &MemoryMap, ram: u32, target: Target) -> Manifest {
        Manifest {
            flash: map.chip,
            plan: map.models[0].length - HEADER as u32,
            ram,
            arena: ARENA as u32,
            crop: CROP as u32,
            stack: STACK,
            target: target as u32,
        }
    }

    /// Lends it for ever.
    pub fn lend(&'static mut self) -> Lent {
        Lent {
            arena: &mut self.arena.0,
            crop: &mut self.crop,
            frame: &mut self.frame,
            camera: &mut self.camera,
            gallery: Rooms { records: &mut self.records, lines: &mut self.lines },
        }
    }
}

/// A [`Memory`], lent.
#[derive(Debug)]
pub struct Lent {
    /// For running a model.
    pub arena: &'static mut [u8],
    /// For the input of one.
    pub crop: &'static mut [u8],
    /// For a host's picture.
    pub frame: &'static mut [u8],
    /// For the camera's picture.
    pub camera: &'static mut [u8],
    /// For the gallery.
    pub gallery: gallery::Lent,
}
