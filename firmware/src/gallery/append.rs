//! Operations: what they append, and how they end.

use embedded_storage::nor_flash::NorFlash;

use super::layout::{Clear, Found, Kind, Mark, Replaces, encode_person};
use super::table::{Entry, Table};
use super::transform::{Seed, Transform};
use super::{Gallery, GalleryError, Head, Monotonic, PersonId, Room};
use crate::time::Validity;

impl<F: NorFlash, Y: Room, M: Monotonic> Gallery<F, Y, M> {
    /// After a write that failed, RAM and flash may differ: nothing more until the gallery is mounted again.
    fn or_stop<V>(&mut self, result: Result<V, GalleryError>) -> Result<V, GalleryError> {
        if let Err(error) = &result {
            self.state = Err(*error);
        }
        result
    }

    pub(super) fn begin_operation(&mut self) -> Result<(), GalleryError> {
        let exhausted = GalleryError::NO_ROOM;
        self.operation = self.operation.checked_add(1).ok_or(exhausted)?;
        Ok(())
    }

    pub(super) fn end_operation(&mut self) -> Result<(), GalleryError> {
        let advanced = if self.counter.advance(self.operation) { Ok(()) } else { Err(GalleryError::Counter) };
        self.or_stop(advanced)
    }

    /// Ends an operation after which an older record counts no more.
    pub(super) fn end_change(&mut self) -> Result<(), GalleryError> {
        let erased = self.erase_stale().and_then(|()| self.level_wear());
        self.or_stop(erased)?;
        self.end_operation()
    }

    /// Appends a template as it is stored: transformed.
    pub(super) fn append_template(
        &mut self,
        person: PersonId,
        number: u16,
        stored: &[i8],
    ) -> Result<(), GalleryError> {
        let clear = Clear { kind: Kind::Template, mark: 0, number, person, operation: self.operation };
        self.append(clear, |payload| {
            for (byte, &value) in payload.iter_mut().zip(stored) {
                *byte = value as u8;
            }
        })?;
        if self.index.push(person, stored)
            && let Ok(at) = self.table.find(person, number)
        {
            self.table.set_opened(at);
        }
        Ok(())
    }

    pub(super) fn append_person(
        &mut self,
        person: PersonId,
        name: &str,
        validity: Validity,
    ) -> Result<(), GalleryError> {
        let mark = self.sealer.name_mark(name);
        let clear = Clear { kind: Kind::Person, mark, number: 0, person, operation: self.operation };
        self.append(clear, |payload| encode_person(name, validity, payload))
    }

    pub(super) fn append(&mut self, clear: Clear, fill: impl FnOnce(&mut [u8])) -> Result<(), GalleryError> {
        let appended = self.try_append(clear, fill);
        self.or_stop(appended)
    }

    fn try_append(&mut self, clear: Clear, fill: impl FnOnce(&mut [u8])) -> Result<(), GalleryError> {
        self.make_slot()?;
        let Some(head) = self.head else { return Err(GalleryError::NO_ROOM) };
        let slot = head.sector * self.slots() + head.next;
        self.head = Some(Head { next: head.next + 1, ..head });
        self.write_record(&head.header, slot, clear, fill)?;
        let entry = Entry::new(clear.person, clear.number, slot);
        if self.table.put(entry) {
            Ok(())
        } else {
            Err(GalleryError::Records { capacity: self.table.capacity() as u32 })
        }
    }

    /// Removes somebody and all that there is of them: when this returns, nothing of theirs is left in the flash.
    ///
    /// Their sectors are replaced and erased on every flash, also on one whose units can be programmed again
    /// (`MultiwriteNorFlash`). Zeros over the payload would be quicker there, but a cut before the removal counts would leave a
    /// broken seal that nobody can tell from damage; one way for all flashes also has one set of cuts to prove.
    ///
    /// # Errors
    /// When nobody has that number or the flash fails; a full gallery always takes a removal.
    pub fn remove(&mut self, person: PersonId) -> Result<(), GalleryError> {
        self.state?;
        let entry = self.entry(person)?;
        let removed = self.try_remove(person, entry);
        self.or_stop(removed)
    }

    fn try_remove(&mut self, person: PersonId, entry: Entry) -> Result<(), GalleryError> {
        self.begin_operation()?;
        self.table.remove(person);
        self.index.remove(person);
        self.replace(self.sector_of(entry.slot), None)?;
        self.erase_orphans()?;
        self.erase_nobodys()?;
        self.end_operation()
    }

    /// Replaces every sector with a record of somebody who is not enrolled.
    pub(super) fn erase_orphans(&mut self) -> Result<(), GalleryError> {
        let orphan = |table: &Table<Y::Records>, _: u16, found: Found<Clear>| {
            found.value().is_some_and(|clear| table.of(clear.person).is_empty())
        };
        while let Some(sector) = self.find_sector(orphan)? {
            self.replace(sector, None)?;
        }
        Ok(())
    }

