//! How much of the stack a piece of work takes: what lies below is painted first, and looked at afterwards.

use core::hint::black_box;

/// Bytes just below the painting function that stay as they are: its own frame and those that it calls.
const OWN: usize = 256;

/// What is painted with.
const PAINT: u8 = 0xa5;

/// A stack that was painted.
#[derive(Debug)]
pub struct Painted {
    /// Where the stack of whoever painted ends.
    top: usize,
    bytes: usize,
}

/// Paints `bytes` bytes of a stack that grows downwards, below the function that calls this.
///
/// # Safety
/// As many bytes below the stack pointer are RAM, of the stack and of nothing else, and the program is optimized: without that the
/// frames of the painting loop itself may reach into what it paints.
#[inline(never)]
pub unsafe fn paint(bytes: usize) -> Painted {
    let mark = black_box(0u8);
    let top = &raw const mark as usize;
    for at in top.saturating_sub(bytes)..top.saturating_sub(OWN) {
        // SAFETY: the caller says that this is the stack's, and no frame that is in use lies this far down.
        unsafe { (at as *mut u8).write_volatile(PAINT) };
    }
    Painted { top, bytes }
}

impl Painted {
    /// The lowest address whose paint is gone. Work that leaves the last bytes that it reaches as the paint was is seen a few
    /// bytes too small; below 256 bytes nothing can be told apart.
    #[inline(never)]
    pub fn lowest(&self) -> usize {
        let last = self.top.saturating_sub(OWN);
        // SAFETY: `paint` wrote there, and any bytes are bytes.
        let is_painted = |at: &usize| unsafe { (*at as *const u8).read_volatile() } == PAINT;
        (self.top.saturating_sub(self.bytes)..last).find(|at| !is_painted(at)).unwrap_or(last)
    }

    /// Bytes of stack that were taken at most since, below the function that painted.
    pub fn used(&self) -> usize {
        self.top - self.lowest()
    }
}
