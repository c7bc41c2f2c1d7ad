//! Bundles in and out of a device: what comes back, what is refused, what an error leaves.

use std::string::{String, ToString};
use std::vec::Vec;

use super::*;
use crate::bundle::{
    BundleError, BundleKey, Enrolment, HEADER, Header, Item, MAX_RECORD, Member, Reader, Writer,
};
use crate::gallery::Name;
use crate::link::status::Signed;
use crate::update::SigningKey;

/// A device with a secret of its own that runs a model of its own.
pub(super) fn device_of(secret: u8, model: u8) -> TestDevice {
    let mut engine = engine();
    engine.info.embedding_id = [model; 32];
    with_flash(engine, MemoryNor::new(vec![0xff; 4 * 4096]), &SoftwareSecret([secret; 32]))
}

pub(super) fn face(seed: u8) -> [i8; 64] {
    core::array::from_fn(|i| (i as u8 ^ seed).wrapping_mul(37) as i8)
}

/// Ada with two templates, Bob, who was removed, Grace until some day, and settings.
pub(super) fn filled(device: &mut TestDevice) {
    let gallery = device.gallery();
    gallery.enroll("Ada", &[&face(1), &face(2)]).unwrap();
    let bob = gallery.enroll("Bob", &[&face(7)]).unwrap();
    let grace = gallery.enroll("Grace", &[&face(3)]).unwrap();
    gallery.set_validity(grace, Validity { from: 5, until: 99 }).unwrap();
    gallery.set_settings(&[6; 32]).unwrap();
    gallery.remove(bob).unwrap();
}

pub(super) fn asked<H: Hardware, V>(
    device: &mut Device<H>,
    request: Request<'_>,
    take: impl FnOnce(Reply<'_>) -> V,
) -> Result<V, Fault> {
    match device.core.answer(request).0 {
        Reply::Fault(fault) => Err(fault),
        reply => Ok(take(reply)),
    }
}

pub(super) fn backup(device: &mut TestDevice) -> Result<Vec<u8>, Fault> {
    let (records, mut bytes) = asked(device, Request::BeginBackup { salt: [5; 32] }, |reply| match reply {
        Reply::Bundle { records, header, .. } => (records, header.to_vec()),
        other => panic!("{other:?}"),
    })?;
    for number in 0..records {
        asked(device, Request::BackupRecord { number }, |reply| match reply {
            Reply::Piece { total, offset, bytes: piece } if (total, offset) == (records, number) => {
                bytes.extend(piece);
            }
            other => panic!("{other:?}"),
        })?;
    }
    Ok(bytes)
}

pub(super) fn restore<H: Hardware>(
    device: &mut Device<H>,
    bytes: &[u8],
    (replace, people_only): (bool, bool),
) -> Result<Restored, Fault> {
    let restored = |reply: Reply<'_>| match reply {
        Reply::Restored(restored) => restored,
        other => panic!("{other:?}"),
    };
    let header = &bytes[..HEADER.min(bytes.len())];
    let mut done = asked(device, Request::BeginRestore { header, replace, people_only }, restored)?;
    let length = Header::read(bytes).unwrap().record_bytes();
    for (number, bytes) in (0..).zip(bytes[HEADER..].chunks(length)) {
        done = asked(device, Request::RestoreRecord { number, bytes }, restored)?;
    }
    Ok(done)
}

/// Everybody: number, name, validity, and their templates as they are stored.
pub(super) fn people<H: Hardware>(device: &mut Device<H>) -> Vec<(u32, String, u64, Vec<Vec<i8>>)> {
    let (mut found, mut after) = (Vec::new(), None);
    let gallery = device.gallery();
    while let Some(person) = gallery.next_after(after).unwrap() {
        after = Some(person.id);
        let mut templates = Vec::new();
        gallery.each_template(|id, _, t| templates.extend((id == person.id).then(|| t.to_vec()))).unwrap();
        found.push((person.id.0, person.name.to_string(), person.validity.until, templates));
    }
    found
}

