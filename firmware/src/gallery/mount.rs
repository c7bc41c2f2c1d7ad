//! Mounting: which sectors count, what a power cut left of the newest, where the records lie.

use embedded_storage::nor_flash::NorFlash;

use super::layout::{
    Clear, Found, HEADER, Header, Kind, MAX_RECORD, Mark, Replaces, SLOTS_AT, VERSION, other_version,
};
use super::sectors::{NOBODY, Suspect, nobodys};
use super::table::Entry;
use super::transform::Transform;
use super::{Gallery, GalleryError, Head, Monotonic, Room};

/// What the headers say.
pub(super) struct Survey {
    /// The first sequence number that counts: that of the last format that was complete.
    floor: u32,
    /// The sector with the highest sequence number.
    newest: Option<(u16, Header)>,
}

impl<F: NorFlash, Y: Room, M: Monotonic> Gallery<F, Y, M> {
    /// Looks at every header: what counts, and the numbers of whatever gallery there is, so that none is given twice.
    pub(super) fn survey(&mut self) -> Result<Survey, GalleryError> {
        let mut found = Survey { floor: 0, newest: None };
        for sector in 0..self.sectors() {
            let Some(header) = self.header(sector)?.value() else { continue };
            self.sequence = header.sequence.max(self.sequence);
            self.operation = header.operation.max(self.operation);
            self.next_person = header.next_person.max(self.next_person);
            if found.newest.is_none_or(|(_, newest)| newest.sequence < header.sequence) {
                found.newest = Some((sector, header));
            }
            if header.replaces == Replaces::All && header.sequence > found.floor {
                let marks = self.marks(sector, header.sequence)?;
                if marks.complete || marks.erased {
                    found.floor = header.sequence;
                }
            }
        }
        Ok(found)
    }

    /// The newest header of whatever gallery there is.
    pub(super) fn newest_of_any(&mut self) -> Result<Option<Header>, GalleryError> {
        let floor = self.survey()?.floor;
        let mut newest: Option<Header> = None;
        for sector in 0..self.sectors() {
            let Some(header) = self.header(sector)?.value() else { continue };
            let counts =
                header.sequence > floor && header.replaces != Replaces::All || header.sequence == floor;
            if counts && newest.is_none_or(|n| n.sequence < header.sequence) {
                newest = Some(header);
            }
        }
        Ok(newest)
    }

    /// Notes which sectors have a header, whoever wrote it, so that a format leaves them for last.
    pub(super) fn see_any(&mut self) -> Result<(), GalleryError> {
        for sector in 0..self.sectors() {
            let there = self.header(sector)?.value().is_some();
            self.counts.set(sector, there);
        }
        Ok(())
    }

    /// No header can be read: nothing was ever here, or something was. A first format that a cut ended may have left anything
    /// where headers are, and nothing where records are.
    pub(super) fn nothing_here(&mut self) -> Result<GalleryError, GalleryError> {
        let (mut version, mut written) = (None, None);
        for sector in 0..self.sectors() {
            let begin = self.sector_offset(sector);
            let mut bytes = [0; HEADER];
            self.flash.read(begin, &mut bytes)?;
            version = version.or(other_version(&bytes));
            if written.is_none() && !self.is_blank(begin + SLOTS_AT as u32, begin + F::ERASE_SIZE as u32)? {
                written = Some(begin);
            }
        }
        Ok(match (written, version) {
            (None, _) => GalleryError::Blank,
            (Some(_), Some(found)) => GalleryError::Version { found, readable: VERSION },
            (Some(offset), None) => GalleryError::Damaged { offset },
        })
    }

    pub(super) fn mount(&mut self) -> Result<(), GalleryError> {
        self.check_size()?;
        let mut found = self.survey()?;
        let floor = found.floor;
        let (sector, header) = loop {
            let (sector, header) = self.newest(&found)?;
            if self.settle(sector, &header)? {
                break (sector, header);
            }
            // It was opened when the power went, and holds nothing that counts.
            self.erase(sector)?;
            found = Survey { floor, ..self.survey()? };
        };
        let seed = self.sealer.open_header(&header, sector).ok_or(GalleryError::OtherDevice)?;
        self.transform = Some(Transform::new(&seed, self.dimension)?);
        (self.operation, self.next_person) = (header.operation, header.next_person);
        (self.filled, self.sum) = (header.filled, header.sum);
        self.head = Some(Head { sector, header, next: header.copies.saturating_add(1) });
        let last = self.last_written(sector, &header)?;
        self.read_records(floor, (sector, header.sequence), last.as_ref())?;
        self.check_counter()?;
        let orphans = self.table.drop_orphans();
        if let Some(last) = &last {
            self.replace(sector, Some(last))?;
        }
        if orphans && self.table.find(NOBODY.0, NOBODY.1).is_err() {
            self.erase_orphans()?;
        }
        if self.stale {
            self.erase_stale()?;
        }
        // Not before what was cut is settled: it may have read as an operation more than there was.
        if self.counter.advance(self.operation) { Ok(()) } else { Err(GalleryError::Counter) }
    }

