//! The gallery against a plain map; searches, refusals, formats, wear. [`script`] cuts its power at every step, [`erasure`] looks for
//! what was removed, [`damage`] spoils and exchanges bytes.

mod damage;
mod erasure;
mod script;

use std::collections::BTreeMap;
use std::vec::Vec;

use embedded_storage::nor_flash::NorFlash;
use proptest::prelude::*;

use super::*;
use crate::embedding::{Angle, angle};
use crate::flash::nor::{self, MemoryNor};
use crate::secret::{DeviceSecret, SoftwareSecret};
use crate::sim::cuts::{Counter, Cut, CutFlash, all_parts, template};
use crate::time::Validity;

const ERASE: usize = 1024;
const DIMENSION: u16 = 40;
const RECORDS: usize = 64;

type Flash = CutFlash<4, ERASE>;
type TestGallery = Gallery<Flash, Owned, Counter>;

fn model() -> Binding {
    Binding { embedding_id: [7; 32], dimension: DIMENSION }
}

fn shot(seed: u32) -> Vec<i8> {
    template(seed, DIMENSION)
}

fn open_as(flash: Flash, counter: Counter, model: Binding, lines: usize) -> TestGallery {
    Gallery::open_with(flash, model, Owned::new(RECORDS, lines), &SoftwareSecret::default(), counter)
}

fn open(flash: Flash, counter: Counter) -> TestGallery {
    open_as(flash, counter, model(), index_lines(RECORDS, DIMENSION.into()))
}

fn empty(sectors: usize) -> TestGallery {
    let mut gallery = open(CutFlash::new(sectors, 1), Counter::default());
    assert_eq!(gallery.state(), Err(GalleryError::Blank));
    gallery.format().unwrap();
    gallery
}

fn reopen(gallery: TestGallery) -> TestGallery {
    let (mut flash, counter) = gallery.into_parts();
    flash.power_up(None);
    open(flash, counter)
}

/// Ada with two templates and Grace with one, beside traces of others.
fn small() -> TestGallery {
    let mut gallery = empty(4);
    gallery.enroll("Ada", &[&shot(1), &shot(2)]).unwrap();
    let passing = gallery.enroll("passing", &[&shot(9)]).unwrap();
    gallery.enroll("Grace", &[&shot(3)]).unwrap();
    gallery.remove(passing).unwrap();
    reopen(gallery)
}

fn damages(gallery: &mut TestGallery) -> Vec<Damage> {
    let mut found = Vec::new();
    let count = gallery.verify(|damage| found.push(damage)).unwrap();
    assert_eq!(count as usize, found.len());
    found
}

/// Whether `gallery` finds this shot at no angle at all.
fn knows(gallery: &mut TestGallery, seed: u32) -> Option<PersonId> {
    let best = gallery.nearest(&shot(seed)).unwrap().best?;
    (best.angle == Angle::from_millidegrees(0)).then_some(best.person)
}

#[derive(Debug, Clone)]
enum Operation {
    Enroll { shots: u8 },
    Add { which: u8 },
    Validity { which: u8 },
    Remove { which: u8 },
    Settings,
    Reopen,
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        6 => (1..4u8).prop_map(|shots| Operation::Enroll { shots }),
        6 => any::<u8>().prop_map(|which| Operation::Add { which }),
        2 => any::<u8>().prop_map(|which| Operation::Validity { which }),
        5 => any::<u8>().prop_map(|which| Operation::Remove { which }),
        1 => Just(Operation::Settings),
        2 => Just(Operation::Reopen),
    ]
}

