//! Where everything lies on the module's flash (4 MB or more, erased by 4 KB), and how large its memory is.
//!
//! ```text
//! 0x000000  1024 KB  bootloader, table of partitions (0x8000), code (0x10000)
//! 0x100000   256 KB  model slot A
//! 0x140000   256 KB  model slot B
//! 0x180000   512 KB  gallery
//! 0x200000    64 KB  events
//! 0x210000    16 KB  state
//! ```
//!
//! `partitions.csv` is the same map for the bootloader. Of 441 KB of RAM beside it: arena 160, crop 75, host's picture 48, camera 38,
//! gallery 8; what is left after the code that lies in RAM, more than 66, is the stack's.

use arcgate_firmware::device::MANIFEST_BYTES;
use arcgate_firmware::engine::plan::Target;
use arcgate_firmware::flash::{MemoryMap, Region};
use arcgate_real_support::Memory;

const KB: u32 = 1 << 10;

const fn at(kb: u32, length: u32) -> Region {
    Region { offset: kb * KB, length: length * KB }
}

/// The flash; one that is larger keeps its rest free.
pub const MAP: MemoryMap = MemoryMap {
    chip: 4 << 20,
    erase: 4 * KB,
    code: at(0, 1024),
    models: [at(1024, 256), at(1280, 256)],
    gallery: at(1536, 512),
    events: at(2048, 64),
    state: at(2112, 16),
}
.checked();

const ARENA: usize = 160 << 10;
/// A detector's picture of 160 x 160, or an embedder's of 112 x 112, in three colours.
const CROP: usize = 160 * 160 * 3;
const FRAME: usize = 128 * 128 * 3;
/// 160 x 120 in RGB565.
const CAMERA: usize = 160 * 120 * 2;
/// People and templates, and lines of 64 bytes for opened templates: those that find no place are opened in each search.
const RECORDS: usize = 512;
const LINES: usize = 64;

/// All that the device is lent.
pub type Room = Memory<ARENA, CROP, FRAME, CAMERA, RECORDS, LINES>;

/// What `arcgate compile --board` reads. RAM is what esp-hal's memory map has.
#[used]
#[unsafe(no_mangle)]
static ARCGATE_MANIFEST: [u8; MANIFEST_BYTES] = Room::manifest(&MAP, 0x6_e610, Target::Portable).to_bytes();
