//! People and their templates in NOR flash, searched by angle.
//!
//! A [`Gallery`] owns a flash and keeps a small index in RAM: who is enrolled and how many templates each has. Names
//! and templates stay in flash. It belongs to one model, named by its embedding id: a gallery of another is refused.
//!
//! # Layout, version 1
//!
//! The flash is halved into two banks. One holds the gallery; when it is full, what is alive is copied into the other.
//!
//! ```text
//! bank    +--------+----------+----------+-- -- --+----------+----------+
//!         | header | record 0 | record 1 |        | record n |  erased  |
//!         +--------+----------+----------+-- -- --+----------+----------+
//! header  0  "AGAL"         4  u16 version    6  u16 dimension   8  u32 generation
//!        12  u32 next id   16  u32 bank bytes
//!        32  embedding id (32)               64  erased (32)    96  seal (32)
//! record  0  u8 kind: 1 person, 2 template, 3 removal            1  u8 bytes of the name
//!         4  u32 sequence   8  u32 person id 12  u32 squared norm of a template
//!        16  name or template, the rest erased, to a multiple of 32
//!         B  seal (32): u32 CRC-32C of everything before it, u32 the same inverted, erased (24)
//! ```
//!
//! Integers are little-endian. Everything is written once, in multiples of 32 bytes, so that a flash with write units
//! of 1 to 32 bytes takes it; the file that a host keeps is this image, byte for byte.
//!
//! # What a power cut leaves
//!
//! A record's body is written before its seal, so a cut leaves an unsealed record, which counts as not written. A
//! person's templates are written before the person, and templates without a person count for nothing. A bank's header
//! is written after its records; the bank with the higher generation counts, and the other one is erased. So every
//! operation has happened or has not. Whole records are numbered: a record that was lost later (and not to a cut) is
//! noticed, and mounting says [`GalleryError::Damaged`] rather than forget a removal.
//!
//! Not covered by this version: a cut write that reads as erased although its cells are half programmed, and secrecy.

mod layout;
pub mod nor;
mod search;
#[cfg(test)]
mod tests;

use embedded_storage::nor_flash::{NorFlash, NorFlashError, NorFlashErrorKind};
use heapless::{String, Vec};
use serde::{Deserialize, Serialize};

use crate::embedding::{MAX_DIMENSION, norm_squared};
use crate::engine::ModelInfo;
use layout::{Content, HEADER, Header, MAX_RECORD, Record, Seal, UNIT, is_erased, judge, record_bytes};
pub use search::{Candidate, Nearest};

/// The longest name, in bytes of UTF-8.
pub const NAME_BYTES: usize = 32;

/// A name as it is stored.
pub type Name = String<NAME_BYTES>;

/// A person's number: given once, never again, stable over compaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct PersonId(pub u32);

impl core::fmt::Display for PersonId {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.fmt(f)
    }
}

/// Somebody enrolled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// Stable number.
    pub id: PersonId,
    /// As it was enrolled.
    pub name: Name,
    /// Shots kept.
    pub templates: u16,
}

/// How full a gallery is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Usage {
    /// People enrolled.
    pub people: u32,
    /// People that the index in RAM can hold.
    pub people_capacity: u32,
    /// Templates of all people together.
    pub templates: u32,
    /// Records (people and templates) that fit beside each other.
    pub record_capacity: u32,
}

/// What the flash driver said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum FlashFault {
    /// An address was no multiple of the flash's unit.
    NotAligned,
    /// An address beyond its end.
    OutOfBounds,
    /// The flash itself failed.
    Device,
}

impl<E: NorFlashError> From<E> for FlashFault {
    fn from(error: E) -> Self {
        match error.kind() {
            NorFlashErrorKind::NotAligned => FlashFault::NotAligned,
            NorFlashErrorKind::OutOfBounds => FlashFault::OutOfBounds,
            _ => FlashFault::Device,
        }
    }
}

