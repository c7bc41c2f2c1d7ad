//! The ring.

use embedded_storage::nor_flash::NorFlash;
use heapless::Vec;

use super::{Entry, LogError, Page, What};
use crate::flash::seal::{self, NONCE, OVERHEAD, Sealer};
use crate::flash::{self, FlashFault, is_erased};
use crate::secret::DeviceSecret;
use crate::time::Stamp;
use crate::wire;

/// Bytes of a record.
pub const RECORD: usize = 64;

/// Slots that an append tries.
const TRIES: usize = 2;

/// Where the next record goes.
#[derive(Debug, Clone, Copy)]
struct Head {
    block: u32,
    /// The first slot of the block that is not known to be written to.
    slot: u32,
    /// The number of that slot.
    number: u32,
    /// Whether something was written since the last start, so that no earlier cut touched what follows.
    begun: bool,
}

/// An event log on the flash `F`.
#[derive(Debug)]
pub struct Log<F> {
    flash: F,
    sealer: Sealer,
    /// `None` until the flash was read.
    head: Option<Head>,
    lost: u32,
    error: Option<LogError>,
}

impl<F: NorFlash> Log<F> {
    /// Takes the flash and looks for the newest record: [`Log::error`] says whether that went well, and every append tries again.
    pub fn open<S: DeviceSecret>(flash: F, secret: &S) -> Self {
        const { assert!(flash::takes_units::<F>(), "the flash's units must divide 32 bytes") };
        const { assert!(RECORD.is_multiple_of(flash::UNIT)) };
        let sealer = Sealer::new(secret, b"arcgate events 2");
        let mut log = Log { flash, sealer, head: None, lost: 0, error: None };
        log.error = log.head().err();
        log
    }

    /// Logs an event if that is possible; if not, it is counted as [lost](Log::lost) and the device goes on.
    pub fn record(&mut self, stamp: Stamp, what: What) -> Option<u32> {
        let appended = self.append(stamp, what);
        self.error = appended.err();
        if appended.is_err() {
            self.lost = self.lost.saturating_add(1);
        }
        appended.ok()
    }

    /// Events since the start that could not be logged.
    pub fn lost(&self) -> u32 {
        self.lost
    }

    /// Why the last event was not logged.
    pub fn error(&self) -> Option<LogError> {
        self.error
    }

    /// Logs an event and gives its number: one record, and an erased block where the last is full.
    ///
    /// # Errors
    /// When the region is too small or the flash fails.
    pub fn append(&mut self, stamp: Stamp, what: What) -> Result<u32, LogError> {
        let mut failed = LogError::Exhausted;
        for _ in 0..TRIES {
            let head = self.make_slot()?;
            let (offset, mut record) = (Self::offset(head.block, head.slot), [0; RECORD]);
            let payload = &mut record[NONCE..RECORD - (OVERHEAD - NONCE)];
            // A test holds that the longest event fits.
            let encoded = wire::write(&(stamp, what), payload).is_some();
            if !(encoded && self.sealer.seal(head.number, offset, &mut record)) {
                return Err(LogError::Small { needed: 2 * RECORD as u32, found: RECORD as u32 });
            }
            self.head = Some(Self::behind(head)?);
            match flash::write_checked(&mut self.flash, offset, &record) {
                Ok(()) => return Ok(head.number),
                Err(fault) => failed = fault.into(),
            }
        }
        Err(failed)
    }

    /// The first `N` events from number `from` on; from the oldest on where `from` is gone already.
    ///
    /// # Errors
    /// When the region is too small or the flash fails.
    pub fn page<const N: usize>(&mut self, from: u32) -> Result<Page<N>, LogError> {
        let head = self.head()?;
        let mut page = Page { entries: Vec::new(), next: None };
        let mut block = self.after(head.block);
        let mut begin = self.first_number(block)?;
        for later in (0..self.blocks()).rev() {
            let following = self.after(block);
            let next = if later > 0 { self.first_number(following)? } else { None };
            // All of it was given before `from`.
            let is_before = next.is_some_and(|next| next <= from);
            if begin.is_some() && !is_before && !self.read_block(block, from, &mut page)? {
                break;
            }
            (block, begin) = (following, next);
        }
        Ok(page)
    }

    /// Forgets every event before, and logs that. A cut leaves some of them.
    ///
    /// # Errors
    /// When the region is too small or the flash fails.
    pub fn erase(&mut self, stamp: Stamp) -> Result<(), LogError> {
        let head = self.head()?;
        // In a block of its own, so that numbers go on.
        let skipped = Self::slots().saturating_sub(head.slot);
        let number = head.number.checked_add(skipped).ok_or(LogError::Exhausted)?;
        self.head = Some(Head { slot: Self::slots(), number, ..head });
        self.append(stamp, What::LogErased)?;
        let mut block = self.head()?.block;
        for _ in 1..self.blocks() {
            block = self.after(block);
            self.erase_block(block)?;
        }
        Ok(())
    }