proptest! {
    /// Operations replayed against a plain map; a gallery that is full says so and changes nothing.
    #[test]
    fn behaves_as_a_map(
        operations in prop::collection::vec(operation(), 1..60),
        sectors in 2..6usize,
        lines in 0..40usize,
    ) {
        let mut gallery = empty(sectors);
        let (flash, counter) = gallery.into_parts();
        gallery = open_as(flash, counter, model(), lines);
        let mut plain: BTreeMap<PersonId, (std::string::String, Vec<u32>, Validity)> = BTreeMap::new();
        let mut settings = None;
        for (stamp, operation) in (1..).zip(&operations) {
            let pick = |which: u8| plain.keys().nth(which as usize % plain.len().max(1)).copied();
            let seed = stamp * 4;
            let done = match *operation {
                Operation::Enroll { shots } => {
                    let seeds: Vec<u32> = (seed..seed + u32::from(shots)).collect();
                    let templates: Vec<_> = seeds.iter().map(|&s| shot(s)).collect();
                    let templates: Vec<&[i8]> = templates.iter().map(|t| &t[..]).collect();
                    gallery.enroll(&format!("n{stamp}"), &templates).map(|id| {
                        plain.insert(id, (format!("n{stamp}"), seeds, Validity::ALWAYS));
                    })
                }
                Operation::Add { which } => pick(which).map_or(Ok(()), |id| {
                    let count = gallery.add_template(id, &shot(seed))?;
                    let seeds = &mut plain.get_mut(&id).unwrap().1;
                    seeds.push(seed);
                    assert_eq!(usize::from(count), seeds.len());
                    Ok(())
                }),
                Operation::Validity { which } => pick(which).map_or(Ok(()), |id| {
                    let validity = Validity { from: seed.into(), until: 1 << 40 };
                    plain.get_mut(&id).unwrap().2 = validity;
                    gallery.set_validity(id, validity)
                }),
                Operation::Remove { which } => pick(which).map_or(Ok(()), |id| {
                    plain.remove(&id);
                    gallery.remove(id)
                }),
                Operation::Settings => {
                    let bytes = [stamp as u8; SETTINGS_BYTES];
                    gallery.set_settings(&bytes).map(|()| settings = Some(bytes))
                }
                Operation::Reopen => {
                    let (flash, counter) = gallery.into_parts();
                    gallery = open_as(flash, counter, model(), lines);
                    gallery.state()
                }
            };
            let takes_no_room = matches!(operation, Operation::Remove { .. } | Operation::Validity { .. });
            match done {
                Ok(()) => {}
                Err(GalleryError::Full { needed, free }) if !takes_no_room => prop_assert!(needed > free),
                Err(error) => prop_assert!(false, "{operation:?}: {error}"),
            }
            prop_assert_eq!(gallery.verify(|_| ()), Ok(0));
            let mut after = None;
            for (&id, (name, seeds, validity)) in &plain {
                let person = gallery.next_after(after).unwrap().unwrap();
                let expected =
                    Person { id, name: name[..].try_into().unwrap(), templates: seeds.len() as u16, validity: *validity };
                prop_assert_eq!(person, expected);
                after = Some(id);
                for &seed in seeds {
                    prop_assert_eq!(knows(&mut gallery, seed), Some(id));
                }
            }
            prop_assert_eq!(gallery.next_after(after).unwrap(), None);
            prop_assert_eq!(gallery.settings().unwrap(), settings);
        }
    }

    /// Bytes changed anywhere in a gallery: what is left is what was there, and nobody else.
    #[test]
    fn damage_is_noticed_or_harmless(
        hits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40),
    ) {
        let (mut flash, counter) = small().into_parts();
        for (at, byte) in hits {
            let bytes = flash.bytes_mut();
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let mut gallery = open(flash, counter);
        if gallery.state().is_ok() {
            let mut seen = Vec::new();
            gallery.each_template(|person, number, t| seen.push((person.0, number, t.to_vec()))).unwrap();
            let stored = |seed| gallery.transformed(&shot(seed)).unwrap().to_vec();
            let real = [(1, 1, stored(1)), (1, 2, stored(2)), (3, 1, stored(3))];
            prop_assert!(seen.iter().all(|t| real.contains(t)), "{:?}", seen);
        }
    }
}

