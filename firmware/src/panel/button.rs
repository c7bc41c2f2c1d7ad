//! A push button: debounced, and told apart by how long it is held.

use crate::pairings::Role;
use crate::time::{Lapse, Uptime};

/// Milliseconds for which a level must stay to count.
const DEBOUNCE_MS: u32 = 30;
/// The most milliseconds counted between two looks: what happened in a longer time nobody knows, and a button held for ten seconds may
/// erase people.
const LONGEST_LAPSE_MS: u32 = 1000;
/// Milliseconds from which a press is long.
const LONG_MS: u32 = 3000;
/// Milliseconds from which it is very long.
const VERY_LONG_MS: u32 = 10_000;

/// A press.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Press {
    /// Shorter than 3 seconds; told at its end.
    Short,
    /// From 3 to 10 seconds; told at its end.
    Long,
    /// 10 seconds; told while the button is still held.
    VeryLong,
}

impl Press {
    /// A press that ended after so many milliseconds; one of ten seconds is told before it ends.
    pub fn ended_after(ms: u32) -> Self {
        if ms < LONG_MS { Press::Short } else { Press::Long }
    }

    /// The highest role that a host may be paired with after it; `None` after the one that forgets everybody.
    pub fn role(self) -> Option<Role> {
        match self {
            Press::Short => Some(Role::Operator),
            Press::Long => Some(Role::Administrator),
            Press::VeryLong => None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing counts before the button was seen released: it may be jammed, or held since before the start.
    Blocked,
    Released,
    /// For so many milliseconds.
    Pressed(u32),
}

/// A button without its pin.
#[derive(Debug)]
pub struct Button {
    state: State,
    /// The level at the last look, and for how many milliseconds it has been so.
    level: bool,
    steady_ms: u32,
    lapse: Lapse,
}

impl Default for Button {
    fn default() -> Self {
        Button { state: State::Blocked, level: true, steady_ms: 0, lapse: Lapse::default() }
    }
}

impl Button {
    /// Takes the level at this time; returns a press that it completes. To be called more often than people press.
    pub fn look(&mut self, pressed: bool, now: Uptime) -> Option<Press> {
        let passed = self.lapse.until(now).min(LONGEST_LAPSE_MS);
        if pressed != self.level {
            (self.level, self.steady_ms) = (pressed, 0);
        } else {
            self.steady_ms = self.steady_ms.saturating_add(passed);
        }
        if let State::Pressed(held) = &mut self.state {
            *held = held.saturating_add(passed);
        }
        let steady = self.steady_ms >= DEBOUNCE_MS;
        match self.state {
            State::Blocked | State::Released if steady && !pressed => self.state = State::Released,
            State::Released if steady => self.state = State::Pressed(self.steady_ms),
            State::Pressed(held) if steady && !pressed => {
                self.state = State::Released;
                // It was let go when the level changed.
                return Some(Press::ended_after(held.saturating_sub(self.steady_ms)));
            }
            State::Pressed(held) if pressed && held >= VERY_LONG_MS => {
                self.state = State::Blocked;
                return Some(Press::VeryLong);
            }
            _ => {}
        }
        None
    }

    /// Milliseconds for which it has been held; 0 if it is not, or no longer counts.
    pub fn held_ms(&self) -> u32 {
        if let State::Pressed(held) = self.state { held } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A level, and for how many milliseconds.
    type Level = (bool, u64);
    /// A press, and when it was told.
    type Told = (Press, u64);

    /// Looks every 10 milliseconds at levels one after another, after 100 released.
    fn presses(button: &mut Button, levels: &[Level]) -> Vec<Told> {
        let (mut now, mut told) = (0, Vec::new());
        for &(level, ms) in [(false, 100)].iter().chain(levels) {
            for _ in 0..ms / 10 {
                told.extend(button.look(level, Uptime(now)).map(|press| (press, now - 100)));
                now += 10;
            }
        }
        told
    }

    #[test]
    fn presses_by_table() {
        use Press::{Long, Short, VeryLong};
        let (on, off) = (|ms| (true, ms), |ms| (false, ms));
        let cases: [(&str, Vec<Level>, Vec<Told>); 9] = [
            ("none", vec![off(20_000)], vec![]),
            ("a touch", vec![on(200), off(500)], vec![(Short, 230)]),
            ("too short to be one", vec![on(30), off(500)], vec![]),
            (
                "bouncing at both ends",
                vec![on(10), off(10), on(20), off(10), on(200), off(10), on(10), off(500)],
                vec![(Short, 300)],
            ),
            ("just short", vec![on(2990), off(500)], vec![(Short, 3020)]),
            ("just long", vec![on(3000), off(500)], vec![(Long, 3030)]),
            ("nearly very long", vec![on(9990), off(500)], vec![(Long, 10_020)]),
            (
                "very long, told once",
                vec![on(30_000), off(500), on(100), off(100)],
                vec![(VeryLong, 10_000), (Short, 30_630)],
            ),
            ("two", vec![on(100), off(100), on(100), off(100)], vec![(Short, 130), (Short, 330)]),
        ];
        for (name, levels, expected) in cases {
            assert_eq!(presses(&mut Button::default(), &levels), expected, "{name}");
        }
    }

    #[test]
    fn held_since_before_the_start_counts_from_its_next_press() {
        let mut button = Button::default();
        let mut now = 0;
        let mut look = |button: &mut Button, level, ms: u64| {
            let before = now;
            let mut told = Vec::new();
            while now < before + ms {
                told.extend(button.look(level, Uptime(now)));
                now += 10;
            }
            told
        };
        assert_eq!(look(&mut button, true, 60_000), []);
        assert_eq!((look(&mut button, false, 100), button.held_ms()), (vec![], 0));
        assert_eq!(look(&mut button, true, 100), []);
        assert_eq!(button.held_ms(), 90);
        assert_eq!(look(&mut button, false, 100), [Press::Short]);
    }

    #[test]
    fn time_that_was_not_watched_counts_little_and_time_that_goes_back_nothing() {
        let mut button = Button::default();
        let looks = [(false, 0), (false, 50), (true, 60), (true, 100)];
        assert!(looks.iter().all(|&(level, now)| button.look(level, Uptime(now)).is_none()));
        assert_eq!(button.held_ms(), 40);
        // A minute without a look, and the timer begins again.
        for (now, held) in [(60_000, 1040), (5, 1040), (10, 1045), (2010, 2045)] {
            assert_eq!(button.look(true, Uptime(now)), None);
            assert_eq!(button.held_ms(), held, "at {now}");
        }
    }
}
