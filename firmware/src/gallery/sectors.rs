//! Sectors and slots: reading, erasing, opening, replacing.

use embedded_storage::nor_flash::NorFlash;

use super::layout::{
    self, CLEAR, Clear, Found, HEADER, Header, Kind, MARKS, MAX_RECORD, Mark, Place, Replaces, SLOTS_AT, TAG,
    checksum, record_bytes,
};
use super::table::Entry;
use super::{FlashFault, Gallery, GalleryError, Head, Monotonic, PersonId, Room};
use crate::flash::{self, UNIT, is_erased};
use crate::kernels::as_i8;

/// A sector that was not erased while this many times all sectors were opened is replaced, however much of it counts.
const WEAR: u32 = 2;

/// Sectors that a gallery has at most.
const MAX_SECTORS: u16 = 1024;

/// The sectors with records that count. It is kept because a header that a cut left half erased may read as whole once more.
#[derive(Debug, Default)]
pub(super) struct Filled([u64; MAX_SECTORS as usize / 64]);

impl Filled {
    pub(super) fn has(&self, sector: u16) -> bool {
        self.0.get(usize::from(sector) / 64).is_some_and(|word| word >> (sector % 64) & 1 == 1)
    }

    pub(super) fn set(&mut self, sector: u16, filled: bool) {
        if let Some(word) = self.0.get_mut(usize::from(sector) / 64) {
            *word = *word & !(1 << (sector % 64)) | u64::from(filled) << (sector % 64);
        }
    }
}

/// The marks of a sector.
#[derive(Debug, Default)]
pub(super) struct Marks {
    /// Whether its copies are complete.
    pub complete: bool,
    /// Whether what it replaces is erased.
    pub erased: bool,
    /// Units written.
    pub written: usize,
}

/// A record that was read once and may read differently the next time.
pub(super) struct Suspect {
    pub slot: u16,
    /// `None` if it is not whole.
    pub clear: Option<Clear>,
    /// Opened.
    pub bytes: [u8; MAX_RECORD],
}

impl<F: NorFlash, Y: Room, M: Monotonic> Gallery<F, Y, M> {
    // Geometry.

    pub(super) fn record_bytes(&self) -> usize {
        record_bytes(self.dimension)
    }

    /// Slots of a sector.
    pub(super) fn slots(&self) -> u16 {
        layout::slots(F::ERASE_SIZE, self.dimension).min(u16::MAX as usize) as u16
    }

    /// Sectors in use: at most [`MAX_SECTORS`], and as many as a slot's number can tell apart.
    pub(super) fn sectors(&self) -> u16 {
        let numbers = MAX_SECTORS.min((u16::MAX - 1) / self.slots().max(1));
        (self.flash.capacity() / F::ERASE_SIZE).min(numbers as usize) as u16
    }

    /// Records that fit: a sector stays free, and a slot, so that a record can be written anew before the old one goes.
    pub(super) fn capacity(&self) -> u32 {
        let usable = u32::from(self.sectors().saturating_sub(1)) * u32::from(self.slots());
        usable.saturating_sub(1).min(self.table.capacity() as u32)
    }

    pub(super) fn sector_offset(&self, sector: u16) -> u32 {
        u32::from(sector) * F::ERASE_SIZE as u32
    }

    /// The sector that a slot lies in.
    pub(super) fn sector_of(&self, slot: u16) -> u16 {
        slot / self.slots().max(1)
    }