/// Why a gallery could not do what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum GalleryError {
    /// The flash holds no gallery: [`Gallery::format`] makes one.
    Blank,
    /// The flash is too small, or its sectors too large, for two banks.
    Small {
        /// Bytes that two banks of one sector and a few records need.
        needed: u32,
        /// Bytes there are.
        found: u32,
    },
    /// The flash was larger or smaller when the gallery was made.
    Resized {
        /// Bytes of a bank then.
        recorded: u32,
        /// Bytes of a bank now.
        found: u32,
    },
    /// Written by another version.
    Version {
        /// Its number.
        found: u16,
        /// The number that this code reads.
        readable: u16,
    },
    /// The gallery's templates come from another model.
    WrongModel {
        /// The embedding id that the gallery is bound to.
        gallery: [u8; 32],
        /// The embedding id of the model in use.
        model: [u8; 32],
    },
    /// The bytes changed after they were written.
    Damaged {
        /// Where the header or record begins.
        offset: u32,
    },
    /// No room for the records.
    Full {
        /// Records asked for.
        needed: u32,
        /// Records that still fit.
        free: u32,
    },
    /// No room in the index.
    People {
        /// People that it can hold.
        capacity: u32,
    },
    /// A name is empty or longer than [`NAME_BYTES`].
    NameLength {
        /// Its bytes.
        found: u32,
    },
    /// A name with a control character.
    NameCharacter,
    /// Somebody enrolled has this name.
    NameTaken {
        /// Who.
        person: PersonId,
    },
    /// Nobody enrolled has this number.
    NoSuchPerson {
        /// The number.
        person: PersonId,
    },
    /// Enrolment without a single template.
    NoTemplate,
    /// A template of another length than the model's embeddings.
    Dimension {
        /// The model's.
        expected: u32,
        /// The template's.
        found: u32,
    },
    /// A template of zeros, which has no angle to anything.
    ZeroTemplate,
    /// The flash driver failed.
    Flash(FlashFault),
}

impl core::fmt::Display for GalleryError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            GalleryError::Blank => write!(f, "the flash holds no gallery yet"),
            GalleryError::Small { needed, found } => {
                write!(f, "a gallery needs at least {needed} bytes of flash, there are {found}")
            }
            GalleryError::Resized { recorded, found } => {
                write!(f, "the gallery was made with banks of {recorded} bytes, here are banks of {found}")
            }
            GalleryError::Version { found, readable } => {
                write!(f, "the gallery has layout version {found}, readable is {readable}")
            }
            GalleryError::WrongModel { gallery, model } => {
                write!(f, "the gallery belongs to the model ")?;
                short_id(f, gallery)?;
                write!(f, ", in use is the model ")?;
                short_id(f, model)
            }
            GalleryError::Damaged { offset } => write!(f, "the gallery is damaged at byte {offset}"),
            GalleryError::Full { needed, free } => {
                write!(f, "the gallery is full: {needed} records asked for, room for {free}")
            }
            GalleryError::People { capacity } => write!(f, "the device has room for {capacity} people"),
            GalleryError::NameLength { found } => {
                write!(f, "a name has 1 to {NAME_BYTES} bytes in UTF-8, this one has {found}")
            }
            GalleryError::NameCharacter => write!(f, "a name has no control characters"),
            GalleryError::NameTaken { person } => write!(f, "person {person} has this name already"),
            GalleryError::NoSuchPerson { person } => write!(f, "nobody enrolled has the number {person}"),
            GalleryError::NoTemplate => write!(f, "a person needs at least one template"),
            GalleryError::Dimension { expected, found } => {
                write!(f, "a template has {expected} values, this one has {found}")
            }
            GalleryError::ZeroTemplate => write!(f, "a template of zeros has no angle to anything"),
            GalleryError::Flash(fault) => {
                let what = match fault {
                    FlashFault::NotAligned => "an address is no multiple of its unit",
                    FlashFault::OutOfBounds => "an address lies beyond its end",
                    FlashFault::Device => "reading, programming or erasing did not succeed",
                };
                write!(f, "the flash failed: {what}")
            }
        }
    }
}

/// The first eight bytes of an embedding id, as `inspect` shows them.
fn short_id(f: &mut core::fmt::Formatter<'_>, id: &[u8; 32]) -> core::fmt::Result {
    for (i, pair) in id[..8].chunks(2).enumerate() {
        let gap = if i == 0 { "" } else { " " };
        write!(f, "{gap}{:02x}{:02x}", pair[0], pair[1])?;
    }
    Ok(())
}

impl core::error::Error for GalleryError {}

impl<E: NorFlashError> From<E> for GalleryError {
    fn from(error: E) -> Self {
        GalleryError::Flash(error.into())
    }
}

