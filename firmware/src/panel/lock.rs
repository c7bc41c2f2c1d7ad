//! When the lock is open: for a pulse, which bounds hold whatever happens.

use crate::time::Uptime;

/// The longest that rules can have a lock open, in milliseconds.
pub const MAX_OPEN_MS: u32 = 60_000;

/// How long the lock is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct LockRules {
    /// Milliseconds of a pulse. Another answer during a pulse begins it anew.
    pub pulse_ms: u32,
    /// The most milliseconds that pulses begun anew keep the lock open; then it closes, and the next answer opens it again.
    pub longest_ms: u32,
}

impl Default for LockRules {
    /// Time to push a door, for some people in a row.
    fn default() -> Self {
        LockRules { pulse_ms: 3000, longest_ms: 15_000 }
    }
}

/// Rules that no lock should have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct PulseError {
    /// What was asked for. Accepted: 1 <= pulse_ms <= longest_ms <= [`MAX_OPEN_MS`].
    pub found: LockRules,
}

impl core::fmt::Display for PulseError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let LockRules { pulse_ms, longest_ms } = self.found;
        write!(
            f,
            "a pulse of {pulse_ms} ms within {longest_ms} ms; accepted: 1 <= pulse <= longest <= {MAX_OPEN_MS}"
        )
    }
}

impl core::error::Error for PulseError {}

#[derive(Debug, Clone, Copy)]
enum State {
    Closed,
    /// Open, for so many milliseconds yet, and at most for so many.
    Open(u32, u32),
    /// Closed, and the pin does not know yet: an answer before it does would only prolong the pulse.
    Closing,
}

/// The lock without its pin.
#[derive(Debug)]
pub struct Lock {
    rules: LockRules,
    state: State,
    /// An answer that the next tick opens for.
    asked: bool,
    last: Option<Uptime>,
}

impl Lock {
    /// A closed lock.
    ///
    /// # Errors
    /// When the rules have no pulse, or none that ends.
    pub fn new(rules: LockRules) -> Result<Self, PulseError> {
        let LockRules { pulse_ms, longest_ms } = rules;
        if pulse_ms < 1 || pulse_ms > longest_ms || longest_ms > MAX_OPEN_MS {
            return Err(PulseError { found: rules });
        }
        Ok(Lock { rules, state: State::Closed, asked: false, last: None })
    }

    /// A pulse from the next tick on.
    pub fn open(&mut self) {
        self.asked = true;
    }

    /// Ends the pulse.
    pub fn close(&mut self) {
        self.asked = false;
        if let State::Open(..) = self.state {
            self.state = State::Closing;
        }
    }

    /// Whether the lock is to be open from now on. If time went back nobody knows how long it was open: it closes.
    pub fn tick(&mut self, now: Uptime) -> bool {
        let LockRules { pulse_ms, longest_ms } = self.rules;
        let last = self.last.replace(now).unwrap_or(now);
        self.state = match (self.state, now.0.checked_sub(last.0)) {
            (State::Open(left, most), Some(passed)) => {
                let passed = u32::try_from(passed).unwrap_or(u32::MAX);
                let most = most.saturating_sub(passed);
                let left = if self.asked { pulse_ms } else { left.saturating_sub(passed) }.min(most);
                if left > 0 { State::Open(left, most) } else { State::Closed }
            }
            (State::Open(..), None) | (State::Closing, _) => State::Closed,
            (State::Closed, _) if self.asked => State::Open(pulse_ms, longest_ms),
            (State::Closed, _) => State::Closed,
        };
        self.asked = false;
        matches!(self.state, State::Open(..))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: LockRules = LockRules { pulse_ms: 100, longest_ms: 250 };

    /// What happens before a tick.
    #[derive(Debug, Clone, Copy)]
    enum Before {
        Open,
        Close,
        Nothing,
    }
    use Before::{Close, Nothing, Open};

    /// What happens before a tick, its time, and whether the lock is open from then on.
    type Tick = (Before, u64, bool);

    #[test]
    fn pulses_by_table() {
        let cases: [(&str, &[Tick]); 9] = [
            ("closed at start", &[(Nothing, 0, false), (Nothing, 1000, false)]),
            ("a pulse, from its tick on", &[(Open, 500, true), (Nothing, 599, true), (Nothing, 600, false)]),
            (
                "as long after a late tick",
                &[(Nothing, 0, false), (Open, 9000, true), (Nothing, 9099, true), (Nothing, 9100, false)],
            ),
            (
                "a second answer begins it anew",
                &[(Open, 0, true), (Open, 60, true), (Nothing, 159, true), (Nothing, 160, false)],
            ),
            (
                "not beyond the longest; then the next answer counts",
                &[
                    (Open, 0, true),
                    (Open, 90, true),
                    (Open, 180, true),
                    (Nothing, 249, true),
                    (Open, 250, false),
                    (Open, 260, true),
                ],
            ),
            ("closed at once", &[(Open, 0, true), (Close, 10, false), (Nothing, 20, false)]),
            ("closed before it opened", &[(Open, 0, true), (Nothing, 200, false), (Close, 300, false)]),
            ("time back", &[(Open, 1000, true), (Nothing, 999, false), (Nothing, 1000, false)]),
            (
                "an answer as time goes back",
                &[(Open, 1000, true), (Open, 3, false), (Open, 4, true), (Nothing, 104, false)],
            ),
        ];
        for (name, steps) in cases {
            let mut lock = Lock::new(RULES).unwrap();
            for &(before, now, open) in steps {
                match before {
                    Open => lock.open(),
                    Close => lock.close(),
                    Nothing => {}
                }
                assert_eq!(lock.tick(Uptime(now)), open, "{name}: {before:?} at {now}");
            }
        }
    }

    #[test]
    fn a_pulse_that_is_taken_back_ends_before_the_next() {
        let mut lock = Lock::new(RULES).unwrap();
        lock.open();
        lock.close();
        assert!(!lock.tick(Uptime(0)));
        lock.close();
        lock.open();
        assert!(lock.tick(Uptime(1)));
        lock.close();
        lock.open();
        assert!(!lock.tick(Uptime(2)) && !lock.tick(Uptime(3)));
    }

    #[test]
    fn rules_without_a_bounded_pulse_are_refused() {
        for (pulse_ms, longest_ms, taken) in [
            (0, 100, false),
            (1, 1, true),
            (101, 100, false),
            (100, MAX_OPEN_MS, true),
            (100, MAX_OPEN_MS + 1, false),
            (u32::MAX, u32::MAX, false),
        ] {
            let found = LockRules { pulse_ms, longest_ms };
            assert_eq!(Lock::new(found).err(), (!taken).then_some(PulseError { found }));
        }
        assert!(Lock::new(LockRules::default()).is_ok());
    }
}
