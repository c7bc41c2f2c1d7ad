//! Removing for good: the raw flash is searched for the bytes of who was removed, on models of the four flash parts, also when
//! the power went at any step of the removal and it was finished afterwards.

use super::*;
use crate::time::Validity;

type Erasing<const WRITE: usize, const SECTOR: usize> = Gallery<CutFlash<WRITE, SECTOR>, Owned, Counter>;

const ADA: PersonId = PersonId(1);

/// The bytes of every record in the raw flash, whether it counts or not, that says that it is of `person`.
fn raw_records<const WRITE: usize, const SECTOR: usize>(
    gallery: &mut Erasing<WRITE, SECTOR>,
    person: PersonId,
) -> Vec<Vec<u8>> {
    let (slots, length) = (gallery.slots(), gallery.record_bytes());
    let offsets: Vec<usize> =
        (0..gallery.sectors() * slots).map(|slot| gallery.slot_offset(slot) as usize).collect();
    let bytes = gallery.flash.bytes_mut();
    let theirs = offsets.into_iter().filter(|at| bytes[at + 4..at + 8] == person.0.to_le_bytes());
    theirs.map(|at| bytes[at..at + length].to_vec()).collect()
}

/// Whether eight bytes in a row of a sealed payload lie anywhere in `bytes`; those that say nothing, erased or programmed to
/// zero where a cut left them so, aside.
fn is_left(bytes: &[u8], records: &[Vec<u8>]) -> bool {
    let telling = |window: &&[u8]| window.iter().filter(|b| [0, 0xff].contains(*b)).count() < 3;
    let windows: std::collections::BTreeSet<&[u8]> =
        records.iter().flat_map(|record| record[16..].chunks_exact(8)).filter(telling).collect();
    assert!(!windows.is_empty(), "there was nothing to look for");
    bytes.windows(8).any(|window| windows.contains(window))
}

/// Cuts the removal at every `stride`-th step, and in every erase.
fn nothing_is_left_after_any_cut<const WRITE: usize, const SECTOR: usize>(sectors: usize, stride: usize) {
    let open = |flash, counter| -> Erasing<WRITE, SECTOR> {
        Gallery::open_with(flash, model(), Owned::new(RECORDS, 0), &SoftwareSecret::default(), counter)
    };
    let mut gallery = open(CutFlash::new(sectors, 5), Counter::default());
    gallery.format().unwrap();
    assert_eq!(gallery.enroll("Ada", &[&shot(1), &shot(2)]), Ok(ADA));
    let grace = gallery.enroll("Grace", &[&shot(3)]).unwrap();
    gallery.set_validity(ADA, Validity { from: 1, until: 1 << 40 }).unwrap();
    gallery.add_template(grace, &shot(4)).unwrap();
    gallery.add_template(ADA, &shot(5)).unwrap();
    let before = raw_records(&mut gallery, ADA);
    assert_eq!(before.len(), 4, "no older record of hers stays");
    let (flash, counter) = gallery.into_parts();
    let (mut undone, mut finished) = (0, 0);
    // Whether the removal came to its end before the cut.
    let mut is_whole = |cut: Cut| {
        let mut flash = flash.clone();
        flash.power_up(Some(cut));
        let mut gallery = open(flash, counter.clone());
        let removed = gallery.state().and_then(|()| gallery.remove(ADA));
        // Copies that a replacement had begun are hers too.
        let mut theirs = raw_records(&mut gallery, ADA);
        theirs.extend_from_slice(&before);
        let (mut flash, counter) = gallery.into_parts();
        let whole = flash.gone().is_none();
        flash.power_up(None);
        let mut gallery = open(flash, counter);
        assert_eq!((gallery.state(), removed.is_ok()), (Ok(()), whole), "{cut:?}");
        if gallery.person(ADA).is_ok() {
            assert!(!whole, "{cut:?}: she was removed");
            theirs.extend(raw_records(&mut gallery, ADA));
            gallery.remove(ADA).unwrap();
            undone += 1;
        } else {
            finished += u32::from(!whole);
        }
        assert_eq!(raw_records(&mut gallery, ADA).len(), 0, "{cut:?}");
        assert!(!is_left(gallery.flash.bytes_mut(), &theirs), "{cut:?}: it is still there");
        assert_eq!(gallery.person(grace).unwrap().templates, 2, "{cut:?}");
        assert_eq!(gallery.verify(|_| ()), Ok(0), "{cut:?}");
        whole
    };
    for step in (0..).step_by(stride) {
        if is_whole(Cut::Step(step)) {
            break;
        }
    }
    for erase in 0.. {
        if is_whole(Cut::Erase(erase)) {
            break;
        }
    }
    println!("{undone} cuts left her enrolled, after {finished} the mount finished the removal");
    assert!(undone > 0 && finished > 0);
}

#[test]
fn sectors_of_2_kb_in_units_of_8() {
    nothing_is_left_after_any_cut::<8, 2048>(4, 1);
}

#[test]
fn sectors_of_4_kb_in_units_of_4() {
    nothing_is_left_after_any_cut::<4, 4096>(3, 1);
}

#[test]
fn sectors_of_128_kb_in_units_of_32() {
    nothing_is_left_after_any_cut::<32, { 128 << 10 }>(2, 1);
}

#[test]
fn sectors_of_256_kb_in_units_of_1() {
    nothing_is_left_after_any_cut::<1, { 256 << 10 }>(2, 16);
}

/// Damage that hides whose a record is, or the whole sector, hides nobody from a removal.
#[test]
fn records_that_say_no_more_whose_they_are_go_too() {
    // With a counter, a sector that is missing is a flash put back.
    type Plain = Gallery<Flash, Owned>;
    let open = |flash| -> Plain { Gallery::open(flash, model(), Owned::new(RECORDS, 0)) };
    for header_too in [false, true] {
        let mut gallery = open(CutFlash::new(4, 1));
        gallery.format().unwrap();
        let ada = gallery.enroll("Ada", &[&shot(1), &shot(2)]).unwrap();
        // Into the sectors after hers.
        for number in 0..6 {
            gallery.enroll(&format!("n{number}"), &[&shot(20 + number)]).unwrap();
        }
        let at = gallery.slot_offset(gallery.table.of(ada)[2].slot) as usize;
        let mut flash = gallery.into_flash();
        let bytes = flash.bytes_mut();
        let theirs = vec![bytes[at..at + 96].to_vec()];
        // Two bits: beyond what a checksum turns back.
        bytes[at + 5] ^= 0x18;
        if header_too {
            bytes[at / ERASE * ERASE + 9] ^= 0x18;
        }
        let mut gallery = open(flash);
        assert!(gallery.verify(|_| ()).unwrap() > 0);
        assert!(is_left(gallery.flash.bytes_mut(), &theirs));
        let last = gallery.find("n5").unwrap().unwrap();
        gallery.remove(if header_too { last } else { ada }).unwrap();
        assert!(!is_left(gallery.flash.bytes_mut(), &theirs), "header too: {header_too}");
        assert!(gallery.find("n4").unwrap().is_some());
    }
}