    /// The newest sector of this gallery.
    fn newest(&mut self, found: &Survey) -> Result<(u16, Header), GalleryError> {
        let floor = found.floor;
        // A format for this model that a cut ended leaves the other model's gallery in force.
        let begun = |(_, h): &(u16, Header)| h.replaces == Replaces::All && h.sequence > floor;
        let mut newest: Option<(u16, Header)> = None;
        let mut other: Option<(u16, Header)> = None;
        // As it is nearly always: tags take most of the time.
        if let Some(newest @ (sector, header)) = found.newest
            && self.is_own(&header, sector)
            && !begun(&newest)
        {
            return self.check_newest(newest);
        }
        for sector in 0..self.sectors() {
            let Some(header) = self.header(sector)?.value().filter(|h| h.sequence >= floor) else { continue };
            let place = if self.is_own(&header, sector) { &mut newest } else { &mut other };
            if place.is_none_or(|(_, n)| n.sequence < header.sequence) {
                *place = Some((sector, header));
            }
        }
        match (newest, other) {
            (Some(newest), other) if other.is_none() || !begun(&newest) => self.check_newest(newest),
            (_, Some((_, header))) if header.embedding_id != self.embedding_id => {
                Err(GalleryError::wrong_model([&header.embedding_id, &self.embedding_id]))
            }
            (_, Some(_)) => Err(GalleryError::OtherDevice),
            _ => Err(self.nothing_here()?),
        }
    }

    fn check_newest(&mut self, (sector, header): (u16, Header)) -> Result<(u16, Header), GalleryError> {
        if usize::from(header.dimension) != self.dimension {
            return Err(GalleryError::Damaged { offset: self.sector_offset(sector) });
        }
        let (recorded, found) = (header.sector_bytes, F::ERASE_SIZE as u32);
        if recorded != found {
            return Err(GalleryError::SectorBytes { recorded, found });
        }
        let (recorded, found) = (header.sectors, self.sectors());
        if recorded != found {
            return Err(GalleryError::Resized { recorded, found });
        }
        Ok((sector, header))
    }

    /// Ends the opening of the newest sector, if a cut did not let it end; `false`: it never counted.
    fn settle(&mut self, sector: u16, header: &Header) -> Result<bool, GalleryError> {
        let begin = self.slot_offset(sector * self.slots());
        let end = self.sector_offset(sector) + F::ERASE_SIZE as u32;
        let marks = self.marks(sector, header.sequence)?;
        let replaced = match header.replaces {
            Replaces::Nothing => return Ok(!self.is_blank(begin, end)?),
            Replaces::All => None,
            Replaces::Sector { index, sequence } => {
                let there = index != sector && index < self.sectors();
                let old = if there { self.header(index)?.value() } else { None };
                let stands = old.is_some_and(|old| old.sequence == sequence);
                if !stands && !there {
                    return Ok(true);
                }
                if stands && !marks.complete && !marks.erased {
                    return Ok(false);
                }
                Some(index)
            }
        };
        if marks.erased {
            return Ok(true);
        }
        if replaced.is_none() && !marks.complete {
            return Ok(false);
        }
        // The mark may be one that a cut ended and that reads as whole only now: another one, with a unit between them that
        // a cut may have touched, before the last copy goes.
        let next = self.mark(sector, header.sequence, Mark::Complete, marks.written + 1)?;
        match replaced {
            Some(index) => self.erase(index)?,
            None => self.erase_others(sector)?,
        }
        self.mark(sector, header.sequence, Mark::Erased, next)?;
        Ok(true)
    }

    /// The last record that was written into the newest sector after its copies: a cut may have ended it.
    fn last_written(&mut self, sector: u16, header: &Header) -> Result<Option<Suspect>, GalleryError> {
        let first = sector * self.slots();
        for slot in (first + header.copies.min(self.slots())..first + self.slots()).rev() {
            let offset = self.slot_offset(slot);
            if !self.is_blank(offset, offset + self.record_bytes() as u32)? {
                let mut bytes = [0; MAX_RECORD];
                let clear = self.open_slot(slot, &mut bytes)?;
                return Ok(Some(Suspect { slot, clear, bytes }));
            }
        }
        Ok(None)
    }

