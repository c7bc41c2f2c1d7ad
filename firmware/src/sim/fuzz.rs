//! What fuzzers run: the same functions run on seeded bytes in the tests.

pub mod link;

use crate::bundle::{
    BundleKey, Enrolment, HEADER, Header, Identity, Item, Kind, MAX_RECORD, Member, Origin, Writer,
    enrolment, record_bytes,
};
use crate::device::{Incoming, Keys, Terms, Wish};
use crate::flash::nor::MemoryNor;
use crate::gallery::{Binding, Gallery, GalleryError, Name, Owned, PersonId};
use crate::secret::SoftwareSecret;
use crate::sim::images;
use crate::state::{Slot, State};
use crate::time::Validity;
use crate::update::{self, Accepted, Development, Room, SigningKey, Slots, UpdateError, Verifier};

/// Bytes of a sector of the flash that is mounted.
const ERASE: usize = 1024;

/// Sectors of the gallery that is changed.
const SECTORS: usize = 4;

/// Values of a template.
const DIMENSION: u16 = 40;

type Fuzzed = Gallery<MemoryNor<Vec<u8>, 4, ERASE>, Owned>;

fn open(bytes: Vec<u8>) -> Fuzzed {
    let model = Binding { embedding_id: [7; 32], dimension: DIMENSION };
    Gallery::open(MemoryNor::new(bytes), model, Owned::new(64, 0))
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

/// The secret of the device that takes bundles in.
const SECRET: SoftwareSecret = SoftwareSecret([3; 32]);

/// Takes a bundle in. By the first byte, modulo 4: the rest is a bundle; it says what to change in a backup, as in [`mount`]; or
/// it is the content of a backup's records, sealed by who has the key, or of an enrolment's, signed as well.
///
/// # Panics
/// When a changed backup brings somebody who was not in it, or any bundle leaves a damaged gallery.
pub fn bundle(input: &[u8]) {
    let Some((&first, rest)) = input.split_first() else { return };
    let key = BundleKey::of_device(&SECRET.0);
    let shot = [5; DIMENSION as usize];
    let (mut bytes, forged) = match first % 4 {
        0 => (rest.to_vec(), true),
        1 => (backup(&key, &shot), false),
        2 => (sealed(&key, rest), true),
        _ => (enrolled(&key, rest), true),
    };
    if !forged {
        for change in rest.chunks_exact(3) {
            let at = usize::from(u16::from_le_bytes([change[0], change[1]])) % bytes.len();
            bytes[at] ^= change[2];
        }
    }
    let mut gallery = open(vec![0xff; SECTORS * ERASE]);
    let made = gallery.format();
    assert!(made.is_ok(), "{made:?}");
    let (keys, model) = (Keys::of(&SECRET), gallery.binding());
    let wish = Wish { replace: first & 4 != 0, people_only: first & 8 != 0 };
    let Ok(verifier) = Verifier::new(SigningKey::new(&SIGNER).public(), Development::Refused) else { return };
    let terms = Terms { verifier: Some(&verifier), least: LEAST };
    let Ok(mut incoming) = Incoming::of(&gallery, &keys, model, &bytes, wish, terms) else { return };
    let placed = incoming.make_place(&mut gallery);
    assert!(placed.is_ok(), "{placed:?}");
    let length = incoming.record_bytes();
    for (number, record) in (0..).zip(bytes[HEADER..].chunks(length)) {
        if incoming.record(&mut gallery, &keys, number, record).is_err() {
            break;
        }
    }
    assert_eq!(gallery.verify(|_| ()), Ok(0), "a bundle left a damaged gallery");
    if !forged {
        let mut others = 0;
        let read = gallery.each_template(|_, _, template| others += u32::from(template != shot));
        assert!(read.is_ok() && others == 0, "{read:?}, {others} templates of nobody");
        let ada = gallery.next_after(None).map(|found| found.is_none_or(|person| person.name == "Ada"));
        assert_eq!(ada, Ok(true), "somebody who was not in the backup");
    }
}

/// A backup of Ada with two templates.
fn backup(key: &BundleKey, shot: &[i8]) -> Vec<u8> {
    let (id, validity) = (PersonId(1), Validity::ALWAYS);
    let name = Name::try_from("Ada").unwrap_or_default();
    let (person, template) =
        (Item::Person(Member { id, name, validity, templates: 2 }), Item::Template(shot));
    let mut writer = Writer::new(key, header(5, 1));
    let mut bytes = writer.header_bytes().to_vec();
    for item in [Item::Seed([1; 32]), person, template.clone(), template] {
        bytes.extend(writer.put(&item, &mut [0; MAX_RECORD]).unwrap_or_default());
    }
    let signature = writer.signature(&Identity::of_device(&SECRET.0));
    bytes.extend(writer.put(&signature, &mut [0; MAX_RECORD]).unwrap_or_default());
    bytes
}

/// Bytes of a backup's content.
const CONTENT: usize = record_bytes(Kind::Backup, DIMENSION as usize) - 16;

/// Records with these contents, each as long as a record's; the header says so many, and as many people as there should be.
fn sealed(key: &BundleKey, contents: &[u8]) -> Vec<u8> {
    let people = contents.chunks(CONTENT).filter(|content| content[0] == 3).count() as u32;
    let records = contents.len().div_ceil(CONTENT) as u32;
    let mut writer = Writer::new(key, header(records.max(people + 2), people));
    let mut bytes = writer.header_bytes().to_vec();
    for content in contents.chunks(CONTENT) {
        let whole = [content, &[0; CONTENT][content.len()..]].concat();
        let mut out = [0; MAX_RECORD];
        let put = writer.put_content(&whole, &mut out);
        assert!(put.is_ok(), "{put:?}");
        bytes.extend(put.unwrap_or_default());
    }
    bytes
}

/// An enrolment of what these contents, which are as [`sealed`] takes them, say that can be in any; its version is that of the
/// first byte.
fn enrolled(key: &BundleKey, contents: &[u8]) -> Vec<u8> {
    let items: Vec<_> =
        contents.chunks(CONTENT).filter_map(|content| Item::decode(content, DIMENSION.into())).collect();
    let version = contents.first().map_or(1, |&first| u32::from(first) + 1);
    let about = Enrolment { dimension: DIMENSION, embedding_id: [7; 32], version, salt: [2; 32] };
    enrolment(key, &SigningKey::new(&SIGNER), &about, &items).unwrap_or_default()
}

/// Whose enrolments are taken.
const SIGNER: [u8; 32] = [5; 32];

/// The lowest version of them.
const LEAST: u32 = 2;

fn header(records: u32, people: u32) -> Header {
    let (kind, embedding_id, origin) = (Kind::Backup, [7; 32], Origin::NONE);
    Header { kind, dimension: DIMENSION, records, people, version: 3, salt: [2; 32], embedding_id, origin }
}

/// Bytes of a slot for models.
const SLOT: usize = 4 * ERASE;

/// Sends a model image to a device that runs another. By the first byte, modulo 3: the rest is an image; it says what to change in
/// one, as in [`mount`]; or it is the embedder's plan in one that is signed by who may.
///
/// # Panics
/// When a changed image is accepted, or the old model does not run any more although none was.
pub fn image(input: &[u8]) {
    let Some((&first, rest)) = input.split_first() else { return };
    let key = SigningKey::new(&[5; 32]);
    let whole = images::image(&key, 4, &images::embedder(4, 8), None);
    let (bytes, may_pass) = match first % 3 {
        0 => (rest.to_vec(), false),
        1 => {
            let mut changed = whole.clone();
            for change in rest.chunks_exact(3) {
                let at = usize::from(u16::from_le_bytes([change[0], change[1]])) % changed.len();
                changed[at] ^= change[2];
            }
            let same = changed == whole;
            (changed, same)
        }
        _ => (signed(&key, rest), true),
    };
    let Ok(verifier) = Verifier::new(key.public(), Development::Refused) else { return };
    let mut old = images::image(&key, 3, &images::embedder(3, 8), None);
    old.resize(SLOT, 0xff);
    let mut slots: Slots<MemoryNor<Vec<u8>, 4, ERASE>> =
        Slots::new([old, vec![0xff; SLOT]].map(MemoryNor::new), verifier);
    let mut state = State { model_floor: 3, ..State::unknown() };
    let boots = |slots: &mut Slots<_>, state: &State, slot, version| {
        let booted = with_room(|room| slots.boot(state, room)).map(|booted| booted.accepted);
        assert_eq!(booted, Ok(Accepted { slot, version }));
    };
    boots(&mut slots, &state, Slot::A, 3);
    let piece = usize::from(first) + 1;
    let sent = send_image(&mut slots, &state, &bytes, piece);
    boots(&mut slots, &state, Slot::A, 3);
    if let Ok(accepted) = sent {
        assert!(may_pass, "a changed image was accepted");
        accepted.apply(&mut state);
        boots(&mut slots, &state, Slot::B, accepted.version);
    }
    assert!(sent.is_ok() || bytes != whole, "{sent:?}");
}

/// An image with any bytes as its embedder's plan.
fn signed(key: &SigningKey, plan: &[u8]) -> Vec<u8> {
    let plans = update::Payload { embedder: plan, detector: None };
    let said = update::Said { version: 9, vectors: 1, vectors_hash: [0; 32], embedding_id: [4; 32] };
    let mut bytes = vec![0; update::image_bytes(&plans).unwrap_or(0)];
    assert!(update::write_image(key, &said, &plans, &mut bytes));
    bytes
}

fn send_image(
    slots: &mut Slots<MemoryNor<Vec<u8>, 4, ERASE>>,
    state: &State,
    bytes: &[u8],
    piece: usize,
) -> Result<Accepted, UpdateError> {
    slots.begin(bytes, state)?;
    let mut at = 0;
    for bytes in bytes[update::HEADER..].chunks(piece) {
        at = slots.piece(at, bytes)?;
    }
    with_room(|room| slots.finish(room))
}

fn with_room<R>(run: impl FnOnce(Room<'_>) -> R) -> R {
    let (mut arena, mut crop) = (vec![0x5a; 1 << 14], vec![0; 1 << 14]);
    run(Room { arena: &mut arena, crop: &mut crop })
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

    #[test]
    fn seeded_bundles_are_taken_in_or_refused() {
        let mut random = Random::new(8);
        let (mut length, mut kinds) = (0, [0; 4]);
        for round in 0..4_000u32 {
            length = (length + 7) % 12;
            let kind = (round % 4) as u8;
            let mut input: Vec<u8> = vec![random.below(64) as u8 * 4 + kind];
            match kind {
                2.. => {
                    // Contents that are nearly in order.
                    for at in 0..length as usize {
                        let mut record = vec![0; CONTENT];
                        let begin = if kind == 2 { 1 } else { 3 };
                        let any = [1, 2, 3, 4, 4, 3, 5][random.below(7) as usize];
                        record[0] = if at == 0 { begin } else { any };
                        record[2] = random.below(3) as u8;
                        record[8..].fill_with(|| random.bits() as u8 % 64);
                        record[8] = random.below(40) as u8;
                        record[12..16].copy_from_slice(b"abcd");
                        input.extend(record);
                    }
                }
                _ => (0..random.below(60)).for_each(|_| input.push(random.bits() as u8)),
            }
            kinds[usize::from(input[0] % 4)] += 1;
            bundle(&input);
        }
        assert!(kinds.iter().all(|&count| count == 1_000), "{kinds:?}");
    }

    #[test]
    fn seeded_images_are_taken_in_or_refused() {
        let mut random = Random::new(9);
        for round in 0..300u32 {
            let kind = (round % 3) as u8;
            let mut input = vec![random.below(84) as u8 * 3 + kind];
            match kind {
                // Of this key or another, cut off, and with something behind.
                0 => {
                    let key = SigningKey::new(&[random.below(2) as u8 + 5; 32]);
                    let mut bytes = images::image(&key, random.below(9), &images::embedder(4, 8), None);
                    bytes.truncate(random.below(bytes.len() as u32) as usize);
                    bytes.resize(bytes.len() + random.below(40) as usize, 0xa5);
                    input.extend(bytes);
                }
                // At times no change at all.
                1 => (0..3 * random.below(4)).for_each(|_| input.push(random.bits() as u8)),
                _ => {
                    let mut plan = images::embedder(4, 8);
                    for _ in 0..random.below(3) {
                        let at = random.below(plan.len() as u32) as usize;
                        plan[at] ^= 1 << random.below(8);
                    }
                    let sum = crate::engine::plan::checksum(&plan);
                    plan[16..20].copy_from_slice(&sum.to_le_bytes());
                    input.extend(plan);
                }
            }
            image(&input);
        }
    }
}
