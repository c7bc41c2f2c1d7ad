//! A script with every operation, cut at every unit that is programmed and every sector that is erased, on models of the four
//! flash parts: what the gallery holds then is what it held before or after one of the operations.

use std::collections::BTreeSet;
use std::string::String;

use super::*;
use crate::time::Validity;

type Cutting<const WRITE: usize, const SECTOR: usize> = Gallery<CutFlash<WRITE, SECTOR>, Owned, Counter>;

/// Names, validities and templates, and the settings.
type Seen = (Vec<(String, Validity, Vec<Vec<i8>>)>, Option<[u8; SETTINGS_BYTES]>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Enroll(&'static str, &'static [u32]),
    Add(u32, u32),
    Validity(u32),
    Settings(u8),
    Remove(u32),
    Reopen,
    Format,
    /// With the transform of a backup.
    FormatAs(u8),
    RestorePerson(u32, &'static str),
    RestoreTemplate(u32, u32),
}

fn script() -> impl Iterator<Item = Step> {
    let begin = [
        Step::Enroll("Ada", &[1, 2]),
        Step::Enroll("Grace", &[3]),
        Step::Reopen,
        Step::Validity(1),
        Step::Remove(2),
        Step::Add(1, 4),
    ];
    let end = [
        Step::Settings(1),
        Step::Settings(2),
        Step::Validity(1),
        Step::Enroll("Mary", &[5]),
        Step::Remove(1),
        Step::Format,
        Step::Enroll("Eve", &[6]),
        Step::FormatAs(7),
        Step::RestorePerson(9, "Linus"),
        Step::RestoreTemplate(9, 8),
    ];
    begin.into_iter().chain(end)
}

fn open_part<const WRITE: usize, const SECTOR: usize>(
    flash: CutFlash<WRITE, SECTOR>,
    counter: Counter,
    dimension: u16,
) -> Cutting<WRITE, SECTOR> {
    let model = Binding { dimension, ..model() };
    let mut gallery =
        Gallery::open_with(flash, model, Owned::new(RECORDS, 0), &SoftwareSecret::default(), counter);
    if gallery.state() == Err(GalleryError::Blank) {
        // What came of it says the state.
        let _ = gallery.format();
    }
    gallery
}

fn perform<const WRITE: usize, const SECTOR: usize>(
    gallery: &mut Cutting<WRITE, SECTOR>,
    step: Step,
    dimension: u16,
) -> Result<(), GalleryError> {
    match step {
        Step::Enroll(name, seeds) => {
            let shots: Vec<_> = seeds.iter().map(|&seed| template(seed, dimension)).collect();
            let shots: Vec<&[i8]> = shots.iter().map(|shot| &shot[..]).collect();
            gallery.enroll(name, &shots).map(drop)
        }
        Step::Add(person, seed) => {
            gallery.add_template(PersonId(person), &template(seed, dimension)).map(drop)
        }
        Step::Validity(person) => gallery.set_validity(PersonId(person), Validity { from: 5, until: 9 }),
        Step::Settings(byte) => gallery.set_settings(&[byte; SETTINGS_BYTES]),
        Step::Remove(person) => gallery.remove(PersonId(person)),
        Step::Reopen => {
            gallery.reopen();
            gallery.state()
        }
        Step::Format => gallery.format(),
        Step::FormatAs(byte) => gallery.format_with(Some(&[byte; 32])),
        Step::RestorePerson(had, name) => {
            gallery.restore_person(PersonId(had), name, Validity { from: 1, until: 8 }).map(drop)
        }
        Step::RestoreTemplate(person, seed) => {
            let stored = gallery.transformed(&template(seed, dimension))?;
            gallery.restore_template(PersonId(person), &stored).map(drop)
        }
    }
}

fn see<const WRITE: usize, const SECTOR: usize>(gallery: &mut Cutting<WRITE, SECTOR>) -> Seen {
    assert_eq!(gallery.verify(|_| ()), Ok(0));
    let (mut people, mut after) = (Vec::new(), None);
    while let Some(person) = gallery.next_after(after).unwrap() {
        after = Some(person.id);
        let mut templates = Vec::new();
        let mut take = |of, shot: &[i8]| {
            if of == person.id {
                templates.push(shot.to_vec());
            }
        };
        gallery.each_template(|of, _, shot| take(of, shot)).unwrap();
        people.push((person.name.as_str().to_owned(), person.validity, templates));
    }
    (people, gallery.settings().unwrap())
}

/// Cuts the script at every step.
fn cut_at_every_step<const WRITE: usize, const SECTOR: usize>(sectors: usize, dimension: u16) {
    let steps: Vec<Step> = script().collect();
    let mut gallery = open_part(CutFlash::<WRITE, SECTOR>::new(sectors, 3), Counter::default(), dimension);
    let mut states = vec![see(&mut gallery)];
    for &step in &steps {
        perform(&mut gallery, step, dimension).unwrap();
        states.push(see(&mut gallery));
    }
    let whole = gallery.into_flash().steps();
    let mut replacing = BTreeSet::new();
    for cut in 0..whole {
        let mut flash = CutFlash::<WRITE, SECTOR>::new(sectors, u64::from(cut) + 9);
        flash.power_up(Some(Cut::Step(cut)));
        let mut gallery = open_part(flash, Counter::default(), dimension);
        let mut performs =
            |step: &&Step| gallery.state().is_ok() && perform(&mut gallery, **step, dimension).is_ok();
        let done = steps.iter().take_while(&mut performs).count();
        let (mut flash, counter) = gallery.into_parts();
        let gone = flash.gone().unwrap_or_else(|| panic!("step {cut} of {whole} was not cut"));
        if gone.compaction {
            replacing.insert(done);
        }
        flash.power_up(None);
        let mut gallery = open_part(flash, counter, dimension);
        assert_eq!(gallery.state(), Ok(()), "step {cut}");
        let seen = see(&mut gallery);
        assert!(seen == states[done] || seen == states[done + 1], "step {cut}, in {:?}", steps[done]);
        let (flash, counter) = gallery.into_parts();
        let again = see(&mut open_part(flash, counter, dimension));
        assert_eq!(again, seen, "step {cut}: another state at the next mount");
    }
    println!("{whole} cuts, sectors of {SECTOR} bytes in units of {WRITE}");
    // Removals, changes and the mount replace a sector, whatever the flash.
    let step = |wanted: Step| steps.iter().position(|&step| step == wanted).unwrap();
    for must in [Step::Remove(1), Step::Remove(2), Step::Reopen, Step::Validity(1), Step::Settings(2)] {
        assert!(replacing.contains(&step(must)), "{must:?} was never cut while it replaced a sector");
    }
}

#[test]
fn sectors_of_2_kb_in_units_of_8() {
    cut_at_every_step::<8, 2048>(4, 512);
}

#[test]
fn sectors_of_4_kb_in_units_of_4() {
    cut_at_every_step::<4, 4096>(3, 512);
}

#[test]
fn sectors_of_128_kb_in_units_of_32() {
    cut_at_every_step::<32, { 128 << 10 }>(2, 512);
}

#[test]
fn sectors_of_256_kb_in_units_of_1() {
    // Short records: a step is a byte.
    cut_at_every_step::<1, { 256 << 10 }>(2, 32);
}

#[test]
fn a_first_format_that_was_cut_begins_anew_whatever_it_left() {
    for seed in 0..16 {
        for cut in 0.. {
            let mut flash = CutFlash::<1, ERASE>::new(3, seed);
            flash.power_up(Some(Cut::Step(cut)));
            let (mut flash, counter) = open_part(flash, Counter::default(), DIMENSION).into_parts();
            let whole = flash.gone().is_none();
            flash.power_up(None);
            let gallery = open_part(flash, counter, DIMENSION);
            assert_eq!((gallery.state(), gallery.usage().people), (Ok(()), 0), "cut {cut}, seed {seed}");
            if whole {
                break;
            }
        }
    }
}
