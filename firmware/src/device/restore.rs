//! A bundle on its way in: people whom a host made, or a backup that is put back.

use embedded_storage::nor_flash::NorFlash;

use crate::bundle::{BundleError, Header, Item, Kind, MAX_RECORD, Reader};
use crate::bytes::copy;
use crate::gallery::{Binding, Gallery, GalleryError, Monotonic, PersonId, Room};
use crate::link::Fault;
use crate::link::status::{Restored, Signed};
use crate::state::State;
use crate::update::Verifier;

use super::Keys;

/// What is taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    /// Embeddings, which the gallery's transform makes templates of.
    Embeddings,
    /// Templates as they were stored, once it is clear whether they can be.
    Stored,
    /// Names and validity alone: the templates are of another model, or leaked.
    People,
}

/// What a host wants of a bundle.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wish {
    /// Whether everybody enrolled is to make place.
    pub(crate) replace: bool,
    /// Whether names and validity are all that is to be taken over.
    pub(crate) people_only: bool,
}

/// What an enrolment has to meet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms<'t> {
    /// Who may sign it; without one whoever has the bundle key is believed.
    pub(crate) verifier: Option<&'t Verifier>,
    /// The lowest version that is taken.
    pub(crate) least: u32,
}

impl Terms<'_> {
    fn check(&self, header: &Header) -> Result<(), Fault> {
        if header.kind != Kind::Enrolment {
            return Ok(());
        }
        if let Some(verifier) = self.verifier {
            verifier.accepts(&header.origin.signer)?;
        }
        let (found, least) = (header.version, self.least);
        if found < least { Err(BundleError::Rollback { found, least }.into()) } else { Ok(()) }
    }
}

/// A bundle that a host sends record by record. What was taken in before an error stays, each person whole with the templates
/// that came; the same bundle sent again goes on from there.
#[derive(Debug)]
pub(crate) struct Incoming {
    reader: Reader,
    how: How,
    /// Whether everybody enrolled is to make place.
    replace: bool,
    /// Whether numbers are kept: the gallery is empty, or the one that the backup is of.
    numbers: bool,
    /// Whose templates come.
    person: PersonId,
    done: Restored,
}

impl Incoming {
    /// Looks at the header, at whose it is, and whether all of it fits. Nothing is changed.
    pub(crate) fn of<F: NorFlash, Y: Room, M: Monotonic>(
        gallery: &Gallery<F, Y, M>,
        keys: &Keys,
        model: Binding,
        header: &[u8],
        Wish { replace, people_only }: Wish,
        terms: Terms<'_>,
    ) -> Result<Self, Fault> {
        let reader = Reader::new(&keys.bundle, header)?;
        let header = *reader.header();
        terms.check(&header)?;
        let same = (header.embedding_id, header.dimension) == (model.embedding_id, model.dimension);
        if header.kind == Kind::Enrolment && !same {
            let ids = [&header.embedding_id, &model.embedding_id];
            return Err(GalleryError::wrong_model(ids).into());
        }
        let incoming = Incoming {
            how: match header.kind {
                Kind::Enrolment => How::Embeddings,
                Kind::Backup if same && !people_only => How::Stored,
                Kind::Backup => How::People,
            },
            reader,
            replace,
            numbers: false,
            person: PersonId(0),
            done: Restored { total: header.records, ..Restored::default() },
        };
        let (usage, others) = (gallery.usage(), if header.kind == Kind::Backup { 2 } else { 0 });
        let needed = match incoming.how {
            How::People => header.people,
            How::Stored | How::Embeddings => header.records - others,
        };
        let is_empty = gallery.state().is_err() || usage.people == 0;
        if (replace || is_empty) && needed > usage.record_capacity {
            return Err(GalleryError::Full { needed, free: usage.record_capacity }.into());
        }
        Ok(incoming)
    }

    /// What it means for the bundles that come after it, before anybody is forgotten for it.
    pub(super) fn remember(&self, state: &mut State) {
        match self.version() {
            Some(version) => {
                state.begin_bundle(version);
                if self.replace {
                    state.take_bundle(version);
                }
            }
            None if self.replace => state.spend_bundle(),
            None => {}
        }
    }

