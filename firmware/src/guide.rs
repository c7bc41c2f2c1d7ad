//! Guided enrolment before the device's own camera: which shots are kept, and why the others are not.
//!
//! In: the embedding of each shot that was good enough to be embedded, and who the gallery finds in it. Out: for every shot either
//! how far the enrolment has come or a reason to tell whoever stands there. Nothing is written before all shots are there, so that
//! a cut in between leaves nobody new half enrolled.

use heapless::Vec;
use serde::{Deserialize, Serialize};

use crate::decide::{Rejection, within};
use crate::embedding::{Angle, MAX_DIMENSION, angle, norm_squared};
use crate::gallery::{Candidate, Name, PersonId};
use crate::time::Uptime;

/// The most shots of one enrolment.
pub const MAX_SHOTS: usize = 5;

/// Milliseconds that one shot may take; whoever went away is not waited for.
pub const SHOT_MS: u64 = 20_000;

/// Two shots that lie nearer than this are one picture seen twice: it shows nothing new. Two frames of a still head differ by more.
pub const LEAST_CHANGE: Angle = Angle::from_millidegrees(1000);

/// Whose templates the shots become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Enrolee {
    /// Somebody new.
    New(Name),
    /// Somebody enrolled, who gets further templates.
    Person(PersonId),
}

/// Why a shot was not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ShotFault {
    /// There is no face.
    NoFace,
    /// There are several faces: it is not clear who is to be enrolled.
    Faces(u8),
    /// The picture is not worth embedding.
    Rejected(Rejection),
    /// It is the picture before once more: a little movement is wanted.
    Unchanged,
    /// It does not show who the shots before show.
    Differs {
        /// From the nearest of them.
        angle: Angle,
        /// As the model's threshold for one person asks.
        most: Angle,
    },
    /// It shows somebody else who is enrolled already.
    Enrolled {
        /// Who.
        person: PersonId,
        /// How near.
        angle: Angle,
    },
}

impl core::fmt::Display for ShotFault {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            ShotFault::NoFace => f.write_str("there is no face"),
            ShotFault::Faces(count) => write!(f, "there are {count} faces, accepted: one"),
            ShotFault::Rejected(why) => why.fmt(f),
            ShotFault::Unchanged => f.write_str("nothing has moved since the shot before"),
            ShotFault::Differs { angle, most } => {
                write!(f, "it lies {angle} degrees from the shots before, accepted: {most}")
            }
            ShotFault::Enrolled { person, angle } => {
                write!(f, "it shows person {person}, who is enrolled, at {angle} degrees")
            }
        }
    }
}

/// How far an enrolment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Progress {
    /// Shots kept.
    pub taken: u8,
    /// Shots wanted.
    pub wanted: u8,
}

impl Progress {
    /// Whether all shots are there.
    pub fn is_complete(self) -> bool {
        self.taken >= self.wanted
    }
}

/// How alike shots and people are: what the model's table says.
#[derive(Debug, Clone, Copy)]
pub struct Bars {
    /// For two shots of one person; `None` where the model has no threshold: then shots are not compared.
    pub same: Option<Angle>,
    /// For somebody who is enrolled.
    pub known: Option<Angle>,
}

/// An enrolment under way.
#[derive(Debug)]
pub struct Guide {
    who: Enrolee,
    shots: Vec<[i8; MAX_DIMENSION], MAX_SHOTS>,
    dimension: usize,
    wanted: u8,
    /// When the shot that is awaited began to be.
    since: Uptime,
}

impl Guide {
    /// Begins one of so many shots, of which [`MAX_SHOTS`] are the most and one the least.
    pub fn begin(who: Enrolee, wanted: u8, now: Uptime) -> Self {
        let wanted = wanted.clamp(1, MAX_SHOTS as u8);
        Guide { who, shots: Vec::new(), dimension: 0, wanted, since: now }
    }

    /// Who is enrolled.
    pub fn who(&self) -> &Enrolee {
        &self.who
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        Progress { taken: self.shots.len() as u8, wanted: self.wanted }
    }

    /// Whether the shot that is awaited takes too long. A timer that went back does not end it.
    pub fn is_over(&self, now: Uptime) -> bool {
        now.0.saturating_sub(self.since.0) > SHOT_MS
    }

    /// The embeddings of the shots kept.
    pub fn embeddings(&self) -> Vec<&[i8], MAX_SHOTS> {
        let mut embeddings = Vec::new();
        for embedding in self.shots.iter().filter_map(|shot| shot.get(..self.dimension)) {
            // There is room for as many as are kept; collecting them would panic without.
            embeddings.push(embedding).unwrap_or(());
        }
        embeddings
    }

