//! A bound on how often a stranger may try.
//!
//! In: how each presentation ended, and the time. Out: whether the next may begin. After every failure there is a short pause;
//! from a number of failures in a row on the pause is a lock-out, which doubles with each further failure up to a bound.
//! Somebody known, or a long time without a failure, clears the count.
//!
//! The waiting time is counted down by what passed between calls, so that a timer that jumps back or begins again neither ends
//! a lock-out nor prolongs it beyond its bound.
//!
//! A restart would clear the count: the [device](crate::device) keeps [`Lockout::failures`] in its [state](crate::state) at every
//! answer and gives it to [`Lockout::resume`] after boot, where the wait begins anew. Only a device without a region for its state
//! forgets.

use serde::{Deserialize, Serialize};

use crate::time::{Lapse, Uptime};

/// How often one may fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct LockoutRules {
    /// Failures in a row that bring the first lock-out; 0 for none ever.
    pub failures: u8,
    /// Milliseconds to wait after a failure that brings none.
    pub pause_ms: u32,
    /// Milliseconds of the first lock-out.
    pub first_ms: u32,
    /// Milliseconds of the longest.
    pub longest_ms: u32,
    /// Milliseconds after the end of a wait that clear the count.
    pub forget_ms: u32,
}

impl LockoutRules {
    /// Neither pauses nor lock-outs.
    pub const NONE: LockoutRules =
        LockoutRules { failures: 0, pause_ms: 0, first_ms: 0, longest_ms: 0, forget_ms: 0 };
}

impl Default for LockoutRules {
    /// Five failures and half a minute, as Android asks of its devices (Compatibility Definition, 7.3.10, C-1-5); no longer
    /// than five minutes, so that passing strangers do not lock out those who are enrolled for good.
    fn default() -> Self {
        LockoutRules {
            failures: 5,
            pause_ms: 1000,
            first_ms: 30_000,
            longest_ms: 300_000,
            forget_ms: 600_000,
        }
    }
}

/// What must pass before the next presentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Wait {
    /// Milliseconds.
    pub ms: u32,
    /// Whether it is a lock-out; else it is the pause after a failure.
    pub locked: bool,
}

impl core::fmt::Display for Wait {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let seconds = self.ms.div_ceil(1000);
        match self.locked {
            true => write!(f, "locked out after too many failures, for {seconds} s more"),
            false => write!(f, "too soon after a failure, wait {seconds} s"),
        }
    }
}

/// The count of failures, and what is left of the wait.
#[derive(Debug, Clone, Copy)]
pub struct Lockout {
    rules: LockoutRules,
    failures: u8,
    wait_ms: u32,
    /// Until the count is cleared, once the wait is over.
    memory_ms: u32,
    lapse: Lapse,
}

impl Default for Lockout {
    /// By the default rules.
    fn default() -> Self {
        Lockout::new(LockoutRules::default())
    }
}

impl Lockout {
    /// Nobody has failed yet.
    pub fn new(rules: LockoutRules) -> Self {
        Lockout { rules, failures: 0, wait_ms: 0, memory_ms: 0, lapse: Lapse::default() }
    }

    /// Whether a presentation may begin.
    ///
    /// # Errors
    /// What must pass before.
    pub fn check(&mut self, now: Uptime) -> Result<(), Wait> {
        self.pass(now);
        match self.wait_ms {
            0 => Ok(()),
            ms => Err(Wait { ms, locked: self.locks() }),
        }
    }

    /// A presentation ended, and nobody enrolled was known.
    pub fn failed(&mut self, now: Uptime) {
        self.pass(now);
        self.failures = self.failures.saturating_add(1);
        self.begin_wait();
    }

    /// A presentation ended with somebody known.
    pub fn succeeded(&mut self, now: Uptime) {
        self.pass(now);
        (self.failures, self.wait_ms) = (0, 0);
    }

    /// Failures in a row: what a board stores over a restart.
    pub fn failures(&self) -> u8 {
        self.failures
    }

    /// Goes on after a restart with `failures` counted before. How long the device was off is not known, so the wait
    /// begins anew.
    pub fn resume(&mut self, failures: u8, now: Uptime) {
        self.pass(now);
        self.failures = failures;
        self.begin_wait();
    }

    fn begin_wait(&mut self) {
        self.wait_ms = match self.failures {
            0 => 0,
            _ if self.locks() => {
                let doubled = 1u32.checked_shl((self.failures - self.rules.failures).into());
                let lasting = self.rules.first_ms.saturating_mul(doubled.unwrap_or(u32::MAX));
                lasting.min(self.rules.longest_ms)
            }
            _ => self.rules.pause_ms,
        };
        self.memory_ms = self.rules.forget_ms;
    }

    fn locks(&self) -> bool {
        self.rules.failures > 0 && self.failures >= self.rules.failures
    }

