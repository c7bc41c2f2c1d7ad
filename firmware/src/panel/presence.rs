//! Whether somebody stands before the device, by a sensor that sees movement: people who stand still are there yet.

use crate::time::{Lapse, Uptime};

/// A presence sensor without its pin.
#[derive(Debug)]
pub struct Presence {
    hold_ms: u32,
    /// Milliseconds for which somebody is still taken to be there.
    left_ms: u32,
    lapse: Lapse,
}

impl Presence {
    /// Nobody is there yet; after the sensor has gone off somebody still is for `hold_ms` milliseconds.
    pub fn new(hold_ms: u32) -> Self {
        Presence { hold_ms, left_ms: 0, lapse: Lapse::default() }
    }

    /// Takes what the sensor shows at this time; returns whether somebody is there.
    pub fn look(&mut self, active: bool, now: Uptime) -> bool {
        let passed = self.lapse.until(now);
        self.left_ms = if active { self.hold_ms } else { self.left_ms.saturating_sub(passed) };
        active || self.left_ms > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the sensor shows, when, and whether somebody is there.
    type Look = (bool, u64, bool);

    #[test]
    fn presence_by_table() {
        let cases: [(&str, u32, &[Look]); 5] = [
            ("nobody", 100, &[(false, 0, false), (false, 500, false)]),
            ("held", 100, &[(true, 0, true), (false, 99, true), (false, 100, false)]),
            (
                "anew",
                100,
                &[
                    (true, 0, true),
                    (false, 60, true),
                    (true, 70, true),
                    (false, 169, true),
                    (false, 170, false),
                ],
            ),
            ("not held", 0, &[(true, 0, true), (false, 0, false)]),
            (
                "time back",
                100,
                &[(true, 1000, true), (false, 3, true), (false, 102, true), (false, 103, false)],
            ),
        ];
        for (name, hold_ms, looks) in cases {
            let mut presence = Presence::new(hold_ms);
            for &(active, now, there) in looks {
                assert_eq!(presence.look(active, Uptime(now)), there, "{name} at {now}");
            }
        }
    }
}