#[test]
fn power_cuts_lose_nothing() {
    let tally = all_parts(1_200, 1);
    assert_eq!((tally.lost, tally.phantom, tally.failed_mounts), (0, 0, 0), "{tally:?}");
    assert!(tally.cuts >= 1_200 && tally.operations > 4 * tally.cuts, "{tally:?}");
    assert!(4 * tally.in_erases >= tally.cuts && 4 * tally.in_compaction >= tally.cuts, "{tally:?}");
    assert!(4 * tally.nearly_full > 3 * tally.operations, "{tally:?}");
}

#[test]
fn the_nearest_two_are_different_people_however_few_templates_fit_in_ram() {
    for lines in [0, index_lines(1, DIMENSION.into()), index_lines(9, DIMENSION.into())] {
        let (flash, counter) = empty(6).into_parts();
        let mut gallery = open_as(flash, counter, model(), lines);
        let ada = gallery.enroll("Ada", &[&shot(1), &shot(2), &shot(3)]).unwrap();
        let grace = gallery.enroll("Grace", &[&shot(9)]).unwrap();
        for _ in 0..2 {
            for seed in 0..50 {
                let probe = shot(seed);
                let stored = |seed| gallery.transformed(&shot(seed)).unwrap();
                let of =
                    |shots: &[u32]| shots.iter().map(|&s| angle(&stored(seed), &stored(s))).min().unwrap();
                let (to_ada, to_grace) = (of(&[1, 2, 3]), of(&[9]));
                let ada = Candidate { person: ada, angle: to_ada };
                let grace = Candidate { person: grace, angle: to_grace };
                let (best, second) = if to_ada <= to_grace { (ada, grace) } else { (grace, ada) };
                let found = gallery.nearest(&probe).unwrap();
                assert_eq!(found, Nearest { best: Some(best), second: Some(second) }, "{lines} lines");
            }
            let (flash, counter) = gallery.into_parts();
            gallery = open_as(flash, counter, model(), lines);
        }
    }
}

#[test]
fn a_transform_is_kept_until_the_next_format_and_differs_between_devices() {
    struct Random([u8; 32]);
    impl DeviceSecret for Random {
        fn is_software(&self) -> bool {
            true
        }
        fn secret(&self) -> [u8; 32] {
            SoftwareSecret::default().0
        }
        fn random(&self) -> Option<[u8; 32]> {
            Some(self.0)
        }
    }
    let (flash, counter) = (CutFlash::new(4, 1), Counter::default());
    let open = |flash: Flash, counter: Counter, random: u8| -> TestGallery {
        Gallery::open_with(flash, model(), Owned::new(RECORDS, 0), &Random([random; 32]), counter)
    };
    let stored = |gallery: &TestGallery| gallery.transformed(&shot(1)).unwrap();
    let mut seen = Vec::new();
    for random in [1, 2] {
        let mut gallery = open(flash.clone(), counter.clone(), random);
        gallery.format().unwrap();
        gallery.enroll("Ada", &[&shot(1)]).unwrap();
        seen.push(stored(&gallery));
        let (flash, counter) = gallery.into_parts();
        let mut again = open(flash, counter, random + 8);
        assert_eq!(stored(&again), seen[seen.len() - 1]);
        assert_eq!(knows(&mut again, 1), Some(PersonId(1)));
        again.format().unwrap();
        seen.push(stored(&again));
    }
    let differ = |a: &[i8], b: &[i8]| a.iter().zip(b).filter(|(a, b)| a != b).count() > a.len() / 2;
    for (i, a) in seen.iter().enumerate() {
        assert!(seen[..i].iter().all(|b| differ(a, b)), "{seen:?}");
    }
}

