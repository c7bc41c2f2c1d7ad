//! Writing: records sealed one after the other, and the copy into the other bank when this one is full.

use embedded_storage::nor_flash::NorFlash;

use super::layout::{Content, HEADER, Header, MAX_RECORD, Record, UNIT, record_bytes};
use super::{Gallery, GalleryError, Line, PersonId};
use crate::embedding::{MAX_DIMENSION, norm_squared};

impl<F: NorFlash, T: AsRef<[Line]> + AsMut<[Line]>, const PEOPLE: usize> Gallery<F, T, PEOPLE> {
    /// Makes sure that `records` fit and one removal after them.
    pub(super) fn make_room(&mut self, records: u32) -> Result<(), GalleryError> {
        if self.slots() - self.next_slot > records {
            return Ok(());
        }
        let usage = self.usage();
        let free = usage.record_capacity.saturating_sub(usage.people + usage.templates);
        if records > free {
            return Err(GalleryError::Full { needed: records, free });
        }
        self.compact()
    }

    pub(super) fn append_template(&mut self, id: PersonId, template: &[i8]) -> Result<(), GalleryError> {
        let mut bytes = [0; MAX_DIMENSION];
        let bytes = &mut bytes[..template.len()];
        for (byte, &value) in bytes.iter_mut().zip(template) {
            *byte = value as u8;
        }
        self.append(id, Content::Template { norm_squared: norm_squared(template), bytes })
    }

    pub(super) fn append(&mut self, person: PersonId, content: Content<'_>) -> Result<(), GalleryError> {
        let slot = self.next_slot;
        let record = Record { sequence: self.sequence, person, content };
        let mut bytes = [0; MAX_RECORD];
        let bytes = &mut bytes[..record_bytes(self.dimension)];
        record.encode(bytes);
        let written = self.write_sealed(self.offset(slot), bytes);
        self.next_slot += 1;
        let applied = written.and_then(|()| self.apply(slot, person, content));
        self.or_stop(applied)
    }

    /// After a write that failed, RAM and flash may differ: nothing more until the gallery is opened again.
    fn or_stop(&mut self, result: Result<(), GalleryError>) -> Result<(), GalleryError> {
        if let Err(error) = &result {
            self.state = Err(*error);
        }
        result
    }

    /// Body first, then seal, then a look whether the flash took them.
    fn write_sealed(&mut self, offset: u32, bytes: &[u8]) -> Result<(), GalleryError> {
        let (body, close) = bytes.split_at(bytes.len() - UNIT);
        self.flash.write(offset, body)?;
        self.flash.write(offset + body.len() as u32, close)?;
        let mut seen = [0; MAX_RECORD];
        let seen = &mut seen[..bytes.len()];
        self.flash.read(offset, seen)?;
        if seen == bytes { Ok(()) } else { Err(GalleryError::Damaged { offset }) }
    }

    pub(super) fn erase_bank(&mut self, bank: u32) -> Result<(), GalleryError> {
        if self.first_programmed(bank, 0)?.is_some() {
            self.flash.erase(bank * self.bank_bytes(), (bank + 1) * self.bank_bytes())?;
        }
        Ok(())
    }

    /// Copies what is alive into the other bank and goes on there.
    pub(super) fn compact(&mut self) -> Result<(), GalleryError> {
        let copied = self.copy_to_other_bank();
        self.or_stop(copied)
    }

    fn copy_to_other_bank(&mut self) -> Result<(), GalleryError> {
        let (old, new) = (self.bank, 1 - self.bank);
        self.erase_bank(new)?;
        let mut source = [0; MAX_RECORD];
        let mut target = [0; MAX_RECORD];
        let length = record_bytes(self.dimension);
        let (mut copied, mut seen) = (0, 0);
        for slot in 0..self.next_slot {
            let Some(mut record) = self.read_record(slot, &mut source)? else { continue };
            self.expect(&record, slot, &mut seen)?;
            let Ok(at) = self.people.binary_search_by_key(&record.person, |p| p.id) else { continue };
            record.sequence = copied;
            record.encode(&mut target[..length]);
            let offset = new * self.bank_bytes() + HEADER as u32 + copied * self.record_bytes();
            self.write_sealed(offset, &target[..length])?;
            if let (Content::Person { .. }, Some(entry)) = (record.content, self.people.get_mut(at)) {
                entry.slot = copied;
            }
            copied += 1;
        }
        // Before the new bank counts and the old one goes.
        self.all_seen(seen)?;
        let old_header = old * self.bank_bytes();
        let exhausted = GalleryError::Damaged { offset: old_header };
        let header = Header {
            dimension: self.dimension as u16,
            generation: self.generation.checked_add(1).ok_or(exhausted)?,
            next_person: self.next_person,
            bank_bytes: self.bank_bytes(),
            embedding_id: self.embedding_id,
        };
        self.write_sealed(new * self.bank_bytes(), &header.encode())?;
        self.bank = new;
        self.generation = header.generation;
        (self.next_slot, self.sequence, self.pending) = (copied, copied, None);
        self.erase_bank(old)
    }
}
