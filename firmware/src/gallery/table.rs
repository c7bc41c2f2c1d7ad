//! Where the records of a gallery lie: all that it must keep in RAM, eight bytes a record.

use heapless::Vec;

use super::PersonId;

/// The template's opened copy lies in the index.
const OPENED: u16 = 1 << 15;

/// The record could not be read or its seal is broken.
const LOST: u16 = 1 << 14;

/// The greatest number of a record.
pub const MAX_NUMBER: u16 = LOST - 1;

/// Where a record lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Whose it is; nobody's: 0.
    pub person: PersonId,
    /// The record's number and two flags.
    number: u16,
    /// Counted through all sectors.
    pub slot: u16,
}

impl Entry {
    /// Of a record that is whole as far as is known.
    pub fn new(person: PersonId, number: u16, slot: u16) -> Self {
        Entry { person, number: number & MAX_NUMBER, slot }
    }

    /// 0: the person; from 1 on: a template.
    pub fn number(self) -> u16 {
        self.number & MAX_NUMBER
    }

    /// Whether it is known to be unreadable.
    pub fn is_lost(self) -> bool {
        self.number & LOST != 0
    }

    /// Whether its template lies in the index.
    pub fn is_opened(self) -> bool {
        self.number & OPENED != 0
    }

    /// Whether it is a template of somebody that can be read, as far as is known.
    pub fn is_template(self) -> bool {
        self.person.0 != 0 && self.number() != 0 && !self.is_lost()
    }

    /// Whether it stands for somebody.
    pub fn is_person(self) -> bool {
        self.person.0 != 0 && self.number() == 0
    }

    /// Notes that it cannot be read.
    pub fn set_lost(&mut self) {
        self.number = self.number & !OPENED | LOST;
    }

    /// Notes whether its template lies in the index.
    pub fn set_opened(&mut self, opened: bool) {
        self.number = if opened { self.number | OPENED } else { self.number & !OPENED };
    }

    fn key(self) -> (PersonId, u16) {
        (self.person, self.number())
    }
}

/// The records of a gallery, at most `RECORDS`, in the order of their people and numbers.
#[derive(Debug, Default)]
pub struct Table<const RECORDS: usize> {
    list: Vec<Entry, RECORDS>,
}

impl<const RECORDS: usize> Table<RECORDS> {
    /// Bytes of RAM that a record takes.
    pub const RECORD_BYTES: usize = size_of::<Entry>();

    /// All of them.
    pub fn list(&self) -> &[Entry] {
        &self.list
    }

    /// All of them; neither people nor numbers may be changed.
    pub fn list_mut(&mut self) -> &mut [Entry] {
        &mut self.list
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.list.clear();
    }

    /// Where the record of `person` with `number` stands, or where it would.
    pub fn find(&self, person: PersonId, number: u16) -> Result<usize, usize> {
        self.list.binary_search_by_key(&(person, number), |e| e.key())
    }

    /// The records of `person`.
    pub fn of(&self, person: PersonId) -> &[Entry] {
        let begin = self.list.partition_point(|e| e.person < person);
        let length = self.list[begin..].partition_point(|e| e.person == person);
        &self.list[begin..begin + length]
    }

    /// Puts a record in its place, or in the place of the one that has its person and number; `false` if there is no room.
    #[must_use]
    pub fn put(&mut self, entry: Entry) -> bool {
        match self.find(entry.person, entry.number()) {
            Ok(at) => {
                self.list[at] = entry;
                true
            }
            Err(at) => self.list.insert(at, entry).is_ok(),
        }
    }

    /// Removes the records of `person`.
    pub fn remove(&mut self, person: PersonId) {
        self.list.retain(|e| e.person != person);
    }

    /// Adds a record out of order, for many at once: [`Table::settle`] must follow. `false` if there is no room.
    #[must_use]
    pub fn push(&mut self, entry: Entry) -> bool {
        self.list.push(entry).is_ok()
    }

    /// Puts all in order. Of two with the same person and number the one stays that `later` names, given their slots.
    ///
    /// # Errors
    /// What `later` gives.
    pub fn settle<E>(&mut self, mut later: impl FnMut(u16, u16) -> Result<u16, E>) -> Result<(), E> {
        self.list.sort_unstable_by_key(|e| e.key());
        let mut kept = 0;
        for at in 0..self.list.len() {
            let entry = self.list[at];
            if kept > 0 && self.list[kept - 1].key() == entry.key() {
                let before = self.list[kept - 1];
                if later(before.slot, entry.slot)? == entry.slot {
                    self.list[kept - 1] = entry;
                }
            } else {
                self.list[kept] = entry;
                kept += 1;
            }
        }
        self.list.truncate(kept);
        Ok(())
    }

    /// Removes what belongs to people of whom there is no record; says whether there was any such thing.
    pub fn drop_orphans(&mut self) -> bool {
        let before = self.list.len();
        let mut known = PersonId(0);
        self.list.retain(|e| {
            if e.number() == 0 {
                known = e.person;
            }
            e.person == known || e.person.0 == 0
        });
        self.list.len() < before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_and_its_person_take_sixteen_bytes() {
        assert_eq!(Table::<1>::RECORD_BYTES, 8);
        let [small, large] = [size_of::<Table<100>>(), size_of::<Table<200>>()];
        assert_eq!(large - small, 800);
    }

    #[test]
    fn orphans_go_and_doubles_are_judged() {
        let mut table = Table::<9>::default();
        for (person, number, slot) in
            [(3, 1, 0), (2, 0, 1), (2, 1, 2), (5, 1, 3), (5, 2, 4), (2, 0, 5), (0, 1, 6), (3, 0, 7)]
        {
            assert!(table.push(Entry::new(PersonId(person), number, slot)));
        }
        table.settle(|a, b| Ok::<u16, ()>(a.max(b))).unwrap();
        assert!(table.drop_orphans() && !table.drop_orphans());
        let left: std::vec::Vec<_> = table.list().iter().map(|e| (e.person.0, e.number(), e.slot)).collect();
        assert_eq!(left, [(0, 1, 6), (2, 0, 5), (2, 1, 2), (3, 0, 7), (3, 1, 0)]);
        assert_eq!(table.of(PersonId(3)).len(), 2);
        assert_eq!(table.of(PersonId(4)).len(), 0);
    }
}
