//! One answer from the frames of a presentation.
//!
//! In: the decision over each frame in which there is a face, and the time; also that there is none. Out: one answer when the
//! presentation is decided.
//!
//! ```text
//!            a face              agreed, or out of frames, or out of time
//!   idle -------------> voting ---------------------------------------------> answered
//!    ^                    |                                                      |
//!    +--------------------+------------------------------------------------------+
//!       no face for a while, which answers a vote; or the answer has been held
//! ```
//!
//! Of at most `frames` frames `agree` must name the same person: that person is known as soon as they do, and nobody is as
//! soon as they no longer can. Frames that were rejected name nobody and are not counted, but their time is. While an answer is
//! held, frames are not looked at.

use heapless::Vec;
use serde::{Deserialize, Serialize};

use super::{Decision, Known, Rejection, Unknown};
use crate::gallery::Candidate;
use crate::time::{Lapse, Uptime};

/// The most frames that a vote can ask for.
pub const MAX_FRAMES: usize = 16;

/// How frames are voted on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct VoteRules {
    /// Frames that must name the same person, from 1 on.
    pub agree: u8,
    /// Frames that a presentation has, from `agree` to [`MAX_FRAMES`].
    pub frames: u8,
    /// Milliseconds that a presentation may take from its first frame on.
    pub limit_ms: u32,
    /// Milliseconds without a face that end it.
    pub gap_ms: u32,
    /// Milliseconds that an answer is held while a face is still there, before the next presentation may begin.
    pub hold_ms: u32,
}

impl VoteRules {
    /// Every frame is a presentation.
    pub const SINGLE: VoteRules = VoteRules { agree: 1, frames: 1, limit_ms: 0, gap_ms: 0, hold_ms: 0 };
}

impl Default for VoteRules {
    /// Two of three, as few frames as can outvote one; ten seconds, in which the slowest boards see so many.
    fn default() -> Self {
        VoteRules { agree: 2, frames: 3, limit_ms: 10_000, gap_ms: 1000, hold_ms: 3000 }
    }
}

/// Rules by which no vote can be held: `agree` is zero or above `frames`, or these are above [`MAX_FRAMES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct VoteError {
    /// As in the rules.
    pub agree: u8,
    /// As in the rules.
    pub frames: u8,
}

impl core::fmt::Display for VoteError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let VoteError { agree, frames } = self;
        write!(
            f,
            "{agree} of {frames} frames cannot agree; accepted: 1 to as many as there are, of at most {MAX_FRAMES}"
        )
    }
}

impl core::error::Error for VoteError {}

/// Where a presentation is, with the milliseconds that are left of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    Voting(u32),
    Answered(u32),
}

/// A presentation after the other, voted on.
#[derive(Debug, Clone)]
pub struct Vote {
    rules: VoteRules,
    state: State,
    /// Milliseconds since the first look that showed nobody after the last face.
    away: Option<u32>,
    lapse: Lapse,
    ballots: Vec<Known, MAX_FRAMES>,
    /// Frames counted.
    frames: u8,
    /// The last frame that named nobody.
    unknown: Option<(Unknown, Option<Candidate>)>,
    rejected: Option<Rejection>,
}

impl Default for Vote {
    /// By the default rules.
    fn default() -> Self {
        Vote {
            rules: VoteRules::default(),
            state: State::Idle,
            away: None,
            lapse: Lapse::default(),
            ballots: Vec::new(),
            frames: 0,
            unknown: None,
            rejected: None,
        }
    }
}

impl Vote {
    /// Nobody is there yet.
    ///
    /// # Errors
    /// When no vote can be held by the rules.
    pub fn new(rules: VoteRules) -> Result<Self, VoteError> {
        let VoteRules { agree, frames, .. } = rules;
        if agree == 0 || agree > frames || frames as usize > MAX_FRAMES {
            return Err(VoteError { agree, frames });
        }
        Ok(Vote { rules, ..Vote::default() })
    }