    /// What a template's payload holds of it.
    pub(super) fn stored<'p>(&self, payload: &'p [u8]) -> Option<&'p [i8]> {
        payload.get(..self.dimension).map(as_i8)
    }

    pub(super) fn slot_offset(&self, slot: u16) -> u32 {
        let (sector, place) = (slot / self.slots().max(1), slot % self.slots().max(1));
        self.sector_offset(sector) + (SLOTS_AT + usize::from(place) * self.record_bytes()) as u32
    }

    /// Two sectors of two slots are the least.
    pub(super) fn check_size(&self) -> Result<(), GalleryError> {
        if self.sectors() < 2 || self.slots() < 2 {
            let sector = (SLOTS_AT + 2 * self.record_bytes()).next_multiple_of(F::ERASE_SIZE);
            let found = self.flash.capacity() as u32;
            return Err(GalleryError::Small { needed: 2 * sector as u32, found });
        }
        Ok(())
    }

    // Reading.

    /// The header of a sector.
    pub(super) fn header(&mut self, sector: u16) -> Result<Found<Header>, GalleryError> {
        if let Some((recent, header)) = self.recent
            && recent == sector
        {
            return Ok(header);
        }
        let mut bytes = [0; HEADER];
        self.flash.read(self.sector_offset(sector), &mut bytes)?;
        let header = Header::decode(&bytes, sector);
        self.recent = Some((sector, header));
        Ok(header)
    }

    /// The header of a sector that counts.
    pub(super) fn counting(&mut self, sector: u16) -> Result<Option<Header>, GalleryError> {
        if self.counts.has(sector) { Ok(self.header(sector)?.value()) } else { Ok(None) }
    }

    pub(super) fn marks(&mut self, sector: u16, sequence: u32) -> Result<Marks, GalleryError> {
        let mut marks = Marks::default();
        for at in 0..MARKS {
            let mut unit = [0; UNIT];
            self.flash.read(self.sector_offset(sector) + (HEADER + at * UNIT) as u32, &mut unit)?;
            marks.complete |= unit == Mark::Complete.encode(sequence);
            marks.erased |= unit == Mark::Erased.encode(sequence);
            if !is_erased(&unit) {
                marks.written = at + 1;
            }
        }
        Ok(marks)
    }

    fn place(&self, header: &Header, slot: u16) -> Place {
        Place { sequence: header.sequence, salt: header.salt, slot }
    }

    /// Reads a record and opens it in place: its clear part if it is what was written there.
    pub(super) fn open_slot(
        &mut self,
        slot: u16,
        bytes: &mut [u8; MAX_RECORD],
    ) -> Result<Option<Clear>, GalleryError> {
        let Some(header) = self.header(self.sector_of(slot))?.value() else { return Ok(None) };
        let (place, length) = (self.place(&header, slot), self.record_bytes());
        let Some(record) = bytes.get_mut(..length) else { return Ok(None) };
        self.flash.read(self.slot_offset(slot), record)?;
        let Some(part) = record.first_chunk_mut::<CLEAR>() else { return Ok(None) };
        let Some(clear) = Clear::decode(part, place).value() else { return Ok(None) };
        *part = clear.encode(place);
        Ok(self.sealer.open(record, place).then_some(clear))
    }

    /// The payload of record `at` of the table; `None`, which the table then notes, when it cannot be read.
    pub(super) fn open_entry<'b>(
        &mut self,
        at: usize,
        bytes: &'b mut [u8; MAX_RECORD],
    ) -> Result<Option<&'b [u8]>, GalleryError> {
        let Some(entry) = self.table.get(at).filter(|entry| !entry.is_lost()) else { return Ok(None) };
        let opened = self.open_slot(entry.slot, bytes)?;
        if opened
            .is_some_and(|c| c.person == entry.person && c.number == entry.number() && c.kind != Kind::Lost)
        {
            return Ok(bytes.get(CLEAR..self.record_bytes() - TAG));
        }
        self.table.set_lost(at);
        Ok(None)
    }

    /// The clear part of what lies in a slot of a sector with `header`; `None` when nothing was written.
    pub(super) fn clear_part(
        &mut self,
        header: &Header,
        slot: u16,
    ) -> Result<Option<Found<Clear>>, GalleryError> {
        let mut part = [0; CLEAR];
        self.flash.read(self.slot_offset(slot), &mut part)?;
        Ok((!is_erased(&part)).then(|| Clear::decode(&part, self.place(header, slot))))
    }

    /// Whether no bit from `from` up to `to` is programmed.
    pub(super) fn is_blank(&mut self, from: u32, to: u32) -> Result<bool, GalleryError> {
        flash::is_blank(&mut self.flash, from, to).map_err(GalleryError::Flash)
    }

    // Writing.

    /// Writes, then looks whether the flash took it.
    fn write_checked(&mut self, offset: u32, bytes: &[u8]) -> Result<(), GalleryError> {
        flash::write_checked(&mut self.flash, offset, bytes).map_err(GalleryError::Flash)
    }

    pub(super) fn erase(&mut self, sector: u16) -> Result<(), GalleryError> {
        (self.recent, self.erased) = (None, None);
        self.counts.set(sector, false);
        let begin = self.sector_offset(sector);
        self.flash.erase(begin, begin + F::ERASE_SIZE as u32)?;
        self.erased = Some(sector);
        Ok(())
    }

    /// Writes a mark into unit `at`, or the first after it that takes it; without room for it, nothing. Returns the unit that
    /// comes next.
    pub(super) fn mark(
        &mut self,
        sector: u16,
        sequence: u32,
        mark: Mark,
        at: usize,
    ) -> Result<usize, GalleryError> {
        for at in at..MARKS {
            let offset = self.sector_offset(sector) + (HEADER + at * UNIT) as u32;
            match self.write_checked(offset, &mark.encode(sequence)) {
                // A cut may have been here before, more than once.
                Err(GalleryError::Flash(FlashFault::Mismatch)) => {}
                written => return written.map(|()| at + 1),
            }
        }
        Ok(MARKS)
    }

    /// Seals a record into `slot`, its last unit last.
    pub(super) fn write_record(
        &mut self,
        header: &Header,
        slot: u16,
        clear: Clear,
        fill: impl FnOnce(&mut [u8]),
    ) -> Result<(), GalleryError> {
        let (place, length, offset) = (self.place(header, slot), self.record_bytes(), self.slot_offset(slot));
        let mut bytes = [0; MAX_RECORD];
        let damaged = GalleryError::Damaged { offset };
        let record = bytes.get_mut(..length).ok_or(damaged)?;
        let (part, rest) = record.split_first_chunk_mut::<CLEAR>().ok_or(damaged)?;
        *part = clear.encode(place);
        fill(rest.split_last_chunk_mut::<TAG>().ok_or(damaged)?.0);
        if !self.sealer.seal(record, place) {
            return Err(damaged);
        }
        let (body, last) = record.split_last_chunk::<UNIT>().ok_or(damaged)?;
        self.write_checked(offset, body)?;
        self.write_checked(offset + body.len() as u32, last)
    }

    /// The free sector that comes next after the newest.
    pub(super) fn free_sector(&self, from: u16) -> Option<u16> {
        let sectors = self.sectors();
        for step in 0..sectors {
            let sector = (from + 1 + step) % sectors.max(1);
            if !self.counts.has(sector) {
                return Some(sector);
            }
        }
        None
    }

    fn free_sectors(&self) -> u16 {
        self.sectors().saturating_sub(self.filled)
    }

    /// Opens a free sector for records, or for copies of others.
    pub(super) fn open_sector(
        &mut self,
        sector: u16,
        replaces: Replaces,
        copies: u16,
        salt: u32,
    ) -> Result<Header, GalleryError> {
        let exhausted = GalleryError::NO_ROOM;
        let sequence = self.sequence.checked_add(1).ok_or(exhausted)?;
        let (filled, sum) = match replaces {
            Replaces::Nothing => (self.filled + 1, self.sum.wrapping_add(sequence)),
            Replaces::Sector { sequence: old, .. } => {
                (self.filled, self.sum.wrapping_sub(old).wrapping_add(sequence))
            }
            Replaces::All => (1, sequence),
        };
        let mut header = Header {
            dimension: self.dimension as u16,
            sequence,
            operation: self.operation,
            next_person: self.next_person,
            replaces,
            copies,
            sectors: self.sectors(),
            filled,
            sector_bytes: F::ERASE_SIZE as u32,
            salt,
            embedding_id: self.embedding_id,
            sum,
            seed: [0; 32],
            tag: [0; TAG],
        };
        let seed = self.transform.as_ref().ok_or(GalleryError::Blank)?.seed();
        if !self.sealer.seal_header(&mut header, sector, seed) {
            return Err(GalleryError::Damaged { offset: self.sector_offset(sector) });
        }
        if self.erased != Some(sector) {
            self.erase(sector)?;
        }
        (self.erased, self.recent) = (None, None);
        self.sequence = sequence;
        self.write_checked(self.sector_offset(sector), &header.encode(sector))?;
        (self.filled, self.sum) = (filled, sum);
        self.counts.set(sector, true);
        Ok(header)
    }

    /// The number of records that count in `sector`.
    fn live(&self, sector: u16) -> u16 {
        self.table.list().iter().filter(|e| self.sector_of(e.slot) == sector).count() as u16
    }

    /// Sees to a slot to write to.
    pub(super) fn make_slot(&mut self) -> Result<(), GalleryError> {
        while self.head.is_none_or(|head| head.next >= self.slots()) {
            let newest = self.head.map_or(0, |head| head.sector);
            if self.free_sectors() > 1
                && let Some(sector) = self.free_sector(newest)
            {
                let header = self.open_sector(sector, Replaces::Nothing, 0, 0)?;
                self.head = Some(Head { sector, header, next: 0 });
                continue;
            }
            let mut best = None;
            for sector in 0..self.sectors() {
                let live = self.live(sector);
                if self.counting(sector)?.is_some()
                    && live < self.slots()
                    && best.is_none_or(|(_, least)| live < least)
                {
                    best = Some((sector, live));
                }
            }
            let (sector, _) = best.ok_or(GalleryError::NO_ROOM)?;
            let aged = self.aged()?;
            self.replace(aged.unwrap_or(sector), None)?;
        }
        Ok(())
    }

    /// The sector that was longest not erased, if that is too long.
    fn aged(&mut self) -> Result<Option<u16>, GalleryError> {
        let mut oldest: Option<(u16, u32)> = None;
        for sector in 0..self.sectors() {
            if let Some(header) = self.counting(sector)?
                && oldest.is_none_or(|(_, least)| header.sequence < least)
            {
                oldest = Some((sector, header.sequence));
            }
        }
        let most = WEAR * u32::from(self.sectors());
        Ok(oldest.filter(|(_, sequence)| self.sequence - sequence > most).map(|(sector, _)| sector))
    }

    /// Replaces the sector that was longest not erased, if that is too long, so that what never changes does not spare it.
    pub(super) fn level_wear(&mut self) -> Result<(), GalleryError> {
        match self.aged()? {
            Some(sector) => self.replace(sector, None),
            None => Ok(()),
        }
    }

    /// Whether this device wrote `header` for this model.
    pub(super) fn is_own(&self, header: &Header, sector: u16) -> bool {
        header.embedding_id == self.embedding_id && self.sealer.open_header(header, sector).is_some()
    }

    /// Copies the records that count out of `sector` into a free one and erases it.
    pub(super) fn replace(&mut self, sector: u16, suspect: Option<&Suspect>) -> Result<(), GalleryError> {
        let damaged = GalleryError::Damaged { offset: self.sector_offset(sector) };
        let old = self.header(sector)?.value().ok_or(damaged)?;
        self.keep_damage(sector, &old, suspect.map(|s| s.slot))?;
        let from = self.head.map_or(sector, |head| head.sector);
        let free = self.free_sector(from).ok_or(GalleryError::NO_ROOM)?;
        let slots = self.slots();
        let (mut copies, mut salt) = (0, old.sequence);
        for entry in self.table.list().iter().filter(|e| self.sector_of(e.slot) == sector) {
            salt = checksum(&[&salt.to_le_bytes(), &entry.slot.to_le_bytes()]);
            copies += 1;
        }
        let replaces = Replaces::Sector { index: sector, sequence: old.sequence };
        let header = self.open_sector(free, replaces, copies, salt)?;
        let mut next = free * slots;
        for at in 0..self.table.list().len() {
            if self.table.get(at).is_some_and(|entry| self.sector_of(entry.slot) == sector) {
                self.copy(at, &header, next, suspect)?;
                next += 1;
            }
        }
        let next_mark = self.mark(free, header.sequence, Mark::Complete, 0)?;
        let per_sector = slots.max(1);
        let moved = self.table.list_mut().iter_mut().filter(|e| e.slot / per_sector == sector);
        for (slot, entry) in (free * slots..).zip(moved) {
            entry.slot = slot;
        }
        self.erase(sector)?;
        self.mark(free, header.sequence, Mark::Erased, next_mark)?;
        self.head = Some(Head { sector: free, header, next: copies });
        Ok(())
    }

    fn copy(
        &mut self,
        at: usize,
        header: &Header,
        to: u16,
        suspect: Option<&Suspect>,
    ) -> Result<(), GalleryError> {
        let Some(entry) = self.table.get(at) else { return Ok(()) };
        let payload = CLEAR..self.record_bytes() - TAG;
        let mut bytes = [0; MAX_RECORD];
        let clear = match suspect.filter(|s| s.slot == entry.slot) {
            Some(suspect) => {
                bytes = suspect.bytes;
                suspect.clear
            }
            None => self.open_slot(entry.slot, &mut bytes)?,
        };
        match clear.filter(|c| c.person == entry.person && c.number == entry.number()) {
            Some(clear) => {
                let payload = bytes.get(payload).unwrap_or_default();
                self.write_record(header, to, clear, |to| {
                    to.iter_mut().zip(payload).for_each(|(to, &from)| *to = from);
                })
            }
            None => {
                self.table.set_lost(at);
                let (person, number) = (entry.person, entry.number());
                let clear = Clear { kind: Kind::Lost, mark: 0, number, person, operation: 0 };
                self.write_record(header, to, clear, |_| ())
            }
        }
    }

    /// Gives records of `sector` that nobody can be told for a place in the table, so that the damage is not forgotten with
    /// them; one place for all of them.
    fn keep_damage(&mut self, sector: u16, header: &Header, except: Option<u16>) -> Result<(), GalleryError> {
        for slot in sector * self.slots()..(sector + 1) * self.slots() {
            if Some(slot) != except
                && self.clear_part(header, slot)? == Some(Found::Unreadable)
                && self.table.find(NOBODY.0, NOBODY.1).is_err()
            {
                // Without room in RAM it is forgotten.
                let _ = self.table.put(nobodys(slot));
            }
        }
        Ok(())
    }
}

/// The person and number of damage that is nobody's.
pub(super) const NOBODY: (PersonId, u16) = (PersonId(0), 1);

/// A record that nobody can be told for.
pub(super) fn nobodys(slot: u16) -> Entry {
    let mut entry = Entry::new(NOBODY.0, NOBODY.1, slot);
    entry.set_lost();
    entry
}
