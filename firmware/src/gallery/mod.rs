//! People and their templates in NOR flash, searched by angle.
//!
//! A [`Gallery`] owns a flash and keeps in RAM who is enrolled, how many templates each has, and, in an [`Index`], all
//! templates, opened for the search. Names stay in flash. It belongs to one model, named by its embedding id: a gallery of
//! another is refused. One with more people or templates than fit in RAM is refused too, and stays as it is.
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
//! noticed, and mounting, verifying and compacting say [`GalleryError::Damaged`] rather than forget a person or a removal.
//! A search reads RAM alone: what happens to the flash after mounting is for [`Gallery::verify`] to find. The one exception is the very last record: with its seal damaged upwards it looks like one that a cut ended.
//!
//! Not covered by this version: a cut write that reads as erased although its cells are half programmed, and secrecy.

mod error;
mod index;
mod layout;
mod mount;
pub mod nor;
mod search;
#[cfg(test)]
mod tests;
pub mod transform;
mod write;

use embedded_storage::nor_flash::NorFlash;
use heapless::{String, Vec};
use serde::{Deserialize, Serialize};

use crate::embedding::{MAX_DIMENSION, norm_squared};
use crate::engine::ModelInfo;
pub use crate::engine::kernels::dot::Line;
pub use error::{FlashFault, GalleryError};
pub use index::{Index, Owner, index_lines, index_lines_of_flash};
use layout::{Content, HEADER, MAX_RECORD, Record, UNIT, record_bytes};
pub use search::{Candidate, Nearest};

/// The longest name, in bytes of UTF-8.
pub const NAME_BYTES: usize = 32;

/// A name as it is stored.
pub type Name = String<NAME_BYTES>;

/// A person's number: given once and never again until the gallery is erased, stable over compaction.
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
        let nobody = Binding { embedding_id: [0; 32], dimension: 1 };
        let mut gallery: Gallery<&mut F, [Line; 0], 0> = Gallery::unmounted(flash, nobody, []);
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

/// The people enrolled, on a flash `F`: at most `PEOPLE` of them, with as many templates as an [`Index`] in `T` holds
/// ([`index_lines`]).
#[derive(Debug)]
pub struct Gallery<F, T, const PEOPLE: usize> {
    flash: F,
    embedding_id: [u8; 32],
    dimension: usize,
    /// Why nothing can be done, until [`Gallery::reopen`] or [`Gallery::format`] succeeds.
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
    /// The templates of `people`.
    index: Index<T>,
}

impl<F: NorFlash, T: AsRef<[Line]> + AsMut<[Line]>, const PEOPLE: usize> Gallery<F, T, PEOPLE> {
    /// Takes the flash and memory for the templates, and mounts what lies in the flash. Whether that went well says [`Gallery::state`]; until it did, every
    /// other operation gives the same error.
    pub fn open(flash: F, model: Binding, memory: T) -> Self {
        let mut gallery = Self::unmounted(flash, model, memory);
        gallery.reopen();
        gallery
    }

    /// Mounts what lies in the flash once more: what helps after a write that failed and a flash that works again.
    pub fn reopen(&mut self) {
        self.forget();
        (self.bank, self.generation, self.next_person) = (0, 0, 1);
        self.state = self.scan();
        if self.state.is_err() {
            self.people.clear();
            self.index.clear();
        }
    }

    /// What is known of an empty bank.
    fn forget(&mut self) {
        (self.next_slot, self.sequence, self.pending) = (0, 0, None);
        self.people.clear();
        self.index.clear();
    }

    fn unmounted(flash: F, model: Binding, memory: T) -> Self {
        const {
            assert!(UNIT.is_multiple_of(F::WRITE_SIZE), "the flash's write unit must divide 32 bytes");
            assert!(UNIT.is_multiple_of(F::READ_SIZE), "the flash's read unit must divide 32 bytes");
            assert!(F::ERASE_SIZE.is_multiple_of(UNIT), "the flash's sectors must be multiples of 32 bytes");
        }
        let dimension = (model.dimension as usize).min(MAX_DIMENSION);
        Gallery {
            flash,
            embedding_id: model.embedding_id,
            dimension,
            state: Err(GalleryError::Blank),
            bank: 0,
            generation: 0,
            next_person: 1,
            next_slot: 0,
            sequence: 0,
            people: Vec::new(),
            pending: None,
            index: Index::new(memory, dimension),
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

    /// Begins an empty gallery for the model in use. A gallery that lies in the flash, also one of another model, stays until
    /// the empty one is whole; without a whole header, whatever lies there is erased.
    ///
    /// # Errors
    /// When the flash is too small or fails.
    pub fn format(&mut self) -> Result<(), GalleryError> {
        self.check_size()?;
        self.forget();
        if self.state.is_err() {
            let bank_bytes = self.bank_bytes();
            match self.newest_header() {
                Ok(Some((bank, h))) if h.bank_bytes == bank_bytes && h.generation < u32::MAX => {
                    (self.bank, self.generation, self.next_person) = (bank, h.generation, h.next_person);
                }
                _ => {
                    self.erase_bank(1)?;
                    (self.bank, self.generation, self.next_person) = (1, 0, 1);
                }
            }
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
        if self.next_person == u32::MAX {
            return Err(GalleryError::Full { needed: templates.len() as u32 + 1, free: 0 });
        }
        self.check_index(templates.len())?;
        self.make_room(templates.len() as u32 + 1)?;
        let id = PersonId(self.next_person);
        for template in templates {
            self.append_template(id, template)?;
        }
        self.append(id, Content::Person { name })?;
        for template in templates {
            self.open_template(id, template)?;
        }
        Ok(id)
    }

    /// Gives somebody enrolled one more template; returns how many they have now.
    ///
    /// # Errors
    /// When nobody has that number, the template does not fit the model, or there is no room.
    pub fn add_template(&mut self, person: PersonId, template: &[i8]) -> Result<u16, GalleryError> {
        self.state?;
        let entry = self.entry(person)?;
        self.check_template(template)?;
        if entry.templates == u16::MAX {
            return Err(GalleryError::Full { needed: 1, free: 0 });
        }
        self.check_index(1)?;
        self.make_room(1)?;
        self.append_template(person, template)?;
        self.open_template(person, template)?;
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
        self.append(person, Content::Removal)?;
        self.index.remove(person);
        Ok(())
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

    fn check_index(&self, templates: usize) -> Result<(), GalleryError> {
        let capacity = self.index.capacity();
        if capacity - self.index.len() < templates {
            return Err(GalleryError::Templates { capacity: capacity as u32 });
        }
        Ok(())
    }

    /// Takes a template of somebody enrolled into the index.
    fn open_template(&mut self, person: PersonId, template: &[i8]) -> Result<(), GalleryError> {
        let full = GalleryError::Templates { capacity: self.index.capacity() as u32 };
        if self.index.push(person, template) { Ok(()) } else { Err(full) }
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
}
