//! Power cuts: the gallery against a plain map, on models of flash parts that lose their power at any step.
//!
//! Operations follow one another at random on a gallery that is kept nearly full. The power goes in an erase, in the middle of
//! a replacement, or anywhere; also while the gallery is mounted after the last cut. Then what the gallery holds must be what
//! it held before the operation or what it should hold after it, and the same at the next mount.

mod flash;

use std::collections::BTreeMap;

pub use flash::{Cut, CutFlash, PowerCut, Where};

use crate::gallery::transform::Seed;
use crate::gallery::{Binding, FlashFault, Gallery, GalleryError, Monotonic, Owned, Person, PersonId};
use crate::secret::SoftwareSecret;
use crate::time::Validity;

/// Numbers that look random and are the same every time (xorshift).
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// A generator; equal seeds give equal numbers.
    pub fn new(seed: u64) -> Self {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        (0..8).for_each(|_| _ = random.bits());
        random
    }

    /// The next 32 bits.
    pub fn bits(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 24) as u32
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u32) -> u32 {
        self.bits() % end
    }
}

/// What came of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Power cuts.
    pub cuts: u64,
    /// Of these, in an erase.
    pub in_erases: u64,
    /// Of these, while a sector was replaced.
    pub in_compaction: u64,
    /// Operations begun.
    pub operations: u64,
    /// People, templates and validities that had been committed and were not there after a cut.
    pub lost: u64,
    /// Those that had not been and were there.
    pub phantom: u64,
    /// Mounts that did not succeed although the power stayed.
    pub failed_mounts: u64,
    /// Operations that found the gallery full or nearly: less than an eighth of its records free.
    pub nearly_full: u64,
}

impl Tally {
    /// Adds another run.
    pub fn add(&mut self, other: &Tally) {
        self.cuts += other.cuts;
        self.in_erases += other.in_erases;
        self.in_compaction += other.in_compaction;
        self.operations += other.operations;
        self.lost += other.lost;
        self.phantom += other.phantom;
        self.failed_mounts += other.failed_mounts;
        self.nearly_full += other.nearly_full;
    }
}

/// A counter outside of the flash whose power goes with it.
#[derive(Debug, Clone, Default)]
pub struct Counter {
    /// What it says.
    pub count: u32,
    /// How many times it counts until it does not.
    pub left: Option<u32>,
}

impl Monotonic for Counter {
    const PRESENT: bool = true;

    fn read(&mut self) -> Option<u32> {
        Some(self.count)
    }

    fn advance(&mut self, to: u32) -> bool {
        match &mut self.left {
            Some(0) => return false,
            Some(left) => *left -= 1,
            None => {}
        }
        assert!(to >= self.count, "the counter was to go back from {} to {to}", self.count);
        self.count = to;
        true
    }
}

/// Records that the galleries of these runs keep track of.
pub const RECORDS: usize = 512;

/// A gallery as it should be: name, templates by number, validity.
type Plain = BTreeMap<PersonId, (String, BTreeMap<u16, u32>, Validity)>;

type TestGallery<const WRITE: usize, const ERASE: usize> = Gallery<CutFlash<WRITE, ERASE>, Owned, Counter>;

/// A template that is different for every seed and has it in its first four values.
pub fn template(seed: u32, dimension: u16) -> Vec<i8> {
    let mut random = Random::new(seed.into());
    let seed = seed.to_le_bytes().into_iter();
    seed.chain(std::iter::repeat_with(|| random.bits() as u8 | 1))
        .take(dimension.into())
        .map(|b| b as i8)
        .collect()
}

#[derive(Debug, Clone)]
enum Operation {
    Enroll(String, Vec<u32>),
    Add(PersonId, u32),
    Remove(PersonId),
    Validity(PersonId, Validity),
    Format,
    Nothing,
}

/// One flash and what should be on it.
#[derive(Debug)]
pub struct Run<const WRITE: usize, const ERASE: usize> {
    flash: CutFlash<WRITE, ERASE>,
    counter: Counter,
    dimension: u16,
    plain: Plain,
    /// Of a gallery's seed: what is stored of templates.
    stored: (Seed, BTreeMap<u32, Vec<i8>>),
    random: Random,
    stamp: u32,
    last_id: u32,
    tally: Tally,
}

