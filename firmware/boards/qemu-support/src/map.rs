//! The NOR chip of every machine, and what lies on it.
//!
//! ```text
//!  0 MB    1 MB        gallery
//!  1 MB    512 KB      event log
//!  1.5 MB  512 KB      state
//!  2 MB    3 MB        model slot A
//!  5 MB    3 MB        model slot B
//! ```

use arcgate_firmware::flash::{MemoryMap, Region};
use embedded_storage::nor_flash::NorFlash;

use crate::machine::Flash;

const fn at(offset: u32, length: u32) -> Region {
    Region { offset, length }
}

/// The parts of the chip; the firmware lies elsewhere.
pub const MAP: MemoryMap = MemoryMap {
    chip: 8 << 20,
    erase: Flash::ERASE_SIZE as u32,
    code: at(0, 0),
    models: [at(2 << 20, 3 << 20), at(5 << 20, 3 << 20)],
    gallery: at(0, 1 << 20),
    events: at(1 << 20, 1 << 19),
    state: at(3 << 19, 1 << 19),
}
.checked();