    /// Makes place for people whose templates are not taken over as they are stored; whether a gallery was begun anew for it.
    pub(crate) fn make_place<F: NorFlash, Y: Room, M: Monotonic>(
        &mut self,
        gallery: &mut Gallery<F, Y, M>,
    ) -> Result<bool, Fault> {
        if self.how == How::Stored {
            return Ok(false);
        }
        let is_blank = gallery.state() == Err(GalleryError::Blank);
        if self.replace || is_blank {
            gallery.format()?;
        }
        gallery.state()?;
        self.numbers = self.how == How::People && gallery.usage().people == 0;
        Ok(self.replace && !is_blank)
    }

    /// What was done so far.
    pub(crate) fn done(&self) -> Restored {
        self.done
    }

    /// People in it.
    pub(super) fn people(&self) -> u32 {
        self.reader.header().people
    }

    /// Whether the last record was taken in.
    pub(crate) fn is_complete(&self) -> bool {
        self.reader.is_complete()
    }

    /// Bytes of its records.
    #[cfg(feature = "sim")]
    pub(crate) fn record_bytes(&self) -> usize {
        self.reader.header().record_bytes()
    }

    /// The version of an enrolment.
    pub(crate) fn version(&self) -> Option<u32> {
        let header = self.reader.header();
        (header.kind == Kind::Enrolment).then_some(header.version)
    }

    /// Takes record `number`, which is the next one; whether a gallery was begun anew for it.
    pub(crate) fn record<F: NorFlash, Y: Room, M: Monotonic>(
        &mut self,
        gallery: &mut Gallery<F, Y, M>,
        keys: &Keys,
        number: u32,
        bytes: &[u8],
    ) -> Result<bool, Fault> {
        let mut forgot = false;
        let (expected, total) = (self.reader.read(), self.done.total);
        if number != expected || number >= total {
            return Err(Fault::Piece { expected, found: number, total });
        }
        let (expected, found) = (self.reader.header().record_bytes() as u32, bytes.len() as u32);
        let mut record = [0; MAX_RECORD];
        // The reader refuses shorter ones.
        let record = record.get_mut(..bytes.len()).ok_or(BundleError::Length { expected, found })?;
        copy(bytes, record);
        match self.reader.next(record)?.0 {
            Item::Seed(seed) if self.how == How::Stored => {
                let mounted = gallery.state();
                let is_same = mounted.is_ok() && gallery.seed() == Some(&seed);
                let people = gallery.usage().people;
                if !is_same || self.replace {
                    match mounted {
                        Ok(()) if people > 0 && !self.replace => return Err(Fault::NotEmpty { people }),
                        Err(why) if why != GalleryError::Blank && !self.replace => return Err(why.into()),
                        _ => gallery.format_with(Some(&seed))?,
                    }
                    forgot = self.replace && mounted != Err(GalleryError::Blank);
                }
                self.numbers = true;
            }
            // Of the gallery that the backup is of, and of an empty one; another keeps its own.
            Item::Settings(settings) if self.numbers => gallery.set_settings(&settings)?,
            Item::Seed(_) | Item::Settings(_) => {}
            Item::Person(member) => {
                let had = if self.numbers { member.id } else { PersonId(0) };
                let (person, new) = gallery.restore_person(had, &member.name, member.validity)?;
                self.person = person;
                self.done.people += u32::from(new);
                self.done.known += u32::from(!new);
            }
            Item::Template(values) => {
                let new = match self.how {
                    How::People => false,
                    How::Stored => gallery.restore_template(self.person, values)?,
                    How::Embeddings => {
                        let stored = gallery.transformed(values)?;
                        gallery.restore_template(self.person, &stored)?
                    }
                };
                self.done.templates += u32::from(new);
                self.done.left_out += u32::from(!new);
            }
            Item::Signature(key, _) => {
                let own = key == keys.identity.public();
                self.done.signed = if own { Signed::Here } else { Signed::Elsewhere };
            }
        }
        self.done.records = self.reader.read();
        Ok(forgot)
    }
}
