//! From angles to an answer: Known, Unknown or Rejected.
//!
//! The threshold is the model's own, measured by `arcgate calibrate` for the number of people enrolled ([`table`]); there is none
//! in the code. The answer is Unknown unless the evidence says otherwise.

pub mod table;

use serde::{Deserialize, Serialize};

use crate::embedding::Angle;
use crate::gallery::{Candidate, Nearest};

/// The false-positive identification rate that a device aims at: one search of a stranger in a hundred.
pub const TARGET_FPIR: f32 = 0.01;

/// The answer to "who is this?".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Decision {
    /// Somebody enrolled.
    Known {
        /// Who, and how near.
        best: Candidate,
        /// The nearest other person, if anybody else is enrolled.
        second: Option<Candidate>,
    },
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
}

impl core::fmt::Display for Unknown {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Unknown::TooFar => "the nearest person lies beyond the threshold",
            Unknown::NobodyEnrolled => "nobody is enrolled",
            Unknown::NoThreshold => {
                "the model carries no threshold for so many people (`arcgate calibrate` measures them)"
            }
        })
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
}

impl core::fmt::Display for Rejection {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Rejection::ZeroEmbedding => "the embedding is all zeros",
            Rejection::Landmarks => "the five landmarks span no face",
        })
    }
}

/// Decides over what the gallery found for a probe; `threshold` is the model's for the people enrolled.
pub fn decide(threshold: Option<Angle>, found: &Nearest) -> Decision {
    let unknown = |why| Decision::Unknown { why, nearest: found.best };
    match (found.best, threshold) {
        (None, _) => unknown(Unknown::NobodyEnrolled),
        (_, None) => unknown(Unknown::NoThreshold),
        (Some(best), Some(threshold)) if within(best.angle, threshold) => {
            Decision::Known { best, second: found.second }
        }
        _ => unknown(Unknown::TooFar),
    }
}

fn within(angle: Angle, threshold: Angle) -> bool {
    // Opposite and zero vectors match nobody, whatever a model's threshold says.
    angle <= threshold && angle < Angle::MAX
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gallery::PersonId;

    fn at(person: u32, degrees: u32) -> Option<Candidate> {
        Some(Candidate { person: PersonId(person), angle: Angle::from_millidegrees(degrees * 1000) })
    }

    fn threshold(degrees: u32) -> Option<Angle> {
        Some(Angle::from_millidegrees(degrees * 1000))
    }

    #[test]
    fn the_threshold_itself_still_matches() {
        let found = Nearest { best: at(1, 50), second: at(2, 70) };
        let known = Decision::Known { best: at(1, 50).unwrap(), second: at(2, 70) };
        assert_eq!(decide(threshold(50), &found), known);
        let too_far = Decision::Unknown { why: Unknown::TooFar, nearest: at(1, 50) };
        assert_eq!(decide(threshold(49), &found), too_far);
    }

    #[test]
    fn without_a_threshold_nobody_is_known() {
        let found = Nearest { best: at(1, 0), second: None };
        let unknown = Decision::Unknown { why: Unknown::NoThreshold, nearest: at(1, 0) };
        assert_eq!(decide(None, &found), unknown);
    }

    #[test]
    fn an_empty_gallery_knows_nobody() {
        let unknown = Decision::Unknown { why: Unknown::NobodyEnrolled, nearest: None };
        assert_eq!(decide(threshold(180), &Nearest::default()), unknown);
    }

    #[test]
    fn opposite_vectors_match_nobody() {
        let found = Nearest { best: at(1, 180), second: None };
        assert!(matches!(decide(threshold(180), &found), Decision::Unknown { .. }));
    }
}
