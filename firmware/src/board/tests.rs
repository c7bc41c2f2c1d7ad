//! A device and what is around it, on pins that a test holds.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::vec::Vec;

use embedded_hal::digital::ErrorKind;

use super::*;
use crate::camera::CameraFault;
use crate::device::tests::door::{Shows, asked, enroll_ada, lasting, new_lasting, pictures};
use crate::device::tests::{TestDevice, packet, replies};
use crate::events::{Trouble, What};
use crate::gallery::PersonId;
use crate::link::answer::Answer;
use crate::link::pairing::{self, PAIRING_MODE_MS, Shown};
use crate::link::{Fault, Request};
use crate::pairings::{Label, Role};
use crate::panel::tests::{Fitted, Level, Wires};
use crate::panel::{LockRules, NoPin, Pin};

const RULES: LockRules = LockRules { pulse_ms: 100, longest_ms: 250 };

/// Counts how often it is fed.
#[derive(Clone, Default)]
struct Fed(Rc<Cell<u32>>);

impl Watchdog for Fed {
    fn feed(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

/// A device with its board, and the other ends of its wires.
struct Bench {
    device: TestDevice,
    board: Board<Shows, Fitted, Level, Level, Fed>,
    wires: Wires,
    button: Level,
    presence: Level,
    fed: Fed,
    now: u64,
    told: Vec<Event>,
    asked: u32,
}

/// Ada is enrolled, and nobody is there.
fn bench(shows: &[Option<[u8; 64]>]) -> Bench {
    let mut device = new_lasting();
    enroll_ada(&mut device);
    let (wires, fed) = (Wires::default(), Fed::default());
    let [button, presence] = [false; 2].map(|level| Level(Rc::new(RefCell::new(Ok(level)))));
    let board = Board::new(
        Shows(shows.to_vec(), 0),
        Panel::new(wires.pins(), RULES).unwrap(),
        Inputs::new(Pin::high(button.clone()), Pin::high(presence.clone()), 0),
        fed.clone(),
    );
    Bench { device, board, wires, button, presence, fed, now: 0, told: Vec::new(), asked: 0 }
}

impl Bench {
    fn round(&mut self) -> Next {
        self.now += 1;
        let Bench { device, board, told, now, .. } = self;
        board.round(device, Uptime(*now), &mut |event| told.push(event.clone()))
    }

    /// Rounds of a millisecond each; whether the lock was open in any.
    fn pass(&mut self, ms: u64) -> bool {
        (0..ms).fold(false, |opened, _| {
            self.round();
            opened || self.wires.is_open()
        })
    }

    fn press(&mut self, ms: u64) {
        self.pass(100);
        *self.button.0.borrow_mut() = Ok(true);
        self.pass(ms);
        *self.button.0.borrow_mut() = Ok(false);
        self.pass(100);
    }

    fn somebody_comes(&self) {
        *self.presence.0.borrow_mut() = Ok(true);
    }

    /// What the log says of pins and people.
    fn logged(&mut self) -> Vec<What> {
        self.asked += 1;
        let said = asked(&mut self.device, 90 + self.asked, &Request::ReadLog { from: 0 });
        let (fault, recovered) = (What::Fault(Trouble::Port), What::Recovered(Trouble::Port));
        let all = [fault, recovered, What::Enrolled(PersonId(1)), What::LogErased, What::Erased];
        let line = |what: &What| said.find(&format!("what: {what:?}"));
        let mut found: Vec<(usize, What)> =
            all.into_iter().filter_map(|what| Some((line(&what)?, what))).collect();
        found.sort_by_key(|(at, _)| *at);
        found.into_iter().map(|(_, what)| what).collect()
    }
}

#[test]
fn the_lock_opens_for_who_is_known_and_before_the_camera() {
    let [ada, stranger, _] = pictures();
    let mut known = bench(&[Some(ada)]);
    assert!(!known.pass(500), "nobody is there");
    assert_eq!(known.told, []);
    known.somebody_comes();
    assert!(known.pass(500));
    assert!(matches!(known.told[..], [Event::Answered(Answer::Known { .. })]), "{:?}", known.told);
    assert!(!known.pass(500), "the pulse is over, and the answer is held");

    let mut unknown = bench(&[Some(stranger)]);
    unknown.somebody_comes();
    assert!(!unknown.pass(1500));
    assert!(matches!(unknown.told[0], Event::Answered(Answer::Unknown { .. })), "{:?}", unknown.told);

    let mut host = bench(&[Some(stranger)]);
    host.device.port().input.extend(packet(7, &Request::Identify));
    assert!(!host.pass(500));
    assert!(matches!(host.told[..], [Event::Asked(Answer::Known { .. })]), "{:?}", host.told);
}

#[test]
fn with_a_dead_camera_the_lock_stays_closed_and_the_light_says_so() {
    let [ada, ..] = pictures();
    let mut bench = bench(&[None, None, None, Some(ada)]);
    bench.somebody_comes();
    while !matches!(bench.told.last(), Some(Event::Refused(Fault::Camera(CameraFault::Driver)))) {
        bench.round();
    }
    assert!(!bench.wires.is_open());
    assert_eq!(bench.wires.level("red"), Some(true));
    assert_eq!(bench.wires.level("green"), Some(false));
    assert!(bench.pass(500), "the camera is back, and so is Ada");
}

#[test]
fn without_a_gallery_it_is_at_fault() {
    let [ada, ..] = pictures();
    let mut bench = bench(&[Some(ada)]);
    assert!(bench.device.can_recognise());
    // What is there is no gallery, and not blank either.
    bench.device = lasting(vec![0x55; 4 * 4096], vec![0xff; 2 * 4096], vec![0xff; 2 * 4096]);
    assert!(!bench.device.can_recognise());
    bench.somebody_comes();
    assert!(!bench.pass(1000));
    assert_eq!(bench.wires.level("green"), Some(false));
}

#[test]
fn presses_of_the_button_by_their_length() {
    let mut bench = bench(&[]);
    bench.press(200);
    assert_eq!(bench.device.pairing(Uptime(bench.now)), Some(Role::Operator));
    bench.press(3500);
    assert_eq!(bench.device.pairing(Uptime(bench.now)), Some(Role::Administrator));
    bench.pass(PAIRING_MODE_MS);
    assert_eq!(bench.device.pairing(Uptime(bench.now)), None);
    assert_eq!((bench.told.len(), bench.device.gallery().usage().people), (0, 1));
    assert_eq!(bench.logged(), [What::Enrolled(PersonId(1))]);
    bench.press(10_500);
    assert_eq!((&bench.told[..], bench.device.gallery().usage().people), (&[Event::Erased][..], 0));
    assert_eq!(bench.logged(), [What::LogErased, What::Erased], "where they were goes with them");
}

#[test]
fn pins_that_fail_close_the_lock_and_are_logged_once() {
    let [ada, ..] = pictures();
    let mut bench = bench(&[Some(ada)]);
    bench.pass(10);
    bench.wires.fail(&["yellow", "green", "red"]);
    bench.somebody_comes();
    assert!(!bench.pass(500));
    assert!(matches!(bench.told[..], [Event::Answered(Answer::Known { .. })]), "{:?}", bench.told);
    bench.wires.fail(&[]);
    assert!(!bench.pass(100), "what was asked for meanwhile is not made up for");
    let (fault, recovered) = (What::Fault(Trouble::Port), What::Recovered(Trouble::Port));
    assert_eq!(bench.logged(), [What::Enrolled(PersonId(1)), fault, recovered]);
    *bench.button.0.borrow_mut() = Err(ErrorKind::Other);
    bench.pass(50);
    assert!(bench.board.pins_fail);
}

#[test]
fn it_sleeps_when_there_is_nothing_to_do_and_restarts_when_the_reply_was_handed_over() {
    let mut bench = bench(&[]);
    assert_eq!(bench.round(), Next::Sleep);
    bench.device.port().input.extend(packet(7, &Request::Stats));
    bench.device.port().takes = 0;
    assert_eq!(bench.round(), Next::Again, "there is a reply to be sent");
    bench.device.port().takes = usize::MAX;
    bench.pass(3);
    assert_eq!(bench.round(), Next::Sleep);
    bench.device.port().input.extend(packet(8, &Request::Restart));
    bench.device.port().takes = 0;
    for _ in 0..10 {
        assert_eq!(bench.round(), Next::Again);
    }
    bench.device.port().takes = usize::MAX;
    for _ in 0..DRAIN_MS {
        assert_eq!(bench.round(), Next::Sleep);
    }
    assert_eq!(bench.round(), Next::Restart);
    assert_eq!(u64::from(bench.fed.0.get()), bench.now, "each round feeds the watchdog");
}

#[test]
fn at_115200_baud_the_reply_is_out_before_the_restart() {
    let mut bench = bench(&[]);
    bench.device.port().room = 64 + 256;
    for sequence in 7..10 {
        bench.device.port().input.extend(packet(sequence, &Request::Info));
    }
    bench.device.port().input.extend(packet(10, &Request::Restart));
    while bench.round() != Next::Restart {
        bench.device.port().pass(11);
    }
    assert_eq!(replies(&mut bench.device).pop(), Some((10, "Restarting".into())));
    assert!(bench.now < 2 * DRAIN_MS, "{}", bench.now);
}

#[test]
fn a_clock_that_goes_back_keeps_nobody_from_the_restart() {
    let mut bench = bench(&[]);
    bench.device.port().input.extend(packet(7, &Request::Restart));
    bench.now = 1000;
    bench.pass(50);
    bench.now = 1;
    assert_eq!(bench.round(), Next::Restart);
}

#[test]
fn at_fault_the_code_is_shown_and_the_lock_closed() {
    let [ada, ..] = pictures();
    let mut bench = bench(&[Some(ada)]);
    bench.device.allow_pairing(Role::Operator, Uptime(0));
    bench.board.happened(&shown());
    let code = Signal::PairingCode(Code::new(4711).unwrap());
    bench.somebody_comes();
    while !bench.wires.is_open() {
        bench.round();
    }
    bench.board.camera().0 = vec![None];
    while bench.device.phase() != Phase::Fault {
        bench.round();
    }
    assert_eq!(bench.board.signal(&mut bench.device, Uptime(bench.now)), code);
    assert!(!bench.wires.is_open());
    assert!(!bench.pass(500));
    bench.board.happened(&Event::Paired { host: 1, role: Role::Operator });
    assert_eq!(bench.board.signal(&mut bench.device, Uptime(bench.now)), Signal::Fault);
}

#[cfg(feature = "sim")]
#[test]
fn the_lock_closes_when_a_model_begins_to_come() {
    use crate::device::tests::updates::{coming, with_slots};
    let [ada, ..] = pictures();
    let mut bench = bench(&[Some(ada)]);
    bench.device = with_slots(bench.device);
    bench.somebody_comes();
    while !bench.wires.is_open() {
        bench.round();
    }
    let [header, _] = coming(4);
    bench.device.port().input.extend(packet(7, &Request::BeginUpdate { header: &header }));
    while bench.device.phase() != Phase::Updating {
        assert!(bench.wires.is_open());
        bench.round();
    }
    assert!(!bench.wires.is_open());
    assert!(!bench.pass(1000));
}

fn shown() -> Event {
    let (role, label) = (Role::Operator, Label::try_from("desk").unwrap());
    Event::Pairing(Shown { code: pairing::Code(4711), role, label })
}

#[test]
fn a_code_is_shown_as_long_as_somebody_may_be_paired() {
    let mut bench = bench(&[]);
    let shown = shown();
    let code = Signal::PairingCode(Code::new(4711).unwrap());
    bench.press(200);
    bench.board.happened(&shown);
    assert_eq!(bench.board.signal(&mut bench.device, Uptime(bench.now)), code);
    bench.board.happened(&Event::Paired { host: 1, role: Role::Operator });
    assert_eq!(bench.board.signal(&mut bench.device, Uptime(bench.now)), Signal::Ready);
    bench.board.happened(&shown);
    bench.pass(PAIRING_MODE_MS);
    assert_eq!(bench.board.signal(&mut bench.device, Uptime(bench.now)), Signal::Ready);
}

#[test]
fn before_no_camera_nobody_can_be_enrolled() {
    let mut device = new_lasting();
    let panel = Panel::new((), RULES).unwrap();
    let mut board = Board::new(None::<Shows>, panel, Inputs::new(Pin::high(NoPin), Pin::high(NoPin), 0), ());
    for now in 0..50 {
        assert_eq!(board.round(&mut device, Uptime(now), &mut |event| panic!("{event:?}")), Next::Sleep);
    }
    let here = Request::EnrollHere { who: crate::link::message::Who::New("Eve"), shots: 2 };
    assert_eq!(asked(&mut device, 1, &here), "Fault(NoCamera)");
}
