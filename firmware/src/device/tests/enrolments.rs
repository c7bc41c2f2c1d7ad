//! Whose enrolments a device takes in, and how old they may be.

use std::vec::Vec;

use super::bundles::{asked, face, moved, people, restore, signed};
use super::updates::taking;
use super::*;
use crate::bundle::{BundleError, HEADER, Header};
use crate::update::{DEVELOPMENT_SEED, Development, SigningKey, UpdateError, UpdateKey, Verifier};

const SECRET: SoftwareSecret = SoftwareSecret([1; 32]);

fn own() -> SigningKey {
    SigningKey::new(&[5; 32])
}

fn blank() -> MemoryNor<Vec<u8>> {
    MemoryNor::new(vec![0xff; 2 * 4096])
}

/// A device that remembers on a flash; it takes models and people of its own key.
fn start(gallery: MemoryNor<Vec<u8>>, state: MemoryNor<Vec<u8>>) -> TestDevice {
    let mut device = with_flash(engine(), gallery, &SECRET);
    device.core.kept = Kept::open(state, &SECRET);
    taking(device, Verifier::new(own().public(), Development::Refused).unwrap())
}

fn started() -> TestDevice {
    start(MemoryNor::new(vec![0xff; 4 * 4096]), blank())
}

/// The power goes, and comes again.
fn again(device: TestDevice) -> TestDevice {
    let remains = device.take_apart();
    start(remains.gallery, remains.state.unwrap())
}

fn bundle(device: &TestDevice, signer: &SigningKey, version: u32, people: &[(&str, &[[i8; 64]])]) -> Vec<u8> {
    signed(signer, &device.core.keys.bundle, 1, version, people)
}

fn names(device: &mut TestDevice) -> Vec<std::string::String> {
    people(device).into_iter().map(|(_, name, ..)| name).collect()
}

const ONCE: (bool, bool) = (false, false);

#[test]
fn people_of_another_signer_are_refused_before_anybody_is_forgotten() {
    let (mut device, others) = (started(), SigningKey::new(&[6; 32]));
    device.gallery().enroll("Ada", &[&face(1)]).unwrap();
    let eve: &[(&str, &[[i8; 64]])] = &[("Eve", &[face(9)])];
    let begin = |key: &SigningKey| key.public().0[..8].try_into().unwrap();
    let other = UpdateError::OtherKey { found: begin(&others), accepted: begin(&own()) };
    let development = SigningKey::new(&DEVELOPMENT_SEED);
    for (signer, why) in [(&others, other), (&development, UpdateError::DevelopmentKey)] {
        let forged = bundle(&device, signer, 7, eve);
        assert_eq!(restore(&mut device, &forged, (true, false)), Err(Fault::Update(why)));
        assert_eq!(names(&mut device), ["Ada"]);
    }
    // Whoever has the device's key and not the signer's can seal what they like, and nothing of it is taken.
    let whole = bundle(&device, &own(), 7, &[("Bob", &[face(2)]), ("Grace", &[face(3)])]);
    let key = device.core.keys.bundle;
    for record in 0..4 {
        let changed = moved(&whole, &key, &key, |at, content| content[9] ^= u8::from(at == record));
        let refused = BundleError::Unsigned { record: record as u32 };
        let mut device = started();
        assert_eq!(restore(&mut device, &changed, ONCE), Err(Fault::Bundle(refused)));
        let taken = [&[][..], &["Bob"], &["Bob"], &["Bob", "Grace"]][record];
        assert_eq!(names(&mut device), taken, "up to record {record}");
    }
    restore(&mut device, &whole, ONCE).unwrap();
    assert_eq!(names(&mut device), ["Ada", "Bob", "Grace"]);
    // A board on a desk takes the development key's too; one that takes no models believes whoever has its key.
    let mut desk = taking(started(), Verifier::new(UpdateKey::DEVELOPMENT, Development::Accepted).unwrap());
    let developed = bundle(&desk, &development, 7, eve);
    restore(&mut desk, &developed, ONCE).unwrap();
    let mut file = with_flash(engine(), MemoryNor::new(vec![0xff; 4 * 4096]), &SECRET);
    restore(&mut file, &bundle(&device, &others, 7, eve), ONCE).unwrap();
    assert_eq!((names(&mut desk), names(&mut file)), (vec!["Eve".into()], vec!["Eve".into()]));
}

