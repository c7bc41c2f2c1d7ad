//! People and their templates in NOR flash, sealed, searched by angle.
//!
//! A [`Gallery`] owns a flash and keeps in RAM where each record lies ([`RAM_PER_RECORD`] bytes: a person with one template
//! takes two records) and, in an [`Index`], as many opened templates as there is room for; the others are opened from flash
//! in every search. It belongs to one model, named by its embedding id, and to one device, by a key that comes from its
//! [`DeviceSecret`]: another's gallery is refused, and stays as it is.
//!
//! What it stores of an embedding is its [`transform`], which every gallery draws anew: angles are kept, and templates that leak
//! say nothing about those of another gallery, or of the next one on the same device.
//!
//! # Layout, version 3
//!
//! The flash is a set of sectors. One at least is free; each of the others has a header, marks and slots of equal size.
//!
//! ```text
//! sector  +--------+-------+------+------+-- -- --+------+------+
//!         | header | marks | slot | slot |        | slot | rest |
//!         +--------+-------+------+------+-- -- --+------+------+
//!         0        128     288
//!
//! header   0  "AGAL"           4  u16 version         6  u16 dimension         8  u32 sequence of the sector
//!         12  u32 operation   16  u32 next person    20  u16 replaced sector  22  u16 copies
//!         24  u32 its sequence                       28  u16 sectors          30  u16 sectors filled
//!         32  u32 bytes of a sector                  36  u32 salt             40  embedding id (32)
//!         72  u32 sum of the sequences of the sectors filled                   76  seed of the transform, sealed (32)
//!        108  tag (16)          124  u32 CRC-32C of everything before it and the sector's index (u16)
//! mark     0  "DONE" or "GONE"   4  u32 sequence   8  u32 CRC-32C of these   12  erased, to 32; five of them
//! record   0  u8 kind: 1 person, 2 template, 3 settings, 4 lost   1  u8 mark of the name   2  u16 number: 0, of a template 1 ...
//!          4  u32 person       8  u32 operation      12  u32 CRC-32C of these and of the nonce
//!         16  payload, sealed                         B  tag (16), in the last unit of a multiple of 32
//! payload  a transformed template's values, the settings' 32 bytes, or of a person
//!          0  u8 bytes of the name   4  name (32)   36  u64 valid from   44  u64 valid until (s)
//! ```
//!
//! Integers are little-endian. Everything is written once between two erases of its sector, in multiples of 32 bytes, so that
//! a flash with write units of 1 to 32 bytes takes it, also one whose units can be programmed once only; the file that a
//! host keeps is this image, byte for byte. `seal.rs` says what seals are made of.
//!
//! # Writing
//!
//! Records go one after the other into the newest sector; their last unit, with the tag, is written last. When it is full, a
//! free sector is opened, as long as another one stays free. Otherwise a sector is *replaced*: the records of it that still
//! count are copied into the free sector, whose header says which one it replaces; a mark says that the copies are complete;
//! then the old sector is erased, and a second mark says so. The one with the least records that count is replaced, and now
//! and then the one that was longest not erased, so that all wear alike. One replacement is the longest that a write takes
//! at a time: it moves one sector's records and erases two sectors at most; a record appended makes two of them at
//! most, and one that takes the place of another two more: the old one does not stay, and wear is levelled.
//!
//! A person's templates are written before the person, and templates without a person count for nothing. Removing somebody
//! replaces the sector with the person's record, leaving out all that is theirs, which makes the removal count, and then
//! every other sector that has a record of theirs, or one that no longer says whose it is; what lies in sectors that do not
//! count is erased. When it reports done, no byte of them is left.
//!
//! # What a power cut leaves
//!
//! A write or erase that was cut may leave bits that read differently every time. Only the last of all can have been cut, so
//! mounting looks at the newest sector: what it replaced is erased once more unless it is marked as gone; a replacement
//! without its mark is erased; and if anything was written after the copies, it is replaced itself, its last record read once
//! and kept if its seal is whole. What was read then is what counts from then on, and nothing that was cut stays in the
//! flash. A removal or an enrolment that was cut is finished or undone the same way. A slot is left out after a mount, since
//! a cut write may read as erased.
//!
//! # Damage
//!
//! One turned bit in a header or in the clear part of a record is turned back by its checksum. A record whose seal is broken,
//! because its bytes changed, or it was moved, or came from an older sector, is left out of searches, and [`Gallery::verify`]
//! lists it with the person it belongs to; everybody else is found as before. When its sector is replaced, a record of kind
//! lost takes its place, so that the damage stays on the list until the person is removed. A header that cannot be read
//! loses its sector, which is noticed by the number of sectors filled, and an older sector put back by their sum: without a counter
//! the others are used and [`Gallery::verify`] tells how many are missing; with one the whole gallery is refused as
//! [rolled back](GalleryError::Rollback). Two losses look like a cut, and without a counter nobody notices them: the last record of all,
//! damaged before the next mount, and the header of the newest sector, when that was opened for more records and replaced none (a
//! counter notices it if the sector has more than the rest of one operation). No
//! older record stays where another one counts, so that damage brings nothing back.
//!
//! A flash that was put back as a whole is noticed with a [`Monotonic`] counter outside of it: every operation counts one up,
//! in the gallery and then in the counter, and a gallery that is behind, or ahead by two or more, is refused. Without a counter it is
//! not noticed, and records written after that may be sealed with a nonce that was used before.