#[test]
fn a_backup_brings_everybody_back_to_the_byte() {
    let mut device = device_of(1, 1);
    filled(&mut device);
    let (before, bytes) = (people(&mut device), backup(&mut device).unwrap());
    // The same device after its gallery was lost: numbers, templates, settings, and the transform.
    let mut again = device_of(1, 1);
    let done = restore(&mut again, &bytes, (false, false)).unwrap();
    let expected = Restored { total: 8, records: 8, people: 2, templates: 3, signed: Signed::Here, ..done };
    assert_eq!((done, done.known, done.left_out), (expected, 0, 0));
    assert_eq!(people(&mut again), before);
    assert_eq!(again.gallery().settings(), Ok(Some([6; 32])));
    assert_eq!(again.gallery().nearest(&face(2)).unwrap().best.unwrap().person, PersonId(1));
    // Bob had number 2; nobody gets it.
    assert_eq!(again.gallery().enroll("Bob", &[&face(7)]), Ok(PersonId(4)));
    // Once more: nothing is there twice, and who came since stays.
    let done = restore(&mut again, &bytes, (false, false)).unwrap();
    assert_eq!((done.people, done.known, done.templates, done.left_out), (0, 2, 0, 3));
    assert_eq!(again.gallery().usage().people, 3);
}

#[test]
fn numbers_that_no_gallery_gets_to_are_not_kept() {
    let mut device = device_of(1, 1);
    device.gallery().format().unwrap();
    for (had, gets) in [(1 << 31, 1), (u32::MAX, 2), ((1 << 31) - 1, (1 << 31) - 1)] {
        let name = std::format!("number {had}");
        let put_back = device.gallery().restore_person(PersonId(had), &name, Validity::ALWAYS);
        assert_eq!(put_back, Ok((PersonId(gets), true)));
    }
    assert_eq!(device.gallery().enroll("Ada", &[&face(1)]), Ok(PersonId(1 << 31)));
}

#[test]
fn a_gallery_with_others_is_not_replaced_unasked() {
    let (mut device, mut other) = (device_of(1, 1), device_of(1, 1));
    filled(&mut device);
    let bytes = backup(&mut device).unwrap();
    other.gallery().format().unwrap();
    other.gallery().enroll("Linus", &[&face(9)]).unwrap();
    let before = people(&mut other);
    assert_eq!(restore(&mut other, &bytes, (false, false)), Err(Fault::NotEmpty { people: 1 }));
    assert_eq!(people(&mut other), before);
    restore(&mut other, &bytes, (true, false)).unwrap();
    assert_eq!(people(&mut other), people(&mut device));
}

#[test]
fn another_model_keeps_people_and_names_and_says_who_must_be_enrolled_again() {
    let mut device = device_of(1, 1);
    filled(&mut device);
    let bytes = backup(&mut device).unwrap();
    let mut updated = device_of(1, 2);
    let done = restore(&mut updated, &bytes, (false, false)).unwrap();
    assert_eq!((done.people, done.templates, done.left_out), (2, 0, 3));
    let expected = [(1, "Ada".to_string(), u64::MAX, vec![]), (3, "Grace".to_string(), 99, vec![])];
    assert_eq!(people(&mut updated), expected);
    assert!(updated.gallery().nearest(&face(1)).unwrap().best.is_none());
    // Enrolled again under the same name they are the same person.
    let ada = updated.gallery().find("Ada").unwrap().unwrap();
    assert_eq!(updated.gallery().add_template(ada, &face(1)), Ok(1));
    let done = restore(&mut updated, &bytes, (false, false)).unwrap();
    assert_eq!((done.people, done.known, done.templates), (0, 2, 0));
    assert_eq!(updated.gallery().person(ada).unwrap().templates, 1);
}

