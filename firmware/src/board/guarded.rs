//! The flash chip, and the watchdog that long work on it feeds.

use core::cell::RefCell;

use embedded_storage::nor_flash::{ErrorType, NorFlash, ReadNorFlash};

use super::Watchdog;
use crate::flash::Alive;

/// A chip that feeds the watchdog before it erases each sector, and before each [piece](Alive) of work on what it holds. To erase a
/// whole gallery, or to try a model on all its pictures, takes longer than a watchdog waits; sectors and pieces are counted, so that it
/// ends.
#[derive(Debug)]
pub struct Guarded<F, W> {
    chip: F,
    watchdog: W,
}

impl<F, W> Guarded<F, W> {
    /// Both of them.
    pub const fn new(chip: F, watchdog: W) -> Self {
        Guarded { chip, watchdog }
    }
}

impl<F: ErrorType, W> ErrorType for Guarded<F, W> {
    type Error = F::Error;
}

impl<F: ReadNorFlash, W> ReadNorFlash for Guarded<F, W> {
    const READ_SIZE: usize = F::READ_SIZE;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), F::Error> {
        self.chip.read(offset, bytes)
    }

    fn capacity(&self) -> usize {
        self.chip.capacity()
    }
}

impl<F: NorFlash, W: Watchdog> NorFlash for Guarded<F, W> {
    const WRITE_SIZE: usize = F::WRITE_SIZE;
    const ERASE_SIZE: usize = F::ERASE_SIZE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), F::Error> {
        let sector = F::ERASE_SIZE as u32;
        // What is no sector's beginning or end is for the chip to refuse.
        if !from.is_multiple_of(sector) || !to.is_multiple_of(sector) {
            return self.chip.erase(from, to);
        }
        let mut at = from;
        while at < to {
            self.watchdog.feed();
            self.chip.erase(at, at + sector)?;
            at += sector;
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), F::Error> {
        self.chip.write(offset, bytes)
    }
}

/// The watchdog of a chip that several share, for the rounds.
impl<F, W: Watchdog> Watchdog for &RefCell<Guarded<F, W>> {
    fn feed(&mut self) {
        // Between two operations the chip is nobody's.
        if let Ok(mut guarded) = self.try_borrow_mut() {
            guarded.watchdog.feed();
        }
    }
}

/// For whoever works on a part of the chip.
impl<F, W: Watchdog> Alive for &RefCell<Guarded<F, W>> {
    fn alive(&self) {
        let mut shared = *self;
        shared.feed();
    }
}

#[cfg(test)]
mod tests {
    use std::vec;
    use std::vec::Vec;

    use super::*;
    use crate::flash::nor::MemoryNor;
    use crate::flash::{Mapped, Partition, Region};

    struct Fed(u32);

    impl Watchdog for Fed {
        fn feed(&mut self) {
            self.0 += 1;
        }
    }

    #[test]
    fn each_piece_of_work_on_a_part_feeds_it() {
        let nor = MemoryNor::<Vec<u8>, 4, 1024>::new(vec![0; 8 * 1024]);
        let chip = RefCell::new(Guarded::new(nor, Fed(0)));
        let part = Partition::new(&chip, Region { offset: 1024, length: 2048 }).unwrap();
        let bytes = [0; 2048];
        // SAFETY: these are no bytes of the chip, and nobody writes to it.
        let mapped = unsafe { Mapped::new(part, bytes.as_ptr()) };
        (0..3).for_each(|_| mapped.alive());
        assert_eq!(chip.borrow().watchdog.0, 3);
    }

    #[test]
    fn each_sector_that_is_erased_feeds_it() {
        let nor = MemoryNor::<Vec<u8>, 4, 1024>::new(vec![0; 8 * 1024]);
        let chip = RefCell::new(Guarded::new(nor, Fed(0)));
        chip.borrow_mut().erase(1024, 6 * 1024).unwrap();
        assert_eq!(chip.borrow().watchdog.0, 5);
        let mut bytes = vec![0; 8 * 1024];
        chip.borrow_mut().read(0, &mut bytes).unwrap();
        let erased: Vec<bool> = bytes.chunks(1024).map(|sector| sector == [0xff; 1024]).collect();
        assert_eq!(erased, [false, true, true, true, true, true, false, false]);
        assert!(chip.borrow_mut().erase(100, 2048).is_err(), "no sector's beginning");
        assert!(chip.borrow_mut().erase(7 * 1024, 9 * 1024).is_err(), "behind the chip");
        (&chip).feed();
        let busy = chip.borrow_mut();
        (&chip).feed();
        assert_eq!(busy.watchdog.0, 5 + 2 + 1, "no feeding while it is in use");
    }
}
