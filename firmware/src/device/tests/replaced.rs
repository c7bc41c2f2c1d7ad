//! Power that goes while a backup replaces everybody.

use super::bundles::{backup, device_of, face, filled, people, restore};
use super::*;
use crate::sim::cuts::{Cut, CutFlash};

type Flash = CutFlash<32, 4096>;

/// A device whose gallery loses its power.
#[derive(Debug)]
struct Cuttable;

impl Hardware for Cuttable {
    type Models = Copier;
    type Flash = Flash;
    type Store = MemoryNor<std::vec::Vec<u8>>;
    type Slots = NoSlots;
    type Port = Port;
    type Counter = NoCounter;
    type Bytes = std::vec::Vec<u8>;
    type Room = Owned;
}

/// Starts the device; the power goes at `cut`.
fn start(mut flash: Flash, cut: Option<Cut>) -> Device<Cuttable> {
    flash.power_up(cut);
    let memory =
        Memory { frame: vec![0; 256], crop: vec![0; 256], gallery: Owned::new(16, index_lines(64, 64)) };
    let parts = Parts {
        models: engine(),
        gallery: flash,
        events: None,
        kept: Kept::nothing(),
        updates: None,
        port: Port::default(),
        link: LinkTrust::Open,
        counter: NoCounter,
        memory,
    };
    Device::new(parts, &SoftwareSecret([1; 32]))
}

#[test]
fn a_cut_leaves_a_part_and_the_bundle_sent_again_makes_it_whole() {
    let mut backed_up = device_of(1, 1);
    filled(&mut backed_up);
    let (whole, bytes) = (people(&mut backed_up), backup(&mut backed_up).unwrap());
    let mut device = start(Flash::new(4, 1), None);
    device.gallery().format().unwrap();
    device.gallery().enroll("Linus", &[&face(9)]).unwrap();
    let (others, flash) = (people(&mut device), device.take_apart().gallery);
    // As many steps as the start and the restore take.
    let (mut as_before, mut empty, mut parts) = (0, 0, 0);
    for step in (0..).step_by(2) {
        let mut device = start(flash.clone(), Some(Cut::Step(step)));
        let done = restore(&mut device, &bytes, (true, false));
        let left = device.take_apart().gallery;
        if left.gone().is_none() {
            done.unwrap();
            break;
        }
        let mut device = start(left, None);
        let state = device.gallery().state();
        assert_eq!(state, Ok(()), "step {step}");
        let found = people(&mut device);
        if found == others {
            as_before += 1;
        } else {
            let known = |person: &(u32, _, _, std::vec::Vec<_>)| {
                let of = whole.iter().find(|of| of.0 == person.0 && of.1 == person.1 && of.2 == person.2);
                of.is_some_and(|of| person.3.iter().all(|template| of.3.contains(template)))
            };
            assert!(found.iter().all(known), "step {step}: {found:?}");
            empty += u32::from(found.is_empty());
            parts += u32::from(!found.is_empty() && found != whole);
        }
        restore(&mut device, &bytes, (true, false)).unwrap();
        assert_eq!(people(&mut device), whole, "step {step}");
        // It outlasts the power.
        let mut device = start(device.take_apart().gallery, None);
        assert_eq!(people(&mut device), whole, "step {step}, after a start");
    }
    assert!(as_before > 0 && empty > 0 && parts > 5, "{as_before}, {empty}, {parts}");
}