#[test]
fn people_of_the_model_before_can_be_taken_along_after_an_update() {
    let mut device = device_of(1, 1);
    filled(&mut device);
    let (before, flash) = (backup(&mut device).unwrap(), device.core.gallery.into_flash());
    let mut engine = engine();
    engine.info.embedding_id = [2; 32];
    engine.info.dimension = 32;
    let mut updated = with_flash(engine, flash, &SoftwareSecret([1; 32]));
    let wrong = GalleryError::WrongModel { gallery: [1; 4], model: [2; 4] };
    assert_eq!(updated.gallery().state(), Err(wrong));
    let bytes = backup(&mut updated).unwrap();
    // Random bytes of the device are the same here, so that the bundles are.
    assert_eq!(bytes, before);
    // In between the device is what it was: nobody of the model before is found or listed.
    asked(&mut updated, Request::BeginBackup { salt: [5; 32] }, |_| ()).unwrap();
    assert_eq!(asked(&mut updated, Request::List { after: None }, |_| ()), Err(Fault::Gallery(wrong)));
    assert!(asked(&mut updated, Request::BackupRecord { number: 0 }, |_| ()).is_err());
    assert_eq!(restore(&mut updated, &bytes, (false, false)), Err(Fault::Gallery(wrong)));
    let done = restore(&mut updated, &bytes, (true, false)).unwrap();
    assert_eq!((done.people, done.templates, done.signed), (2, 0, Signed::Here));
    let names: Vec<_> = people(&mut updated).into_iter().map(|(id, name, ..)| (id, name)).collect();
    assert_eq!(names, [(1, "Ada".to_string()), (3, "Grace".to_string())]);
}

#[test]
fn templates_that_leaked_are_revoked_by_people_only() {
    let mut device = device_of(1, 1);
    filled(&mut device);
    let bytes = backup(&mut device).unwrap();
    let leaked = device.gallery().transformed(&face(1)).unwrap();
    restore(&mut device, &bytes, (true, true)).unwrap();
    assert_eq!(people(&mut device).len(), 2);
    assert!(people(&mut device).iter().all(|(.., templates)| templates.is_empty()));
    assert_ne!(device.gallery().transformed(&face(1)).unwrap(), leaked);
}

#[test]
fn other_keys_models_and_signers_are_told() {
    let (mut device, mut other) = (device_of(1, 1), device_of(2, 1));
    filled(&mut device);
    filled(&mut other);
    let bytes = backup(&mut device).unwrap();
    let before = people(&mut other);
    assert_eq!(restore(&mut other, &bytes, (true, false)), Err(Fault::Bundle(BundleError::Key)));
    assert_eq!(people(&mut other), before);
    // Whoever has both keys can move it; its signature still says where it was made.
    let moved = moved(&bytes, &device.core.keys.bundle, &other.core.keys.bundle, |_, _| ());
    let done = restore(&mut other, &moved, (true, false)).unwrap();
    assert_eq!(done.signed, Signed::Elsewhere);
    assert_eq!(people(&mut other), people(&mut device));
}

/// A bundle sealed for the device with another key; its contents are changed before that.
pub(super) fn moved(
    bytes: &[u8],
    from: &BundleKey,
    to: &BundleKey,
    mut touch: impl FnMut(usize, &mut [u8]),
) -> Vec<u8> {
    let mut reader = Reader::new(from, bytes).unwrap();
    let mut writer = Writer::new(to, Header { salt: [8; 32], ..*reader.header() });
    let mut moved = writer.header_bytes().to_vec();
    let length = writer.header().record_bytes();
    for (at, record) in bytes[HEADER..].chunks(length).enumerate() {
        let mut content = reader.next(&mut record.to_vec()).unwrap().1.to_vec();
        touch(at, &mut content);
        moved.extend(writer.put_content(&content, &mut [0; MAX_RECORD]).unwrap());
    }
    moved
}

fn enrolment(key: &BundleKey, model: u8, version: u32, people: &[(&str, &[[i8; 64]])]) -> Vec<u8> {
    signed(&SigningKey::new(&[5; 32]), key, model, version, people)
}

/// People for the device with this key, signed.
pub(super) fn signed(
    signer: &SigningKey,
    key: &BundleKey,
    model: u8,
    version: u32,
    people: &[(&str, &[[i8; 64]])],
) -> Vec<u8> {
    let mut items = Vec::new();
    for (name, templates) in people {
        let (id, name, count) = (PersonId(0), Name::try_from(*name).unwrap(), templates.len() as u16);
        items.push(Item::Person(Member { id, name, validity: Validity::ALWAYS, templates: count }));
        items.extend(templates.iter().map(|template| Item::Template(template)));
    }
    let about = Enrolment { dimension: 64, embedding_id: [model; 32], version, salt: [1; 32] };
    crate::bundle::enrolment(key, signer, &about, &items).unwrap()
}