    /// There is no face: the presentation ends when that lasts. Returns its answer if it has none yet.
    pub fn nobody(&mut self, now: Uptime) -> Option<Decision> {
        let passed = self.pass(now);
        let away = self.away.map_or(0, |away| away.saturating_add(passed));
        self.away = Some(away);
        let gone = away >= self.rules.gap_ms;
        let answer = match self.state {
            State::Voting(left) if gone || left == 0 => Some(self.conclude()),
            _ => None,
        };
        if gone {
            self.state = State::Idle;
        }
        answer
    }

    /// There is a face: whether it is worth looking at. Not while an answer is held.
    pub fn wants_frame(&mut self, now: Uptime) -> bool {
        self.pass(now);
        self.away = None;
        !matches!(self.state, State::Answered(_))
    }

    /// Whether the next face begins a presentation.
    pub fn is_idle(&self) -> bool {
        self.state == State::Idle
    }

    /// Whether frames are being counted.
    pub fn is_voting(&self) -> bool {
        matches!(self.state, State::Voting(_))
    }

    /// Counts a frame with a face that was taken at `now`. Returns the presentation's answer when that decides it; a frame that comes too
    /// late to be counted ends it.
    pub fn frame(&mut self, frame: Decision, now: Uptime) -> Option<Decision> {
        if !self.wants_frame(now) {
            return None;
        }
        match self.state {
            State::Voting(0) => return Some(self.conclude()),
            State::Voting(_) => {}
            State::Idle | State::Answered(_) => self.state = State::Voting(self.rules.limit_ms),
        }
        match frame {
            Decision::Rejected(why) => {
                self.rejected = Some(why);
                return (self.state == State::Voting(0)).then(|| self.conclude());
            }
            Decision::Unknown { why, nearest } => self.unknown = Some((why, nearest)),
            // The vote ends before it has more frames than there are places.
            Decision::Known(known) => self.ballots.push(known).unwrap_or(()),
        }
        self.frames += 1;
        let most = self.ballots.iter().map(|b| self.votes(b)).max().unwrap_or(0);
        let hopeless = most + (self.rules.frames - self.frames) < self.rules.agree;
        (most >= self.rules.agree || hopeless).then(|| self.conclude())
    }

    /// Ends the presentation with `answer`, whatever was counted, and holds that.
    pub fn answer(&mut self, answer: Decision) -> Decision {
        self.state = State::Answered(self.rules.hold_ms);
        self.ballots.clear();
        (self.frames, self.unknown, self.rejected) = (0, None, None);
        answer
    }

    /// The answer to what was counted.
    fn conclude(&mut self) -> Decision {
        let agreed = self.ballots.iter().filter(|b| self.votes(b) >= self.rules.agree);
        // Of those who agree the farthest speaks: all the others satisfy its confidence too.
        let answer = if let Some(known) = agreed.max_by_key(|b| b.best.angle) {
            Decision::Known(*known)
        } else if let Some(nearest) = self.ballots.iter().min_by_key(|b| b.best.angle) {
            let agreeing = self.ballots.iter().map(|b| self.votes(b)).max().unwrap_or(0);
            let why = Unknown::NoAgreement { agreeing, needed: self.rules.agree };
            Decision::Unknown { why, nearest: Some(nearest.best) }
        } else if let Some((why, nearest)) = self.unknown {
            Decision::Unknown { why, nearest }
        } else {
            // A presentation begins with a frame, which was rejected if it left nothing else.
            Decision::Rejected(self.rejected.unwrap_or(Rejection::Landmarks))
        };
        self.answer(answer)
    }

    /// How many frames name whom `ballot` names.
    fn votes(&self, ballot: &Known) -> u8 {
        self.ballots.iter().filter(|b| b.best.person == ballot.best.person).count() as u8
    }

