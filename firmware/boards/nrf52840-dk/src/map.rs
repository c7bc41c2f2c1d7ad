//! Where everything lies on the nRF52840's flash (1 MB, erased by 4 KB), and how large its memory is.
//!
//! ```text
//! 0x00000  384 KB  code
//! 0x60000  192 KB  model slot A
//! 0x90000  192 KB  model slot B
//! 0xc0000  192 KB  gallery
//! 0xf0000   48 KB  events
//! 0xfc000   16 KB  state
//! ```
//!
//! Of 256 KB of RAM: arena 64, camera 38, host's picture 28, crop 37, gallery 8; what is left, more than 66, is the stack's. A model of
//! `arcgate compile --ram 64K` fits; there is no room for a detector of 160 x 160.

use arcgate_firmware::device::MANIFEST_BYTES;
use arcgate_firmware::engine::plan::Target;
use arcgate_firmware::flash::{MemoryMap, Region};
use arcgate_real_support::Memory;

const KB: u32 = 1 << 10;

const fn at(kb: u32, length: u32) -> Region {
    Region { offset: kb * KB, length: length * KB }
}

/// Where the core reads the flash.
pub const BASE: usize = 0;

/// The flash.
pub const MAP: MemoryMap = MemoryMap {
    chip: embassy_nrf::nvmc::FLASH_SIZE as u32,
    erase: embassy_nrf::nvmc::PAGE_SIZE as u32,
    code: at(0, 384),
    models: [at(384, 192), at(576, 192)],
    gallery: at(768, 192),
    events: at(960, 48),
    state: at(1008, 16),
}
.checked();

const ARENA: usize = 64 << 10;
/// An embedder's picture of 112 x 112 in three colours.
const CROP: usize = 112 * 112 * 3;
const FRAME: usize = 96 * 96 * 3;
/// 160 x 120 in RGB565.
const CAMERA: usize = 160 * 120 * 2;
/// People and templates, and lines of 64 bytes for opened templates: those that find no place are opened in each search.
const RECORDS: usize = 512;
const LINES: usize = 64;

/// All that the device is lent.
pub type Room = Memory<ARENA, CROP, FRAME, CAMERA, RECORDS, LINES>;

/// What `arcgate compile --board` reads.
#[used]
#[unsafe(no_mangle)]
static ARCGATE_MANIFEST: [u8; MANIFEST_BYTES] = Room::manifest(&MAP, 256 * KB, Target::Dsp).to_bytes();
