//! From angles to an answer: Known, Unknown or Rejected.
//!
//! In: what the gallery found for a probe, how many people are enrolled, and the model's thresholds. Out: a [`Decision`]. It is
//! Unknown unless the evidence says otherwise: the threshold is the model's own, measured by `arcgate calibrate` for so many
//! people, and there is none in the code.
//!
//! - [`Thresholds`]: the model's [table](crate::model::thresholds), for so many people and a target rate;
//! - [`quality`]: whether a picture is worth embedding;
//! - [`vote`]: one answer from the frames of a presentation;
//! - [`lockout`]: how often a stranger may try;
//! - [`watch`]: a camera's presentations, by the vote and the lock-out.
//!
//! One frame is decided over so ([`decide`]): the nearest person, by the nearest of their templates, must lie within the threshold
//! for the target rate, and nearer than the second person by a margin.

pub mod lockout;
pub mod quality;
pub mod vote;
pub mod watch;

use serde::{Deserialize, Serialize};

use crate::embedding::Angle;
use crate::gallery::{Candidate, Nearest};
use crate::model::thresholds::{Scope, ThresholdTable};
use crate::time::{Invalid, UnixTime, Validity};
use lockout::{LockoutRules, Wait};
use quality::{Defect, QualityRules};
use vote::VoteRules;

/// How a device comes to its answers; its owner may choose.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Rules {
    /// Over a probe.
    pub matching: MatchRules,
    /// Over a picture.
    pub quality: QualityRules,
    /// Over the frames of a presentation.
    pub vote: VoteRules,
    /// Over presentations in a row.
    pub lockout: LockoutRules,
}

impl Rules {
    /// Frames that a stranger can show before the first lock-out: all that are voted on, with all retries. Thresholds for a
    /// presentation are for so many.
    pub fn frames_before_lockout(&self) -> u16 {
        u16::from(self.vote.frames) * u16::from(self.lockout.failures.max(1))
    }

    /// For photographs shown one after the other instead of a camera's frames: each is a presentation of its own, and nobody waits.
    pub fn photographs() -> Self {
        Rules { vote: VoteRules::SINGLE, lockout: LockoutRules::NONE, ..Rules::default() }
    }
}

/// When a probe is somebody.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct MatchRules {
    /// The false-positive identification rate that is aimed at: the threshold is the one of the table's next rate from here down.
    pub target_fpir: f32,
    /// The second person must lie farther away than the nearest by at least this.
    pub margin: Angle,
    /// Whether, and at which rate, a probe is near enough to become a template itself: a bar to be set higher than the one to be
    /// known, as a stranger who once got in must not be learnt.
    pub adapt_fpir: Option<f32>,
}

/// The false-positive identification rate that a device aims at: one search of a stranger in a hundred.
pub const TARGET_FPIR: f32 = 0.01;

impl Default for MatchRules {
    /// A margin of 1.5 degrees. Measured with MobileFaceNet on Families in the Wild, relatives enrolled together with three
    /// photographs each: up to there it takes away as many wrong names as right ones (one wrong name in eight, and 0.2 % of mated
    /// searches), beyond it more right ones.
    fn default() -> Self {
        MatchRules { target_fpir: TARGET_FPIR, margin: Angle::from_millidegrees(1500), adapt_fpir: None }
    }
}

/// The thresholds of a model for the people enrolled now.
#[derive(Debug, Clone, Copy)]
pub struct Thresholds<'t> {
    /// The model's, if it has any.
    pub table: Option<ThresholdTable<'t>>,
    /// People enrolled, as [`ThresholdTable::counted`].
    pub people: u32,
    /// What the rates are shares of.
    pub scope: Scope,
}