    /// Gives the flash back.
    pub fn into_flash(self) -> F {
        self.flash
    }

    fn blocks(&self) -> u32 {
        (self.flash.capacity() / F::ERASE_SIZE) as u32
    }

    /// The block after `block` in the ring.
    fn after(&self, block: u32) -> u32 {
        if block + 1 < self.blocks() { block + 1 } else { 0 }
    }

    const fn slots() -> u32 {
        (F::ERASE_SIZE / RECORD) as u32
    }

    fn offset(block: u32, slot: u32) -> u32 {
        block * F::ERASE_SIZE as u32 + slot * RECORD as u32
    }

    fn erase_block(&mut self, block: u32) -> Result<(), FlashFault> {
        let begin = Self::offset(block, 0);
        Ok(self.flash.erase(begin, begin + F::ERASE_SIZE as u32)?)
    }

    /// The head with its next slot.
    fn behind(head: Head) -> Result<Head, LogError> {
        let number = head.number.checked_add(1).ok_or(LogError::Exhausted)?;
        Ok(Head { slot: head.slot + 1, number, ..head })
    }

    /// Opens the record in a slot, if it is one: its number, and what it says.
    fn open_slot(&mut self, block: u32, slot: u32) -> Result<Option<(u32, Option<Entry>)>, FlashFault> {
        let (mut record, offset) = ([0; RECORD], Self::offset(block, slot));
        self.flash.read(offset, &mut record)?;
        if is_erased(&record) {
            return Ok(None);
        }
        Ok(self.sealer.open(offset, &mut record).map(|(number, payload)| {
            let said = wire::read::<(Stamp, What)>(payload);
            (number, said.map(|((stamp, what), _)| Entry { number, stamp, what }))
        }))
    }

    /// The number of the first slot of a block, by the first record in it.
    fn first_number(&mut self, block: u32) -> Result<Option<u32>, FlashFault> {
        for slot in 0..Self::slots() {
            if let Some((number, _)) = self.open_slot(block, slot)? {
                return Ok(Some(number.saturating_sub(slot)));
            }
        }
        Ok(None)
    }

    /// Adds the events of a block; `false` when the page is full.
    fn read_block<const N: usize>(
        &mut self,
        block: u32,
        from: u32,
        page: &mut Page<N>,
    ) -> Result<bool, FlashFault> {
        for slot in 0..Self::slots() {
            let mut nonce = [0; flash::UNIT];
            self.flash.read(Self::offset(block, slot), &mut nonce)?;
            if nonce.first_chunk().is_none_or(|nonce| seal::number(nonce) < from) {
                continue;
            }
            let Some((number, Some(entry))) = self.open_slot(block, slot)? else { continue };
            if page.entries.push(entry).is_err() {
                page.next = Some(number);
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Where the next record goes, as far as can be seen.
    fn head(&mut self) -> Result<Head, LogError> {
        if let Some(head) = self.head {
            return Ok(head);
        }
        if self.blocks() < 2 || Self::slots() < 2 {
            let block = (2 * RECORD).next_multiple_of(F::ERASE_SIZE);
            return Err(LogError::Small { needed: 2 * block as u32, found: self.flash.capacity() as u32 });
        }
        let mut newest: Option<(u32, u32)> = None;
        for block in 0..self.blocks() {
            if let Some(first) = self.first_number(block)?
                && newest.is_none_or(|(_, number)| number < first)
            {
                newest = Some((block, first));
            }
        }
        let head = match newest {
            Some((block, first)) => {
                let mut slot = Self::slots();
                while slot > 0
                    && flash::is_blank(
                        &mut self.flash,
                        Self::offset(block, slot - 1),
                        Self::offset(block, slot),
                    )?
                {
                    slot -= 1;
                }
                let number = first.checked_add(slot).ok_or(LogError::Exhausted)?;
                Head { block, slot, number, begun: false }
            }
            // As if the last block were full, so that the first is erased.
            None => Head { block: self.blocks() - 1, slot: Self::slots(), number: 1, begun: false },
        };
        self.head = Some(head);
        Ok(head)
    }

    /// A slot that nothing was written to since its block was erased.
    fn make_slot(&mut self) -> Result<Head, LogError> {
        let mut head = self.head()?;
        while !head.begun && head.slot < Self::slots() {
            let skipped =
                flash::write_checked(&mut self.flash, Self::offset(head.block, head.slot), &[0; RECORD]);
            head = Self::behind(head)?;
            head.begun = skipped.is_ok();
            self.head = Some(head);
        }
        if head.slot >= Self::slots() {
            let block = self.after(head.block);
            self.erase_block(block)?;
            head = Head { block, slot: 0, begun: true, ..head };
            self.head = Some(head);
        }
        Ok(head)
    }
}