impl<const WRITE: usize, const ERASE: usize> Run<WRITE, ERASE> {
    /// A flash of `sectors` sectors for embeddings of `dimension` values.
    pub fn new(sectors: usize, dimension: u16, seed: u64) -> Self {
        Run {
            flash: CutFlash::new(sectors, seed ^ 0x5eed),
            counter: Counter::default(),
            dimension,
            plain: Plain::new(),
            stored: ([0; 32], BTreeMap::new()),
            random: Random::new(seed),
            stamp: 0,
            last_id: 0,
            tally: Tally::default(),
        }
    }

    /// Goes on until there were `cuts` power cuts, with about five operations between one and the next.
    pub fn cut(mut self, cuts: u64) -> Tally {
        while self.tally.cuts < cuts {
            self.flash.power_up(None);
            let mut gallery = self.mount();
            let cut = self.next_cut();
            let (mut flash, mut counter) = gallery.into_parts();
            flash.arm(cut);
            counter.left = (self.random.below(16) == 0).then(|| self.random.below(6));
            gallery = self.open(flash, counter);
            for _ in 0..40 {
                let operation = self.choose(&gallery);
                self.tally.operations += 1;
                if !self.perform(&mut gallery, &operation) {
                    break;
                }
            }
            (self.flash, self.counter) = gallery.into_parts();
            self.counter.left = None;
        }
        self.tally
    }

    fn next_cut(&mut self) -> Cut {
        // What a sector that is replaced takes: most of its units.
        let units = (ERASE / WRITE) as u32;
        match self.random.below(8) {
            0..3 => Cut::Erase(self.random.below(14)),
            3..6 => Cut::Compaction(self.random.below(12 * units)),
            _ => Cut::Step(self.random.below(12 * units)),
        }
    }

    fn open(&self, flash: CutFlash<WRITE, ERASE>, counter: Counter) -> TestGallery<WRITE, ERASE> {
        let model = Binding { embedding_id: [7; 32], dimension: self.dimension };
        let mut gallery =
            Gallery::open_with(flash, model, Owned::new(RECORDS, 0), &SoftwareSecret::default(), counter);
        if gallery.state() == Err(GalleryError::Blank) {
            // What came of it says the state.
            let _ = gallery.format();
        }
        gallery
    }

    /// Mounts what the last cut left, sometimes with more cuts in between.
    fn mount(&mut self) -> TestGallery<WRITE, ERASE> {
        let mut flash = self.flash.clone();
        while self.random.below(4) == 0 {
            let cut = match self.random.below(3) {
                0 => Cut::Erase(0),
                1 => Cut::Compaction(self.random.below((ERASE / WRITE) as u32)),
                _ => Cut::Step(self.random.below(40 * 32 / WRITE as u32)),
            };
            flash.power_up(Some(cut));
            (flash, self.counter) = self.open(flash, self.counter.clone()).into_parts();
            self.count_cut(flash.gone());
        }
        flash.power_up(None);
        let gallery = self.open(flash.clone(), self.counter.clone());
        if let Err(error) = gallery.state() {
            eprintln!("mount {} failed: {error}", self.tally.cuts);
            self.tally.failed_mounts += 1;
            self.plain.clear();
            self.counter = Counter::default();
            return self.open(CutFlash::new(flash_sectors(&flash), self.stamp.into()), Counter::default());
        }
        gallery
    }

    fn count_cut(&mut self, gone: Option<Where>) {
        if let Some(Where { erase, compaction }) = gone {
            self.tally.cuts += 1;
            self.tally.in_erases += u64::from(erase);
            self.tally.in_compaction += u64::from(compaction);
        }
    }

    fn choose(&mut self, gallery: &TestGallery<WRITE, ERASE>) -> Operation {
        self.stamp += 1;
        let usage = gallery.usage();
        let free = usage.record_capacity.saturating_sub(usage.records);
        self.tally.nearly_full += u64::from(free < usage.record_capacity / 8);
        let somebody = match self.plain.len() as u32 {
            0 => None,
            people => self.plain.keys().nth(self.random.below(people) as usize).copied(),
        };
        let seed = self.stamp * 8;
        let Some(person) = somebody else { return Operation::Enroll(format!("n{seed}"), vec![seed]) };
        let crowded = free < 4;
        match self.random.below(20) {
            0..8 if !crowded => {
                let shots = 1 + self.random.below(3);
                Operation::Enroll(format!("n{seed}"), (0..shots).map(|i| seed + i).collect())
            }
            8..13 if !crowded => Operation::Add(person, seed),
            13..16 => {
                let until = u64::from(self.random.bits());
                Operation::Validity(person, Validity { from: seed.into(), until })
            }
            16 => Operation::Nothing,
            17 if self.random.below(200) == 0 => Operation::Format,
            _ if crowded || self.random.below(3) == 0 => Operation::Remove(person),
            _ => Operation::Add(person, seed),
        }
    }

