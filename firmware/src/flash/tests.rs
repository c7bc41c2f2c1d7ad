//! Partitions against slices of a plain copy of the chip.

use core::cell::RefCell;

use super::*;
use crate::flash::nor::{MemoryNor, NorFault};
use crate::sim::cuts::Random;
use embedded_storage::nor_flash::ReadNorFlash;

type Chip = MemoryNor<Vec<u8>, 4, 256>;

const BYTES: usize = 2048;

fn chip() -> RefCell<Chip> {
    RefCell::new(MemoryNor::new(vec![0xff; BYTES]))
}

#[test]
fn partitions_are_slices_of_their_chip() {
    let chip = chip();
    let regions = [(0, 512), (512, 1024), (1792, 256)].map(|(offset, length)| Region { offset, length });
    let mut parts = regions.map(|region| Partition::new(&chip, region).unwrap());
    let (mut plain, mut random) = (vec![0xffu8; BYTES], Random::new(3));
    let mut refused = 0;
    for _ in 0..4000 {
        let which = random.below(3) as usize;
        let (part, region) = (&mut parts[which], regions[which]);
        // Now and then beyond the end, now and then unaligned.
        let from = random.below(region.length + 300);
        let from = if random.below(8) == 0 { from } else { from & !3 };
        let base = region.offset as usize;
        let inside = |to: u32| to <= region.length;
        if random.below(4) == 0 {
            let from = if random.below(8) == 0 { from } else { from & !255 };
            let to = from + 256;
            let erased = part.erase(from, to);
            assert_eq!(erased.is_ok(), inside(to) && from % 256 == 0, "{from}: {erased:?}");
            if erased.is_ok() {
                plain[base + from as usize..][..256].fill(0xff);
            }
        } else {
            let length = random.below(12) as usize & !3;
            let bytes: Vec<u8> = (0..length).map(|_| random.bits() as u8).collect();
            let to = from + length as u32;
            let blank = plain.get(base + from as usize..base + to as usize);
            let blank = blank.is_some_and(|bytes| bytes.iter().all(|&b| b == 0xff));
            let written = part.write(from, &bytes);
            assert_eq!(written.is_ok(), inside(to) && from % 4 == 0 && blank, "{from}: {written:?}");
            match written {
                Ok(()) => plain[base + from as usize..][..length].copy_from_slice(&bytes),
                Err(_) => refused += 1,
            }
        }
        let mut seen = vec![0; region.length as usize];
        part.read(0, &mut seen).unwrap();
        assert_eq!(seen, plain[base..][..region.length as usize]);
    }
    assert!(refused > 500, "{refused}");
    assert_eq!(chip.borrow().bytes(), plain);
}

#[test]
fn errors_tell_why() {
    let chip = chip();
    let at = |offset, length| Partition::new(&chip, Region { offset, length });
    assert_eq!(at(1024, 2048).unwrap_err(), PartitionError::Bounds { end: 3072, length: 2048 });
    assert_eq!(at(128, 256).unwrap_err(), PartitionError::Alignment);
    let mut part = at(256, 512).unwrap();
    assert_eq!(part.read(500, &mut [0; 16]), Err(PartitionError::Bounds { end: 516, length: 512 }));
    assert_eq!(part.write(2, &[0; 4]), Err(PartitionError::Alignment));
    part.write(0, &[0; 4]).unwrap();
    let again = part.write(0, &[0; 4]);
    assert_eq!(again, Err(PartitionError::Chip(NorFault::Programmed { offset: 256 })));
    let held = chip.borrow_mut();
    assert_eq!(part.read(0, &mut [0; 4]), Err(PartitionError::Busy));
    assert_eq!(at(256, 512).unwrap_err(), PartitionError::Busy);
    drop(held);
    assert_eq!(FlashFault::from(part.write(512, &[0; 4]).unwrap_err()), FlashFault::OutOfBounds);
}

#[test]
fn what_is_mapped_shows_what_is_written() {
    let mut bytes = vec![0xff; BYTES];
    let base = bytes.as_mut_ptr();
    // SAFETY: the vector outlives both, and its bytes change through the flash alone.
    let mut mapped = unsafe {
        let flash: MemoryNor<&mut [u8], 4, 256> =
            MemoryNor::new(core::slice::from_raw_parts_mut(base, BYTES));
        Mapped::new(flash, base)
    };
    mapped.write(8, &[1, 2, 3, 4]).unwrap();
    assert_eq!(mapped.bytes()[8..12], [1, 2, 3, 4]);
    mapped.erase(0, 256).unwrap();
    assert!(is_erased(mapped.bytes()));
}