    /// Lets the time run; returns the milliseconds since the last call.
    fn pass(&mut self, now: Uptime) -> u32 {
        let passed = self.lapse.until(now);
        self.state = match self.state {
            State::Idle => State::Idle,
            State::Voting(left) => State::Voting(left.saturating_sub(passed)),
            State::Answered(left) if left > passed => State::Answered(left - passed),
            State::Answered(_) => State::Idle,
        };
        passed
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::known;
    use super::*;
    use crate::gallery::PersonId;

    const RULES: VoteRules = VoteRules { agree: 2, frames: 3, limit_ms: 1000, gap_ms: 100, hold_ms: 300 };
    const STRANGER: Decision = Decision::Unknown { why: Unknown::TooFar, nearest: None };
    const BLURRED: Decision = Decision::Rejected(Rejection::Landmarks);

    fn no_agreement(agreeing: u8, nearest: Decision) -> Option<Decision> {
        let Decision::Known(known) = nearest else { panic!("{nearest:?} names nobody") };
        let why = Unknown::NoAgreement { agreeing, needed: 2 };
        Some(Decision::Unknown { why, nearest: Some(known.best) })
    }

    /// Shows frames 10 milliseconds apart; what was answered after each.
    fn answers(frames: &[Decision]) -> std::vec::Vec<Option<Decision>> {
        let mut vote = Vote::new(RULES).unwrap();
        frames.iter().enumerate().map(|(i, &frame)| vote.frame(frame, Uptime(10 * i as u64))).collect()
    }

    #[test]
    fn answers_come_as_soon_as_they_are_certain() {
        let (a, b, c) = (known(1, 20), known(2, 25), known(3, 30));
        let farther = known(1, 40);
        let cases: [(&[Decision], Option<Decision>); 9] = [
            (&[a, farther], Some(farther)),
            (&[farther, b, a], Some(farther)),
            (&[STRANGER, a, a], Some(a)),
            (&[BLURRED, a, BLURRED, BLURRED, a], Some(a)),
            (&[STRANGER, STRANGER], Some(STRANGER)),
            (&[a, STRANGER, STRANGER], no_agreement(1, a)),
            (&[b, a, c], no_agreement(1, a)),
            (&[a, BLURRED], None),
            (&[a], None),
        ];
        for (frames, expected) in cases {
            let found = answers(frames);
            let (last, before) = found.split_last().unwrap();
            assert!(*last == expected && before.iter().all(Option::is_none), "{frames:?}: {found:?}");
        }
    }

    #[test]
    fn a_presentation_ends_when_its_time_is_up() {
        let mut vote = Vote::new(RULES).unwrap();
        assert_eq!(vote.frame(known(1, 20), Uptime(5000)), None);
        // The frame that comes too late is not counted, though it would agree.
        assert_eq!(vote.frame(known(1, 20), Uptime(6000)), no_agreement(1, known(1, 20)));
        // Of nothing but rejected frames the last says why.
        let mut vote = Vote::new(RULES).unwrap();
        for now in 0..1000 {
            assert_eq!(vote.frame(BLURRED, Uptime(now)), None);
        }
        assert_eq!(vote.nobody(Uptime(1000)), Some(BLURRED));
    }

    #[test]
    fn a_presentation_ends_when_nobody_is_there_for_a_while() {
        let mut vote = Vote::new(RULES).unwrap();
        assert_eq!(vote.nobody(Uptime(0)), None);
        vote.frame(known(1, 20), Uptime(0));
        // However long the frame took: absence is counted from the first look that shows it.
        assert_eq!(vote.nobody(Uptime(900)), None);
        assert_eq!(vote.frame(known(2, 20), Uptime(950)), None);
        assert_eq!(vote.nobody(Uptime(960)), None);
        let ended = vote.nobody(Uptime(1060));
        assert!(
            matches!(ended, Some(Decision::Unknown { why: Unknown::NoAgreement { .. }, .. })),
            "{ended:?}"
        );
        assert!(vote.is_idle());
    }

    #[test]
    fn an_answer_is_held_while_the_face_stays_and_no_longer() {
        let answered = || {
            let mut vote = Vote::new(RULES).unwrap();
            vote.frame(known(1, 20), Uptime(0));
            assert_eq!(vote.frame(known(1, 20), Uptime(10)), Some(known(1, 20)));
            vote
        };
        let mut stays = answered();
        assert!(!stays.wants_frame(Uptime(309)) && stays.wants_frame(Uptime(310)));
        let mut goes = answered();
        assert_eq!((goes.nobody(Uptime(20)), goes.nobody(Uptime(119))), (None, None));
        assert!(!goes.is_idle());
        assert_eq!(goes.nobody(Uptime(120)), None);
        assert!(goes.wants_frame(Uptime(121)));
    }

    #[test]
    fn single_frames_are_answered_each() {
        let mut vote = Vote::new(VoteRules::SINGLE).unwrap();
        for frame in [known(1, 20), known(2, 20), STRANGER, BLURRED, known(1, 20)] {
            assert_eq!(vote.frame(frame, Uptime(7)), Some(frame));
        }
    }

    #[test]
    fn impossible_rules_are_refused() {
        assert!(Vote::new(VoteRules::default()).is_ok());
        for (agree, frames) in [(0, 3), (4, 3), (1, MAX_FRAMES as u8 + 1), (0, 0), (u8::MAX, u8::MAX)] {
            let refused = Vote::new(VoteRules { agree, frames, ..RULES }).unwrap_err();
            assert_eq!(refused, VoteError { agree, frames });
        }
    }

    /// What a camera may show, and how much later than before; a timer may jump back.
    fn looks() -> impl Strategy<Value = std::vec::Vec<(Option<Decision>, i64)>> {
        let frame = prop_oneof![
            6 => (1..4u32, 10..40u32).prop_map(|(person, degrees)| Some(known(person, degrees))),
            2 => Just(Some(STRANGER)),
            2 => Just(Some(BLURRED)),
            2 => Just(None),
        ];
        let passed = prop_oneof![8 => 0..60i64, 1 => 200..1500i64, 1 => -5000..0i64, 1 => Just(i64::MAX)];
        prop::collection::vec((frame, passed), 0..120)
    }

    proptest! {
        /// Against a model that keeps every frame since the last answer: nobody is known unless `agree` of the counted ones, `frames`
        /// at most, name them, nor before or after that is certain.
        #[test]
        fn nobody_is_known_without_agreement(looks in looks(), agree in 1..=4u8, more in 0..=3u8) {
            let rules = VoteRules { agree, frames: agree + more, ..RULES };
            let mut vote = Vote::new(rules).unwrap();
            let (mut now, mut counted) = (0u64, std::vec::Vec::<Option<Known>>::new());
            for (look, passed) in looks {
                now = now.saturating_add_signed(passed);
                let wanted = look.is_some() && vote.wants_frame(Uptime(now));
                let answer = match look {
                    Some(frame) => vote.frame(frame, Uptime(now)),
                    None => vote.nobody(Uptime(now)),
                };
                prop_assert!(wanted || look.is_none() || answer.is_none());
                let before = counted.len();
                if wanted {
                    match look {
                        Some(Decision::Known(known)) => counted.push(Some(known)),
                        Some(Decision::Unknown { .. }) => counted.push(None),
                        _ => {}
                    }
                }
                prop_assert!(counted.len() <= rules.frames.into());
                let most = |frames: &[Option<Known>]| {
                    let votes = |person| frames.iter().flatten().filter(|k| k.best.person == person).count();
                    (1..4).map(|p| votes(PersonId(p))).max().unwrap_or(0)
                };
                let certain = |frames: &[Option<Known>]| {
                    most(frames) >= agree.into() || most(frames) + usize::from(rules.frames) - frames.len() < agree.into()
                };
                match answer {
                    Some(Decision::Known(known)) => {
                        let named = counted.iter().flatten().filter(|k| k.best.person == known.best.person);
                        prop_assert_eq!(named.clone().count(), usize::from(agree));
                        prop_assert_eq!(named.map(|k| k.best.angle).max(), Some(known.best.angle));
                    }
                    // Time was up: the frame that showed it is not counted.
                    Some(_) => prop_assert!(most(&counted[..before]) < agree.into()),
                    None => prop_assert!(!certain(&counted)),
                }
                if answer.is_some() {
                    counted.clear();
                }
            }
        }
    }
}