    /// Does `operation` to the gallery and the map; `false` when the power went.
    fn perform(&mut self, gallery: &mut TestGallery<WRITE, ERASE>, operation: &Operation) -> bool {
        let d = self.dimension;
        let mut new = None;
        let done = match operation {
            Operation::Enroll(name, seeds) => {
                let templates: Vec<_> = seeds.iter().map(|&s| template(s, d)).collect();
                let templates: Vec<&[i8]> = templates.iter().map(|t| &t[..]).collect();
                gallery.enroll(name, &templates).map(|id| new = Some(id))
            }
            Operation::Add(person, seed) => gallery.add_template(*person, &template(*seed, d)).map(drop),
            Operation::Remove(person) => gallery.remove(*person),
            Operation::Validity(person, validity) => gallery.set_validity(*person, *validity),
            Operation::Format => gallery.format(),
            Operation::Nothing => {
                gallery.reopen();
                gallery.state()
            }
        };
        match done {
            Ok(()) => {
                let after = self.after(operation, new);
                if self.random.below(16) == 0 {
                    let seen = self.dump(gallery, operation);
                    self.judge(seen, [&after, &after]);
                } else {
                    self.last_id = self.last_id.max(new.map_or(0, |id| id.0));
                    self.plain = after;
                }
                true
            }
            Err(GalleryError::Full { .. }) => true,
            Err(GalleryError::Flash(FlashFault::Device | FlashFault::Mismatch) | GalleryError::Counter) => {
                self.after_cut(gallery, operation);
                false
            }
            Err(error) => {
                eprintln!("{operation:?}: {error}");
                self.tally.failed_mounts += 1;
                false
            }
        }
    }

    /// Powers up again and holds what is there against what was and what should have come.
    fn after_cut(&mut self, gallery: &mut TestGallery<WRITE, ERASE>, operation: &Operation) {
        let nothing = Binding { embedding_id: [7; 32], dimension: self.dimension };
        let empty = Gallery::open_with(
            CutFlash::new(0, 0),
            nothing,
            Owned::new(RECORDS, 0),
            &SoftwareSecret::default(),
            Counter::default(),
        );
        let (flash, counter) = std::mem::replace(gallery, empty).into_parts();
        let left = counter.left;
        self.count_cut(flash.gone());
        // The power went in the counter.
        self.tally.cuts += u64::from(flash.gone().is_none() && left == Some(0));
        (self.flash, self.counter) = (flash, Counter { left: None, ..counter });
        for _ in 0..2 {
            let mut mounted = self.mount();
            let seen = self.dump(&mut mounted, operation);
            let before = self.plain.clone();
            let after = self.after(operation, newest(seen.as_ref()));
            self.judge(seen, [&before, &after]);
            (self.flash, self.counter) = mounted.into_parts();
            // What was seen once counts from then on.
            let mut mounted = self.open(self.flash.clone(), self.counter.clone());
            let again = self.dump(&mut mounted, operation);
            let now = self.plain.clone();
            self.judge(again, [&now, &now]);
            if self.plain == after {
                break;
            }
        }
        *gallery = self.open(self.flash.clone(), self.counter.clone());
    }

    /// The map after `operation`; who is new has the number `new`, which nobody had before.
    fn after(&self, operation: &Operation, new: Option<PersonId>) -> Plain {
        let mut after = self.plain.clone();
        match operation {
            Operation::Enroll(name, seeds) => {
                if let Some(id) = new.filter(|id| id.0 > self.last_id) {
                    let templates = (1..).zip(seeds.iter().copied()).collect();
                    after.insert(id, (name.clone(), templates, Validity::ALWAYS));
                }
            }
            Operation::Add(person, seed) => {
                if let Some((_, templates, _)) = after.get_mut(person) {
                    let last = templates.keys().next_back().copied().unwrap_or(0);
                    templates.insert(last + 1, *seed);
                }
            }
            Operation::Remove(person) => drop(after.remove(person)),
            Operation::Validity(person, validity) => {
                if let Some(entry) = after.get_mut(person) {
                    entry.2 = *validity;
                }
            }
            Operation::Format => after.clear(),
            Operation::Nothing => {}
        }
        after
    }

