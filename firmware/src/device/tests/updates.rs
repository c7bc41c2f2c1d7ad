//! Models that come over the link: what is refused meanwhile, and what is not.

use super::door::asked;
use super::*;
use crate::sim::images::{embedder, image};
use crate::update::{Development, HEADER, SigningKey, Slots, UpdateError, Verifier};

fn key() -> SigningKey {
    SigningKey::new(&[5; 32])
}

/// An image of this version, in its header and what is behind.
pub(crate) fn coming(version: u32) -> [std::vec::Vec<u8>; 2] {
    let whole = image(&key(), version, &embedder(version as u8, 8), None);
    let (header, behind) = whole.split_at(HEADER);
    [header.to_vec(), behind.to_vec()]
}

#[test]
fn an_update_that_stops_coming_does_not_keep_the_camera_closed() {
    let mut device = with_slots(device());
    let [header, behind] = coming(4);
    let phase = |device: &mut TestDevice, now| {
        device.tick(Uptime(now));
        device.watch(&mut None::<Held<'_>>, false, Uptime(now));
        device.phase()
    };
    assert_eq!(phase(&mut device, 0), Phase::Idle);
    asked(&mut device, 1, &Request::BeginUpdate { header: &header });
    assert_eq!(phase(&mut device, 30_000), Phase::Updating);
    assert_eq!(phase(&mut device, 30_001), Phase::Idle);
    // What comes late is taken up where it was left.
    let (first, rest) = behind.split_at(100);
    assert!(
        asked(&mut device, 2, &Request::UpdatePiece { offset: 0, bytes: first }).contains("received: 100")
    );
    assert_eq!(phase(&mut device, 60_001), Phase::Updating);
    assert_eq!(phase(&mut device, 60_002), Phase::Idle);
    asked(&mut device, 3, &Request::UpdatePiece { offset: 100, bytes: rest });
    assert_eq!(asked(&mut device, 4, &Request::FinishUpdate), "Updated { version: 4 }");
}

/// With room for two models beside its own.
pub(crate) fn with_slots(device: TestDevice) -> TestDevice {
    taking(device, Verifier::new(key().public(), Development::Refused).unwrap())
}

/// With room for two models that this one lets in.
pub(super) fn taking(mut device: TestDevice, verifier: Verifier) -> TestDevice {
    let slots = [0; 2].map(|_| MemoryNor::new(vec![0xff; 2 * 4096]));
    let slots = Slots::new(slots, verifier);
    let read = |_, _| std::vec::Vec::new();
    let started = Updates::start(slots, &mut device.core.kept, read, [0; 256], &mut [0; 256]);
    device.core.updates = Some(started.0);
    device
}

#[test]
fn a_header_that_is_refused_leaves_the_update_under_way() {
    let mut device = with_slots(device());
    let ([header, behind], [mut forged, _]) = (coming(4), coming(5));
    let total = behind.len() as u32;
    let updating = |received| format!("Updating {{ received: {received}, total: {total} }}");
    assert_eq!(asked(&mut device, 1, &Request::BeginUpdate { header: &header }), updating(0));
    let (first, rest) = behind.split_at(100);
    assert_eq!(asked(&mut device, 2, &Request::UpdatePiece { offset: 0, bytes: first }), updating(100));
    forged[200] ^= 1;
    let refused = asked(&mut device, 3, &Request::BeginUpdate { header: &forged });
    assert_eq!(refused, format!("Fault(Update({:?}))", UpdateError::Signature));
    assert_eq!(device.watch(&mut None::<Held<'_>>, false, Uptime(0)), None);
    assert_eq!(device.phase(), Phase::Updating);
    assert_eq!(asked(&mut device, 4, &Request::UpdatePiece { offset: 100, bytes: rest }), updating(total));
    assert_eq!(asked(&mut device, 5, &Request::FinishUpdate), "Updated { version: 4 }");
    assert!(device.wants_restart());
}
