//! Where everything lies on the STM32H743ZI's flash (2 MB in two banks, erased by 128 KB), and how large its memory is.
//!
//! ```text
//! bank 1  0x08000000  512 KB  code
//!         0x08080000  256 KB  model slot A
//!         0x080c0000  256 KB  model slot B
//! bank 2  0x08100000  512 KB  gallery
//!         0x08180000  256 KB  events
//!         0x081c0000  256 KB  state
//! ```
//!
//! # No promise about a loss of power
//!
//! Each word of 32 bytes has an ECC. One that a cut tears in a write or an erase, or that is programmed twice, may have two wrong bits and
//! more, and reading it is a bus fault (RM0433, double ECC error), where [`arcgate_firmware::flash`] expects bits. State, events and
//! gallery are read at every start, a slot when its model is looked for: the fault comes again each time, the watchdog restarts the board
//! each time, and only a probe that erases the sector helps. What would have to be added, and tried on the chip:
//!
//! - a `NorFlash` around the chip's whose `read` masks bus faults while it loads (`CCR.BFHFNMIGN` with `FAULTMASK`), asks `FLASH_SR1` and
//!   `FLASH_SR2` for `DBECCERR`, clears it, and gives some bits, not all of them set, for a word that has it;
//! - the same look over a model's slot before its bytes are given out, for those are read in place;
//! - in that `NorFlash`, no programming of a word that is not erased as the chip sees it: the event log writes zeros over the slot in
//!   which a cut may have been, however blank that looks.
//!
//! The core goes on while bank 2 is erased; while a model comes in it waits, for a second or two a sector at worst.
//!
//! Of 512 KB of AXI SRAM: arena 192, camera 150, host's picture and crop 75 each, gallery 16. The stack has 128 KB of its own.

use arcgate_firmware::device::MANIFEST_BYTES;
use arcgate_firmware::engine::plan::Target;
use arcgate_firmware::flash::{MemoryMap, Region};
use arcgate_real_support::Memory;

const KB: u32 = 1 << 10;

const fn at(kb: u32, length: u32) -> Region {
    Region { offset: kb * KB, length: length * KB }
}

/// Where the core reads the flash.
pub const BASE: usize = embassy_stm32::flash::FLASH_BASE;

/// The flash.
pub const MAP: MemoryMap = MemoryMap {
    chip: embassy_stm32::flash::FLASH_SIZE as u32,
    erase: embassy_stm32::flash::MAX_ERASE_SIZE as u32,
    code: at(0, 512),
    models: [at(512, 256), at(768, 256)],
    gallery: at(1024, 512),
    events: at(1536, 256),
    state: at(1792, 256),
}
.checked();

const ARENA: usize = 192 << 10;
/// A detector's picture of 160 x 160, or an embedder's of 112 x 112, in three colours.
const CROP: usize = 160 * 160 * 3;
const FRAME: usize = 160 * 160 * 3;
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
static ARCGATE_MANIFEST: [u8; MANIFEST_BYTES] = Room::manifest(&MAP, 640 * KB, Target::Dsp).to_bytes();
