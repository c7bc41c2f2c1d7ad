//! Reading: which bank counts, what its records say, whether any of them was lost, and the templates into RAM.

use embedded_storage::nor_flash::NorFlash;

use crate::engine::kernels::as_i8;

use super::layout::{
    Content, HEADER, Header, MAX_RECORD, Record, Seal, UNIT, is_erased, judge, record_bytes,
};
use super::{Entry, Gallery, GalleryError, Index, Line, Pending, PersonId};

impl<F: NorFlash, T: AsRef<[Line]> + AsMut<[Line]>, const PEOPLE: usize> Gallery<F, T, PEOPLE> {
    pub(super) fn read_header(&mut self, bank: u32) -> Result<(Seal, [u8; HEADER]), GalleryError> {
        let mut bytes = [0; HEADER];
        self.flash.read(bank * self.bank_bytes(), &mut bytes)?;
        Ok((judge(&bytes), bytes))
    }

    /// The record in `slot`; `None` when it is erased or a power cut ended its writing. Who reads all of them holds their
    /// numbers against [`Self::expect`], because a damaged seal can look like a cut one.
    pub(super) fn read_record<'b>(
        &mut self,
        slot: u32,
        bytes: &'b mut [u8; MAX_RECORD],
    ) -> Result<Option<Record<'b>>, GalleryError> {
        let offset = self.offset(slot);
        let bytes = &mut bytes[..record_bytes(self.dimension)];
        self.flash.read(offset, bytes)?;
        match judge(bytes) {
            Seal::Erased | Seal::Torn => Ok(None),
            Seal::Broken => Err(GalleryError::Damaged { offset }),
            Seal::Whole => {
                Record::decode(bytes, self.dimension).map(Some).ok_or(GalleryError::Damaged { offset })
            }
        }
    }

    /// Counts a whole record: `seen` is how many came before it, and becomes one more.
    pub(super) fn expect(&self, record: &Record<'_>, slot: u32, seen: &mut u32) -> Result<(), GalleryError> {
        if record.sequence != *seen {
            return Err(GalleryError::Damaged { offset: self.offset(slot) });
        }
        *seen += 1;
        Ok(())
    }

    /// Holds how many records were read against how many there are.
    pub(super) fn all_seen(&self, seen: u32) -> Result<(), GalleryError> {
        let offset = self.offset(self.next_slot);
        if seen == self.sequence { Ok(()) } else { Err(GalleryError::Damaged { offset }) }
    }

    /// The first byte of `bank` at or after `from` that is not erased.
    pub(super) fn first_programmed(&mut self, bank: u32, from: u32) -> Result<Option<u32>, GalleryError> {
        let (begin, end) = (bank * self.bank_bytes(), (bank + 1) * self.bank_bytes());
        let mut bytes = [0; 4 * UNIT];
        let mut at = begin + from;
        while at < end {
            let length = bytes.len().min((end - at) as usize);
            self.flash.read(at, &mut bytes[..length])?;
            if !is_erased(&bytes[..length]) {
                return Ok(Some(at));
            }
            at += length as u32;
        }
        Ok(None)
    }

    pub(super) fn scan(&mut self) -> Result<(), GalleryError> {
        self.check_size()?;
        let Some((bank, header)) = self.newest_header()? else { return Err(self.blank_or_damaged()?) };
        self.bank = bank;
        if header.bank_bytes != self.bank_bytes() {
            return Err(GalleryError::Resized { recorded: header.bank_bytes, found: self.bank_bytes() });
        }
        if header.embedding_id != self.embedding_id {
            let (gallery, model) = (header.embedding_id, self.embedding_id);
            return Err(GalleryError::WrongModel { gallery, model });
        }
        if header.dimension as usize != self.dimension {
            return Err(GalleryError::Damaged { offset: bank * self.bank_bytes() });
        }
        self.generation = header.generation;
        self.next_person = header.next_person;
        self.read_log()?;
        self.open_templates()?;
        // What a cut compaction left in the other bank.
        self.erase_bank(1 - bank)
    }

    /// The bank that counts.
    pub(super) fn newest_header(&mut self) -> Result<Option<(u32, Header)>, GalleryError> {
        let mut newest: Option<(u32, Header)> = None;
        for bank in 0..2 {
            if let (Seal::Whole, bytes) = self.read_header(bank)? {
                let header = Header::decode(&bytes, bank * self.bank_bytes())?;
                if newest.is_none_or(|(_, n)| header.generation > n.generation) {
                    newest = Some((bank, header));
                }
            }
        }
        Ok(newest)
    }

    /// No header is whole: nothing was ever here (or a cut ended the first format), or something was.
    pub(super) fn blank_or_damaged(&mut self) -> Result<GalleryError, GalleryError> {
        for bank in 0..2 {
            let (seal, _) = self.read_header(bank)?;
            let from = if seal == Seal::Torn { HEADER as u32 } else { 0 };
            if let Some(offset) = self.first_programmed(bank, from)? {
                return Ok(GalleryError::Damaged { offset });
            }
        }
        Ok(GalleryError::Blank)
    }

    fn read_log(&mut self) -> Result<(), GalleryError> {
        let mut bytes = [0; MAX_RECORD];
        let length = record_bytes(self.dimension);
        let mut end = None;
        for slot in 0..self.slots() {
            let offset = self.offset(slot);
            let bytes = &mut bytes[..length];
            self.flash.read(offset, bytes)?;
            match (judge(bytes), end) {
                (Seal::Erased, _) => {
                    end.get_or_insert(slot);
                }
                (_, Some(hole)) => return Err(GalleryError::Damaged { offset: self.offset(hole) }),
                (Seal::Torn, None) => {}
                (Seal::Broken, None) => return Err(GalleryError::Damaged { offset }),
                (Seal::Whole, None) => match Record::decode(bytes, self.dimension) {
                    Some(r) if r.sequence == self.sequence => self.apply(slot, r.person, r.content)?,
                    _ => return Err(GalleryError::Damaged { offset }),
                },
            }
        }
        self.next_slot = end.unwrap_or(self.slots());
        Ok(())
    }

    /// Fills the index. It must be done when all people are known: a template counts only once its person does.
    fn open_templates(&mut self) -> Result<(), GalleryError> {
        self.index.clear();
        let full = GalleryError::Templates { capacity: self.index.capacity() as u32 };
        self.each_template(
            |index, person, template, _| {
                if index.push(person, template) { Ok(()) } else { Err(full) }
            },
        )
    }

    /// Reads the whole gallery again and compares it with what RAM holds.
    ///
    /// # Errors
    /// When the gallery is not mounted, the flash fails, a record was damaged or lost since it was mounted, or a template in
    /// RAM differs from the one in flash.
    pub fn verify(&mut self) -> Result<(), GalleryError> {
        self.state?;
        let mut at = 0;
        self.each_template(|index, person, template, offset| {
            let same = index.holds(at, person, template);
            at += 1;
            if same { Ok(()) } else { Err(GalleryError::Damaged { offset }) }
        })
    }

    /// Hands every template of somebody enrolled to `take`, with the index, its person and where its record begins, in the
    /// order in which they were written.
    fn each_template(
        &mut self,
        mut take: impl FnMut(&mut Index<T>, PersonId, &[i8], u32) -> Result<(), GalleryError>,
    ) -> Result<(), GalleryError> {
        let mut bytes = [0; MAX_RECORD];
        let mut seen = 0;
        for slot in 0..self.next_slot {
            let Some(record) = self.read_record(slot, &mut bytes)? else { continue };
            self.expect(&record, slot, &mut seen)?;
            if let Content::Template { bytes, .. } = record.content
                && self.entry(record.person).is_ok()
            {
                let offset = self.offset(slot);
                take(&mut self.index, record.person, as_i8(bytes), offset)?;
            }
        }
        self.all_seen(seen)
    }

    /// Takes a whole record into the list of people.
    pub(super) fn apply(
        &mut self,
        slot: u32,
        id: PersonId,
        content: Content<'_>,
    ) -> Result<(), GalleryError> {
        let damaged = GalleryError::Damaged { offset: self.offset(slot) };
        let known = self.people.binary_search_by_key(&id, |p| p.id);
        self.sequence += 1;
        self.next_person = self.next_person.max(id.0.checked_add(1).ok_or(damaged)?);
        match (content, known) {
            (Content::Template { .. }, Ok(at)) => {
                if let Some(entry) = self.people.get_mut(at) {
                    entry.templates = entry.templates.saturating_add(1);
                }
            }
            (Content::Template { .. }, Err(_)) => {
                let before = self.pending.filter(|p| p.id == id).map_or(0, |p| p.templates);
                self.pending = Some(Pending { id, templates: before.saturating_add(1) });
            }
            (Content::Person { .. }, Err(at)) if at == self.people.len() => {
                let pending = self.pending.take().filter(|p| p.id == id).ok_or(damaged)?;
                let entry = Entry { id, slot, templates: pending.templates };
                let full = GalleryError::People { capacity: PEOPLE as u32 };
                self.people.push(entry).map_err(|_| full)?;
            }
            (Content::Removal, Ok(at)) => {
                self.people.remove(at);
            }
            (Content::Person { .. }, _) | (Content::Removal, Err(_)) => return Err(damaged),
        }
        Ok(())
    }
}
