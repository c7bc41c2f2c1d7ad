//! The gallery against a plain map: operations, power cuts at every write, damage.

use std::collections::BTreeMap;

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash, check_erase, check_write,
};
use proptest::prelude::*;

use super::*;
use crate::embedding::{Angle, angle};

const ERASE: usize = 1024;
const WRITE: usize = 4;
const DIMENSION: usize = 40;

/// NOR rules and a power cut after a budget of write units and sectors; the unit or sector at the cut is torn.
#[derive(Debug, Clone)]
struct Mock {
    bytes: std::vec::Vec<u8>,
    budget: Option<u32>,
    dead: bool,
    random: u32,
}

#[derive(Debug)]
struct Cut;

impl NorFlashError for Cut {
    fn kind(&self) -> NorFlashErrorKind {
        NorFlashErrorKind::Other
    }
}

impl Mock {
    fn new(bytes: usize) -> Self {
        Mock { bytes: vec![0xff; bytes], budget: None, dead: false, random: 0x9e37_79b9 }
    }

    fn random(&mut self) -> u8 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 17;
        self.random ^= self.random << 5;
        self.random as u8
    }

    /// Whether there is power for one more step.
    fn step(&mut self) -> bool {
        self.dead |= self.budget == Some(0);
        self.budget = self.budget.map(|b| b.saturating_sub(1));
        !self.dead
    }
}

impl ErrorType for Mock {
    type Error = Cut;
}

impl ReadNorFlash for Mock {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Cut> {
        if self.dead {
            return Err(Cut);
        }
        bytes.copy_from_slice(&self.bytes[offset as usize..][..bytes.len()]);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.bytes.len()
    }
}

