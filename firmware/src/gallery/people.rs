//! The operations that enrol, change and find people.

use embedded_storage::nor_flash::NorFlash;

use super::layout::{self, MAX_RECORD, check_name};
use super::person::{Name, Person, PersonId};
use super::table::{Entry, MAX_NUMBER};
use super::{Gallery, GalleryError, Monotonic, Room};
use crate::embedding::norm_squared;
use crate::time::Validity;

impl<F: NorFlash, Y: Room, M: Monotonic> Gallery<F, Y, M> {
    /// Whether somebody new may have this name.
    ///
    /// # Errors
    /// When it is no name, or is taken.
    pub fn check_new(&mut self, name: &str) -> Result<(), GalleryError> {
        self.state?;
        check_name(name)?;
        match self.find(name)? {
            Some(person) => Err(GalleryError::NameTaken { person }),
            None => Ok(()),
        }
    }

    /// Enrols somebody new with one or more templates: all of it or nothing. They are let in always.
    ///
    /// # Errors
    /// When the name is no name or is taken, a template does not fit the model, or there is no room.
    pub fn enroll(&mut self, name: &str, templates: &[&[i8]]) -> Result<PersonId, GalleryError> {
        self.check_new(name)?;
        if templates.is_empty() {
            return Err(GalleryError::NoTemplate);
        }
        for template in templates {
            self.check_template(template)?;
        }
        let needed = templates.len() as u32 + 1;
        if self.next_person == u32::MAX || needed > u32::from(MAX_NUMBER) {
            return Err(GalleryError::Full { needed, free: 0 });
        }
        self.check_room(needed)?;
        let id = PersonId(self.next_person);
        self.begin_operation()?;
        for (number, template) in (1..).zip(templates) {
            let stored = self.transformed(template)?;
            self.append_template(id, number, &stored)?;
        }
        self.append_person(id, name, Validity::ALWAYS)?;
        self.next_person += 1;
        self.end_operation()?;
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
        let stored = self.transformed(template)?;
        self.append_further(person, &stored)?;
        Ok(self.templates_of(person))
    }

    /// An operation of its own: one more template as it is stored, of somebody enrolled.
    pub(super) fn append_further(&mut self, person: PersonId, stored: &[i8]) -> Result<(), GalleryError> {
        let last = self.table.of(person).last().map_or(0, |e| e.number());
        if last == MAX_NUMBER {
            return Err(GalleryError::NO_ROOM);
        }
        self.check_room(1)?;
        self.begin_operation()?;
        self.append_template(person, last + 1, stored)?;
        self.end_operation()
    }

    /// Says when somebody is let in.
    ///
    /// # Errors
    /// When nobody has that number, their record is damaged, or the flash fails; it needs no room.
    pub fn set_validity(&mut self, person: PersonId, validity: Validity) -> Result<(), GalleryError> {
        self.state?;
        let entry = self.entry(person)?;
        let Person { name, .. } = self.person_of(entry)?;
        if name.is_empty() {
            return Err(GalleryError::Damaged { offset: self.slot_offset(entry.slot) });
        }
        self.begin_operation()?;
        self.append_person(person, &name, validity)?;
        self.end_change()
    }

    /// The person with the lowest number above `after` (`None`: the first).
    ///
    /// # Errors
    /// When the gallery is not mounted or the flash fails.
    pub fn next_after(&mut self, after: Option<PersonId>) -> Result<Option<Person>, GalleryError> {
        self.state?;
        let after = after.unwrap_or(PersonId(0));
        let begin = self.table.list().partition_point(|e| e.person <= after);
        match self.table.list().get(begin).copied() {
            Some(entry) => self.person_of(entry).map(Some),
            None => Ok(None),
        }
    }

    /// Who has this number.
    ///
    /// # Errors
    /// When nobody has, the gallery is not mounted or the flash fails.
    pub fn person(&mut self, id: PersonId) -> Result<Person, GalleryError> {
        self.state?;
        let entry = self.entry(id)?;
        self.person_of(entry)
    }

    /// Who has this name, if anybody.
    ///
    /// # Errors
    /// When the gallery is not mounted or the flash fails.
    pub fn find(&mut self, name: &str) -> Result<Option<PersonId>, GalleryError> {
        self.state?;
        let mark = self.sealer.name_mark(name);
        for at in 0..self.table.list().len() {
            let Some(entry) = self.table.get(at) else { break };
            if entry.is_person()
                && let Some(header) = self.counting(self.sector_of(entry.slot))?
                && let Some(found) = self.clear_part(&header, entry.slot)?
                && found.value().is_some_and(|clear| clear.mark == mark)
                && self.person_of(entry)?.name == name
            {
                return Ok(Some(entry.person));
            }
        }
        Ok(None)
    }

    pub(super) fn entry(&self, person: PersonId) -> Result<Entry, GalleryError> {
        let at = self.table.find(person, 0).ok().filter(|_| person.0 != 0);
        at.and_then(|at| self.table.get(at)).ok_or(GalleryError::NoSuchPerson { person })
    }

    fn templates_of(&self, person: PersonId) -> u16 {
        self.table.of(person).iter().filter(|e| e.is_template()).count() as u16
    }

    fn person_of(&mut self, entry: Entry) -> Result<Person, GalleryError> {
        let id = entry.person;
        let mut person =
            Person { id, name: Name::new(), templates: self.templates_of(id), validity: Validity::NEVER };
        let mut bytes = [0; MAX_RECORD];
        let Ok(at) = self.table.find(id, 0) else { return Ok(person) };
        if let Some(payload) = self.open_entry(at, &mut bytes)?
            && let Some((name, validity)) = layout::decode_person(payload)
            && let Ok(name) = Name::try_from(name)
        {
            (person.name, person.validity) = (name, validity);
        }
        Ok(person)
    }

    pub(super) fn check_template(&self, template: &[i8]) -> Result<(), GalleryError> {
        if template.len() != self.dimension {
            let (expected, found) = (self.dimension as u32, template.len() as u32);
            return Err(GalleryError::Dimension { expected, found });
        }
        if norm_squared(template) == 0 { Err(GalleryError::ZeroTemplate) } else { Ok(()) }
    }
}
