//! Where everything lies on the Pico 2's flash (4 MB, erased by 4 KB), and how large its memory is.
//!
//! ```text
//! 0x10000000   512 KB  code
//! 0x10080000   768 KB  model slot A
//! 0x10140000   768 KB  model slot B
//! 0x10200000  1024 KB  gallery
//! 0x10300000    64 KB  events
//! 0x10310000    16 KB  state
//! 0x10314000           free
//! ```
//!
//! Of 512 KB of RAM: arena 128, camera 150, crop 75, host's picture 66, gallery 16; what is left, more than 73, is the stack's, on
//! which interrupts run too.

use arcgate_firmware::device::MANIFEST_BYTES;
use arcgate_firmware::engine::plan::Target;
use arcgate_firmware::flash::{MemoryMap, Region};
use arcgate_real_support::Memory;

const KB: u32 = 1 << 10;

const fn at(kb: u32, length: u32) -> Region {
    Region { offset: kb * KB, length: length * KB }
}

/// Where the core reads the flash.
pub const BASE: usize = 0x1000_0000;

/// Bytes of the flash.
pub const FLASH: usize = 4 << 20;

/// The flash.
pub const MAP: MemoryMap = MemoryMap {
    chip: FLASH as u32,
    erase: embassy_rp::flash::ERASE_SIZE as u32,
    code: at(0, 512),
    models: [at(512, 768), at(1280, 768)],
    gallery: at(2048, 1024),
    events: at(3072, 64),
    state: at(3136, 16),
}
.checked();

const ARENA: usize = 128 << 10;
/// A detector's picture of 160 x 160, or an embedder's of 112 x 112, in three colours.
const CROP: usize = 160 * 160 * 3;
/// A photograph of 300 x 300 halved once, or one of 640 x 480 twice.
const FRAME: usize = 150 * 150 * 3;
/// 320 x 240 in RGB565.
const CAMERA: usize = 320 * 240 * 2;
/// People and templates, and lines of 64 bytes for opened templates: those that find no place are opened in each search.
const RECORDS: usize = 1024;
const LINES: usize = 128;

/// All that the device is lent.
pub type Room = Memory<ARENA, CROP, FRAME, CAMERA, RECORDS, LINES>;

/// What `arcgate compile --board` reads.
#[used]
#[unsafe(no_mangle)]
static ARCGATE_MANIFEST: [u8; MANIFEST_BYTES] = Room::manifest(&MAP, 512 * KB, Target::Dsp).to_bytes();