#[test]
fn refusals_carry_the_numbers() {
    let mut gallery = empty(4);
    let good = shot(1);
    let ada = gallery.enroll("Ada", &[&good]).unwrap();
    let cases: [(&str, &[&[i8]], GalleryError); 7] = [
        ("", &[&good], GalleryError::NameLength { found: 0 }),
        ("a name of thirty-three bytes here", &[&good], GalleryError::NameLength { found: 33 }),
        ("a\nb", &[&good], GalleryError::NameCharacter),
        ("Ada", &[&good], GalleryError::NameTaken { person: ada }),
        ("Bob", &[], GalleryError::NoTemplate),
        ("Bob", &[&good[1..]], GalleryError::Dimension { expected: 40, found: 39 }),
        ("Bob", &[&[0; DIMENSION as usize]], GalleryError::ZeroTemplate),
    ];
    for (name, templates, error) in cases {
        assert_eq!(gallery.enroll(name, templates), Err(error), "{name:?}");
    }
    for nobody in [PersonId(99), PersonId(0)] {
        assert_eq!(gallery.remove(nobody), Err(GalleryError::NoSuchPerson { person: nobody }));
    }
    let free = gallery.usage().record_capacity - gallery.usage().records;
    let many = vec![&good[..]; free as usize];
    assert_eq!(gallery.enroll("Bob", &many), Err(GalleryError::Full { needed: free + 1, free }));
    gallery.enroll("Bob", &many[1..]).unwrap();
    assert_eq!(gallery.add_template(ada, &good), Err(GalleryError::Full { needed: 1, free: 0 }));
    gallery.set_validity(ada, Validity { from: 1, until: 2 }).unwrap();
    gallery.remove(ada).unwrap();
    let mut flash = gallery.into_flash();
    assert_eq!(Binding::read(&mut flash), Ok(model()));
    // As many records as RAM keeps track of, and one less.
    let fits = Gallery::open(flash.clone(), model(), Owned::new(22, 0));
    let records = free;
    assert_eq!((fits.state(), fits.usage().records), (Ok(()), records));
    let less = Gallery::open(flash, model(), Owned::new(4, 0));
    assert_eq!(less.state(), Err(GalleryError::Records { capacity: 4 }));
}

#[test]
fn nothing_of_somebody_removed_is_left_in_the_flash() {
    let mut gallery = empty(6);
    let ada = gallery.enroll("Ada", &[&shot(1)]).unwrap();
    for i in 0..20 {
        gallery.enroll(&format!("n{i}"), &[&shot(100 + i)]).unwrap();
        gallery.add_template(ada, &shot(200 + i)).unwrap();
        gallery.set_validity(ada, Validity { from: i.into(), until: 1 << 40 }).unwrap();
        if gallery.usage().record_capacity - gallery.usage().records < 4 {
            break;
        }
    }
    let length = gallery.record_bytes();
    let slots: Vec<u16> = (0..6 * gallery.slots()).collect();
    let mut theirs = Vec::new();
    for slot in slots {
        let Some(header) = gallery.header(slot / gallery.slots()).unwrap().value() else { continue };
        let clear = gallery.clear_part(&header, slot).unwrap().and_then(Found::value);
        if clear.is_some_and(|c| c.person == ada) {
            let at = gallery.slot_offset(slot) as usize;
            theirs.push(gallery.flash.bytes_mut()[at + 16..at + length].to_vec());
        }
    }
    assert_eq!(theirs.len(), gallery.table.of(ada).len(), "no older record of hers stays");
    gallery.remove(ada).unwrap();
    let bytes = gallery.flash.bytes_mut().to_vec();
    for record in &theirs {
        assert!(!record.windows(8).step_by(8).any(|w| bytes.windows(8).any(|b| b == w)), "it is still there");
    }
    assert!(!bytes.windows(3).any(|b| b == b"Ada") && !bytes.windows(8).any(|b| b == b"person 1"));
}

