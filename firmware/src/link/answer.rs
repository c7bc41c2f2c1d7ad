//! Who is in a picture, by name.

use serde::{Deserialize, Serialize};

use crate::decide::{Confidence, Decision, Rejection, Unknown};
use crate::embedding::Angle;
use crate::gallery::{Candidate, Name, PersonId};

/// A candidate with their name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Named {
    /// Stable number.
    pub person: PersonId,
    /// As enrolled.
    pub name: Name,
    /// The angle to the nearest of their templates.
    pub angle: Angle,
}

impl Named {
    /// Gives a candidate the name.
    pub fn new(candidate: Candidate, name: Name) -> Self {
        Named { person: candidate.person, name, angle: candidate.angle }
    }

    /// Without the name.
    pub fn candidate(&self) -> Candidate {
        Candidate { person: self.person, angle: self.angle }
    }
}

/// [`Decision`] with names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Answer {
    /// Somebody enrolled.
    Known {
        /// Who.
        best: Named,
        /// The nearest other person.
        second: Option<Named>,
        /// How sure that is.
        confidence: Confidence,
        /// Whether the probe may become a template of theirs.
        may_adapt: bool,
    },
    /// Nobody enrolled.
    Unknown {
        /// Why.
        why: Unknown,
        /// The nearest person all the same.
        nearest: Option<Named>,
    },
    /// The probe counts for nothing.
    Rejected(Rejection),
}

impl core::fmt::Display for Answer {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Answer::Known { best, .. } => write!(f, "known: {} at {} degrees", best.name, best.angle),
            Answer::Unknown { why, .. } => write!(f, "unknown: {why}"),
            Answer::Rejected(why) => write!(f, "rejected: {why}"),
        }
    }
}

impl Answer {
    /// Names the people of a decision; `name` looks a candidate up.
    ///
    /// # Errors
    /// What `name` gives.
    pub fn new<E>(
        decision: Decision,
        mut name: impl FnMut(Candidate) -> Result<Named, E>,
    ) -> Result<Self, E> {
        Ok(match decision {
            Decision::Known(known) => Answer::Known {
                best: name(known.best)?,
                second: known.second.map(name).transpose()?,
                confidence: known.confidence,
                may_adapt: known.may_adapt,
            },
            Decision::Unknown { why, nearest } => {
                Answer::Unknown { why, nearest: nearest.map(name).transpose()? }
            }
            Decision::Rejected(why) => Answer::Rejected(why),
        })
    }
}
