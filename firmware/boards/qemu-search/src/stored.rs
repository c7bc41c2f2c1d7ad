//! Counts what it takes to mount a gallery, and to search one whose templates lie sealed in flash.

use arcgate_firmware::flash::nor::MemoryNor;
use arcgate_firmware::gallery::{Binding, Entry, Gallery, GalleryError, Line, PersonId, Rooms};
use semihosting::println;

use crate::core_clock::Clock;
use crate::numbers::Numbers;
use crate::{DIMENSION, fail};

/// People of the gallery that is mounted, with a template each.
const MOUNTED: usize = 1000;

/// Templates of the gallery that is searched.
const SEARCHED: usize = 420;

/// Bytes of the flash: 90 sectors.
const FLASH: usize = 90 * 4096;

/// Records that the gallery keeps track of.
const RECORDS: usize = 2 * MOUNTED;

type Stored<'f> = Gallery<MemoryNor<&'f mut [u8]>, Rooms<&'f mut [Entry], [Line; 0]>>;

/// Counts both.
pub fn count(numbers: &mut Numbers, clock: &mut Clock) {
    let (mut bytes, mut records) = ([0xff; FLASH], [Entry::NONE; RECORDS]);
    let mut face = [0; DIMENSION];
    let mut number = MOUNTED;
    let mut enrolled = 0;
    for people in [SEARCHED, MOUNTED] {
        let mut gallery = open(&mut bytes, &mut records);
        if gallery.state() == Err(GalleryError::Blank) {
            or_fail(gallery.format());
        }
        while enrolled < people {
            numbers.embedding(&mut face);
            number += 1;
            or_fail(gallery.enroll(name(number).as_str(), &[&face]));
            enrolled += 1;
        }
        // The mount after a write settles what may have been cut; the next one is that of every other day.
        drop(open(&mut bytes, &mut records));
        clock.lap();
        let mut gallery = open(&mut bytes, &mut records);
        let instructions = clock.lap();
        or_fail(gallery.state());
        println!("mount {people} {instructions}");
        if people == SEARCHED {
            clock.lap();
            let found = or_fail(gallery.nearest(&face));
            let instructions = clock.lap();
            if found.best.map(|best| best.person) != Some(PersonId(SEARCHED as u32)) {
                fail(format_args!("the last of {SEARCHED} people is not found"))
            }
            println!("sealed {SEARCHED} {DIMENSION} {instructions}");
        }
    }
}

fn open<'f>(bytes: &'f mut [u8], records: &'f mut [Entry]) -> Stored<'f> {
    let model = Binding { embedding_id: [7; 32], dimension: DIMENSION as u16 };
    Gallery::open(MemoryNor::new(bytes), model, Rooms { records, lines: [] })
}

fn or_fail<V>(result: Result<V, GalleryError>) -> V {
    result.unwrap_or_else(|error| fail(format_args!("{error}")))
}

/// The digits of a number.
struct Digits([u8; 4]);

fn name(number: usize) -> Digits {
    Digits([1000, 100, 10, 1].map(|unit| b'0' + (number / unit % 10) as u8))
}

impl Digits {
    fn as_str(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or("")
    }
}