    fn pass(&mut self, now: Uptime) {
        let passed = self.lapse.until(now);
        let beyond = passed.saturating_sub(self.wait_ms);
        self.wait_ms = self.wait_ms.saturating_sub(passed);
        self.memory_ms = self.memory_ms.saturating_sub(beyond);
        if self.wait_ms == 0 && self.memory_ms == 0 {
            self.failures = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RULES: LockoutRules =
        LockoutRules { failures: 3, pause_ms: 10, first_ms: 100, longest_ms: 350, forget_ms: 1000 };

    /// Fails whenever it may; the waits in order.
    fn waits(lockout: &mut Lockout, now: &mut u64, failures: usize) -> Vec<Wait> {
        let mut fail = || {
            lockout.failed(Uptime(*now));
            let wait = lockout.check(Uptime(*now)).unwrap_err();
            *now += u64::from(wait.ms);
            assert_eq!(lockout.check(Uptime(*now)), Ok(()));
            wait
        };
        (0..failures).map(|_| fail()).collect()
    }

    #[test]
    fn waits_double_up_to_the_longest() {
        let (mut lockout, mut now) = (Lockout::new(RULES), 77);
        let found: Vec<_> = waits(&mut lockout, &mut now, 6).iter().map(|w| (w.ms, w.locked)).collect();
        assert_eq!(found, [(10, false), (10, false), (100, true), (200, true), (350, true), (350, true)]);
        // For ever, and the count does not run over.
        assert!(waits(&mut lockout, &mut now, 500)[499] == Wait { ms: 350, locked: true });
        assert_eq!(lockout.failures(), u8::MAX);
    }

    #[test]
    fn somebody_known_or_a_long_quiet_time_clears_the_count() {
        let (mut lockout, mut now) = (Lockout::new(RULES), 0);
        waits(&mut lockout, &mut now, 4);
        lockout.succeeded(Uptime(now));
        assert_eq!(lockout.failures(), 0);
        waits(&mut lockout, &mut now, 4);
        assert_eq!((lockout.check(Uptime(now + 999)), lockout.failures()), (Ok(()), 4));
        assert_eq!((lockout.check(Uptime(now + 1000)), lockout.failures()), (Ok(()), 0));
    }

    #[test]
    fn a_restart_begins_the_wait_anew() {
        let (mut lockout, mut now) = (Lockout::new(RULES), 0);
        waits(&mut lockout, &mut now, 4);
        let mut restarted = Lockout::new(RULES);
        restarted.resume(lockout.failures(), Uptime(0));
        assert_eq!(restarted.check(Uptime(1)), Err(Wait { ms: 199, locked: true }));
        restarted.resume(0, Uptime(1));
        assert_eq!(restarted.check(Uptime(1)), Ok(()));
    }

    #[test]
    fn without_rules_nobody_waits() {
        let mut lockout = Lockout::new(LockoutRules::NONE);
        for _ in 0..300 {
            lockout.failed(Uptime(0));
            assert_eq!(lockout.check(Uptime(0)), Ok(()));
        }
    }

    #[derive(Debug, Clone, Copy)]
    enum Step {
        Check,
        Failed,
        Succeeded,
    }

    proptest! {
        /// Against a model that keeps ends of waits in absolute time, while time goes forward only; and whatever time does, no wait
        /// is longer than the longest and it ends when that has passed.
        #[test]
        fn keeps_to_its_bounds(
            steps in prop::collection::vec(
                (prop::sample::select(vec![Step::Check, Step::Failed, Step::Failed, Step::Succeeded]), 0..700u64, any::<bool>()), 1..80),
            jumps in any::<bool>(),
        ) {
            let mut lockout = Lockout::new(RULES);
            let (mut now, mut failures, mut end, mut forget) = (1000u64, 0u32, 0u64, 0u64);
            for (step, passed, back) in steps {
                now = if back && jumps { now.saturating_sub(3 * passed) } else { now + passed };
                if now >= forget {
                    failures = 0;
                }
                match step {
                    Step::Check => {}
                    Step::Failed => {
                        lockout.failed(Uptime(now));
                        failures += 1;
                        let wait = if failures < 3 { 10 } else { (100u64 << (failures - 3).min(9)).min(350) };
                        (end, forget) = (now + wait, now + wait + 1000);
                    }
                    Step::Succeeded => {
                        lockout.succeeded(Uptime(now));
                        (failures, end) = (0, now);
                    }
                }
                let found = lockout.check(Uptime(now));
                let left = found.map_or_else(|wait| wait.ms, |()| 0);
                prop_assert!(left <= 350);
                if !jumps {
                    prop_assert_eq!(u64::from(left), end.saturating_sub(now));
                    prop_assert_eq!(u32::from(lockout.failures()), failures);
                }
            }
            prop_assert_eq!(lockout.check(Uptime(now.saturating_add(350))), Ok(()));
        }
    }
}