mod append;
mod error;
mod index;
pub(crate) mod layout;
mod monotonic;
mod mount;
mod people;
mod person;
mod room;
mod seal;
mod search;
mod sectors;
mod table;
#[cfg(all(test, feature = "sim"))]
mod tests;
mod transfer;
pub mod transform;
mod verify;

use embedded_storage::nor_flash::NorFlash;
use serde::{Deserialize, Serialize};

use crate::embedding::MAX_DIMENSION;
pub use crate::flash::FlashFault;
use crate::flash::UNIT;
pub use crate::kernels::dot::Line;
use crate::model::ModelInfo;
use crate::secret::{DeviceSecret, SoftwareSecret};
pub use error::GalleryError;
pub use index::{Index, Owner, index_lines, index_lines_of_flash, records_of_flash};
pub use layout::SETTINGS_BYTES;
use layout::{Clear, Found, Header, Kind, MAX_RECORD};
pub use monotonic::{Monotonic, NoCounter};
pub use person::{NAME_BYTES, Name, Person, PersonId};
use room::NO_ROOM;
#[cfg(any(feature = "std", test))]
pub use room::Owned;
pub use room::{Lent, Room, Rooms};
use seal::Sealer;
pub use search::{Candidate, Nearest};
use sectors::Filled;
pub use table::Entry;
use table::Table;
use transform::Transform;
pub use verify::{Damage, Harm};

/// Bytes of RAM that a record takes, without the index of opened templates: a template and its person take 16.
pub const RAM_PER_RECORD: usize = size_of::<Entry>();

/// How full a gallery is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Usage {
    /// People enrolled.
    pub people: u32,
    /// Templates of all people together.
    pub templates: u32,
    /// Records (people and templates, and what else there is) that it holds.
    pub records: u32,
    /// Records that fit, in flash and in RAM.
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
        let mut gallery = Gallery::unmounted(flash, nobody, NO_ROOM, &SoftwareSecret::default(), NoCounter);
        gallery.binding_in_flash()
    }
}

/// The sector that records are appended to.
#[derive(Debug, Clone, Copy)]
struct Head {
    sector: u16,
    header: Header,
    /// The first slot of it that was never written.
    next: u16,
}

/// The people enrolled, on a flash `F`, as many as find [`Room`] in `Y`, with a counter `M` against flashes put back.
#[derive(Debug)]
pub struct Gallery<F, Y: Room, M = NoCounter> {
    flash: F,
    counter: M,
    sealer: Sealer,
    software_key: bool,
    /// While the gallery is mounted.
    transform: Option<Transform>,
    embedding_id: [u8; 32],
    dimension: usize,
    /// Why nothing can be done, until [`Gallery::reopen`] or [`Gallery::format`] succeeds.
    state: Result<(), GalleryError>,
    head: Option<Head>,
    /// The highest sequence number that a sector has.
    sequence: u32,
    operation: u32,
    next_person: u32,
    /// Sectors with records, and their sequence numbers added up.
    filled: u16,
    sum: u32,
    counts: Filled,
    /// Sectors that were put there by somebody else or from an older state, and sectors that are missing.
    foreign: u16,
    missing: u16,
    /// Whether records were found in the place of which others count.
    stale: bool,
    /// A sector that is known to be erased to the end.
    erased: Option<u16>,
    /// The header read last, and of which sector.
    recent: Option<(u16, Found<Header>)>,
    table: Table<Y::Records>,
    /// Opened templates.
    index: Index<Y::Lines>,
}

impl<F: NorFlash, Y: Room> Gallery<F, Y> {
    /// Takes the flash and room to work in, and mounts what lies in the flash. Whether that went well says
    /// [`Gallery::state`]; until it did, every other operation gives the same error. The key is one in software, the same on
    /// every device, and there is no counter.
    pub fn open(flash: F, model: Binding, room: Y) -> Self {
        Self::open_with(flash, model, room, &SoftwareSecret::default(), NoCounter)
    }
}

impl<F: NorFlash, Y: Room, M: Monotonic> Gallery<F, Y, M> {
    /// As [`Gallery::open`], with the device's own secret and a counter.
    pub fn open_with<S: DeviceSecret>(flash: F, model: Binding, room: Y, secret: &S, counter: M) -> Self {
        let mut gallery = Self::unmounted(flash, model, room, secret, counter);
        gallery.reopen();
        gallery
    }

    /// Which model's templates it holds, or would.
    pub fn binding(&self) -> Binding {
        Binding { embedding_id: self.embedding_id, dimension: self.dimension as u16 }
    }

    /// Mounts what lies in the flash as the gallery of `model`, whichever it was bound to before.
    pub fn rebind(&mut self, model: Binding) {
        self.dimension = (model.dimension as usize).min(MAX_DIMENSION);
        self.embedding_id = model.embedding_id;
        self.sealer.rebind(&model.embedding_id);
        self.index.set_dimension(self.dimension);
        self.reopen();
    }

