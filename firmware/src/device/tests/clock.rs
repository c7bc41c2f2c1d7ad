//! The time of day: who may tell it, and what depends on it.

use super::bundles::{asked, device_of};
use super::*;
use crate::time::UnixTime;

fn challenge(device: &mut TestDevice) -> [u8; 16] {
    let drawn = |reply: Reply<'_>| match reply {
        Reply::Challenge(drawn) => drawn,
        other => panic!("{other:?}"),
    };
    asked(device, Request::Challenge, drawn).unwrap()
}

fn told(device: &mut TestDevice, seconds: u64, proof: [u8; 32]) -> Result<(), Fault> {
    asked(device, Request::SetClock { time: UnixTime(seconds), proof }, |_| ())
}

#[test]
fn only_who_has_the_key_tells_the_time_and_each_proof_is_good_once() {
    let (mut device, other) = (device_of(1, 1), device_of(2, 1));
    assert_eq!(asked(&mut device, Request::Challenge, |_| ()), Err(Fault::NoUptime));
    assert_eq!(told(&mut device, 1000, [0; 32]), Err(Fault::NoUptime));
    device.tick(Uptime(5_000));
    let drawn = challenge(&mut device);
    let proof = device.core.keys.bundle.proof_of_time(&drawn, 1000);
    device.tick(Uptime(35_001));
    assert_eq!(told(&mut device, 1000, proof), Err(Fault::Proof), "held back for too long");
    let drawn = challenge(&mut device);
    let proof = device.core.keys.bundle.proof_of_time(&drawn, 1000);
    assert_eq!(told(&mut device, 1001, proof), Err(Fault::Proof), "another time");
    assert_eq!(told(&mut device, 1000, proof), Err(Fault::Proof), "the challenge was used up");
    let drawn = challenge(&mut device);
    let theirs = other.core.keys.bundle.proof_of_time(&drawn, 1000);
    assert_eq!(told(&mut device, 1000, theirs), Err(Fault::Proof), "another device's key");
    assert_eq!(device.core.info().time, None);
    let drawn = challenge(&mut device);
    let proof = device.core.keys.bundle.proof_of_time(&drawn, 1000);
    assert_eq!(told(&mut device, 1000, proof), Ok(()));
    assert_eq!(told(&mut device, 1000, proof), Err(Fault::Proof), "the same again");
    challenge(&mut device);
    assert_eq!(told(&mut device, 1000, proof), Err(Fault::Proof), "of another challenge");
    device.tick(Uptime(95_001));
    assert_eq!(device.core.info().time, Some(UnixTime(1060)));
}

#[test]
fn who_is_enrolled_for_a_time_only_is_known_within_it_and_by_a_clock() {
    let mut device = device();
    frame(&mut device, 1);
    let enrolled = asked(&mut device, Request::Enroll(Who::New("Ada")), |_| ());
    assert_eq!(enrolled, Ok(()));
    let person = device.gallery().find("Ada").unwrap().unwrap();
    let validity = Validity { from: 1000, until: 2000 };
    assert_eq!(asked(&mut device, Request::SetValidity { person, validity }, |_| ()), Ok(()));
    let answer =
        |device: &mut TestDevice| asked(device, Request::Identify, |reply| format!("{reply:?}")).unwrap();
    assert!(answer(&mut device).contains("ClockUnset"));
    device.tick(Uptime(0));
    for (seconds, expected) in [(999, "Before"), (1000, "Known"), (1999, "Known"), (2000, "Over")] {
        device.tick(Uptime(seconds));
        let drawn = challenge(&mut device);
        let proof = device.core.keys.bundle.proof_of_time(&drawn, seconds);
        told(&mut device, seconds, proof).unwrap();
        let found = answer(&mut device);
        assert!(found.contains(expected), "{seconds}: {found}");
    }
    let nobody = Request::SetValidity { person: PersonId(9), validity };
    let refused = Fault::Gallery(GalleryError::NoSuchPerson { person: PersonId(9) });
    assert_eq!(asked(&mut device, nobody, |_| ()), Err(refused));
}
