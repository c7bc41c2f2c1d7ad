//! The panel as a whole, on pins that can fail.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use embedded_hal::digital::{ErrorKind, ErrorType, InputPin, OutputPin};
use proptest::prelude::*;

use super::*;
use crate::decide::Rejection;
use crate::decide::lockout::Wait;

const RULES: LockRules = LockRules { pulse_ms: 100, longest_ms: 250 };

/// Levels by name, and the pins that fail.
#[derive(Debug, Default)]
struct Levels {
    high: BTreeMap<&'static str, bool>,
    /// How often the lock's pin was set to open.
    opened: u32,
    failing: Vec<&'static str>,
}

/// Levels that pins and the test share.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wires(Rc<RefCell<Levels>>);

pub(crate) type Fitted = Pins<Wire, Wire, Wire, Wire, NoPin>;

impl Wires {
    pub(crate) fn level(&self, name: &str) -> Option<bool> {
        self.0.borrow().high.get(name).copied()
    }

    pub(crate) fn fail(&self, names: &[&'static str]) {
        self.0.borrow_mut().failing = names.to_vec();
    }

    fn wire(&self, name: &'static str) -> Wire {
        Wire { wires: self.clone(), name }
    }

    pub(crate) fn pins(&self) -> Fitted {
        Pins {
            lock: Pin::low(self.wire("lock")),
            green: Pin::high(self.wire("green")),
            red: Pin::high(self.wire("red")),
            yellow: Pin::high(self.wire("yellow")),
            buzzer: Pin::high(NoPin),
        }
    }

    /// The lock's pin is low where it is open.
    pub(crate) fn is_open(&self) -> bool {
        self.level("lock") == Some(false)
    }
}

#[derive(Debug)]
pub(crate) struct Wire {
    wires: Wires,
    name: &'static str,
}

impl ErrorType for Wire {
    type Error = ErrorKind;
}

impl Wire {
    fn set(&self, level: bool) -> Result<(), ErrorKind> {
        let levels = &mut *self.wires.0.borrow_mut();
        if levels.failing.contains(&self.name) {
            return Err(ErrorKind::Other);
        }
        levels.opened += u32::from(self.name == "lock" && !level);
        levels.high.insert(self.name, level);
        Ok(())
    }
}

impl OutputPin for Wire {
    fn set_low(&mut self) -> Result<(), ErrorKind> {
        self.set(false)
    }