    /// What the gallery in the flash is bound to, whether or not it can be mounted.
    ///
    /// # Errors
    /// When there is no gallery, or one of another version, or the flash fails.
    pub fn binding_in_flash(&mut self) -> Result<Binding, GalleryError> {
        match self.newest_of_any()? {
            Some(header) => Ok(Binding { embedding_id: header.embedding_id, dimension: header.dimension }),
            None => Err(self.nothing_here()?),
        }
    }

    /// Mounts what lies in the flash once more: what helps after a write that failed and a flash that works again.
    pub fn reopen(&mut self) {
        self.forget();
        self.state = self.mount();
        if self.state.is_err() {
            self.forget();
        }
    }

    /// Nothing is known of the flash.
    fn forget(&mut self) {
        (self.head, self.sequence, self.operation, self.next_person) = (None, 0, 0, 1);
        (self.filled, self.sum, self.foreign, self.missing) = (0, 0, 0, 0);
        (self.erased, self.recent, self.counts) = (None, None, Filled::default());
        (self.transform, self.stale) = (None, false);
        self.table.clear();
        self.index.clear();
    }

    /// As [`Gallery::open_with`], but for the mount.
    pub(crate) fn unmounted<S: DeviceSecret>(
        flash: F,
        model: Binding,
        room: Y,
        secret: &S,
        counter: M,
    ) -> Self {
        const {
            assert!(UNIT.is_multiple_of(F::WRITE_SIZE), "the flash's write unit must divide 32 bytes");
            assert!(UNIT.is_multiple_of(F::READ_SIZE), "the flash's read unit must divide 32 bytes");
            assert!(F::ERASE_SIZE.is_multiple_of(UNIT), "the flash's sectors must be multiples of 32 bytes");
        }
        let dimension = (model.dimension as usize).min(MAX_DIMENSION);
        let (records, lines) = room.into_parts();
        Gallery {
            flash,
            counter,
            sealer: Sealer::new(secret, &model.embedding_id),
            software_key: secret.is_software(),
            transform: None,
            embedding_id: model.embedding_id,
            dimension,
            state: Err(GalleryError::Blank),
            head: None,
            sequence: 0,
            operation: 0,
            next_person: 1,
            filled: 0,
            sum: 0,
            counts: Filled::default(),
            foreign: 0,
            missing: 0,
            stale: false,
            erased: None,
            recent: None,
            table: Table::new(records),
            index: Index::new(lines, dimension),
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

    /// Gives flash and counter back.
    pub fn into_parts(self) -> (F, M) {
        (self.flash, self.counter)
    }

    /// Whether a flash put back as a whole is noticed.
    pub fn detects_rollback(&self) -> bool {
        M::PRESENT
    }

    /// Whether the key lies in software: [`DeviceSecret::is_software`].
    pub fn has_software_key(&self) -> bool {
        self.software_key
    }

    /// How full it is.
    pub fn usage(&self) -> Usage {
        let count = |of: fn(Entry) -> bool| self.table.list().iter().filter(|e| of(**e)).count() as u32;
        Usage {
            people: count(Entry::is_person),
            templates: count(Entry::is_template),
            records: self.table.list().len() as u32,
            record_capacity: self.capacity(),
        }
    }

    /// Whatever a host or a board wants kept beside the people; `None` when nothing was, or it is damaged.
    ///
    /// # Errors
    /// When the gallery is not mounted or the flash fails.
    pub fn settings(&mut self) -> Result<Option<[u8; SETTINGS_BYTES]>, GalleryError> {
        self.state?;
        let Ok(at) = self.table.find(PersonId(0), 0) else { return Ok(None) };
        let mut bytes = [0; MAX_RECORD];
        match self.open_entry(at, &mut bytes)? {
            Some(payload) => Ok(payload.first_chunk().copied()),
            None => Ok(None),
        }
    }

    /// Keeps `settings`.
    ///
    /// # Errors
    /// When there is no room or the flash fails.
    pub fn set_settings(&mut self, settings: &[u8; SETTINGS_BYTES]) -> Result<(), GalleryError> {
        self.state?;
        self.check_room(if self.table.find(PersonId(0), 0).is_ok() { 0 } else { 1 })?;
        self.begin_operation()?;
        let (kind, person) = (Kind::Settings, PersonId(0));
        let clear = Clear { kind, mark: 0, number: 0, person, operation: self.operation };
        self.append(clear, |payload| payload.iter_mut().zip(settings).for_each(|(to, &from)| *to = from))?;
        self.end_change()
    }

    /// The transform, while the gallery is mounted.
    #[cfg(feature = "sim")]
    pub(crate) fn transform(&self) -> Option<&Transform> {
        self.transform.as_ref()
    }

    fn check_room(&self, needed: u32) -> Result<(), GalleryError> {
        let free = self.capacity().saturating_sub(self.table.list().len() as u32);
        if needed > free { Err(GalleryError::Full { needed, free }) } else { Ok(()) }
    }
}