#[test]
fn an_older_bundle_is_refused_also_after_a_restart() {
    let mut device = started();
    let ada: &[(&str, &[[i8; 64]])] = &[("Ada", &[face(1)])];
    let both: &[(&str, &[[i8; 64]])] = &[("Ada", &[face(1)]), ("Bob", &[face(2)])];
    let (old, new) = (bundle(&device, &own(), 4, both), bundle(&device, &own(), 5, ada));
    let rolled_back = |found, least| Err(Fault::Bundle(BundleError::Rollback { found, least }));
    assert_eq!(device.core.stats().bundle_version, None);
    restore(&mut device, &new, ONCE).unwrap();
    assert_eq!(device.core.stats().bundle_version, Some(5));
    for replace in [false, true] {
        assert_eq!(restore(&mut device, &old, (replace, false)), rolled_back(4, 5));
    }
    let mut device = again(device);
    assert_eq!(restore(&mut device, &old, ONCE), rolled_back(4, 5));
    // The same one can be sent again.
    assert_eq!(restore(&mut device, &new, ONCE).unwrap().known, 1);
    assert_eq!(names(&mut device), ["Ada"]);
    // One that did not come whole leaves the older one its turn.
    let half = bundle(&device, &own(), 6, both);
    let begin = Request::BeginRestore { header: &half[..HEADER], replace: false, people_only: false };
    asked(&mut device, begin, |_| ()).unwrap();
    restore(&mut device, &new, ONCE).unwrap();
    // What is put back on purpose is a backup.
    let backup = super::bundles::backup(&mut device).unwrap();
    restore(&mut device, &half, ONCE).unwrap();
    restore(&mut device, &backup, (true, false)).unwrap();
    // Bob was forgotten for it, and does not come back with the bundle that had brought him.
    assert_eq!(names(&mut device), ["Ada"]);
    assert_eq!(restore(&mut device, &half, ONCE), rolled_back(6, 7));
    assert_eq!(restore(&mut device, &new, ONCE), rolled_back(5, 7));
}

/// Begins to send a bundle and sends so many of its records.
fn send_part(device: &mut TestDevice, bytes: &[u8], replace: bool, records: u32) {
    let (header, body) = bytes.split_at(HEADER);
    asked(device, Request::BeginRestore { header, replace, people_only: false }, |_| ()).unwrap();
    let length = Header::read(bytes).unwrap().record_bytes();
    for (number, bytes) in (0..records).zip(body.chunks(length)) {
        asked(device, Request::RestoreRecord { number, bytes }, |_| ()).unwrap();
    }
}

#[test]
fn whoever_is_removed_does_not_come_back_with_a_bundle_of_which_a_part_came() {
    let both: &[(&str, &[[i8; 64]])] = &[("Ada", &[face(1)]), ("Bob", &[face(2)])];
    let mut device = started();
    let (first, second) = (bundle(&device, &own(), 5, both), bundle(&device, &own(), 6, both));
    send_part(&mut device, &first, false, 3);
    let mut device = again(device);
    assert_eq!(
        (names(&mut device), device.core.stats().bundle_version),
        (vec!["Ada".into(), "Bob".into()], None)
    );
    asked(&mut device, Request::Remove(PersonId(1)), |_| ()).unwrap();
    let refused = Err(Fault::Bundle(BundleError::Rollback { found: 5, least: 6 }));
    assert_eq!(restore(&mut device, &first, ONCE), refused);
    let mut device = again(device);
    assert_eq!((restore(&mut device, &first, ONCE), names(&mut device)), (refused, vec!["Bob".into()]));
    // Who is removed, or forgotten with all, while one is on its way ends it.
    for (forget, left) in [(Request::Remove(PersonId(3)), 1), (Request::EraseGallery, 0)] {
        let whole = bundle(&device, &own(), if left == 1 { 6 } else { 7 }, both);
        send_part(&mut device, &whole, false, 2);
        asked(&mut device, forget, |_| ()).unwrap();
        let next = &whole[HEADER..][2 * Header::read(&whole).unwrap().record_bytes()..];
        let next = Request::RestoreRecord { number: 2, bytes: next };
        assert_eq!(asked(&mut device, next, |_| ()), Err(Fault::NoBundle));
        assert!(matches!(
            restore(&mut device, &whole, ONCE),
            Err(Fault::Bundle(BundleError::Rollback { .. }))
        ));
        assert_eq!(names(&mut device).len(), left);
    }
    assert!(matches!(restore(&mut device, &second, ONCE), Err(Fault::Bundle(BundleError::Rollback { .. }))));
}

