//! One presentation after another before a camera: the vote, and who must wait.
//!
//! In: for every look of the camera whether there is a face, the decision over its frame, and the time. Out: one answer for each
//! presentation. It owns no picture and runs no model, so that its caller need not embed a frame that nobody wants.

use super::lockout::{Lockout, Wait};
use super::vote::{Vote, VoteError};
use super::{Decision, Rejection, Rules};
use crate::time::Uptime;

/// What is to be done with a frame that shows a face.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Decide over it, and give the decision to [`Watch::frame`].
    Look,
    /// Nothing: the presentation has its answer already.
    Ignore,
    /// Nothing: this is the presentation's answer.
    Answer(Decision),
}

/// The presentations before a camera.
#[derive(Debug, Clone, Default)]
pub struct Watch {
    vote: Vote,
    lockout: Lockout,
}

impl Watch {
    /// Nobody is there yet, and nobody has failed.
    ///
    /// # Errors
    /// When no vote can be held by the rules.
    pub fn new(rules: &Rules) -> Result<Self, VoteError> {
        Ok(Watch { vote: Vote::new(rules.vote)?, lockout: Lockout::new(rules.lockout) })
    }

    /// The camera shows nobody. Returns the answer of a presentation that ends with that.
    pub fn nobody(&mut self, now: Uptime) -> Option<Decision> {
        let answer = self.vote.nobody(now)?;
        Some(self.settle(answer, now))
    }

    /// The camera shows a face.
    pub fn face(&mut self, now: Uptime) -> Admission {
        if !self.vote.wants_frame(now) {
            return Admission::Ignore;
        }
        match self.lockout.check(now) {
            Err(wait) if self.vote.is_idle() => {
                Admission::Answer(self.vote.answer(Decision::Rejected(Rejection::Wait(wait))))
            }
            _ => Admission::Look,
        }
    }

    /// The decision over the frame that was last admitted, at the same time. Returns the answer if that decides the presentation.
    pub fn frame(&mut self, frame: Decision, now: Uptime) -> Option<Decision> {
        let answer = self.vote.frame(frame, now)?;
        Some(self.settle(answer, now))
    }

    /// The lock-out that is to be waited for, if there is one and no presentation is under way.
    pub fn lockout(&mut self, now: Uptime) -> Option<Wait> {
        self.lockout.check(now).err().filter(|wait| wait.locked && !self.vote.is_voting())
    }

    /// As [`Lockout::failures`].
    pub fn failures(&self) -> u8 {
        self.lockout.failures()
    }

    /// As [`Lockout::resume`].
    pub fn resume(&mut self, failures: u8, now: Uptime) {
        self.lockout.resume(failures, now);
    }

    fn settle(&mut self, answer: Decision, now: Uptime) -> Decision {
        match answer {
            Decision::Known(_) => self.lockout.succeeded(now),
            Decision::Unknown { why, .. } if why.is_failure() => self.lockout.failed(now),
            Decision::Unknown { .. } | Decision::Rejected(_) => {}
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::super::lockout::LockoutRules;
    use super::super::vote::VoteRules;
    use super::super::{Unknown, tests::known};
    use super::*;

    const STRANGER: Decision = Decision::Unknown { why: Unknown::TooFar, nearest: None };

    fn watch() -> Watch {
        let vote = VoteRules { agree: 2, frames: 3, limit_ms: 1000, gap_ms: 100, hold_ms: 50 };
        let lockout =
            LockoutRules { failures: 2, pause_ms: 200, first_ms: 5000, longest_ms: 8000, forget_ms: 60_000 };
        Watch::new(&Rules { vote, lockout, ..Rules::default() }).unwrap()
    }

    /// Shows `frame` until there is an answer; 10 milliseconds a frame.
    fn shown(watch: &mut Watch, frame: Decision, now: &mut u64) -> Decision {
        loop {
            *now += 10;
            match watch.face(Uptime(*now)) {
                Admission::Answer(answer) => return answer,
                Admission::Ignore => {}
                Admission::Look => {
                    if let Some(answer) = watch.frame(frame, Uptime(*now)) {
                        return answer;
                    }
                }
            }
        }
    }

    #[test]
    fn a_stranger_who_stays_is_paused_and_then_locked_out() {
        let (mut watch, mut now) = (watch(), 0);
        let waits = |answer| match answer {
            Decision::Rejected(Rejection::Wait(Wait { locked, .. })) => Some(locked),
            _ => None,
        };
        assert_eq!(shown(&mut watch, STRANGER, &mut now), STRANGER);
        // Once for each time that an answer is held, not once a frame.
        assert_eq!(waits(shown(&mut watch, STRANGER, &mut now)), Some(false));
        let held = now;
        assert_eq!(waits(shown(&mut watch, STRANGER, &mut now)), Some(false));
        assert!(now - held >= 50);
        now += 200;
        assert_eq!(shown(&mut watch, STRANGER, &mut now), STRANGER);
        assert_eq!(watch.failures(), 2);
        for _ in 0..20 {
            assert_eq!(
                waits(shown(&mut watch, known(1, 20), &mut now)),
                Some(true),
                "not even somebody enrolled"
            );
        }
        now += 5000;
        assert!(matches!(shown(&mut watch, known(1, 20), &mut now), Decision::Known(_)));
        assert_eq!(watch.failures(), 0);
    }

    #[test]
    fn what_is_no_attempt_of_a_stranger_does_not_count() {
        let (mut watch, mut now) = (watch(), 0);
        for why in [Unknown::NobodyEnrolled, Unknown::NoThreshold] {
            for _ in 0..5 {
                shown(&mut watch, Decision::Unknown { why, nearest: None }, &mut now);
            }
        }
        for _ in 0..5 {
            shown(&mut watch, Decision::Rejected(Rejection::Landmarks), &mut now);
        }
        assert_eq!(watch.failures(), 0);
    }

    #[test]
    fn a_presentation_that_began_is_heard_to_its_end() {
        let (mut watch, mut now) = (watch(), 0);
        shown(&mut watch, STRANGER, &mut now);
        now += 250;
        assert_eq!(watch.face(Uptime(now)), Admission::Look);
        assert_eq!(watch.frame(known(1, 20), Uptime(now)), None);
        watch.resume(2, Uptime(now));
        assert_eq!(watch.face(Uptime(now + 1)), Admission::Look);
        assert!(matches!(watch.frame(known(1, 21), Uptime(now + 1)), Some(Decision::Known(_))));
    }
}
