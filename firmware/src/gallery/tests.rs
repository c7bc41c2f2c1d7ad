//! The gallery against a plain map, damage, exchange, wear; [`script`] cuts its power at every step, [`erasure`] looks for what
//! was removed.

mod erasure;
mod script;

use std::collections::BTreeMap;
use std::vec::Vec;

use embedded_storage::nor_flash::NorFlash;
use proptest::prelude::*;

use super::nor::MemoryNor;
use super::*;
use crate::embedding::{Angle, angle};
use crate::sim::cuts::{Counter, Cut, CutFlash, all_parts, template};

const ERASE: usize = 1024;
const DIMENSION: u16 = 40;
const RECORDS: usize = 64;

type Flash = CutFlash<4, ERASE>;
type TestGallery = Gallery<Flash, Vec<Line>, RECORDS, Counter>;

fn model() -> Binding {
    Binding { embedding_id: [7; 32], dimension: DIMENSION }
}

fn shot(seed: u32) -> Vec<i8> {
    template(seed, DIMENSION)
}

fn open_as(flash: Flash, counter: Counter, model: Binding, lines: usize) -> TestGallery {
    Gallery::open_with(flash, model, vec![Line::ZERO; lines], &SoftwareSecret::default(), counter)
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
        Gallery::open_with(flash, model(), Vec::new(), &Random([random; 32]), counter)
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
    let fits: Gallery<Flash, [Line; 0], 22> = Gallery::open(flash.clone(), model(), []);
    let records = free;
    assert_eq!((fits.state(), fits.usage().records), (Ok(()), records));
    let less: Gallery<Flash, [Line; 0], 4> = Gallery::open(flash, model(), []);
    assert_eq!(less.state(), Err(GalleryError::Records { capacity: 4 }));
}

#[test]
fn other_models_devices_versions_and_sizes_are_refused_and_left_alone() {
    let mut gallery = small();
    let (mut flash, counter) = (gallery.flash.clone(), gallery.counter.clone());
    let before = flash.bytes_mut().to_vec();
    let other = Binding { embedding_id: [8; 32], ..model() };
    let wrong = GalleryError::WrongModel { gallery: [7; 32], model: [8; 32] };
    assert_eq!(open_as(flash.clone(), counter.clone(), other, 0).state(), Err(wrong));
    assert!(wrong.to_string().contains("0707 0707 0707 0707"), "{wrong}");
    let secret = SoftwareSecret([1; 32]);
    let mut theirs: TestGallery =
        Gallery::open_with(flash.clone(), model(), Vec::new(), &secret, counter.clone());
    assert_eq!(theirs.state(), Err(GalleryError::OtherDevice));
    assert!(theirs.flash.bytes_mut() == before);
    let mut larger = CutFlash::new(5, 1);
    larger.bytes_mut()[..before.len()].copy_from_slice(&before);
    let resized = GalleryError::Resized { recorded: (4, 1024), found: (5, 1024) };
    assert_eq!(open(larger, counter.clone()).state(), Err(resized));
    let mut old = CutFlash::new(4, 1);
    old.bytes_mut()[..6].copy_from_slice(b"AGAL\x02\x00");
    // Nobody is lost where nothing was written beside headers.
    assert_eq!(open(old.clone(), counter.clone()).state(), Err(GalleryError::Blank));
    old.bytes_mut()[ERASE - 32] = 0;
    let version = GalleryError::Version { found: 2, readable: 3 };
    assert_eq!(open(old, counter).state(), Err(version));
    let small: Gallery<MemoryNor<[u8; 1024], 4, ERASE>, [Line; 0], 8> =
        Gallery::open(MemoryNor::new([0xff; 1024]), model(), []);
    assert!(matches!(small.state(), Err(GalleryError::Small { found: 1024, .. })));
    assert!(gallery.find("Ada").unwrap().is_some());
}