#[test]
fn an_enrolment_is_sealed_anew_under_the_gallerys_own_transform() {
    let mut device = device_of(1, 1);
    filled(&mut device);
    let key = device.core.keys.bundle;
    let bytes = enrolment(&key, 1, 1, &[("Linus", &[face(20), face(21)]), ("Ada", &[face(22), face(1)])]);
    let done = restore(&mut device, &bytes, (false, false)).unwrap();
    assert_eq!((done.people, done.known, done.templates, done.left_out), (1, 1, 3, 1));
    assert_eq!(done.signed, Signed::No);
    for (seed, name) in [(20, "Linus"), (21, "Linus"), (22, "Ada"), (1, "Ada"), (3, "Grace")] {
        let best = device.gallery().nearest(&face(seed)).unwrap().best.unwrap();
        assert_eq!(best.angle, Angle::from_millidegrees(0));
        assert_eq!(device.gallery().person(best.person).unwrap().name, name);
    }
    // The same again changes nothing.
    let done = restore(&mut device, &bytes, (false, false)).unwrap();
    assert_eq!((done.people, done.templates), (0, 0));
    let wrong = GalleryError::WrongModel { gallery: [2; 4], model: [1; 4] };
    let other = enrolment(&key, 2, 1, &[("Eve", &[face(30)])]);
    assert_eq!(restore(&mut device, &other, (true, false)), Err(Fault::Gallery(wrong)));
    assert_eq!(device.gallery().usage().people, 3);
}

#[test]
fn what_came_before_an_error_stays_and_the_rest_can_follow() {
    let mut device = device_of(1, 1);
    filled(&mut device);
    let bytes = backup(&mut device).unwrap();
    let length = Header::read(&bytes).unwrap().record_bytes();
    for record in 0..8 {
        let mut forged = bytes.clone();
        forged[HEADER + record * length + 30] ^= 1;
        let mut again = device_of(1, 1);
        let refused = Fault::Bundle(BundleError::Damaged { record: record as u32 });
        assert_eq!(restore(&mut again, &forged, (false, false)), Err(refused));
        let next = Request::RestoreRecord { number: record as u32, bytes: &bytes[..length] };
        assert_eq!(asked(&mut again, next, |_| ()), Err(Fault::NoBundle));
        restore(&mut again, &bytes, (false, false)).unwrap();
        assert_eq!(people(&mut again), people(&mut device), "after record {record}");
    }
}

#[test]
fn records_come_in_turn_and_a_gallery_that_changes_is_not_taken_out() {
    let mut device = device_of(1, 1);
    assert_eq!(asked(&mut device, Request::BackupRecord { number: 0 }, |_| ()), Err(Fault::NoBundle));
    filled(&mut device);
    asked(&mut device, Request::BeginBackup { salt: [0; 32] }, |_| ()).unwrap();
    let second = asked(&mut device, Request::BackupRecord { number: 1 }, |_| ());
    assert_eq!(second, Err(Fault::Piece { expected: 0, found: 1, total: 8 }));
    asked(&mut device, Request::BackupRecord { number: 0 }, |_| ()).unwrap();
    device.gallery().enroll("Linus", &[&face(9)]).unwrap();
    assert_eq!(asked(&mut device, Request::BackupRecord { number: 1 }, |_| ()), Err(Fault::Changed));
    let bytes = backup(&mut device).unwrap();
    let header = &bytes[..HEADER];
    let begin = Request::BeginRestore { header, replace: false, people_only: false };
    asked(&mut device, begin, |_| ()).unwrap();
    let far = asked(&mut device, Request::RestoreRecord { number: 3, bytes: header }, |_| ());
    assert_eq!(far, Err(Fault::Piece { expected: 0, found: 3, total: 10 }));
}

#[test]
fn people_who_are_added_bring_no_settings_along() {
    let (mut device, mut other) = (device_of(1, 1), device_of(1, 1));
    filled(&mut device);
    let bytes = backup(&mut device).unwrap();
    other.gallery().enroll("Linus", &[&face(9)]).unwrap();
    other.gallery().set_settings(&[8; 32]).unwrap();
    let done = restore(&mut other, &bytes, (false, true)).unwrap();
    assert_eq!((done.people, done.templates), (2, 0));
    assert_eq!(other.gallery().settings(), Ok(Some([8; 32])));
    restore(&mut other, &bytes, (true, true)).unwrap();
    assert_eq!(other.gallery().settings(), Ok(Some([6; 32])));
}