    /// All that a gallery holds before or after `operation`; `None` when it cannot be read, says that something is damaged or
    /// has a template that was never enrolled.
    fn dump(&mut self, gallery: &mut TestGallery<WRITE, ERASE>, operation: &Operation) -> Option<Plain> {
        let mut plain = Plain::new();
        if gallery.verify(|damage| eprintln!("{damage:?}")).ok()? > 0 {
            return None;
        }
        let mut after = None;
        while let Some(Person { id, name, validity, .. }) = gallery.next_after(after).ok()? {
            plain.insert(id, (name.as_str().to_owned(), BTreeMap::new(), validity));
            after = Some(id);
        }
        let new: &[u32] = match operation {
            Operation::Enroll(_, seeds) => seeds,
            Operation::Add(_, seed) => core::slice::from_ref(seed),
            _ => &[],
        };
        let (transform, dimension) = (gallery.transform()?.clone(), self.dimension);
        if self.stored.0 != *transform.seed() || self.stored.1.len() > 4096 {
            self.stored = (*transform.seed(), BTreeMap::new());
        }
        let (before, stored) = (&self.plain, &mut self.stored.1);
        let mut sound = true;
        let read = gallery.each_template(|person, number, values| {
            let old = before.get(&person).and_then(|(_, templates, _)| templates.get(&number));
            let seed = old.into_iter().chain(new).find(|&&seed| {
                let expected = stored.entry(seed).or_insert_with(|| {
                    let mut template = template(seed, dimension);
                    transform.apply(&mut template).map(|()| template).unwrap_or_default()
                });
                values == expected
            });
            match (plain.get_mut(&person), seed) {
                (Some((_, templates, _)), Some(&seed)) => drop(templates.insert(number, seed)),
                _ => sound = false,
            }
        });
        read.ok()?;
        sound.then_some(plain)
    }

    /// Holds what was seen against the states that are allowed, counts what is wrong, and goes on from what was seen.
    fn judge(&mut self, seen: Option<Plain>, allowed: [&Plain; 2]) {
        let seen = seen.unwrap_or_default();
        if !allowed.contains(&&seen) {
            let items = |plain: &Plain| -> std::collections::BTreeSet<(PersonId, String)> {
                let each = plain.iter().flat_map(|(&id, (name, templates, validity))| {
                    let person = (id, format!("{name} {validity:?}"));
                    templates.iter().map(move |t| (id, format!("{t:?}"))).chain([person])
                });
                each.collect()
            };
            let [before, after] = allowed.map(items);
            let found = items(&seen);
            let lost = before.intersection(&after).filter(|item| !found.contains(*item)).count();
            let phantom =
                found.iter().filter(|item| !before.contains(*item) && !after.contains(*item)).count();
            // Half of an operation is neither state.
            self.tally.lost += (lost as u64).max(u64::from(phantom == 0));
            self.tally.phantom += phantom as u64;
        }
        self.last_id = newest(Some(&seen)).map_or(0, |id| id.0).max(self.last_id);
        self.plain = seen;
    }
}

/// The person enrolled last.
fn newest(plain: Option<&Plain>) -> Option<PersonId> {
    plain?.keys().next_back().copied()
}

fn flash_sectors<const WRITE: usize, const ERASE: usize>(flash: &CutFlash<WRITE, ERASE>) -> usize {
    use embedded_storage::nor_flash::ReadNorFlash;
    flash.capacity() / ERASE
}

/// Runs the four parts side by side until there were `cuts` power cuts.
pub fn all_parts(cuts: u64, seed: u64) -> Tally {
    // The parts with large sectors take longer for each cut.
    let share = |of: u64| cuts * of / 20;
    let large = [share(2), share(2)];
    let small = [share(8), cuts - share(8) - large[0] - large[1]];
    let tallies = std::thread::scope(|scope| {
        let parts = [
            scope.spawn(move || Run::<8, 2048>::new(6, 64, seed).cut(small[0])),
            scope.spawn(move || Run::<4, 4096>::new(5, 128, seed + 1).cut(small[1])),
            scope.spawn(move || Run::<32, { 128 << 10 }>::new(3, 512, seed + 2).cut(large[0])),
            scope.spawn(move || Run::<1, { 256 << 10 }>::new(2, 512, seed + 3).cut(large[1])),
        ];
        parts.map(|part| part.join().unwrap_or(Tally { failed_mounts: 1, ..Tally::default() }))
    });
    let mut all = Tally::default();
    tallies.iter().for_each(|tally| all.add(tally));
    all
}