    fn set_high(&mut self) -> Result<(), ErrorKind> {
        self.set(true)
    }
}

fn panel() -> (Panel<Fitted>, Wires) {
    let wires = Wires::default();
    (Panel::new(wires.pins(), RULES).unwrap(), wires)
}

fn error(output: Output) -> Result<(), OutputError> {
    Err(OutputError { output, kind: ErrorKind::Other })
}

#[test]
fn a_known_person_opens_and_nobody_else_does() {
    let (mut panel, wires) = panel();
    let unknown = Answer::Unknown { why: crate::decide::Unknown::TooFar, nearest: None };
    let wait = |locked| Answer::Rejected(Rejection::Wait(Wait { ms: 5, locked }));
    let cases = [
        (unknown, Signal::Unknown),
        (Answer::Rejected(Rejection::Landmarks), Signal::Rejected),
        (wait(false), Signal::Rejected),
        (wait(true), Signal::LockedOut),
    ];
    let mut now = 0;
    for (answer, signal) in cases {
        assert_eq!(Signal::from(&answer), signal);
        panel.answered(&answer);
        for _ in 0..100 {
            now += 10;
            assert_eq!((panel.tick(Uptime(now)), wires.is_open()), (Ok(()), false), "{signal:?}");
        }
        assert_eq!(wires.level("lock"), Some(true));
    }
    panel.answered(&known());
    assert!(!panel.is_open());
    for at in 0..15 {
        assert_eq!(panel.tick(Uptime(now + 10 * at)), Ok(()));
        assert_eq!((wires.is_open(), panel.is_open()), (at < 10, at < 10), "{at}");
        assert_eq!(wires.level("green"), Some(true));
    }
}

fn known() -> Answer {
    use crate::decide::Confidence;
    use crate::embedding::Angle;
    use crate::gallery::PersonId;
    use crate::link::answer::Named;
    let candidate =
        crate::gallery::Candidate { person: PersonId(3), angle: Angle::from_millidegrees(31_400) };
    let best = Named::new(candidate, "Ada".try_into().unwrap());
    Answer::Known { best, second: None, confidence: Confidence { fpir_ppm: 1000 }, may_adapt: false }
}

#[test]
fn at_the_first_tick_everything_has_a_level_and_at_the_end_everything_is_off() {
    let (mut panel, wires) = panel();
    assert_eq!(wires.level("lock"), None);
    panel.open();
    panel.tick(Uptime(0)).unwrap();
    assert!(wires.is_open());
    assert_eq!(
        ["green", "red", "yellow"].map(|name| wires.level(name)),
        [Some(true), Some(false), Some(false)]
    );
    drop(panel);
    assert!(!wires.is_open());
    assert_eq!(["green", "red", "yellow"].map(|name| wires.level(name)), [Some(false); 3]);
}

#[test]
fn a_pin_that_fails_closes_the_lock_until_all_is_well_again() {
    for name in ["green", "red", "yellow"] {
        let (mut panel, wires) = panel();
        wires.fail(&[name]);
        panel.open();
        // Pins that the light needs only later fail at the first tick too: nothing was written yet.
        let output = match name {
            "green" => Output::Green,
            "red" => Output::Red,
            _ => Output::Yellow,
        };
        assert_eq!((panel.tick(Uptime(0)), wires.is_open()), (error(output), false));
        panel.open();
        assert_eq!((panel.tick(Uptime(10)), wires.is_open()), (error(output), false));
        // Not for a moment.
        assert_eq!(wires.0.borrow().opened, 0);
        wires.fail(&[]);
        // What was asked for meanwhile is not made up for.
        assert_eq!((panel.tick(Uptime(20)), wires.is_open()), (Ok(()), false));
        panel.open();
        assert_eq!((panel.tick(Uptime(30)), wires.is_open()), (Ok(()), true));
        // In the middle of a pulse.
        wires.fail(&["green", "red", "yellow"]);
        panel.show(Signal::Fault);
        assert_eq!((panel.tick(Uptime(40)).is_err(), wires.is_open()), (true, false));
    }
}

#[test]
fn a_lock_that_does_not_close_is_told_each_time_and_tried_again() {
    let (mut panel, wires) = panel();
    panel.open();
    panel.tick(Uptime(0)).unwrap();
    wires.fail(&["lock"]);
    for now in [100, 110, 120] {
        assert_eq!(panel.tick(Uptime(now)), error(Output::Lock));
        assert!(wires.is_open() && !panel.is_open());
    }
    wires.fail(&[]);
    assert_eq!((panel.tick(Uptime(130)), wires.is_open()), (Ok(()), false));
    // One that does not open stays closed.
    wires.fail(&["lock"]);
    panel.open();
    assert_eq!(panel.tick(Uptime(140)), error(Output::Lock));
    wires.fail(&[]);
    assert_eq!((panel.tick(Uptime(150)), wires.is_open()), (Ok(()), false));
}

#[test]
fn while_something_is_at_fault_nobody_is_let_in() {
    let (mut panel, wires) = panel();
    panel.open();
    panel.tick(Uptime(0)).unwrap();
    panel.show(Signal::Fault);
    panel.answered(&known());
    panel.open();
    assert_eq!((panel.tick(Uptime(10)), wires.is_open()), (Ok(()), false));
    panel.show(Signal::Ready);
    assert_eq!((panel.tick(Uptime(20)), wires.is_open()), (Ok(()), false));
    panel.open();
    assert_eq!((panel.tick(Uptime(30)), wires.is_open()), (Ok(()), true));
    panel.close();
    assert_eq!((panel.tick(Uptime(40)), wires.is_open()), (Ok(()), false));
}

#[test]
fn a_board_with_nothing_runs_all_the_same() {
    let mut panel = Panel::new((), RULES).unwrap();
    panel.answered(&known());
    assert_eq!(panel.tick(Uptime(0)), Ok(()));
    let mut inputs = Inputs::new(Pin::high(NoPin), Pin::high(AlwaysThere), 0);
    for now in (0..20_000).step_by(100) {
        assert_eq!(inputs.look(Uptime(now)), Seen { press: None, present: true, fault: None });
    }
}

/// A level that a test sets, or an error.
#[derive(Debug, Clone)]
pub(crate) struct Level(pub(crate) Rc<RefCell<Result<bool, ErrorKind>>>);

impl ErrorType for Level {
    type Error = ErrorKind;
}

impl InputPin for Level {
    fn is_high(&mut self) -> Result<bool, ErrorKind> {
        *self.0.borrow()
    }

