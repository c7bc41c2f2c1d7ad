//! Time on a device: what it counts by itself, what only a host can tell it, and what depends on which.
//!
//! A device counts milliseconds since its boot ([`Uptime`]). What the time of day is it learns from an authenticated host
//! ([`WallClock::set`]) and forgets at every restart, unless its board has a battery for it. Until then nothing that depends
//! on the date is granted: who is enrolled for a time only ([`Validity`]) is not known to be within it, and
//! the log says how many boots and milliseconds passed instead of a date ([`Stamp`]).

use serde::{Deserialize, Serialize};

/// Milliseconds since boot, as a board's timer counts them. Whoever takes it bears a timer that jumps back or begins again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Uptime(pub u64);

/// Seconds since 1970-01-01 00:00 UTC, without leap seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct UnixTime(pub u64);

/// Measures the time between calls; a timer that jumps back measures none.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Lapse {
    last: Option<Uptime>,
}

impl Lapse {
    /// Milliseconds since the last call; 0 at the first, and when time went back.
    pub(crate) fn until(&mut self, now: Uptime) -> u32 {
        let last = self.last.replace(now).unwrap_or(now);
        u32::try_from(now.0.saturating_sub(last.0)).unwrap_or(u32::MAX)
    }
}

/// What a device knows of the time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum WallClock {
    /// Nothing: no authenticated host has set it since boot.
    #[default]
    Unset,
    /// It was set.
    Set {
        /// The time that a host told.
        time: UnixTime,
        /// When it told.
        at: Uptime,
    },
}

impl WallClock {
    /// Sets it. Only a host whose session is authenticated may.
    pub fn set(&mut self, time: UnixTime, at: Uptime) {
        *self = WallClock::Set { time, at };
    }

    /// The time; `None` when unset, or when the timer shows less than when it was set and so cannot be trusted.
    pub fn now(&self, uptime: Uptime) -> Option<UnixTime> {
        match self {
            WallClock::Unset => None,
            WallClock::Set { time, at } => {
                let passed = uptime.0.checked_sub(at.0)? / 1000;
                Some(UnixTime(time.0.saturating_add(passed)))
            }
        }
    }

    /// When something happened, for the log.
    pub fn stamp(&self, boots: u32, uptime: Uptime) -> Stamp {
        self.now(uptime).map_or(Stamp::Boot { boots, uptime }, Stamp::Utc)
    }
}

/// When something happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Stamp {
    /// At this time.
    Utc(UnixTime),
    /// The clock was unset.
    Boot {
        /// Boots of the device up to then.
        boots: u32,
        /// Since the last of them.
        uptime: Uptime,
    },
}

/// When somebody enrolled is to be known, in seconds since 1970-01-01 00:00 UTC, without leap seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Validity {
    /// The first second.
    pub from: u64,
    /// The first second no longer.
    pub until: u64,
}

impl Validity {
    /// Without beginning or end.
    pub const ALWAYS: Validity = Validity { from: 0, until: u64::MAX };
    /// At no time.
    pub const NEVER: Validity = Validity { from: u64::MAX, until: 0 };

    /// Whether it holds `now`, which is `None` when nobody knows.
    ///
    /// # Errors
    /// Why it does not.
    pub fn check(&self, now: Option<UnixTime>) -> Result<(), Invalid> {
        let Validity { from, until } = *self;
        if *self == Self::ALWAYS {
            return Ok(());
        }
        match now {
            None => Err(Invalid::ClockUnset),
            Some(now) if now.0 < from => Err(Invalid::Before { from }),
            Some(now) if now.0 >= until => Err(Invalid::Over { until }),
            Some(_) => Ok(()),
        }
    }
}

/// Why a [`Validity`] does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Invalid {
    /// There are bounds, and the device does not know the time.
    ClockUnset,
    /// Not yet.
    Before {
        /// When it begins.
        from: u64,
    },
    /// No longer.
    Over {
        /// When it ended.
        until: u64,
    },
}

impl core::fmt::Display for Invalid {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Invalid::ClockUnset => f.write_str("enrolled for a time, and no host has set the device's clock"),
            Invalid::Before { from } => write!(f, "enrolled from {from} s after 1970 on"),
            Invalid::Over { until } => write!(f, "enrolled until {until} s after 1970"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_runs_from_when_it_was_set() {
        let mut clock = WallClock::default();
        let boot = |uptime| Stamp::Boot { boots: 7, uptime };
        assert_eq!((clock.now(Uptime(5)), clock.stamp(7, Uptime(5))), (None, boot(Uptime(5))));
        clock.set(UnixTime(1_000_000), Uptime(500));
        assert_eq!(clock.now(Uptime(500)), Some(UnixTime(1_000_000)));
        assert_eq!(clock.now(Uptime(1499)), Some(UnixTime(1_000_000)));
        assert_eq!(clock.stamp(7, Uptime(61_500)), Stamp::Utc(UnixTime(1_000_061)));
        // The timer began again: nobody knows how long it was away.
        assert_eq!(
            (clock.now(Uptime(499)), clock.stamp(8, Uptime(0))),
            (None, Stamp::Boot { boots: 8, uptime: Uptime(0) })
        );
        clock.set(UnixTime(u64::MAX), Uptime(0));
        assert_eq!(clock.now(Uptime(u64::MAX)), Some(UnixTime(u64::MAX)));
    }

    #[test]
    fn validity_by_hand() {
        let (before, over) = (Invalid::Before { from: 10 }, Invalid::Over { until: 20 });
        let cases = [
            (0, u64::MAX, None, Ok(())),
            (0, u64::MAX, Some(u64::MAX), Ok(())),
            (10, u64::MAX, None, Err(Invalid::ClockUnset)),
            (0, 20, None, Err(Invalid::ClockUnset)),
            (10, 20, Some(9), Err(before)),
            (10, 20, Some(10), Ok(())),
            (10, 20, Some(19), Ok(())),
            (10, 20, Some(20), Err(over)),
            (0, 20, Some(0), Ok(())),
            // Never.
            (10, 10, Some(10), Err(Invalid::Over { until: 10 })),
        ];
        for (from, until, now, expected) in cases {
            let found = Validity { from, until }.check(now.map(UnixTime));
            assert_eq!(found, expected, "{from} to {until} at {now:?}");
        }
    }

    #[test]
    fn time_that_goes_back_has_not_passed() {
        let mut lapse = Lapse::default();
        let measured = [9, 12, 12, 3, 4, u64::MAX, 0].map(|now| lapse.until(Uptime(now)));
        assert_eq!(measured, [0, 3, 0, 0, 1, u32::MAX, 0]);
    }
}
