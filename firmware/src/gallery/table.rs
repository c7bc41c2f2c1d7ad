//! Where the records of a gallery lie: all that it must keep in RAM, eight bytes a record.

use core::cell::Cell;

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
    /// Of nothing: what places hold before they are used.
    pub const NONE: Entry = Entry { person: PersonId(0), number: 0, slot: 0 };

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

/// The records of a gallery in the order of their people and numbers, in places `K`: an array on a device.
#[derive(Debug)]
pub struct Table<K> {
    places: K,
    length: usize,
}

impl<K: AsRef<[Entry]> + AsMut<[Entry]>> Table<K> {
    /// An empty one.
    pub fn new(places: K) -> Self {
        Table { places, length: 0 }
    }

    /// How many fit.
    pub fn capacity(&self) -> usize {
        self.places.as_ref().len()
    }

    /// All of them.
    pub fn list(&self) -> &[Entry] {
        self.places.as_ref().get(..self.length).unwrap_or_default()
    }

    /// All of them; neither people nor numbers may be changed.
    pub fn list_mut(&mut self) -> &mut [Entry] {
        self.places.as_mut().get_mut(..self.length).unwrap_or_default()
    }

    /// The record at `at`, in their order.
    pub fn get(&self, at: usize) -> Option<Entry> {
        self.list().get(at).copied()
    }

    /// Notes that the record at `at` cannot be read.
    pub fn set_lost(&mut self, at: usize) {
        if let Some(entry) = self.list_mut().get_mut(at) {
            entry.set_lost();
        }
    }

    /// Notes that the template of the record at `at` lies in the index.
    pub fn set_opened(&mut self, at: usize) {
        if let Some(entry) = self.list_mut().get_mut(at) {
            entry.set_opened(true);
        }
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.length = 0;
    }

    /// Where the record of `person` with `number` stands, or where it would.
    pub fn find(&self, person: PersonId, number: u16) -> Result<usize, usize> {
        self.list().binary_search_by_key(&(person, number), |e| e.key())
    }

    /// The records of `person`.
    pub fn of(&self, person: PersonId) -> &[Entry] {
        let list = self.list();
        let rest = list.get(list.partition_point(|e| e.person < person)..).unwrap_or_default();
        rest.get(..rest.partition_point(|e| e.person == person)).unwrap_or_default()
    }

    /// Puts a record in its place, or in the place of the one that has its person and number; `false` if there is no room.
    #[must_use]
    pub fn put(&mut self, entry: Entry) -> bool {
        match self.find(entry.person, entry.number()) {
            Ok(at) => match self.list_mut().get_mut(at) {
                Some(place) => {
                    *place = entry;
                    true
                }
                None => false,
            },
            Err(at) => {
                if !self.push(entry) {
                    return false;
                }
                let mut moved = entry;
                for place in self.list_mut().iter_mut().skip(at) {
                    core::mem::swap(place, &mut moved);
                }
                true
            }
        }
    }

    /// Removes the records of `person`.
    pub fn remove(&mut self, person: PersonId) {
        self.retain(|e, _| e.person != person);
    }

    /// Adds a record out of order, for many at once: [`Table::sort`] must follow. `false` if there is no room.
    #[must_use]
    pub fn push(&mut self, entry: Entry) -> bool {
        match self.places.as_mut().get_mut(self.length) {
            Some(place) => {
                *place = entry;
                self.length += 1;
                true
            }
            None => false,
        }
    }

    /// Keeps those that `keep` says, given each and the one behind it, in their order.
    fn retain(&mut self, mut keep: impl FnMut(Entry, Option<Entry>) -> bool) {
        let list = Cell::from_mut(self.list_mut()).as_slice_of_cells();
        let mut places = list.iter();
        let mut kept = 0;
        let mut behind = list.iter().skip(1).map(Cell::get);
        for entry in list.iter().map(Cell::get) {
            if keep(entry, behind.next())
                && let Some(place) = places.next()
            {
                place.set(entry);
                kept += 1;
            }
        }
        self.length = kept;
    }

    /// Puts all in order; of several with the same person and number, all stay. As a mount finds them few are far from their place, and
    /// each is put there; where many are, a heapsort bounds the work. (The library's sorts take 7 KB of flash.)
    pub fn sort(&mut self) {
        let list = self.list_mut();
        if insert_each(list, MOVES * list.len()) {
            return;
        }
        for root in (0..list.len() / 2).rev() {
            sift(list, root);
        }
        for end in (1..list.len()).rev() {
            if let Ok([first, last]) = list.get_disjoint_mut([0, end]) {
                core::mem::swap(first, last);
            }
            sift(list.get_mut(..end).unwrap_or_default(), 0);
        }
    }