impl Thresholds<'_> {
    /// The angle for a rate; `None` where the table does not reach.
    pub fn at(&self, fpir: f32) -> Option<Angle> {
        self.table?.lookup(self.people, fpir, self.scope).map(|bar| bar.angle)
    }

    /// The class of an angle; `None` where it satisfies no rate.
    pub fn confidence(&self, angle: Angle) -> Option<Confidence> {
        let rate = self.table?.rates().find(|&rate| self.at(rate).is_some_and(|most| within(angle, most)))?;
        Some(Confidence { fpir_ppm: libm::roundf(rate * 1e6) as u32 })
    }
}

/// How sure an answer is: the lowest target rate of the model's table whose threshold the angle still satisfies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Confidence {
    /// False-positive identification rate in millionths.
    pub fpir_ppm: u32,
}

impl Confidence {
    /// False-positive identification rate, 0..=1.
    pub fn fpir(self) -> f64 {
        self.fpir_ppm as f64 / 1e6
    }
}

impl core::fmt::Display for Confidence {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "FPIR {} %", self.fpir_ppm as f64 / 1e4)
    }
}

/// Somebody enrolled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Known {
    /// Who, and how near.
    pub best: Candidate,
    /// The nearest other person, if anybody else is enrolled.
    pub second: Option<Candidate>,
    /// How sure that is.
    pub confidence: Confidence,
    /// Whether the probe may become a template of theirs; never unless the rules have a bar for that.
    pub may_adapt: bool,
}

impl Known {
    /// Known if that person is to be known `now`, which is `None` where no host has set the clock.
    pub fn at(self, validity: &Validity, now: Option<UnixTime>) -> Decision {
        match validity.check(now) {
            Ok(()) => Decision::Known(self),
            Err(why) => Decision::Unknown { why: Unknown::Invalid(why), nearest: Some(self.best) },
        }
    }
}

/// The answer to "who is this?".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Decision {
    /// Somebody enrolled.
    Known(Known),
    /// Nobody enrolled, as far as the evidence goes.
    Unknown {
        /// Why.
        why: Unknown,
        /// The nearest person all the same, if anybody is enrolled.
        nearest: Option<Candidate>,
    },
    /// The probe is no evidence at all.
    Rejected(Rejection),
}

/// Why nobody was recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Unknown {
    /// The nearest person lies farther than the model's threshold for so many people.
    TooFar,
    /// Nobody is enrolled.
    NobodyEnrolled,
    /// The model carries no threshold for so many people, so no angle is near enough: `arcgate calibrate` measures them.
    NoThreshold,
    /// Two people are about equally near.
    Ambiguous {
        /// How much nearer the nearest person is than the second.
        margin: Angle,
        /// As the rules want it.
        least: Angle,
    },
    /// The frames of the presentation do not name the same person.
    NoAgreement {
        /// Frames that name the person named most often.
        agreeing: u8,
        /// As the rules want it.
        needed: u8,
    },
    /// The nearest person is not to be known now.
    Invalid(Invalid),
}

impl Unknown {
    /// Whether it counts as a failed attempt; not where nobody could have been known.
    pub fn is_failure(self) -> bool {
        match self {
            Unknown::TooFar | Unknown::Ambiguous { .. } | Unknown::NoAgreement { .. } => true,
            Unknown::NobodyEnrolled | Unknown::NoThreshold | Unknown::Invalid(_) => false,
        }
    }
}

impl core::fmt::Display for Unknown {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Unknown::TooFar => f.write_str("the nearest person lies beyond the threshold"),
            Unknown::NobodyEnrolled => f.write_str("nobody is enrolled"),
            Unknown::NoThreshold => f.write_str(
                "the model carries no threshold for so many people (`arcgate calibrate` measures them)",
            ),
            Unknown::Ambiguous { margin, least } => {
                write!(f, "the second person lies only {margin} degrees farther, accepted: {least} and more")
            }
            Unknown::NoAgreement { agreeing, needed } => {
                write!(f, "{agreeing} frames name the same person, accepted: {needed}")
            }
            Unknown::Invalid(why) => why.fmt(f),
        }
    }
}

