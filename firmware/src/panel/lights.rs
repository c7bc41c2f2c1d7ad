//! What lights and buzzer show for each signal.
//!
//! ```text
//! ready        green a moment every three seconds        locked out   red, slowly, four times, the first with a tone
//! look here    yellow                                    enrolling    green for what is done, yellow for what is to come
//! known        green and a tone                          code         green, then digit by digit as many yellow flashes; 0 is a long one
//! unknown      red and two tones                         updating     yellow and green in turn
//! rejected     red and yellow, three times               fault        red twice, again and again
//! ```
//!
//! Nothing flashes more often than three times a second, which can harm people (WCAG 2.2, success criterion 2.3.1).

use super::{Code, Output};
use crate::decide::Rejection;
use crate::link::answer::Answer;
use crate::time::{Lapse, Uptime};

/// What a device has to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Signal {
    /// Nothing happens.
    #[default]
    Ready,
    /// Somebody is there, and is being looked for in the picture.
    LookHere,
    /// Somebody enrolled. Shown once; then what was shown before.
    Known,
    /// Nobody enrolled. Shown once; then what was shown before.
    Unknown,
    /// No answer from this picture. Shown once; then what was shown before.
    Rejected,
    /// Nobody gets an answer for a while. Shown once; then what was shown before.
    LockedOut,
    /// Somebody is being enrolled.
    Enrolling {
        /// Pictures taken.
        done: u8,
        /// Pictures in all; shown up to 12.
        of: u8,
    },
    /// A code to be typed into a host.
    PairingCode(Code),
    /// A model or a program is being replaced: do not switch off.
    Updating,
    /// Something does not work, and the lock stays closed.
    Fault,
}

impl Signal {
    /// Whether it is shown once.
    const fn is_answer(self) -> bool {
        matches!(self, Signal::Known | Signal::Unknown | Signal::Rejected | Signal::LockedOut)
    }
}

impl From<&Answer> for Signal {
    fn from(answer: &Answer) -> Self {
        match answer {
            Answer::Known { .. } => Signal::Known,
            Answer::Unknown { .. } => Signal::Unknown,
            Answer::Rejected(Rejection::Wait(wait)) if wait.locked => Signal::LockedOut,
            Answer::Rejected(_) => Signal::Rejected,
        }
    }
}

/// The lights that are on, and the buzzer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Lamps(u8);

impl Lamps {
    const DARK: Lamps = Lamps(0);
    const GREEN: Lamps = Lamps::of(&[Output::Green]);
    const RED: Lamps = Lamps::of(&[Output::Red]);
    const YELLOW: Lamps = Lamps::of(&[Output::Yellow]);
    const RED_YELLOW: Lamps = Lamps::of(&[Output::Red, Output::Yellow]);
    const GREEN_TONE: Lamps = Lamps::of(&[Output::Green, Output::Buzzer]);
    const RED_TONE: Lamps = Lamps::of(&[Output::Red, Output::Buzzer]);

    /// These and no others.
    pub const fn of(outputs: &[Output]) -> Self {
        let (mut bits, mut at) = (0, 0);
        while at < outputs.len() {
            bits |= 1 << outputs[at] as u8;
            at += 1;
        }
        Lamps(bits)
    }

    /// Whether an output is on.
    pub const fn contains(self, output: Output) -> bool {
        self.0 >> output as u8 & 1 != 0
    }
}

/// Lamps, and for how many milliseconds.
type Step = (Lamps, u16);

/// Pictures of an enrolment that are shown.
const MOST_SHOWN: u8 = 12;

/// Step `at` of what is shown for a signal; `None` behind the last.
fn step(signal: Signal, at: usize) -> Option<Step> {
    let steps: &[Step] = match signal {
        Signal::Ready => &[(Lamps::GREEN, 60), (Lamps::DARK, 2940)],
        Signal::LookHere => &[(Lamps::YELLOW, 1000)],
        Signal::Known => &[(Lamps::GREEN_TONE, 120), (Lamps::GREEN, 2380)],
        Signal::Unknown => {
            &[(Lamps::RED_TONE, 150), (Lamps::RED, 150), (Lamps::RED_TONE, 150), (Lamps::RED, 1550)]
        }
        Signal::Rejected => &[
            (Lamps::RED_YELLOW, 200),
            (Lamps::DARK, 200),
            (Lamps::RED_YELLOW, 200),
            (Lamps::DARK, 200),
            (Lamps::RED_YELLOW, 200),
            (Lamps::DARK, 200),
        ],
        Signal::LockedOut => &[
            (Lamps::RED_TONE, 500),
            (Lamps::DARK, 500),
            (Lamps::RED, 500),
            (Lamps::DARK, 500),
            (Lamps::RED, 500),
            (Lamps::DARK, 500),
            (Lamps::RED, 500),
            (Lamps::DARK, 500),
        ],
        Signal::Updating => &[(Lamps::YELLOW, 500), (Lamps::GREEN, 500)],
        Signal::Fault => &[(Lamps::RED, 200), (Lamps::DARK, 200), (Lamps::RED, 200), (Lamps::DARK, 900)],
        Signal::Enrolling { done, of } => return enrolling(done, of, at),
        Signal::PairingCode(code) => return digits(code, at),
    };
    steps.get(at).copied()
}