    /// Replaces every sector with a record that does not say whose it is any more, and erases what lies in sectors that do not
    /// count: both may be of who was removed.
    fn erase_nobodys(&mut self) -> Result<(), GalleryError> {
        while let Some(sector) = self.find_sector(|_, _, found| found == Found::Unreadable)? {
            self.replace(sector, None)?;
        }
        for sector in 0..self.sectors() {
            let begin = self.sector_offset(sector);
            if !self.counts.has(sector) && !self.is_blank(begin, begin + F::ERASE_SIZE as u32)? {
                self.erase(sector)?;
            }
        }
        Ok(())
    }

    /// Replaces every sector with a record in the place of which another one counts: were that one damaged, the old one would
    /// count again.
    pub(super) fn erase_stale(&mut self) -> Result<(), GalleryError> {
        let stale = |table: &Table<Y::Records>, slot: u16, found: Found<Clear>| {
            let counts = |clear: Clear| table.get(table.find(clear.person, clear.number).ok()?);
            found.value().and_then(counts).is_some_and(|counting| counting.slot != slot)
        };
        while let Some(sector) = self.find_sector(stale)? {
            self.replace(sector, None)?;
        }
        Ok(())
    }

    /// The first sector with a record for which `wanted`.
    fn find_sector(
        &mut self,
        wanted: impl Fn(&Table<Y::Records>, u16, Found<Clear>) -> bool,
    ) -> Result<Option<u16>, GalleryError> {
        for sector in 0..self.sectors() {
            let Some(header) = self.counting(sector)? else { continue };
            for slot in sector * self.slots()..(sector + 1) * self.slots() {
                let found = self.clear_part(&header, slot)?;
                if found.is_some_and(|found| wanted(&self.table, slot, found)) {
                    return Ok(Some(sector));
                }
            }
        }
        Ok(None)
    }

    /// Begins an empty gallery for the model in use and erases everything else. A gallery that lies in the flash, also one of
    /// another model, stays until the empty one is whole.
    ///
    /// # Errors
    /// When the flash is too small or fails.
    ///
    /// The gallery gets another transform: templates that leaked from the one before are worth nothing in it.
    pub fn format(&mut self) -> Result<(), GalleryError> {
        self.format_with(None)
    }

    /// As [`Gallery::format`], with the transform of `seed`, so that templates of a gallery that had it can be put back.
    pub(crate) fn format_with(&mut self, seed: Option<&Seed>) -> Result<(), GalleryError> {
        self.check_size()?;
        let formatted = self.try_format(seed);
        self.or_stop(formatted)
    }

    fn try_format(&mut self, seed: Option<&Seed>) -> Result<(), GalleryError> {
        if self.state.is_err() {
            self.forget();
            self.survey()?;
            self.see_any()?;
        }
        let newest = self.head.map_or(0, |head| head.sector);
        // A gallery always leaves a sector free; what has none is no gallery.
        let sector = self.free_sector(newest).unwrap_or(0);
        let counted = self.counter.read().ok_or(GalleryError::Counter)?;
        self.operation = self.operation.max(counted);
        self.begin_operation()?;
        (self.foreign, self.missing) = (0, 0);
        self.table.clear();
        self.index.clear();
        let drawn = self.sealer.draw_seed(self.sequence);
        self.transform = Some(Transform::new(seed.unwrap_or(&drawn), self.dimension)?);
        let header = self.open_sector(sector, Replaces::All, 0, 0)?;
        let next = self.mark(sector, header.sequence, Mark::Complete, 0)?;
        self.erase_others(sector)?;
        self.mark(sector, header.sequence, Mark::Erased, next)?;
        self.head = Some(Head { sector, header, next: 0 });
        self.state = Ok(());
        self.end_operation()
    }

    /// Erases everything, for a flash in which no header says whose an empty gallery would be; where one does, [`Gallery::format`] goes
    /// on with its numbers. A cut leaves some sectors.
    ///
    /// # Errors
    /// When the flash fails; sectors behind that are erased all the same.
    pub fn wipe(&mut self) -> Result<(), GalleryError> {
        self.forget();
        self.state = Err(GalleryError::Blank);
        let mut wiped = Ok(());
        for sector in 0..self.sectors() {
            wiped = wiped.and(self.erase_written(sector));
        }
        self.or_stop(wiped)
    }

    /// Erases every sector but `sector` in which anything is programmed.
    pub(super) fn erase_others(&mut self, sector: u16) -> Result<(), GalleryError> {
        (0..self.sectors()).filter(|&s| s != sector).try_for_each(|other| self.erase_written(other))
    }

    /// Erases a sector in which anything is programmed.
    fn erase_written(&mut self, sector: u16) -> Result<(), GalleryError> {
        let begin = self.sector_offset(sector);
        if self.is_blank(begin, begin + F::ERASE_SIZE as u32)? { Ok(()) } else { self.erase(sector) }
    }
}