/// Why a probe counts for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Rejection {
    /// The embedding is all zeros and has no angle to anything.
    ZeroEmbedding,
    /// The five landmarks span no face: they coincide or are not finite.
    Landmarks,
    /// The picture is not worth embedding.
    Quality(Defect),
    /// There were too many failures.
    Wait(Wait),
    /// The device's detector sees no face in the picture. A camera's frame without one is no probe at all: nobody is there.
    NoFace,
}

impl core::fmt::Display for Rejection {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Rejection::ZeroEmbedding => f.write_str("the embedding is all zeros"),
            Rejection::Landmarks => f.write_str("the five landmarks span no face"),
            Rejection::Quality(defect) => defect.fmt(f),
            Rejection::Wait(wait) => wait.fmt(f),
            Rejection::NoFace => f.write_str("no face found"),
        }
    }
}

/// Decides over what the gallery found for a probe.
pub fn decide(rules: &MatchRules, thresholds: &Thresholds<'_>, found: &Nearest) -> Decision {
    let unknown = |why| Decision::Unknown { why, nearest: found.best };
    let Some(best) = found.best else {
        return unknown(Unknown::NobodyEnrolled);
    };
    let Some(threshold) = thresholds.at(rules.target_fpir) else {
        return unknown(Unknown::NoThreshold);
    };
    // The threshold is one of the rates', so that there is a class within it.
    let Some(confidence) = thresholds.confidence(best.angle).filter(|_| within(best.angle, threshold)) else {
        return unknown(Unknown::TooFar);
    };
    if let Some(second) = found.second {
        let farther = second.angle.millidegrees().saturating_sub(best.angle.millidegrees());
        let margin = Angle::from_millidegrees(farther);
        if margin < rules.margin {
            return unknown(Unknown::Ambiguous { margin, least: rules.margin });
        }
    }
    let adapt = rules.adapt_fpir.and_then(|fpir| thresholds.at(fpir));
    let may_adapt = adapt.is_some_and(|most| within(best.angle, most));
    Decision::Known(Known { best, second: found.second, confidence, may_adapt })
}