#[test]
fn a_turned_bit_anywhere_is_noticed_or_turned_back_and_everybody_else_is_found() {
    let (mut flash, counter) = small().into_parts();
    let image = flash.bytes_mut().to_vec();
    let (mut noticed, mut turned_back, mut harmless) = (0, 0, 0);
    for bit in 0..image.len() * 8 {
        let mut flash = CutFlash::new(4, 1);
        flash.bytes_mut().copy_from_slice(&image);
        flash.bytes_mut()[bit / 8] ^= 1 << (bit % 8);
        let mut gallery = open(flash, counter.clone());
        assert_eq!(gallery.state(), Ok(()), "bit {bit}");
        let found = damages(&mut gallery);
        let known = [1, 2, 3].map(|seed| knows(&mut gallery, seed));
        let expected = [Some(PersonId(1)), Some(PersonId(1)), Some(PersonId(3))];
        let lost = known.iter().zip(&expected).filter(|(k, e)| k != e).count();
        let names = [1, 3].map(|id| gallery.person(PersonId(id)).unwrap().name);
        let nameless = names.iter().filter(|name| name.is_empty()).count();
        match found[..] {
            [] => harmless += 1,
            [Damage { harm: Harm::Repaired, .. }] => turned_back += 1,
            [Damage { harm: Harm::Record, offset, person }] => {
                noticed += 1;
                assert!(
                    (offset as usize..offset as usize + 96).contains(&(bit / 8)),
                    "bit {bit} at {offset}"
                );
                // Unless nothing had been written there.
                assert_eq!(usize::from(person.is_some()), lost + nameless, "bit {bit}: {found:?}");
            }
            _ => panic!("bit {bit}: {found:?}"),
        }
        let record = found.iter().any(|d| d.harm == Harm::Record && d.person.is_some());
        assert_eq!(lost + nameless, usize::from(record), "bit {bit}: {found:?}");
    }
    // Five records lie in one sector.
    assert_eq!((noticed, turned_back), (5 * 80 * 8, (5 * 16 + 128) * 8), "{harmless} harmless");
}

/// Whoever spoils the record that restricts somebody does not get back the one before it.
#[test]
fn a_damaged_change_of_validity_does_not_undo_it() {
    let gone = Validity { from: 0, until: 5 };
    for bit in 0..96 * 8 {
        let mut gallery = small();
        gallery.set_validity(PersonId(1), gone).unwrap();
        let slot = gallery.table.of(PersonId(1))[0].slot;
        let at = gallery.slot_offset(slot) as usize;
        let byte = at + bit / 8;
        gallery.flash.bytes_mut()[byte] ^= 3 << (bit % 7);
        let mut gallery = reopen(gallery);
        let ada = gallery.person(PersonId(1)).map(|ada| ada.validity);
        let spoilt = [Ok(gone), Ok(Validity::NEVER), Err(GalleryError::NoSuchPerson { person: PersonId(1) })];
        assert!(spoilt.contains(&ada), "bit {bit}: {ada:?}");
    }
}

#[test]
fn damage_is_not_forgotten_when_its_sector_is_replaced() {
    let mut gallery = small();
    let ada = gallery.table.of(PersonId(1))[1];
    let at = gallery.slot_offset(ada.slot) as usize + 20;
    gallery.flash.bytes_mut()[at] ^= 4;
    let sector = ada.slot / gallery.slots();
    gallery.replace(sector, None).unwrap();
    let mut gallery = reopen(gallery);
    let found = damages(&mut gallery);
    assert!(matches!(found[..], [Damage { harm: Harm::Record, person: Some(PersonId(1)), .. }]), "{found:?}");
    assert_eq!(gallery.person(PersonId(1)).unwrap().templates, 1);
    gallery.remove(PersonId(1)).unwrap();
    assert_eq!(damages(&mut gallery), []);
}

#[test]
fn records_that_were_moved_or_come_from_an_older_sector_are_no_records() {
    let mut gallery = small();
    let length = gallery.record_bytes();
    let [from, to] = [1, 3].map(|id| gallery.slot_offset(gallery.table.of(PersonId(id))[1].slot) as usize);
    gallery.flash.bytes_mut().copy_within(from..from + length, to);
    let mut gallery = reopen(gallery);
    assert_eq!((knows(&mut gallery, 1), knows(&mut gallery, 3)), (Some(PersonId(1)), None));
    assert_eq!(damages(&mut gallery).len(), 1);
    // A sector of a state before somebody was removed, put back into the place that is free now.
    let mut gallery = small();
    let mut old = gallery.flash.clone();
    gallery.remove(PersonId(3)).unwrap();
    for sector in 0..4 {
        let mut flash = gallery.flash.clone();
        let bytes = sector * ERASE..(sector + 1) * ERASE;
        if !super::layout::is_erased(&flash.bytes_mut()[bytes.clone()]) {
            continue;
        }
        flash.bytes_mut()[bytes.clone()].copy_from_slice(&old.bytes_mut()[bytes]);
        let mut mixed = open(flash, gallery.counter.clone());
        assert_eq!(mixed.state(), Ok(()));
        assert_eq!(
            (knows(&mut mixed, 3), knows(&mut mixed, 1)),
            (None, Some(PersonId(1))),
            "sector {sector}"
        );
    }
}