#[test]
fn a_bundle_that_takes_the_place_of_everybody_can_be_sent_again_and_none_before_it() {
    let mut device = started();
    let ada: &[(&str, &[[i8; 64]])] = &[("Ada", &[face(1)])];
    let both: &[(&str, &[[i8; 64]])] = &[("Ada", &[face(1)]), ("Bob", &[face(2)])];
    let (old, new) = (bundle(&device, &own(), 4, both), bundle(&device, &own(), 5, ada));
    restore(&mut device, &old, ONCE).unwrap();
    send_part(&mut device, &new, true, 0);
    let mut device = again(device);
    assert_eq!(names(&mut device), [""; 0]);
    let refused = BundleError::Rollback { found: 4, least: 5 };
    assert_eq!(restore(&mut device, &old, ONCE), Err(Fault::Bundle(refused)));
    for _ in 0..2 {
        restore(&mut device, &new, (true, false)).unwrap();
        assert_eq!(names(&mut device), ["Ada"]);
    }
    // It does not take the place of a newer one of which a part came: that would bring back whom it forgets.
    let newer = bundle(&device, &own(), 8, both);
    let mut begun = again(device);
    send_part(&mut begun, &newer, false, 3);
    let refused = BundleError::Rollback { found: 5, least: 8 };
    assert_eq!(restore(&mut begun, &new, (true, false)), Err(Fault::Bundle(refused)));
    assert_eq!(names(&mut begun), ["Ada", "Bob"]);
    let newest = bundle(&begun, &own(), 8, ada);
    restore(&mut begun, &newest, (true, false)).unwrap();
    assert_eq!(names(&mut begun), ["Ada"]);

    // One that is refused for something else is none that was begun.
    let mut device = started();
    restore(&mut device, &new, ONCE).unwrap();
    let other = signed(&own(), &device.core.keys.bundle, 9, 6, both);
    assert!(matches!(restore(&mut device, &other, (true, false)), Err(Fault::Gallery(_))));
    let ada = device.gallery().find("Ada").unwrap().unwrap();
    asked(&mut device, Request::Remove(ada), |_| ()).unwrap();
    let same = bundle(&device, &own(), 6, both);
    restore(&mut device, &same, ONCE).unwrap();
    assert_eq!(names(&mut device), ["Ada", "Bob"]);
}

#[test]
fn whoever_is_removed_does_not_come_back_with_the_bundle_that_brought_them() {
    let mut device = started();
    let both: &[(&str, &[[i8; 64]])] = &[("Ada", &[face(1)]), ("Bob", &[face(2)])];
    let brought = bundle(&device, &own(), 5, both);
    restore(&mut device, &brought, ONCE).unwrap();
    // Nobody has this number, and nothing is spent.
    assert!(asked(&mut device, Request::Remove(PersonId(9)), |_| ()).is_err());
    restore(&mut device, &brought, ONCE).unwrap();
    asked(&mut device, Request::Remove(PersonId(2)), |_| ()).unwrap();
    let mut device = again(device);
    let refused = Err(Fault::Bundle(BundleError::Rollback { found: 5, least: 6 }));
    assert_eq!((restore(&mut device, &brought, ONCE), names(&mut device)), (refused, vec!["Ada".into()]));
    // Somebody signs anew that they belong here.
    let later = bundle(&device, &own(), 6, both);
    restore(&mut device, &later, ONCE).unwrap();
    restore(&mut device, &later, ONCE).unwrap();
    assert_eq!(names(&mut device), ["Ada", "Bob"]);
    // Everybody is forgotten: by an administrator, or by who stands before it.
    for (version, forget) in [(6, false), (7, true)] {
        let whole = bundle(&device, &own(), version, both);
        restore(&mut device, &whole, ONCE).unwrap();
        match forget {
            true => assert_eq!(device.forget_everybody(Uptime(0)), Event::Erased),
            false => asked(&mut device, Request::EraseGallery, |_| ()).unwrap(),
        }
        let mut same = again(device);
        let refused = BundleError::Rollback { found: version, least: version + 1 };
        assert_eq!(restore(&mut same, &whole, ONCE), Err(Fault::Bundle(refused)));
        device = same;
    }
}