    /// Fills the table from all sectors that count; others are erased.
    fn read_records(
        &mut self,
        floor: u32,
        newest: (u16, u32),
        last: Option<&Suspect>,
    ) -> Result<(), GalleryError> {
        let (mut filled, mut sum) = (0u16, 0u32);
        for sector in 0..self.sectors() {
            if let Some(header) = self.header(sector)?.value() {
                if header.sequence >= newest.1 && sector != newest.0 {
                    // It was being opened or erased when the power went, and did not read as whole before.
                    self.erase(sector)?;
                } else if header.sequence < floor || !self.is_own(&header, sector) {
                    self.reject(sector)?;
                } else {
                    (filled, sum) = (filled + 1, sum.wrapping_add(header.sequence));
                    self.counts.set(sector, true);
                }
            }
        }
        self.check_sectors(filled, sum)?;
        for sector in 0..self.sectors() {
            let Some(header) = self.counting(sector)? else { continue };
            for slot in sector * self.slots()..(sector + 1) * self.slots() {
                if last.is_none_or(|last| last.slot != slot)
                    && let Some(clear) = self.clear_part(&header, slot)?
                {
                    self.take(clear.value(), slot)?;
                }
            }
        }
        if let Some(Suspect { slot, clear: clear @ Some(_), .. }) = last {
            self.take(*clear, *slot)?;
        }
        self.in_order()
    }

    /// A sector that is not of this gallery.
    fn reject(&mut self, sector: u16) -> Result<(), GalleryError> {
        self.foreign += 1;
        self.erase(sector)
    }

    /// Holds the sectors found against what the newest says of them; one that is too many is told by the sum.
    fn check_sectors(&mut self, filled: u16, sum: u32) -> Result<(), GalleryError> {
        if (filled, sum) == (self.filled, self.sum) {
            return Ok(());
        }
        let surplus = sum.wrapping_sub(self.sum);
        for sector in 0..self.sectors() {
            // One that a cut left half erased may not read as whole any more.
            let is_surplus = self.counts.has(sector)
                && self.header(sector)?.value().is_none_or(|header| header.sequence == surplus);
            if filled == self.filled + 1 && is_surplus {
                return self.reject(sector);
            }
        }
        if M::PRESENT || filled >= self.filled {
            // Sectors are missing or from an older state, and none can be told from the other.
            let counter = self.counter.read().ok_or(GalleryError::Counter)?;
            return Err(GalleryError::Rollback { gallery: self.operation, counter });
        }
        self.missing = self.filled - filled;
        (self.filled, self.sum) = (filled, sum);
        Ok(())
    }

    /// Takes a record into the table, out of order.
    fn take(&mut self, clear: Option<Clear>, slot: u16) -> Result<(), GalleryError> {
        let entry = match clear {
            Some(clear) => {
                self.operation = self.operation.max(clear.operation);
                self.next_person = self.next_person.max(clear.person.0.saturating_add(1));
                let mut entry = Entry::new(clear.person, clear.number, slot);
                if clear.kind == Kind::Lost {
                    entry.set_lost();
                }
                entry
            }
            None => nobodys(slot),
        };
        if !self.table.push(entry) {
            self.in_order()?;
            if !self.table.push(entry) {
                return Err(GalleryError::Records { capacity: self.table.capacity() as u32 });
            }
        }
        Ok(())
    }

    /// Puts the table in order; of two records of the same the later one stays.
    fn in_order(&mut self) -> Result<(), GalleryError> {
        self.table.sort();
        let mut from = 0;
        while let Some((at, [a, b])) = self.table.double(from) {
            let [first, second] = [self.operation_of(a)?, self.operation_of(b)?];
            if second <= first {
                self.table.prefer_first(at);
            }
            from = at + 1;
        }
        self.stale |= self.table.drop_doubles();
        Ok(())
    }

    fn operation_of(&mut self, slot: u16) -> Result<Option<u32>, GalleryError> {
        let Some(header) = self.header(self.sector_of(slot))?.value() else { return Ok(None) };
        let clear = self.clear_part(&header, slot)?.and_then(Found::value);
        Ok(clear.map(|clear| clear.operation))
    }

    /// Accepts what the counter says and one operation more, which a cut kept from being counted.
    fn check_counter(&mut self) -> Result<(), GalleryError> {
        let counter = self.counter.read().ok_or(GalleryError::Counter)?;
        match self.operation.checked_sub(counter) {
            Some(0 | 1) => Ok(()),
            _ if !M::PRESENT => Ok(()),
            _ => Err(GalleryError::Rollback { gallery: self.operation, counter }),
        }
    }
}