#[test]
fn what_does_not_fit_is_refused_before_anybody_is_forgotten() {
    let mut device = device_of(1, 1);
    device.gallery().enroll("Linus", &[&face(9)]).unwrap();
    let before = people(&mut device);
    let shots: Vec<_> = (0..20).map(face).collect();
    let key = device.core.keys.bundle;
    let large = enrolment(&key, 1, 1, &[("Ada", &shots)]);
    let full = Fault::Gallery(GalleryError::Full { needed: 21, free: 16 });
    assert_eq!(restore(&mut device, &large, (true, false)), Err(full));
    assert_eq!(people(&mut device), before);
    // A record longer than any is refused by its length.
    let small = enrolment(&key, 1, 1, &[("Ada", &shots[..1])]);
    let begin = Request::BeginRestore { header: &small[..HEADER], replace: false, people_only: false };
    asked(&mut device, begin, |_| ()).unwrap();
    let longer = [0; MAX_RECORD + 1];
    let refused = asked(&mut device, Request::RestoreRecord { number: 0, bytes: &longer }, |_| ());
    let length = Fault::Bundle(BundleError::Length { expected: 152, found: MAX_RECORD as u32 + 1 });
    assert_eq!(refused, Err(length));
}

#[test]
fn nothing_secret_is_printed() {
    let mut device = device_of(0xa7, 1);
    filled(&mut device);
    let printed = format!("{device:?} {:?}", device.core.keys);
    // A secret would be printed as numbers.
    assert!(!printed.contains("167, 167"), "the secret");
    let seed = device.gallery().seed().unwrap().map(|byte| byte.to_string()).join(", ");
    assert!(!printed.contains(&seed[..20]), "the seed");
}

#[test]
fn a_face_before_the_camera_does_not_end_a_backup_after_an_update() {
    let mut device = device_of(1, 1);
    filled(&mut device);
    let mut engine = engine();
    engine.info.embedding_id = [2; 32];
    let mut updated = with_flash(engine, device.core.gallery.into_flash(), &SoftwareSecret([1; 32]));
    asked(&mut updated, Request::BeginBackup { salt: [5; 32] }, |_| ()).unwrap();
    let frame = [1; 64];
    let shot = Shot { frame: Frame::new(PixelFormat::Grey8, 8, 8, &frame).unwrap(), landmarks: None };
    let looked = look(&mut updated, &mut Held(shot), 5);
    let wrong = matches!(looked, Some(Event::Refused(Fault::Gallery(GalleryError::WrongModel { .. }))));
    assert!(wrong, "{looked:?}");
    for number in 0..8 {
        asked(&mut updated, Request::BackupRecord { number }, |_| ()).unwrap();
    }
}

#[test]
fn damaged_records_are_left_out_of_a_backup() {
    let mut device = device_of(1, 1);
    filled(&mut device);
    let mut bytes = device.core.gallery.into_flash().into_inner();
    // A bit in every record in turn, as far as there are any.
    let (mut people_lost, mut templates_lost) = (0, 0);
    let slots = |sector: usize| (sector * 4096 + 288..(sector + 1) * 4096).step_by(96);
    for at in (0..4).flat_map(slots) {
        let at = at + 20;
        bytes[at] ^= 2;
        let flash = MemoryNor::new(bytes.clone());
        let mut hurt = with_flash(engine(), flash, &SoftwareSecret([1; 32]));
        let taken = backup(&mut hurt).unwrap();
        let done = restore(&mut device_of(1, 1), &taken, (false, false)).unwrap();
        people_lost += 2 - done.people;
        templates_lost += 3 - done.templates;
        assert!(2 - done.people + 3 - done.templates <= 3, "{done:?}");
        bytes[at] ^= 2;
    }
    // Each record once; with a person go their templates.
    assert_eq!((people_lost, templates_lost), (2, 3 + 3));
}