    fn is_low(&mut self) -> Result<bool, ErrorKind> {
        self.is_high().map(|high| !high)
    }
}

#[test]
fn pins_that_cannot_be_read_press_nothing_and_leave_the_camera_on() {
    let [button, sensor] = [true, false].map(|level| Level(Rc::new(RefCell::new(Ok(level)))));
    let mut inputs = Inputs::new(Pin::low(button.clone()), Pin::high(sensor.clone()), 100);
    let mut look = |now, levels: [Result<bool, ErrorKind>; 2]| {
        (*button.0.borrow_mut(), *sensor.0.borrow_mut()) = (levels[0], levels[1]);
        let Seen { press, present, fault } = inputs.look(Uptime(now));
        (press, present, fault.is_some(), inputs.held_ms())
    };
    let (released, pressed, broken) = (Ok(true), Ok(false), Err(ErrorKind::Other));
    assert_eq!(look(0, [released, Ok(false)]), (None, false, false, 0));
    assert_eq!(look(50, [released, Ok(false)]), (None, false, false, 0));
    assert_eq!(look(60, [pressed, Ok(true)]), (None, true, false, 0));
    assert_eq!(look(100, [pressed, Ok(false)]), (None, true, false, 40));
    assert_eq!(look(500, [broken, Ok(false)]), (None, false, true, 40));
    assert_eq!(look(600, [pressed, broken]), (None, true, true, 540));
    assert_eq!(look(610, [released, Ok(false)]), (None, true, false, 550));
    assert_eq!(look(650, [released, Ok(false)]), (Some(Press::Short), true, false, 0));
    assert_eq!(look(800, [released, Ok(false)]), (None, false, false, 0));
}

/// Something that may happen to a panel.
#[derive(Debug, Clone, Copy)]
enum Act {
    Open,
    Fault,
    Ready,
    Fail(bool),
    Tick(u64),
    Jump(u64),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        2 => Just(Act::Open),
        1 => Just(Act::Fault),
        1 => Just(Act::Ready),
        1 => any::<bool>().prop_map(Act::Fail),
        6 => (0..60_u64).prop_map(Act::Tick),
        1 => (0..1000_u64).prop_map(Act::Jump),
    ]
}

proptest! {
    /// Whatever happens: open only within a pulse of an opening, never beyond the longest, never at fault.
    #[test]
    fn the_lock_is_never_open_longer_than_it_may_be(acts in prop::collection::vec(act(), 1..200)) {
        let (mut panel, wires) = panel();
        let (mut now, mut asked, mut fault, mut failing) = (0_u64, false, false, false);
        // Since when it is open, and since when for the last opening.
        let mut open: Option<(u64, u64)> = None;
        for act in acts {
            let (back, step) = match act {
                Act::Open => {
                    panel.open();
                    asked = true;
                    continue;
                }
                Act::Fault | Act::Ready => {
                    fault = matches!(act, Act::Fault);
                    panel.show(if fault { Signal::Fault } else { Signal::Ready });
                    continue;
                }
                Act::Fail(fails) => {
                    failing = fails;
                    wires.fail(if fails { &["red", "green", "yellow"] } else { &[] });
                    continue;
                }
                Act::Tick(ms) => (false, now + ms),
                Act::Jump(to) => (to < now, to),
            };
            now = step;
            let result = panel.tick(Uptime(now));
            prop_assert!(failing || result.is_ok());
            if !wires.is_open() {
                open = None;
            } else {
                prop_assert!(!fault && result.is_ok() && !(back && open.is_some()));
                prop_assert!(asked || open.is_some());
                let (first, last) = open.map_or((now, now), |(first, last)| (first, if asked { now } else { last }));
                prop_assert!(now - first < 250 && now - last < 100, "open from {first}, {last} at {now}");
                open = Some((first, last));
            }
            asked = false;
        }
    }
}
