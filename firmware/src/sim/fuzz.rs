//! What fuzzers run: the same functions run on seeded bytes in the tests.

use crate::gallery::nor::MemoryNor;
use crate::gallery::{Binding, Gallery, GalleryError, Line, PersonId};

/// Bytes of a sector of the flash that is mounted.
const ERASE: usize = 1024;

/// Sectors of the gallery that is changed.
const SECTORS: usize = 4;

/// Values of a template.
const DIMENSION: u16 = 40;

type Fuzzed = Gallery<MemoryNor<Vec<u8>, 4, ERASE>, Vec<Line>, 64>;

fn open(bytes: Vec<u8>) -> Fuzzed {
    let model = Binding { embedding_id: [7; 32], dimension: DIMENSION };
    Gallery::open(MemoryNor::new(bytes), model, Vec::new())
}

/// Mounts a flash and uses what is there. An even first byte: the flash is the rest. An odd one: it is a gallery in which the
/// rest, three bytes at a time, says what to change: where (little-endian), and which bits.
///
/// # Panics
/// When somebody is found who was never enrolled.
pub fn mount(input: &[u8]) {
    let Some((&first, rest)) = input.split_first() else { return };
    let shot = [5; DIMENSION as usize];
    let mut bytes = rest.to_vec();
    let changed = first % 2 == 1;
    if changed {
        let mut gallery = open(vec![0xff; SECTORS * ERASE]);
        let made = gallery.format().and_then(|()| gallery.enroll("Ada", &[&shot, &shot]));
        assert!(made.is_ok(), "{made:?}");
        bytes = gallery.into_flash().into_inner();
        for change in rest.chunks_exact(3) {
            let at = usize::from(u16::from_le_bytes([change[0], change[1]])) % bytes.len();
            bytes[at] ^= change[2];
        }
    }
    let mut gallery = open(bytes);
    if gallery.state().is_ok() {
        let shot = gallery.transformed(&shot).unwrap_or_default();
        let mut others = 0;
        let read = gallery.each_template(|_, _, template| others += u32::from(template != &shot[..]));
        assert!(read.is_ok() && others == 0, "{read:?}, {others} templates of nobody");
        // Errors are answers too; a panic is not.
        let _ = (gallery.verify(|_| ()), gallery.nearest(&shot), gallery.next_after(None));
        let _ = (gallery.enroll("Grace", &[&shot]), gallery.remove(PersonId(1)));
    }
    // Only a flash that is too small takes no new beginning.
    let formatted = gallery.format();
    assert!(formatted.is_ok() || matches!(formatted, Err(GalleryError::Small { .. })), "{formatted:?}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::cuts::Random;

    #[test]
    fn seeded_bytes_mount_or_are_refused() {
        let mut random = Random::new(7);
        for round in 0..4_000 {
            let length = random.below(if round % 8 == 0 { 6_000 } else { 60 });
            let mut input: Vec<u8> = (0..length).map(|_| random.bits() as u8).collect();
            // Mostly changes to a gallery; a flash at random is no gallery.
            if let Some(first) = input.first_mut().filter(|_| round % 8 != 0) {
                *first |= 1;
            }
            mount(&input);
        }
    }
}