/// Which model's templates a gallery holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Binding {
    /// The model's embedding id.
    pub embedding_id: [u8; 32],
    /// The length of its embeddings.
    pub dimension: u16,
}

impl From<&ModelInfo> for Binding {
    fn from(info: &ModelInfo) -> Self {
        Binding { embedding_id: info.embedding_id, dimension: info.dimension }
    }
}

impl Binding {
    /// What the gallery on `flash` is bound to; to look after people without their model.
    ///
    /// # Errors
    /// When there is no gallery, or one of another version, or the flash fails.
    pub fn read<F: NorFlash>(flash: &mut F) -> Result<Self, GalleryError> {
        let mut gallery: Gallery<&mut F, 0> =
            Gallery::unmounted(flash, Binding { embedding_id: [0; 32], dimension: 1 });
        let header = match gallery.newest_header()? {
            Some((_, header)) => header,
            None => return Err(gallery.blank_or_damaged()?),
        };
        Ok(Binding { embedding_id: header.embedding_id, dimension: header.dimension })
    }
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    id: PersonId,
    slot: u32,
    templates: u16,
}

/// Templates read before their person.
#[derive(Debug, Clone, Copy)]
struct Pending {
    id: PersonId,
    templates: u16,
}

/// The people enrolled, on a flash `F`, at most `PEOPLE` of them.
#[derive(Debug)]
pub struct Gallery<F, const PEOPLE: usize> {
    flash: F,
    embedding_id: [u8; 32],
    dimension: usize,
    /// Why nothing can be done, until [`Gallery::mount`] or [`Gallery::format`] succeeds.
    state: Result<(), GalleryError>,
    bank: u32,
    generation: u32,
    next_person: u32,
    /// The first slot never written since the bank was erased.
    next_slot: u32,
    sequence: u32,
    /// In the order of their ids.
    people: Vec<Entry, PEOPLE>,
    pending: Option<Pending>,
}

impl<F: NorFlash, const PEOPLE: usize> Gallery<F, PEOPLE> {
    /// Takes the flash and mounts what lies there. Whether that went well says [`Gallery::state`]; until it did, every
    /// other operation gives the same error.
    pub fn open(flash: F, model: Binding) -> Self {
        let mut gallery = Self::unmounted(flash, model);
        gallery.state = gallery.scan();
        if gallery.state.is_err() {
            gallery.people.clear();
        }
        gallery
    }

    fn unmounted(flash: F, model: Binding) -> Self {
        const {
            assert!(UNIT.is_multiple_of(F::WRITE_SIZE), "the flash's write unit must divide 32 bytes");
            assert!(UNIT.is_multiple_of(F::READ_SIZE), "the flash's read unit must divide 32 bytes");
            assert!(F::ERASE_SIZE.is_multiple_of(UNIT), "the flash's sectors must be multiples of 32 bytes");
        }
        Gallery {
            flash,
            embedding_id: model.embedding_id,
            dimension: (model.dimension as usize).min(MAX_DIMENSION),
            state: Err(GalleryError::Blank),
            bank: 0,
            generation: 0,
            next_person: 1,
            next_slot: 0,
            sequence: 0,
            people: Vec::new(),
            pending: None,
        }
    }

    /// Whether the gallery is mounted, and if not, why.
    ///
    /// # Errors
    /// What [`Gallery::open`] or the last failed write met.
    pub fn state(&self) -> Result<(), GalleryError> {
        self.state
    }

    /// Gives the flash back.
    pub fn into_flash(self) -> F {
        self.flash
    }

    /// How full it is.
    pub fn usage(&self) -> Usage {
        Usage {
            people: self.people.len() as u32,
            people_capacity: PEOPLE as u32,
            templates: self.people.iter().map(|p| p.templates as u32).sum(),
            record_capacity: self.slots().saturating_sub(1),
        }
    }

    /// Begins an empty gallery for the model in use. A gallery that is mounted stays until the empty one is whole;
    /// whatever else lies in the flash is erased.
    ///
    /// # Errors
    /// When the flash is too small or fails.
    pub fn format(&mut self) -> Result<(), GalleryError> {
        self.check_size()?;
        let mounted = self.state.is_ok();
        self.next_slot = 0;
        self.people.clear();
        self.pending = None;
        if !mounted {
            self.erase_bank(1)?;
            (self.bank, self.generation, self.next_person) = (1, 0, 1);
        }
        self.state = Ok(());
        self.compact()
    }