#[test]
fn a_gallery_goes_on_when_its_flash_works_again() {
    let mut gallery = small();
    gallery.flash.arm(Cut::Step(3));
    let failed = gallery.enroll("Bob", &[&shot(5)]);
    assert_eq!(failed, Err(GalleryError::Flash(FlashFault::Device)));
    assert_eq!(gallery.find("Ada"), Err(GalleryError::Flash(FlashFault::Device)));
    gallery.flash.power_up(None);
    gallery.reopen();
    assert_eq!(gallery.state(), Ok(()));
    assert!(gallery.find("Ada").unwrap().is_some() && gallery.find("Bob").unwrap().is_none());
    gallery.enroll("Bob", &[&shot(5)]).unwrap();
}

#[test]
fn every_cut_of_a_format_over_another_models_gallery() {
    let image = small().into_flash();
    let other = Binding { embedding_id: [8; 32], ..model() };
    let lenient = |flash, model| Gallery::open(flash, model, Owned::new(RECORDS, 0));
    for cut in 0.. {
        let mut flash = image.clone();
        flash.power_up(Some(Cut::Step(cut)));
        let mut gallery = lenient(flash, other);
        assert!(matches!(gallery.state(), Err(GalleryError::WrongModel { .. })));
        let done = gallery.format();
        let mut flash = gallery.into_flash();
        flash.power_up(None);
        let new = lenient(flash, other);
        if new.state().is_ok() {
            assert_eq!(new.usage().people, 0);
            assert!(lenient(new.into_flash(), model()).state().is_err(), "cut {cut}: two galleries");
        } else {
            let mut old = lenient(new.into_flash(), model());
            assert_eq!(old.state(), Ok(()), "after {cut} steps neither the old gallery nor an empty one");
            assert!(old.find("Ada").unwrap().is_some() && done.is_err());
        }
        if done.is_ok() {
            assert!(cut > 5, "only {cut} cuts");
            break;
        }
    }
}

#[test]
fn a_template_that_changed_in_ram_is_noticed_and_opened_anew() {
    let mut gallery = small();
    assert_eq!(knows(&mut gallery, 1), Some(PersonId(1)));
    gallery.index.remove(PersonId(1));
    gallery.index.push(PersonId(1), &shot(8));
    assert!(damages(&mut gallery).iter().any(|d| d.harm == Harm::Memory));
    assert_eq!((knows(&mut gallery, 1), knows(&mut gallery, 8)), (Some(PersonId(1)), None));
    assert_eq!(damages(&mut gallery), []);
}

/// A flash that counts how often each sector was erased.
struct Worn(MemoryNor<Vec<u8>, 4, ERASE>, Vec<u32>);

impl embedded_storage::nor_flash::ErrorType for Worn {
    type Error = nor::NorFault;
}

impl embedded_storage::nor_flash::ReadNorFlash for Worn {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), nor::NorFault> {
        self.0.read(offset, bytes)
    }

    fn capacity(&self) -> usize {
        self.0.capacity()
    }
}

impl NorFlash for Worn {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = ERASE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), nor::NorFault> {
        (from as usize / ERASE..to as usize / ERASE).for_each(|sector| self.1[sector] += 1);
        self.0.erase(from, to)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), nor::NorFault> {
        self.0.write(offset, bytes)
    }
}

#[test]
fn wear_is_spread_although_most_people_stay() {
    let flash = Worn(MemoryNor::new(vec![0xff; 8 * ERASE]), vec![0; 8]);
    let mut gallery = Gallery::open(flash, model(), Owned::new(RECORDS, 0));
    gallery.format().unwrap();
    for i in 0..14 {
        gallery.enroll(&format!("n{i}"), &[&shot(i)]).unwrap();
    }
    let one = PersonId(1);
    for i in 0..20_000 {
        gallery.set_validity(one, Validity { from: i, until: u64::MAX }).unwrap();
    }
    let erases = gallery.into_flash().1;
    let (least, most) = (erases.iter().min().unwrap(), erases.iter().max().unwrap());
    assert!(most < &(4 * least), "{erases:?}");
}