    /// The first place from `from` on whose record has the same person and number as the next one, and the slots of both.
    pub fn double(&self, from: usize) -> Option<(usize, [u16; 2])> {
        let behind = self.list().get(from..)?;
        let mut pairs = (from..).zip(behind.iter().zip(behind.iter().skip(1)));
        let (at, (a, b)) = pairs.find(|(_, (a, b))| a.key() == b.key())?;
        Some((at, [a.slot, b.slot]))
    }

    /// Of the records at `at` and behind it, the first one counts: it takes the place of the second, too.
    pub fn prefer_first(&mut self, at: usize) {
        if let Some([first, second]) = self.list_mut().get_mut(at..).and_then(|l| l.first_chunk_mut()) {
            *second = *first;
        }
    }

    /// Of those with the same person and number the last one stays; says whether there were any such.
    pub fn drop_doubles(&mut self) -> bool {
        let before = self.length;
        self.retain(|e, next| next.is_none_or(|next| next.key() != e.key()));
        self.length < before
    }

    /// Removes what belongs to people of whom there is no record; says whether there was any such thing.
    pub fn drop_orphans(&mut self) -> bool {
        let before = self.length;
        let mut known = PersonId(0);
        self.retain(|e, _| {
            if e.number() == 0 {
                known = e.person;
            }
            e.person == known || e.person.0 == 0
        });
        self.length < before
    }
}

/// Lets the entry at `root` of a heap sink to its place.
fn sift(heap: &mut [Entry], mut root: usize) {
    loop {
        let left = 2 * root + 1;
        let is_right = heap.get(left).zip(heap.get(left + 1)).is_some_and(|(l, r)| l.key() < r.key());
        let greater = if is_right { left + 1 } else { left };
        let Ok([parent, child]) = heap.get_disjoint_mut([root, greater]) else { return };
        if child.key() <= parent.key() {
            return;
        }
        core::mem::swap(parent, child);
        root = greater;
    }
}

/// Records that are moved for each one, on average, before a list does not count as nearly in order.
const MOVES: usize = 8;

/// Puts each record in its place among those before it; `false` if more than so many had to move: then nothing is lost.
fn insert_each(list: &mut [Entry], mut moves: usize) -> bool {
    for end in 2..=list.len() {
        let Some([before @ .., entry]) = list.get_mut(..end) else { return false };
        let behind =
            before.iter().rev().take_while(|other| other.key() > entry.key()).take(moves + 1).count();
        if behind > moves {
            return false;
        }
        moves -= behind;
        if let Some(moved) = list.get_mut(end - 1 - behind..end) {
            last_to_front(moved);
        }
    }
    true
}

/// The last becomes the first, all others one later.
fn last_to_front(list: &mut [Entry]) {
    let list = Cell::from_mut(list).as_slice_of_cells();
    for pair in list.windows(2).rev() {
        if let [before, behind] = pair {
            before.swap(behind);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_and_its_person_take_sixteen_bytes() {
        assert_eq!(2 * size_of::<Entry>(), 16);
    }

    #[test]
    fn any_order_becomes_order() {
        let sorted: std::vec::Vec<u32> = (0..500).collect();
        let turned: std::vec::Vec<u32> = (0..500).rev().collect();
        let nearly = (0..500).map(|i| i ^ 1).collect();
        let mixed = (0..500).map(|i| i * 7919 % 500).collect();
        for people in [sorted, turned, nearly, mixed] {
            let mut table = Table::new([Entry::NONE; 500]);
            for &person in &people {
                assert!(table.push(Entry::new(PersonId(person / 2), (person % 2) as u16, person as u16)));
            }
            table.sort();
            let slots: std::vec::Vec<u16> = table.list().iter().map(|e| e.slot).collect();
            assert_eq!(slots, (0..500).collect::<std::vec::Vec<u16>>());
        }
    }

    #[test]
    fn orphans_go_and_doubles_are_judged() {
        let mut table = Table::new([Entry::NONE; 9]);
        for (person, number, slot) in
            [(3, 1, 0), (2, 0, 1), (2, 1, 2), (5, 1, 3), (5, 2, 4), (2, 0, 5), (0, 1, 6), (3, 0, 7)]
        {
            assert!(table.push(Entry::new(PersonId(person), number, slot)));
        }
        table.sort();
        let (at, [first, second]) = table.double(0).unwrap();
        assert_eq!([first, second].map(|slot| slot.min(5)), [first, second], "the record of person 2");
        if first > second {
            table.prefer_first(at);
        }
        assert_eq!(table.double(at + 1), None);
        assert!(table.drop_doubles() && !table.drop_doubles());
        assert!(table.drop_orphans() && !table.drop_orphans());
        let left: std::vec::Vec<_> = table.list().iter().map(|e| (e.person.0, e.number(), e.slot)).collect();
        assert_eq!(left, [(0, 1, 6), (2, 0, 5), (2, 1, 2), (3, 0, 7), (3, 1, 0)]);
        assert_eq!(table.of(PersonId(3)).len(), 2);
        assert_eq!(table.of(PersonId(4)).len(), 0);
    }
}