    /// Enrols somebody new with one or more templates: all of it or nothing.
    ///
    /// # Errors
    /// When the name is no name or is taken, a template does not fit the model, or there is no room.
    pub fn enroll(&mut self, name: &str, templates: &[&[i8]]) -> Result<PersonId, GalleryError> {
        self.state?;
        if name.is_empty() || name.len() > NAME_BYTES {
            return Err(GalleryError::NameLength { found: name.len() as u32 });
        }
        if name.chars().any(char::is_control) {
            return Err(GalleryError::NameCharacter);
        }
        if templates.is_empty() {
            return Err(GalleryError::NoTemplate);
        }
        for template in templates {
            self.check_template(template)?;
        }
        if let Some(person) = self.find(name)? {
            return Err(GalleryError::NameTaken { person });
        }
        if self.people.is_full() {
            return Err(GalleryError::People { capacity: PEOPLE as u32 });
        }
        self.make_room(templates.len() as u32 + 1)?;
        let id = PersonId(self.next_person);
        for template in templates {
            self.append_template(id, template)?;
        }
        self.append(id, Content::Person { name })?;
        Ok(id)
    }

    /// Gives somebody enrolled one more template; returns how many they have now.
    ///
    /// # Errors
    /// When nobody has that number, the template does not fit the model, or there is no room.
    pub fn add_template(&mut self, person: PersonId, template: &[i8]) -> Result<u16, GalleryError> {
        self.state?;
        self.entry(person)?;
        self.check_template(template)?;
        self.make_room(1)?;
        self.append_template(person, template)?;
        Ok(self.entry(person)?.templates)
    }

    /// Removes somebody and all their templates.
    ///
    /// # Errors
    /// When nobody has that number or the flash fails; a full gallery always takes a removal.
    pub fn remove(&mut self, person: PersonId) -> Result<(), GalleryError> {
        self.state?;
        self.entry(person)?;
        if self.next_slot >= self.slots() {
            self.compact()?;
        }
        self.append(person, Content::Removal)
    }

    /// The person with the lowest number above `after` (`None`: the first).
    ///
    /// # Errors
    /// When the gallery is not mounted or was damaged since.
    pub fn next_after(&mut self, after: Option<PersonId>) -> Result<Option<Person>, GalleryError> {
        self.state?;
        match self.people.iter().find(|p| after.is_none_or(|a| p.id > a)).copied() {
            Some(entry) => self.person_of(entry).map(Some),
            None => Ok(None),
        }
    }

    /// Who has this number.
    ///
    /// # Errors
    /// When nobody has, the gallery is not mounted or was damaged since.
    pub fn person(&mut self, id: PersonId) -> Result<Person, GalleryError> {
        self.state?;
        let entry = self.entry(id)?;
        self.person_of(entry)
    }

    /// Who has this name, if anybody.
    ///
    /// # Errors
    /// When the gallery is not mounted or was damaged since.
    pub fn find(&mut self, name: &str) -> Result<Option<PersonId>, GalleryError> {
        self.state?;
        for at in 0..self.people.len() {
            let entry = self.people[at];
            if self.person_of(entry)?.name == name {
                return Ok(Some(entry.id));
            }
        }
        Ok(None)
    }

    fn entry(&self, person: PersonId) -> Result<Entry, GalleryError> {
        let at = self.people.binary_search_by_key(&person, |p| p.id);
        at.ok().and_then(|at| self.people.get(at)).copied().ok_or(GalleryError::NoSuchPerson { person })
    }

    fn person_of(&mut self, entry: Entry) -> Result<Person, GalleryError> {
        let offset = self.offset(entry.slot);
        let mut bytes = [0; MAX_RECORD];
        let name = match self.read_record(entry.slot, &mut bytes)? {
            Some(Record { content: Content::Person { name }, person, .. }) if person == entry.id => name,
            _ => return Err(GalleryError::Damaged { offset }),
        };
        let name = Name::try_from(name).map_err(|_| GalleryError::Damaged { offset })?;
        Ok(Person { id: entry.id, name, templates: entry.templates })
    }

    fn check_template(&self, template: &[i8]) -> Result<(), GalleryError> {
        if template.len() != self.dimension {
            let (expected, found) = (self.dimension as u32, template.len() as u32);
            return Err(GalleryError::Dimension { expected, found });
        }
        if norm_squared(template) == 0 { Err(GalleryError::ZeroTemplate) } else { Ok(()) }
    }

