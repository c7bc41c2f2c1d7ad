//! Turned bits, records in foreign places, other devices and models, flashes put back: noticed, named, and harmless to everybody else.

use super::*;
use crate::gallery::layout::Replaces;
use crate::time::Validity;

#[test]
fn other_models_devices_versions_and_sizes_are_refused_and_left_alone() {
    let mut gallery = small();
    let (mut flash, counter) = (gallery.flash.clone(), gallery.counter.clone());
    let before = flash.bytes_mut().to_vec();
    let other = Binding { embedding_id: [8; 32], ..model() };
    let wrong = GalleryError::WrongModel { gallery: [7; 4], model: [8; 4] };
    assert_eq!(open_as(flash.clone(), counter.clone(), other, 0).state(), Err(wrong));
    assert!(wrong.to_string().contains("the model 0707 0707,"), "{wrong}");
    let secret = SoftwareSecret([1; 32]);
    let mut theirs: TestGallery =
        Gallery::open_with(flash.clone(), model(), Owned::new(RECORDS, 0), &secret, counter.clone());
    assert_eq!(theirs.state(), Err(GalleryError::OtherDevice));
    assert!(theirs.flash.bytes_mut() == before);
    let mut larger = CutFlash::new(5, 1);
    larger.bytes_mut()[..before.len()].copy_from_slice(&before);
    let resized = GalleryError::Resized { recorded: 4, found: 5 };
    assert_eq!(open(larger, counter.clone()).state(), Err(resized));
    // Half as many sectors, twice as large: only the first one begins where it did, and is the newest after three more formats.
    let mut begun = empty(4);
    (0..3).for_each(|_| begun.format().unwrap());
    let (mut begun, begun_counter) = begun.into_parts();
    let wider = MemoryNor::<_, 4, { 2 * ERASE }>::new(begun.bytes_mut().to_vec());
    let wider: Gallery<_, Owned, _> =
        Gallery::open_with(wider, model(), Owned::new(RECORDS, 0), &SoftwareSecret::default(), begun_counter);
    assert_eq!(wider.state(), Err(GalleryError::SectorBytes { recorded: 1024, found: 2048 }));
    let mut old = CutFlash::new(4, 1);
    old.bytes_mut()[..6].copy_from_slice(b"AGAL\x02\x00");
    // Nobody is lost where nothing was written beside headers.
    assert_eq!(open(old.clone(), counter.clone()).state(), Err(GalleryError::Blank));
    old.bytes_mut()[ERASE - 32] = 0;
    let version = GalleryError::Version { found: 2, readable: 3 };
    assert_eq!(open(old, counter).state(), Err(version));
    let small: Gallery<MemoryNor<[u8; 1024], 4, ERASE>, Owned> =
        Gallery::open(MemoryNor::new([0xff; 1024]), model(), Owned::new(8, 0));
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
        if !crate::flash::is_erased(&flash.bytes_mut()[bytes.clone()]) {
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
        if header.is_none() || !crate::flash::is_erased(&image[to..to + length]) {
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
        let mut theirs: TestGallery = Gallery::open_with(
            CutFlash::new(4, 1),
            binding,
            Owned::new(RECORDS, 0),
            &secret,
            Counter::default(),
        );
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
    let lenient: Gallery<Flash, Owned> = Gallery::open(old.clone(), model(), Owned::new(RECORDS, 0));
    assert!(lenient.state().is_ok() && !lenient.detects_rollback() && lenient.has_software_key());
    // A new beginning goes on where the counter is.
    let mut behind = open(old, counter);
    behind.format().unwrap();
    assert_eq!((reopen(behind).state(), count), (Ok(()), count));
}

#[test]
fn a_header_lost_of_the_newest_sector_is_noticed_by_a_counter_alone() {
    let mut gallery = small();
    let first = gallery.head.unwrap().sector;
    let enroll = |gallery: &mut TestGallery, seed| {
        gallery.enroll(&format!("another {seed}"), &[&shot(seed)]).unwrap();
    };
    let mut seeds = 40..;
    while gallery.head.unwrap().sector == first {
        enroll(&mut gallery, seeds.next().unwrap());
    }
    // That one's template lies in the sector before, and says which operation was the last.
    enroll(&mut gallery, seeds.next().unwrap());
    let head = gallery.head.unwrap();
    assert_eq!(head.header.replaces, Replaces::Nothing, "opened for more records");
    let people = gallery.usage().people;
    let at = gallery.sector_offset(head.sector) as usize;
    let (mut flash, counter) = gallery.into_parts();
    flash.bytes_mut()[at..at + 64].fill(0);
    assert!(matches!(open(flash.clone(), counter).state(), Err(GalleryError::Rollback { .. })));
    let room = Owned::new(RECORDS, 0);
    let mut blind = Gallery::open_with(flash, model(), room, &SoftwareSecret::default(), NoCounter);
    assert_eq!(blind.state(), Ok(()));
    assert!(blind.usage().people < people);
    assert_eq!(blind.verify(|damage| panic!("{damage:?}")), Ok(0));
}