/// Whether an angle satisfies a threshold. Opposite and zero vectors match nobody, whatever a model's threshold says.
pub fn within(angle: Angle, threshold: Angle) -> bool {
    angle <= threshold && angle < Angle::MAX
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gallery::PersonId;
    use crate::model::thresholds::{Bar, Cell, Origin};

    fn degrees(degrees: u32) -> Angle {
        Angle::from_millidegrees(degrees * 1000)
    }

    fn at(person: u32, angle: u32) -> Option<Candidate> {
        Some(Candidate { person: PersonId(person), angle: degrees(angle) })
    }

    /// Somebody enrolled at an angle.
    pub(super) fn known(person: u32, angle: u32) -> Decision {
        let best = Candidate { person: PersonId(person), angle: degrees(angle) };
        let confidence = Confidence { fpir_ppm: 10_000 };
        Decision::Known(Known { best, second: None, confidence, may_adapt: false })
    }

    /// Thresholds of 40, 50 and 60 degrees for FPIR .001, .01 and .1 and up to 10 people, 5 less for a presentation.
    fn with_thresholds<R>(people: u32, scope: Scope, run: impl FnOnce(&Thresholds<'_>) -> R) -> R {
        let bar = |d| Bar { angle: degrees(d), low: degrees(d), high: degrees(d) };
        let cells = [40, 50, 60].map(|d| Cell { frame: bar(d), presentation: bar(d - 5) });
        let origin = Origin { identities: 9, images: 9, templates: 1, overlap: 0, frames: 3 };
        let mut bytes = [0; ThresholdTable::bytes_for(3, 1)];
        let table = ThresholdTable::write(origin, &[0.001, 0.01, 0.1], &[10], &cells, &mut bytes).unwrap();
        run(&Thresholds { table: Some(table), people, scope })
    }

    #[test]
    fn every_rule_over_a_probe() {
        let rules = MatchRules { target_fpir: 0.01, margin: degrees(2), adapt_fpir: None };
        let loose = MatchRules { target_fpir: 0.5, ..rules };
        let learning = MatchRules { adapt_fpir: Some(0.001), ..rules };
        let known = |angle, second, fpir_ppm, may_adapt| {
            let confidence = Confidence { fpir_ppm };
            Decision::Known(Known { best: at(1, angle).unwrap(), second, confidence, may_adapt })
        };
        let unknown = |why, nearest| Decision::Unknown { why, nearest };
        let ambiguous = Unknown::Ambiguous { margin: degrees(1), least: degrees(2) };
        let (frame, all) = (Scope::Frame, Scope::Presentation);
        let cases = [
            ("at the threshold", rules, 10, frame, at(1, 50), None, known(50, None, 10_000, false)),
            ("beyond it", rules, 10, frame, at(1, 51), None, unknown(Unknown::TooFar, at(1, 51))),
            ("surer", rules, 10, frame, at(1, 40), None, known(40, None, 1000, false)),
            ("less sure", loose, 10, frame, at(1, 60), None, known(60, None, 100_000, false)),
            ("a presentation", rules, 10, all, at(1, 50), None, unknown(Unknown::TooFar, at(1, 50))),
            ("a sure one", rules, 10, all, at(1, 35), None, known(35, None, 1000, false)),
            ("nobody", rules, 0, frame, None, None, unknown(Unknown::NobodyEnrolled, None)),
            ("too many", rules, 11, frame, at(1, 0), None, unknown(Unknown::NoThreshold, at(1, 0))),
            ("margin", rules, 10, frame, at(1, 30), at(2, 32), known(30, at(2, 32), 1000, false)),
            ("no margin", rules, 10, frame, at(1, 30), at(2, 31), unknown(ambiguous, at(1, 30))),
            (
                "too far comes first",
                rules,
                10,
                frame,
                at(1, 70),
                at(2, 70),
                unknown(Unknown::TooFar, at(1, 70)),
            ),
            ("learnt", learning, 10, frame, at(1, 40), None, known(40, None, 1000, true)),
            ("not learnt", learning, 10, frame, at(1, 41), None, known(41, None, 10_000, false)),
        ];
        for (what, rules, people, scope, best, second, expected) in cases {
            let found = with_thresholds(people, scope, |t| decide(&rules, t, &Nearest { best, second }));
            assert_eq!(found, expected, "{what}");
        }
        let strict = MatchRules { target_fpir: 0.0001, ..rules };
        let found = Nearest { best: at(1, 0), second: None };
        let decided = with_thresholds(10, frame, |t| decide(&strict, t, &found));
        assert_eq!(decided, unknown(Unknown::NoThreshold, at(1, 0)), "no rate so low");
        assert_eq!(Confidence { fpir_ppm: 3000 }.to_string(), "FPIR 0.3 %");
        let none = Thresholds { table: None, people: 1, scope: frame };
        assert_eq!(decide(&rules, &none, &found), unknown(Unknown::NoThreshold, at(1, 0)), "no table");
    }

    #[test]
    fn somebody_out_of_their_time_is_unknown() {
        let Decision::Known(known) = known(1, 20) else { panic!("somebody") };
        let now = Some(UnixTime(7));
        assert_eq!(known.at(&Validity::ALWAYS, None), Decision::Known(known));
        assert_eq!(known.at(&Validity { from: 7, until: 8 }, now), Decision::Known(known));
        let why = Unknown::Invalid(Invalid::Over { until: 7 });
        let over = Decision::Unknown { why, nearest: Some(known.best) };
        assert_eq!(known.at(&Validity { from: 0, until: 7 }, now), over);
        assert!(!why.is_failure());
    }

    #[test]
    fn opposite_vectors_match_nobody() {
        assert!(!within(Angle::MAX, Angle::MAX));
        assert!(within(degrees(179), Angle::MAX));
    }
}