    // Geometry.

    fn bank_bytes(&self) -> u32 {
        (self.flash.capacity() / 2 / F::ERASE_SIZE * F::ERASE_SIZE) as u32
    }

    fn record_bytes(&self) -> u32 {
        record_bytes(self.dimension) as u32
    }

    fn slots(&self) -> u32 {
        self.bank_bytes().saturating_sub(HEADER as u32) / self.record_bytes()
    }

    fn offset(&self, slot: u32) -> u32 {
        self.bank * self.bank_bytes() + HEADER as u32 + slot * self.record_bytes()
    }

    /// A person, a template and the slot that is kept for a removal must fit.
    fn check_size(&self) -> Result<(), GalleryError> {
        let least = (HEADER as u32 + 3 * self.record_bytes()).next_multiple_of(F::ERASE_SIZE as u32);
        if self.bank_bytes() < least {
            return Err(GalleryError::Small { needed: 2 * least, found: self.flash.capacity() as u32 });
        }
        Ok(())
    }

    // Reading.

    fn read_header(&mut self, bank: u32) -> Result<(Seal, [u8; HEADER]), GalleryError> {
        let mut bytes = [0; HEADER];
        self.flash.read(bank * self.bank_bytes(), &mut bytes)?;
        Ok((judge(&bytes), bytes))
    }

    /// The record in `slot`; `None` when it is erased or a power cut ended its writing.
    fn read_record<'b>(
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

    /// The first byte of `bank` at or after `from` that is not erased.
    fn first_programmed(&mut self, bank: u32, from: u32) -> Result<Option<u32>, GalleryError> {
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

    fn scan(&mut self) -> Result<(), GalleryError> {
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
        // What a cut compaction left in the other bank.
        self.erase_bank(1 - bank)
    }

    /// The bank that counts.
    fn newest_header(&mut self) -> Result<Option<(u32, Header)>, GalleryError> {
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
    fn blank_or_damaged(&mut self) -> Result<GalleryError, GalleryError> {
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

    /// Takes a whole record into the index.
    fn apply(&mut self, slot: u32, id: PersonId, content: Content<'_>) -> Result<(), GalleryError> {
        let damaged = GalleryError::Damaged { offset: self.offset(slot) };
        let known = self.people.binary_search_by_key(&id, |p| p.id);
        self.sequence += 1;
        self.next_person = self.next_person.max(id.0.saturating_add(1));
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

    // Writing.

    /// Makes sure that `records` fit and one removal after them.
    fn make_room(&mut self, records: u32) -> Result<(), GalleryError> {
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

    fn append_template(&mut self, id: PersonId, template: &[i8]) -> Result<(), GalleryError> {
        let mut bytes = [0; MAX_DIMENSION];
        let bytes = &mut bytes[..template.len()];
        for (byte, &value) in bytes.iter_mut().zip(template) {
            *byte = value as u8;
        }
        self.append(id, Content::Template { norm_squared: norm_squared(template), bytes })
    }

    fn append(&mut self, person: PersonId, content: Content<'_>) -> Result<(), GalleryError> {
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
    fn or_stop<T>(&mut self, result: Result<T, GalleryError>) -> Result<T, GalleryError> {
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

    fn erase_bank(&mut self, bank: u32) -> Result<(), GalleryError> {
        if self.first_programmed(bank, 0)?.is_some() {
            self.flash.erase(bank * self.bank_bytes(), (bank + 1) * self.bank_bytes())?;
        }
        Ok(())
    }

    /// Copies what is alive into the other bank and goes on there.
    fn compact(&mut self) -> Result<(), GalleryError> {
        let copied = self.copy_to_other_bank();
        self.or_stop(copied)
    }

    fn copy_to_other_bank(&mut self) -> Result<(), GalleryError> {
        let (old, new) = (self.bank, 1 - self.bank);
        self.erase_bank(new)?;
        let mut source = [0; MAX_RECORD];
        let mut target = [0; MAX_RECORD];
        let length = record_bytes(self.dimension);
        let mut copied = 0;
        for slot in 0..self.next_slot {
            let Some(mut record) = self.read_record(slot, &mut source)? else { continue };
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
        let header = Header {
            dimension: self.dimension as u16,
            generation: self.generation + 1,
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
