//! A gallery on its way out, as a backup.

use embedded_storage::nor_flash::NorFlash;

use crate::bundle::{HEADER, Header, Item, Kind, MAX_RECORD, Member, Origin, Writer, salt};
use crate::embedding::MAX_DIMENSION;
use crate::gallery::{Gallery, GalleryError, Monotonic, Person, PersonId, Room};
use crate::link::Fault;

use super::Keys;

/// What comes next.
#[derive(Debug, Clone, Copy)]
enum Stage {
    Seed,
    Settings,
    /// The person with the lowest number above this one, or the signature.
    People(Option<PersonId>),
    /// The template of this person with the lowest number above this one, so many in all.
    Templates(PersonId, u16, u16),
}

/// A backup that a host reads record by record.
#[derive(Debug)]
pub(super) struct Outgoing {
    damaged: u32,
    writer: Writer,
    stage: Stage,
    header: [u8; HEADER],
    record: [u8; MAX_RECORD],
}

impl Outgoing {
    /// Counts what there is. People whose own record is damaged are left out, and so are damaged templates.
    pub(super) fn begin<F: NorFlash, Y: Room, M: Monotonic>(
        gallery: &mut Gallery<F, Y, M>,
        keys: &Keys,
        host: &[u8; 32],
    ) -> Result<Self, Fault> {
        let damaged = gallery.damages()?;
        // A seed and a signature.
        let (mut records, mut people, mut after) = (2, 0, None);
        records += u32::from(gallery.settings()?.is_some());
        while let Some(person) = next_named(gallery, after)? {
            after = Some(person.id);
            people += 1;
            records += 1 + u32::from(count(gallery, person.id)?);
        }
        let (operation, bound) = (gallery.operation(), gallery.binding());
        let header = Header {
            kind: Kind::Backup,
            dimension: bound.dimension,
            records,
            people,
            version: operation,
            salt: salt(&[host, &keys.random, &operation.to_le_bytes()]),
            embedding_id: bound.embedding_id,
            origin: Origin::NONE,
        };
        let writer = Writer::new(&keys.bundle, header);
        Ok(Outgoing {
            damaged,
            header: writer.header_bytes(),
            writer,
            stage: Stage::Seed,
            record: [0; MAX_RECORD],
        })
    }

    /// The header's bytes.
    pub(super) fn header(&self) -> &[u8] {
        &self.header
    }

    /// People in it.
    pub(super) fn people(&self) -> u32 {
        self.writer.header().people
    }

    /// Damages in the gallery: what they lost is not in it.
    pub(super) fn damaged(&self) -> u32 {
        self.damaged
    }

    /// Records in it.
    pub(super) fn records(&self) -> u32 {
        self.writer.header().records
    }

    /// Record `number`, which is the next one.
    pub(super) fn record<F: NorFlash, Y: Room, M: Monotonic>(
        &mut self,
        gallery: &mut Gallery<F, Y, M>,
        keys: &Keys,
        number: u32,
    ) -> Result<&[u8], Fault> {
        let (expected, total) = (self.writer.written(), self.records());
        if number != expected || number >= total {
            return Err(Fault::Piece { expected, found: number, total });
        }
        gallery.state()?;
        if gallery.operation() != self.writer.header().version {
            return Err(Fault::Changed);
        }
        let mut values = [0; MAX_DIMENSION];
        let item = loop {
            match self.stage {
                Stage::Seed => {
                    self.stage = Stage::Settings;
                    break Item::Seed(*gallery.seed().ok_or(Fault::Changed)?);
                }
                Stage::Settings => {
                    self.stage = Stage::People(None);
                    if let Some(settings) = gallery.settings()? {
                        break Item::Settings(settings);
                    }
                }
                Stage::People(after) => {
                    let Some(Person { id, name, validity, .. }) = next_named(gallery, after)? else {
                        break self.writer.signature(&keys.identity);
                    };
                    let templates = count(gallery, id)?;
                    self.stage = Stage::Templates(id, 0, templates);
                    break Item::Person(Member { id, name, validity, templates });
                }
                Stage::Templates(person, _, 0) => self.stage = Stage::People(Some(person)),
                Stage::Templates(person, after, left) => {
                    // A record that has become unreadable meanwhile.
                    let number = gallery.stored_after(person, after, &mut values)?.ok_or(Fault::Changed)?;
                    self.stage = Stage::Templates(person, number, left - 1);
                    let dimension = usize::from(self.writer.header().dimension);
                    break Item::Template(values.get(..dimension).ok_or(Fault::Changed)?);
                }
            }
        };
        Ok(self.writer.put(&item, &mut self.record)?)
    }
}

/// The next person whose record can be read.
fn next_named<F: NorFlash, Y: Room, M: Monotonic>(
    gallery: &mut Gallery<F, Y, M>,
    mut after: Option<PersonId>,
) -> Result<Option<Person>, GalleryError> {
    loop {
        match gallery.next_after(after)? {
            Some(person) if person.name.is_empty() => after = Some(person.id),
            found => return Ok(found),
        }
    }
}

/// Templates of somebody that can be read.
fn count<F: NorFlash, Y: Room, M: Monotonic>(
    gallery: &mut Gallery<F, Y, M>,
    person: PersonId,
) -> Result<u16, GalleryError> {
    let (mut count, mut last, mut values) = (0, 0, [0; MAX_DIMENSION]);
    while let Some(number) = gallery.stored_after(person, last, &mut values)? {
        (count, last) = (count + 1, number);
    }
    Ok(count)
}