/// A flash for each picture, then a pause.
fn enrolling(done: u8, of: u8, at: usize) -> Option<Step> {
    let flashes = usize::from(of.min(MOST_SHOWN));
    match at {
        _ if at == 2 * flashes => Some((Lamps::DARK, 1200)),
        _ if at > 2 * flashes => None,
        _ if at % 2 == 1 => Some((Lamps::DARK, 250)),
        _ if at / 2 < usize::from(done) => Some((Lamps::GREEN, 250)),
        _ => Some((Lamps::YELLOW, 250)),
    }
}

/// Green, then the digits with a pause behind each.
fn digits(code: Code, at: usize) -> Option<Step> {
    let mut at = match at {
        0 => return Some((Lamps::GREEN, 700)),
        1 => return Some((Lamps::DARK, 1000)),
        _ => at - 2,
    };
    for digit in code.digits() {
        let (flashes, ms) = if digit == 0 { (1, 1000) } else { (usize::from(digit), 250) };
        if at < 2 * flashes {
            let last = at == 2 * flashes - 1;
            return Some(match at % 2 {
                0 => (Lamps::YELLOW, ms),
                _ => (Lamps::DARK, if last { 1500 } else { 300 }),
            });
        }
        at -= 2 * flashes;
    }
    None
}

/// Lights and buzzer without their pins.
#[derive(Debug, Default)]
pub struct Lights {
    /// What is shown for as long as nothing else is.
    state: Signal,
    /// What is shown once.
    answer: Option<Signal>,
    /// The step shown, and for how many milliseconds yet; nothing before the first tick of a signal.
    shown: Option<(usize, u32)>,
    lapse: Lapse,
}

impl Lights {
    /// Shows a signal from the next tick on. One that is shown already goes on; a new state ends an answer, except for
    /// [`Signal::Ready`] and [`Signal::LookHere`], which wait for its end.
    pub fn show(&mut self, signal: Signal) {
        if signal.is_answer() {
            (self.answer, self.shown) = (Some(signal), None);
            return;
        }
        let waits = self.answer.is_some() && matches!(signal, Signal::Ready | Signal::LookHere);
        if signal != self.state && !waits {
            (self.answer, self.shown) = (None, None);
        }
        self.state = signal;
    }

    /// Whether something is at fault.
    pub fn is_fault(&self) -> bool {
        self.state == Signal::Fault
    }

    /// What is on at this time. A step that is over gives way to the next; none is left out however late a call comes.
    pub fn tick(&mut self, now: Uptime) -> Lamps {
        let passed = self.lapse.until(now);
        let at = match self.shown {
            None => 0,
            Some((at, left)) if left > passed => {
                self.shown = Some((at, left - passed));
                return step(self.signal(), at).unwrap_or_default().0;
            }
            Some((at, _)) => at + 1,
        };
        let (at, (lamps, ms)) = match step(self.signal(), at) {
            Some(step) => (at, step),
            // Again from the beginning; an answer is over, and the state has its turn.
            None => {
                self.answer = None;
                (0, step(self.state, 0).unwrap_or_default())
            }
        };
        self.shown = Some((at, ms.into()));
        lamps
    }