impl NorFlash for Mock {
    const WRITE_SIZE: usize = WRITE;
    const ERASE_SIZE: usize = ERASE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Cut> {
        check_erase(self, from, to).unwrap();
        for sector in (from as usize..to as usize).step_by(ERASE) {
            if !self.step() {
                let half = self.random() as usize * ERASE / 256;
                self.bytes[sector..sector + half].fill(0xff);
                return Err(Cut);
            }
            self.bytes[sector..sector + ERASE].fill(0xff);
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Cut> {
        check_write(self, offset, bytes.len()).unwrap();
        for (at, unit) in (offset as usize..).step_by(WRITE).zip(bytes.chunks(WRITE)) {
            assert!(layout::is_erased(&self.bytes[at..at + WRITE]), "byte {at} programmed twice");
            if !self.step() {
                for (i, &byte) in unit.iter().enumerate() {
                    self.bytes[at + i] = byte | self.random();
                }
                return Err(Cut);
            }
            self.bytes[at..at + WRITE].copy_from_slice(unit);
        }
        Ok(())
    }
}

type TestGallery = Gallery<Mock, std::vec::Vec<Line>, 8>;

fn model() -> Binding {
    Binding { embedding_id: [7; 32], dimension: DIMENSION as u16 }
}

/// Room for whatever fits into a flash of the tests.
fn memory() -> std::vec::Vec<Line> {
    vec![Line::ZERO; index_lines_of_flash(6 * ERASE)]
}

fn empty(sectors: usize) -> TestGallery {
    let mut gallery = Gallery::open(Mock::new(sectors * ERASE), model(), memory());
    assert_eq!(gallery.state(), Err(GalleryError::Blank));
    gallery.format().unwrap();
    gallery
}

fn reopen(gallery: TestGallery) -> TestGallery {
    Gallery::open(gallery.into_flash(), model(), memory())
}

/// A template that is different for every seed.
fn template(seed: u32) -> [i8; DIMENSION] {
    core::array::from_fn(|i| (seed.wrapping_mul(0x9e37_79b1).rotate_left(i as u32 % 32) as i8) | 1)
}

/// What a gallery should hold: names and templates by person.
type Plain = BTreeMap<u32, (std::string::String, std::vec::Vec<u32>)>;

/// Everything that can be seen of a gallery, compared with the plain map.
fn check(gallery: &mut TestGallery, plain: &Plain) -> Result<(), TestCaseError> {
    prop_assert_eq!(gallery.state(), Ok(()));
    let mut after = None;
    let mut seen = std::vec::Vec::new();
    while let Some(person) = gallery.next_after(after).unwrap() {
        after = Some(person.id);
        seen.push((person.id.0, person.name.as_str().to_owned(), person.templates as usize));
    }
    let expected: std::vec::Vec<_> = plain.iter().map(|(&id, (n, t))| (id, n.clone(), t.len())).collect();
    prop_assert_eq!(seen, expected);
    prop_assert_eq!(gallery.verify(), Ok(()));
    for (&id, (name, templates)) in plain {
        prop_assert_eq!(gallery.find(name).unwrap(), Some(PersonId(id)));
        for &seed in templates {
            let best = gallery.nearest(&template(seed)).unwrap().best.unwrap();
            prop_assert_eq!(best, Candidate { person: PersonId(id), angle: Angle::from_millidegrees(0) });
        }
    }
    Ok(())
}

#[derive(Debug, Clone)]
enum Operation {
    Enroll { shots: u8 },
    Add { which: u8 },
    Remove { which: u8 },
    Format,
    Reopen,
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        6 => (1..4u8).prop_map(|shots| Operation::Enroll { shots }),
        6 => any::<u8>().prop_map(|which| Operation::Add { which }),
        5 => any::<u8>().prop_map(|which| Operation::Remove { which }),
        1 => Just(Operation::Format),
        2 => Just(Operation::Reopen),
    ]
}

/// Does `operation` to both; `stamp` makes names and templates new. Gives what the gallery said.
fn apply(
    gallery: TestGallery,
    plain: &mut Plain,
    operation: &Operation,
    stamp: u32,
) -> (TestGallery, Result<(), GalleryError>) {
    let mut gallery = gallery;
    let pick = |plain: &Plain, which: u8| plain.keys().nth(which as usize % plain.len().max(1)).copied();
    let done = match *operation {
        Operation::Enroll { shots } => {
            let name = format!("person {stamp}");
            let seeds: std::vec::Vec<u32> = (0..shots as u32).map(|i| stamp * 16 + i).collect();
            let templates: std::vec::Vec<_> = seeds.iter().map(|&s| template(s)).collect();
            let shots: std::vec::Vec<&[i8]> = templates.iter().map(|t| &t[..]).collect();
            let done = gallery.enroll(&name, &shots);
            if let Ok(id) = done {
                plain.insert(id.0, (name, seeds));
            }
            done.map(drop)
        }
        Operation::Add { which } => match pick(plain, which) {
            Some(id) => {
                let done = gallery.add_template(PersonId(id), &template(stamp * 16));
                if done.is_ok() {
                    plain.get_mut(&id).unwrap().1.push(stamp * 16);
                }
                done.map(drop)
            }
            None => Ok(()),
        },
        Operation::Remove { which } => match pick(plain, which) {
            Some(id) => {
                let done = gallery.remove(PersonId(id));
                if done.is_ok() {
                    plain.remove(&id);
                }
                done
            }
            None => Ok(()),
        },
        Operation::Format => {
            let done = gallery.format();
            if done.is_ok() {
                plain.clear();
            }
            done
        }
        Operation::Reopen => {
            gallery = reopen(gallery);
            gallery.state()
        }
    };
    (gallery, done)
}

proptest! {
    /// Operations replayed against a plain map; a gallery that is full says so and changes nothing.
    #[test]
    fn behaves_as_a_map(operations in prop::collection::vec(operation(), 1..80), sectors in 2..6usize) {
        let mut gallery = empty(sectors);
        let mut plain = Plain::new();
        for (stamp, operation) in operations.iter().enumerate() {
            let done;
            (gallery, done) = apply(gallery, &mut plain, operation, stamp as u32);
            let full = matches!(done, Err(GalleryError::Full { .. } | GalleryError::People { .. }));
            prop_assert!(done.is_ok() || full, "{:?}: {:?}", operation, done);
            if matches!(operation, Operation::Remove { .. }) {
                prop_assert_eq!(done, Ok(()), "a removal always fits");
            }
            check(&mut gallery, &plain)?;
        }
        check(&mut reopen(gallery), &plain)?;
    }

    /// Power cuts one after another: each operation has happened or has not, and the ids never come again.
    #[test]
    fn a_power_cut_leaves_before_or_after(
        rounds in prop::collection::vec((prop::collection::vec(operation(), 1..12), 0..400u32), 1..12),
    ) {
        let mut gallery = empty(4);
        let mut plain = Plain::new();
        let mut stamp = 0;
        for (operations, budget) in rounds {
            let mut flash = gallery.into_flash();
            flash.budget = Some(budget);
            gallery = Gallery::open(flash, model(), memory());
            let mut candidate = plain.clone();
            for operation in &operations {
                stamp += 1;
                if gallery.state().is_err() {
                    break;
                }
                plain = candidate.clone();
                let before_ids = gallery.next_person;
                let (next, done) = apply(gallery, &mut candidate, operation, stamp);
                gallery = next;
                if done == Err(GalleryError::Flash(FlashFault::Device)) {
                    finish(&mut candidate, operation, stamp, before_ids);
                } else {
                    plain = candidate.clone();
                }
            }
            let mut flash = gallery.into_flash();
            (flash.dead, flash.budget) = (false, None);
            gallery = Gallery::open(flash, model(), memory());
            if check(&mut gallery, &plain).is_err() {
                check(&mut gallery, &candidate)?;
                plain = candidate;
            }
        }
    }

    /// Bits flipped anywhere: an error, or what was there, or (the seal of the very last write looks cut off) all
    /// but that.
    #[test]
    fn damage_is_an_error_or_harmless(
        operations in prop::collection::vec(operation(), 1..30),
        hits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut gallery = empty(4);
        let (mut plain, mut before) = (Plain::new(), Plain::new());
        for (stamp, operation) in operations.iter().enumerate() {
            let last = plain.clone();
            gallery = apply(gallery, &mut plain, operation, stamp as u32).0;
            if last.len() != plain.len() || last != plain {
                before = last;
            }
        }
        let mut flash = gallery.into_flash();
        for (at, mask) in hits {
            let at = at.index(flash.bytes.len());
            flash.bytes[at] ^= mask;
        }
        let mut gallery = Gallery::open(flash, model(), memory());
        if gallery.state().is_ok() && check(&mut gallery, &plain).is_err() {
            check(&mut gallery, &before)?;
        }
    }

    /// A file cut short or grown, or no gallery at all: no panic, and never somebody else's people.
    #[test]
    fn any_bytes_mount_or_give_an_error(
        bytes in prop::collection::vec(any::<u8>(), 0..5000),
        keep in 0..6usize,
    ) {
        let mut gallery = empty(4);
        gallery.enroll("Ada", &[&template(1)]).unwrap();
        let mut flash = gallery.into_flash();
        flash.bytes.truncate(keep * ERASE);
        flash.bytes.resize(keep.max(1) * ERASE, 0xff);
        let gallery: TestGallery = Gallery::open(flash, model(), memory());
        // Five sectors halve into the same banks as four.
        prop_assert_eq!(gallery.state().is_ok(), keep == 4 || keep == 5);
        let random = Mock { bytes, ..Mock::new(0) };
        prop_assert!(TestGallery::open(random, model(), memory()).state().is_err());
    }
}

/// What the plain map would be had the cut operation been finished.
fn finish(plain: &mut Plain, operation: &Operation, stamp: u32, next_person: u32) {
    let pick = |plain: &Plain, which: u8| plain.keys().nth(which as usize % plain.len().max(1)).copied();
    match *operation {
        Operation::Enroll { shots } => {
            let seeds = (0..shots as u32).map(|i| stamp * 16 + i).collect();
            plain.insert(next_person, (format!("person {stamp}"), seeds));
        }
        Operation::Add { which } => {
            if let Some(id) = pick(plain, which) {
                plain.get_mut(&id).unwrap().1.push(stamp * 16);
            }
        }
        Operation::Remove { which } => {
            if let Some(id) = pick(plain, which) {
                plain.remove(&id);
            }
        }
        Operation::Format => plain.clear(),
        Operation::Reopen => {}
    }
}

#[test]
fn every_cut_of_an_enrolment_that_compacts() {
    // Fill until one more enrolment must compact first.
    let mut full = empty(4);
    full.enroll("Ada", &[&template(1), &template(2)]).unwrap();
    let mut stamp = 100;
    while full.slots() - full.next_slot > 3 {
        let id = full.enroll("passing", &[&template(stamp)]).unwrap();
        full.remove(id).unwrap();
        stamp += 1;
    }
    let image = full.into_flash().bytes;
    let mut cuts = 0;
    for budget in 0.. {
        let flash = Mock { bytes: image.clone(), budget: Some(budget), random: budget + 1, ..Mock::new(0) };
        let mut gallery: TestGallery = Gallery::open(flash, model(), memory());
        let done = gallery.enroll("Grace", &[&template(3), &template(4)]);
        let flash = Mock { budget: None, dead: false, ..gallery.into_flash() };
        let mut after: TestGallery = Gallery::open(flash, model(), memory());
        assert_eq!(after.state(), Ok(()), "after {budget} steps");
        assert!(after.find("Ada").unwrap().is_some());
        let grace = after.find("Grace").unwrap();
        if done.is_ok() {
            assert!(grace.is_some());
            break;
        }
        cuts += 1;
        // Old or new, and alive: the same enrolment now succeeds or is there already.
        match grace {
            Some(id) => assert_eq!(after.person(id).unwrap().templates, 2),
            None => drop(after.enroll("Grace", &[&template(3), &template(4)]).unwrap()),
        }
    }
    assert!(cuts > 100, "only {cuts} cuts: nothing was compacted");
}

#[test]
fn the_nearest_two_are_different_people() {
    let mut gallery = empty(6);
    let ada = gallery.enroll("Ada", &[&template(1), &template(2), &template(3)]).unwrap();
    let grace = gallery.enroll("Grace", &[&template(9)]).unwrap();
    for seed in 0..50 {
        let probe = template(seed);
        let nearest = |seeds: &[u32]| seeds.iter().map(|&s| angle(&probe, &template(s))).min().unwrap();
        let (to_ada, to_grace) = (nearest(&[1, 2, 3]), nearest(&[9]));
        let ada = Candidate { person: ada, angle: to_ada };
        let grace = Candidate { person: grace, angle: to_grace };
        let (best, second) = if to_ada <= to_grace { (ada, grace) } else { (grace, ada) };
        assert_eq!(gallery.nearest(&probe).unwrap(), Nearest { best: Some(best), second: Some(second) });
    }
}

#[test]
fn refusals_carry_the_numbers() {
    let mut gallery = empty(4);
    let good = template(1);
    let ada = gallery.enroll("Ada", &[&good]).unwrap();
    let cases: [(&str, &[&[i8]], GalleryError); 6] = [
        ("", &[&good], GalleryError::NameLength { found: 0 }),
        ("a name of thirty-three bytes here", &[&good], GalleryError::NameLength { found: 33 }),
        ("a\nb", &[&good], GalleryError::NameCharacter),
        ("Ada", &[&good], GalleryError::NameTaken { person: ada }),
        ("Bob", &[], GalleryError::NoTemplate),
        ("Bob", &[&good[1..]], GalleryError::Dimension { expected: 40, found: 39 }),
    ];
    for (name, templates, error) in cases {
        assert_eq!(gallery.enroll(name, templates), Err(error), "{name:?}");
    }
    assert_eq!(gallery.enroll("Bob", &[&[0; DIMENSION]]), Err(GalleryError::ZeroTemplate));
    let nobody = PersonId(99);
    assert_eq!(gallery.remove(nobody), Err(GalleryError::NoSuchPerson { person: nobody }));
    let mut flash = gallery.into_flash();
    assert_eq!(Binding::read(&mut flash), Ok(model()));
    let other = Binding { embedding_id: [8; 32], ..model() };
    let gallery: TestGallery = Gallery::open(flash, other, memory());
    let wrong = GalleryError::WrongModel { gallery: [7; 32], model: [8; 32] };
    assert_eq!(gallery.state(), Err(wrong));
    assert!(wrong.to_string().contains("0707 0707 0707 0707"), "{wrong}");
}

/// Ada, two removals' worth of passers-by, and little room left.
fn nearly_full() -> TestGallery {
    let mut full = empty(4);
    full.enroll("Ada", &[&template(1), &template(2)]).unwrap();
    full.enroll("Grace", &[&template(3)]).unwrap();
    let mut stamp = 100;
    while full.slots() - full.next_slot > 3 {
        let id = full.enroll("passing", &[&template(stamp)]).unwrap();
        full.remove(id).unwrap();
        stamp += 1;
    }
    full
}

#[test]
fn a_record_lost_while_mounted_is_noticed_and_nothing_is_erased() {
    for slot in 0..5 {
        let mut gallery = nearly_full();
        let seal = (gallery.offset(slot) + gallery.record_bytes()) as usize - layout::UNIT;
        // Upwards, as if a power cut had ended the writing.
        gallery.flash.bytes[seal..seal + 4].fill(0xff);
        let before = gallery.flash.bytes.clone();
        let found = gallery.verify();
        assert!(matches!(found, Err(GalleryError::Damaged { .. })), "slot {slot}: {found:?}");
        let grown = (0..4).map(|i| gallery.add_template(PersonId(2), &template(50 + i)));
        let error = grown.filter_map(Result::err).next().expect("compaction must stop");
        assert!(matches!(error, GalleryError::Damaged { .. }), "slot {slot}: {error:?}");
        let bank = gallery.bank as usize * before.len() / 2;
        let old = bank..bank + (gallery.offset(gallery.next_slot) as usize - bank).min(before.len() / 2);
        let kept = &gallery.flash.bytes[old.clone()];
        let zeros = |bytes: &[u8]| bytes.iter().map(|b| b.count_zeros()).sum::<u32>();
        assert!(zeros(kept) >= zeros(&before[old]), "slot {slot}: the bank was erased");
    }
}

#[test]
fn a_gallery_goes_on_when_its_flash_works_again() {
    let mut gallery = empty(4);
    gallery.enroll("Ada", &[&template(1)]).unwrap();
    gallery.flash.budget = Some(3);
    let failed = gallery.enroll("Grace", &[&template(2)]);
    assert_eq!(failed, Err(GalleryError::Flash(FlashFault::Device)));
    assert_eq!(gallery.find("Ada"), Err(GalleryError::Flash(FlashFault::Device)));
    (gallery.flash.budget, gallery.flash.dead) = (None, false);
    gallery.reopen();
    assert_eq!(gallery.state(), Ok(()));
    assert!(gallery.find("Ada").unwrap().is_some() && gallery.find("Grace").unwrap().is_none());
    gallery.enroll("Grace", &[&template(2)]).unwrap();
}

#[test]
fn every_cut_of_a_format_over_another_models_gallery() {
    let image = nearly_full().into_flash().bytes;
    let other = Binding { embedding_id: [8; 32], ..model() };
    let mut cuts = 0;
    for budget in 0.. {
        let flash = Mock { bytes: image.clone(), budget: Some(budget), random: budget + 1, ..Mock::new(0) };
        let mut gallery: TestGallery = Gallery::open(flash, other, memory());
        assert!(matches!(gallery.state(), Err(GalleryError::WrongModel { .. } | GalleryError::Flash(_))));
        let done = gallery.format();
        let flash = Mock { budget: None, dead: false, ..gallery.into_flash() };
        let new: TestGallery = Gallery::open(flash, other, memory());
        if new.state().is_ok() {
            assert_eq!(new.usage().people, 0);
        } else {
            let mut old: TestGallery = Gallery::open(new.into_flash(), model(), memory());
            assert_eq!(old.state(), Ok(()), "after {budget} steps neither the old gallery nor an empty one");
            assert!(old.find("Ada").unwrap().is_some());
            cuts += 1;
        }
        if done.is_ok() {
            break;
        }
    }
    assert!(cuts > 5, "only {cuts} cuts");
}

#[test]
fn numbers_at_their_end_are_refused_before_anything_is_written() {
    let mut gallery = empty(4);
    gallery.enroll("Ada", &[&template(1)]).unwrap();
    gallery.next_person = u32::MAX;
    assert_eq!(gallery.enroll("Grace", &[&template(2)]), Err(GalleryError::Full { needed: 2, free: 0 }));
    let mut gallery = reopen(gallery);
    assert!(gallery.find("Ada").unwrap().is_some());
    gallery.people[0].templates = u16::MAX;
    let full = gallery.add_template(PersonId(1), &template(3));
    assert_eq!(full, Err(GalleryError::Full { needed: 1, free: 0 }));
    assert_eq!(gallery.state(), Ok(()));
}

#[test]
fn more_templates_than_ram_has_room_for_are_refused() {
    let small = vec![Line::ZERO; index_lines(3, DIMENSION)];
    let mut gallery: TestGallery = Gallery::open(Mock::new(4 * ERASE), model(), small.clone());
    gallery.format().unwrap();
    gallery.enroll("Ada", &[&template(1), &template(2)]).unwrap();
    let full = GalleryError::Templates { capacity: 3 };
    let before = gallery.flash.bytes.clone();
    assert_eq!(gallery.enroll("Grace", &[&template(3), &template(4)]), Err(full));
    assert_eq!(before, gallery.flash.bytes);
    gallery.add_template(PersonId(1), &template(5)).unwrap();
    assert_eq!(gallery.add_template(PersonId(1), &template(6)), Err(full));
    assert_eq!(gallery.state(), Ok(()));
    // Enrolled elsewhere; it is refused, not spoilt, and what was removed needs no room.
    let mut larger: TestGallery = Gallery::open(gallery.into_flash(), model(), memory());
    larger.enroll("Grace", &[&template(3)]).unwrap();
    let smaller: TestGallery = Gallery::open(larger.into_flash(), model(), small.clone());
    assert_eq!(smaller.state(), Err(full));
    assert_eq!(smaller.nearest(&template(1)), Err(full));
    let mut larger: TestGallery = Gallery::open(smaller.into_flash(), model(), memory());
    larger.remove(PersonId(1)).unwrap();
    let fits: TestGallery = Gallery::open(larger.into_flash(), model(), small);
    assert_eq!(fits.nearest(&template(3)).unwrap().best.unwrap().person, PersonId(2));
}

#[test]
fn a_template_that_changed_in_ram_is_noticed() {
    let mut gallery = empty(4);
    gallery.enroll("Ada", &[&template(1)]).unwrap();
    assert_eq!(gallery.verify(), Ok(()));
    gallery.index.remove(PersonId(1));
    gallery.index.push(PersonId(1), &template(2));
    assert!(matches!(gallery.verify(), Err(GalleryError::Damaged { .. })));
}