    /// Looks at a shot; `nearest` is who the gallery finds in it.
    ///
    /// # Errors
    /// Why it is not kept.
    pub fn shot(
        &mut self,
        embedding: &[i8],
        nearest: Option<Candidate>,
        bars: Bars,
        now: Uptime,
    ) -> Result<Progress, ShotFault> {
        if norm_squared(embedding) == 0 {
            return Err(ShotFault::Rejected(Rejection::ZeroEmbedding));
        }
        let other = nearest.filter(|found| self.who != Enrolee::Person(found.person));
        if let (Some(Candidate { person, angle }), Some(known)) = (other, bars.known)
            && within(angle, known)
        {
            return Err(ShotFault::Enrolled { person, angle });
        }
        let to =
            |shot: &[i8; MAX_DIMENSION]| angle(shot.get(..self.dimension).unwrap_or_default(), embedding);
        if let Some(nearest) = self.shots.iter().map(to).min() {
            if nearest < LEAST_CHANGE {
                return Err(ShotFault::Unchanged);
            }
            if let Some(most) = bars.same.filter(|&most| !within(nearest, most)) {
                return Err(ShotFault::Differs { angle: nearest, most });
            }
        }
        let mut kept = [0; MAX_DIMENSION];
        self.dimension = embedding.len().min(MAX_DIMENSION);
        for (place, &value) in kept.iter_mut().zip(embedding) {
            *place = value;
        }
        // No more are wanted than there is room for, and a guide that is complete is not asked.
        let _ = self.shots.push(kept);
        self.since = now;
        Ok(self.progress())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(degrees: f64) -> [i8; 2] {
        let (sin, cos) = degrees.to_radians().sin_cos();
        [(cos * 120.0).round() as i8, (sin * 120.0).round() as i8]
    }

    const BARS: Bars =
        Bars { same: Some(Angle::from_millidegrees(40_000)), known: Some(Angle::from_millidegrees(30_000)) };

    #[test]
    fn every_reason_for_a_shot() {
        let mut guide = Guide::begin(Enrolee::New(Name::new()), 3, Uptime(0));
        let found = |person, degrees: u32| {
            Some(Candidate { person: PersonId(person), angle: Angle::from_millidegrees(degrees * 1000) })
        };
        let progress = |taken| Ok(Progress { taken, wanted: 3 });
        let differs = |embedding: [i8; 2], from: [i8; 2]| {
            Err(ShotFault::Differs { angle: angle(&embedding, &from), most: BARS.same.unwrap() })
        };
        let enrolled =
            Err(ShotFault::Enrolled { person: PersonId(7), angle: Angle::from_millidegrees(30_000) });
        let cases = [
            ("nothing", [0, 0], None, Err(ShotFault::Rejected(Rejection::ZeroEmbedding))),
            ("somebody else", at(0.0), found(7, 30), enrolled),
            ("the first", at(0.0), found(7, 31), progress(1)),
            ("once more", at(0.5), None, Err(ShotFault::Unchanged)),
            ("a stranger", at(60.0), None, differs(at(60.0), at(0.0))),
            ("the second", at(30.0), None, progress(2)),
            ("near the second", at(65.0), None, progress(3)),
        ];
        for (what, embedding, nearest, expected) in cases {
            assert_eq!(guide.shot(&embedding, nearest, BARS, Uptime(5)), expected, "{what}");
        }
        assert!(guide.progress().is_complete());
        assert_eq!(guide.embeddings(), [at(0.0), at(30.0), at(65.0)]);
    }

    #[test]
    fn whoever_gets_further_templates_may_be_found() {
        let mut guide = Guide::begin(Enrolee::Person(PersonId(7)), 9, Uptime(0));
        assert_eq!(guide.progress().wanted, MAX_SHOTS as u8);
        let found = |person| Some(Candidate { person: PersonId(person), angle: LEAST_CHANGE });
        assert!(guide.shot(&at(0.0), found(7), BARS, Uptime(1)).is_ok());
        assert!(guide.shot(&at(9.0), found(8), BARS, Uptime(2)).is_err());
    }

    #[test]
    fn a_shot_is_not_awaited_for_ever() {
        let mut guide = Guide::begin(Enrolee::New(Name::new()), 2, Uptime(100));
        assert!(!guide.is_over(Uptime(100 + SHOT_MS)) && guide.is_over(Uptime(101 + SHOT_MS)));
        guide.shot(&at(0.0), None, BARS, Uptime(9000)).unwrap();
        assert!(!guide.is_over(Uptime(9000 + SHOT_MS)) && !guide.is_over(Uptime(0)));
    }

    #[test]
    fn without_thresholds_shots_are_not_compared() {
        let mut guide = Guide::begin(Enrolee::New(Name::new()), 2, Uptime(0));
        let bars = Bars { same: None, known: None };
        let near = Some(Candidate { person: PersonId(7), angle: LEAST_CHANGE });
        assert!(guide.shot(&at(0.0), near, bars, Uptime(0)).is_ok());
        assert!(guide.shot(&at(90.0), near, bars, Uptime(0)).is_ok_and(Progress::is_complete));
    }
}