    fn signal(&self) -> Signal {
        self.answer.unwrap_or(self.state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is on for how long, looking every 10 milliseconds, as letters: g, r, y, b, and - for none.
    fn shown(lights: &mut Lights, now: &mut u64, ms: u64) -> String {
        let mut runs: Vec<(String, u64)> = Vec::new();
        let end = *now + ms;
        while *now < end {
            let lamps = lights.tick(Uptime(*now));
            let on = [(Output::Green, 'g'), (Output::Red, 'r'), (Output::Yellow, 'y'), (Output::Buzzer, 'b')];
            let mut letters: String =
                on.iter().filter(|(o, _)| lamps.contains(*o)).map(|(_, l)| *l).collect();
            if letters.is_empty() {
                letters.push('-');
            }
            match runs.last_mut() {
                Some((last, ms)) if *last == letters => *ms += 10,
                _ => runs.push((letters, 10)),
            }
            *now += 10;
        }
        runs.iter().map(|(letters, ms)| format!("{letters}{ms}")).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn signals_by_table() {
        let code = Signal::PairingCode(Code::new(20_031).unwrap());
        let cases = [
            (Signal::Ready, 6100, "g60 -2940 g60 -2940 g60 -40"),
            (Signal::LookHere, 5000, "y5000"),
            (Signal::Known, 3000, "gb120 g2440 -440"),
            (Signal::Unknown, 3000, "rb150 r150 rb150 r1550 g60 -940"),
            (Signal::Rejected, 1500, "ry200 -200 ry200 -200 ry200 -200 g60 -240"),
            (Signal::LockedOut, 4100, "rb500 -500 r500 -500 r500 -500 r500 -500 g60 -40"),
            (Signal::Updating, 2000, "y500 g500 y500 g500"),
            (Signal::Fault, 3000, "r200 -200 r200 -900 r200 -200 r200 -900"),
            (Signal::Enrolling { done: 0, of: 0 }, 3000, "-3000"),
            (Signal::Enrolling { done: 2, of: 3 }, 2800, "g250 -250 g250 -250 y250 -1450 g100"),
            (
                code,
                17_000,
                "g700 -1000 y1000 -1500 y250 -300 y250 -1500 y1000 -1500 y1000 -1500 y250 -300 y250 -300 y250 -1500 y250 -1500 g700 -200",
            ),
        ];
        for (signal, ms, expected) in cases {
            let mut lights = Lights::default();
            lights.show(signal);
            assert_eq!(shown(&mut lights, &mut 0, ms), expected, "{signal:?}");
        }
    }

    #[test]
    fn nothing_flashes_more_than_three_times_a_second() {
        let codes = [0, 999_999, 111_111, 102_030].map(|n| Signal::PairingCode(Code::new(n).unwrap()));
        let signals = [
            Signal::Ready,
            Signal::LookHere,
            Signal::Known,
            Signal::Unknown,
            Signal::Rejected,
            Signal::LockedOut,
            Signal::Enrolling { done: 12, of: 255 },
            Signal::Updating,
            Signal::Fault,
        ];
        for signal in signals.into_iter().chain(codes) {
            let mut lights = Lights::default();
            lights.show(signal);
            for output in [Output::Green, Output::Red, Output::Yellow] {
                let levels: Vec<bool> =
                    (0..60_000).map(|now| lights.tick(Uptime(now)).contains(output)).collect();
                let rises: Vec<usize> =
                    (1..levels.len()).filter(|&at| levels[at] && !levels[at - 1]).collect();
                let fastest = rises.windows(4).map(|four| four[3] - four[0]).min();
                assert!(fastest.is_none_or(|ms| ms >= 1000), "{signal:?}: {output:?} in {fastest:?} ms");
            }
        }
    }

    #[test]
    fn an_answer_gives_way_to_what_was_shown_and_to_what_matters_more() {
        let (mut lights, mut now) = (Lights::default(), 0);
        lights.show(Signal::LookHere);
        assert_eq!(shown(&mut lights, &mut now, 100), "y100");
        lights.show(Signal::Known);
        assert_eq!(shown(&mut lights, &mut now, 500), "gb120 g380");
        // The same answer again begins anew; the state behind it waits.
        lights.show(Signal::Known);
        lights.show(Signal::Ready);
        assert_eq!(shown(&mut lights, &mut now, 1000), "gb120 g880");
        lights.show(Signal::Unknown);
        assert_eq!(shown(&mut lights, &mut now, 2200), "rb150 r150 rb150 r1550 g60 -140");
        lights.show(Signal::Known);
        assert_eq!(shown(&mut lights, &mut now, 100), "gb100");
        lights.show(Signal::Fault);
        assert_eq!((shown(&mut lights, &mut now, 300), lights.is_fault()), ("r200 -100".into(), true));
        // Said again, it goes on.
        lights.show(Signal::Fault);
        assert_eq!(shown(&mut lights, &mut now, 300), "-100 r200");
    }

    #[test]
    fn late_calls_and_time_that_goes_back_leave_nothing_out() {
        let mut lights = Lights::default();
        lights.show(Signal::Unknown);
        let on = [0, 10_000, 20_000, 5, 150, 160, 500_000].map(|now| lights.tick(Uptime(now)));
        let (tone, red) = (Lamps::RED_TONE, Lamps::RED);
        // At 5 time went back: 145 and 10 milliseconds later the second tone is over.
        assert_eq!(on, [tone, red, tone, tone, tone, red, Lamps::GREEN]);
    }
}
