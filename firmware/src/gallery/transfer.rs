//! Taking people out of a gallery as they are stored, and putting them back: what backups are made of.

use embedded_storage::nor_flash::NorFlash;
use heapless::Vec;

use super::layout::{MAX_RECORD, check_name};
use super::transform::{Seed, Transform};
use super::{Gallery, GalleryError, Monotonic, PersonId, Room};
use crate::embedding::MAX_DIMENSION;
use crate::time::Validity;

/// Numbers from here on are not kept: who makes a backup up must not leave the gallery without numbers for others.
const NOT_KEPT: u32 = 1 << 31;

impl<F: NorFlash, Y: Room, M: Monotonic> Gallery<F, Y, M> {
    /// What the gallery's transform is drawn from, while it is mounted.
    pub(crate) fn seed(&self) -> Option<&Seed> {
        self.transform.as_ref().map(Transform::seed)
    }

    /// Operations that it has seen: as long as it stays the same, so do the people.
    pub fn operation(&self) -> u32 {
        self.operation
    }

    /// What is stored of `embedding`, and compared with what is stored.
    pub(crate) fn transformed(&self, embedding: &[i8]) -> Result<Vec<i8, MAX_DIMENSION>, GalleryError> {
        let (expected, found) = (self.dimension as u32, embedding.len() as u32);
        let mut stored =
            Vec::from_slice(embedding).map_err(|_| GalleryError::Dimension { expected, found })?;
        self.transform.as_ref().ok_or(GalleryError::Blank)?.apply(&mut stored)?;
        Ok(stored)
    }

    /// The first template of `person` that can be read and has a number above `after`, as it is stored, into the beginning of
    /// `out`; its number.
    ///
    /// # Errors
    /// When the gallery is not mounted or the flash fails.
    pub(crate) fn stored_after(
        &mut self,
        person: PersonId,
        after: u16,
        out: &mut [i8; MAX_DIMENSION],
    ) -> Result<Option<u16>, GalleryError> {
        self.state?;
        let begin = self.table.find(person, after.saturating_add(1)).unwrap_or_else(|at| at);
        let mut bytes = [0; MAX_RECORD];
        for at in begin..self.table.list().len() {
            let Some(entry) = self.table.get(at) else { break };
            if entry.person != person {
                break;
            }
            if entry.is_template()
                && let Some(payload) = self.open_entry(at, &mut bytes)?
            {
                let stored = self.stored(payload).unwrap_or_default();
                out.iter_mut().zip(stored).for_each(|(to, &from)| *to = from);
                return Ok(Some(entry.number()));
            }
        }
        Ok(None)
    }

    /// Puts somebody back, as yet without templates: under the number that they had, unless somebody else has it now or no gallery
    /// gets that far. Who is enrolled under this name stays as they are. Says who it is, and whether they are new.
    ///
    /// # Errors
    /// When the name is no name, there is no room, or the flash fails.
    pub(crate) fn restore_person(
        &mut self,
        had: PersonId,
        name: &str,
        validity: Validity,
    ) -> Result<(PersonId, bool), GalleryError> {
        self.state?;
        check_name(name)?;
        if let Some(person) = self.find(name)? {
            return Ok((person, false));
        }
        let free = (1..NOT_KEPT).contains(&had.0) && self.entry(had).is_err();
        let id = if free { had } else { PersonId(self.next_person) };
        self.check_room(1)?;
        self.next_person = self.next_person.max(id.0.checked_add(1).ok_or(GalleryError::NO_ROOM)?);
        self.begin_operation()?;
        self.append_person(id, name, validity)?;
        self.end_operation()?;
        Ok((id, true))
    }

    /// Gives somebody a template as it is stored, unless they have the same; says whether it is new.
    ///
    /// # Errors
    /// When nobody has that number, the template does not fit the model, there is no room, or the flash fails.
    pub(crate) fn restore_template(&mut self, person: PersonId, stored: &[i8]) -> Result<bool, GalleryError> {
        self.state?;
        self.entry(person)?;
        self.check_template(stored)?;
        let (mut last, mut theirs) = (0, [0; MAX_DIMENSION]);
        while let Some(number) = self.stored_after(person, last, &mut theirs)? {
            if theirs.get(..self.dimension) == Some(stored) {
                return Ok(false);
            }
            last = number;
        }
        self.append_further(person, stored)?;
        Ok(true)
    }
}