#[test]
fn a_record_in_a_free_slot_or_from_another_device_or_model_is_nobody() {
    let mut gallery = small();
    let (length, ada) = (gallery.record_bytes(), gallery.table.of(PersonId(1))[1]);
    let from = gallery.slot_offset(ada.slot) as usize;
    let expected = [(1, Some(PersonId(1))), (2, Some(PersonId(1))), (3, Some(PersonId(3)))];
    let image = gallery.flash.bytes_mut().to_vec();
    let counter = gallery.counter.clone();
    let mut free = 0;
    for slot in 0..gallery.sectors() * gallery.slots() {
        let to = gallery.slot_offset(slot) as usize;
        let header = gallery.header(slot / gallery.slots()).unwrap().value();
        if header.is_none() || !super::layout::is_erased(&image[to..to + length]) {
            continue;
        }
        let mut flash = CutFlash::new(4, 1);
        flash.bytes_mut().copy_from_slice(&image);
        flash.bytes_mut().copy_within(from..from + length, to);
        let mut copied = open(flash, counter.clone());
        assert_eq!((copied.state(), copied.usage()), (Ok(()), gallery.usage()), "slot {slot}");
        for (seed, person) in expected {
            assert_eq!(knows(&mut copied, seed), person, "slot {slot}");
        }
        free += 1;
    }
    assert!(free > 0, "no slot is free");

    // The same person on another device, and with another model: sealed by other keys.
    let others = [
        (SoftwareSecret([1; 32]), model()),
        (SoftwareSecret::default(), Binding { embedding_id: [8; 32], ..model() }),
    ];
    for (secret, binding) in others {
        let mut theirs: TestGallery =
            Gallery::open_with(CutFlash::new(4, 1), binding, Vec::new(), &secret, Counter::default());
        theirs.format().unwrap();
        theirs.enroll("Ada", &[&shot(8), &shot(2)]).unwrap();
        let at = theirs.slot_offset(theirs.table.of(PersonId(1))[1].slot) as usize;
        let mut flash = CutFlash::new(4, 1);
        flash.bytes_mut().copy_from_slice(&image);
        flash.bytes_mut()[from..from + length].copy_from_slice(&theirs.flash.bytes_mut()[at..at + length]);
        let mut mixed = open(flash, counter.clone());
        assert_eq!(mixed.state(), Ok(()));
        assert_eq!([1, 2, 3, 8].map(|s| knows(&mut mixed, s)), [None, expected[1].1, expected[2].1, None]);
        let found = damages(&mut mixed);
        assert!(matches!(found[..], [Damage { harm: Harm::Record, .. }]), "{found:?}");
    }
}

#[test]
fn a_flash_that_was_put_back_is_noticed_by_the_counter() {
    let mut gallery = small();
    let old = gallery.flash.clone();
    gallery.remove(PersonId(3)).unwrap();
    let counter = gallery.counter.clone();
    let count = counter.count;
    let behind = open(old.clone(), counter.clone());
    assert_eq!(behind.state(), Err(GalleryError::Rollback { gallery: count - 1, counter: count }));
    // A cut between the flash and the counter.
    let one_less = Counter { count: count - 1, left: None };
    let gallery = open(gallery.flash, one_less);
    assert_eq!((gallery.state(), gallery.counter.count), (Ok(()), count));
    let reset = open(gallery.flash, Counter::default());
    assert_eq!(reset.state(), Err(GalleryError::Rollback { gallery: count, counter: 0 }));
    // Without a counter it goes unnoticed, and the gallery says so.
    let lenient: Gallery<Flash, Vec<Line>, RECORDS> = Gallery::open(old.clone(), model(), Vec::new());
    assert!(lenient.state().is_ok() && !lenient.detects_rollback() && lenient.has_software_key());
    // A new beginning goes on where the counter is.
    let mut behind = open(old, counter);
    behind.format().unwrap();
    assert_eq!((reopen(behind).state(), count), (Ok(()), count));
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
    let lenient = |flash, model| Gallery::<Flash, Vec<Line>, RECORDS>::open(flash, model, Vec::new());
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
    let mut gallery: Gallery<Worn, Vec<Line>, RECORDS> = Gallery::open(flash, model(), Vec::new());
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
