//! What is wrong, or may be, with the photographs of people who are to be enrolled; found before anything is written.
//!
//! In: every photograph's name, crop and embedding, and whom the target takes it for ([`Shot`]). Out: findings ([`Review`]). The angles
//! and the thresholds are the device's own; two of the model's thresholds are used ([`Limits`]), because there are two questions:
//!
//! - *Is this photograph of the person whose name it has?* One person is asked about, so it is the threshold for **one** person
//!   enrolled, `one`. A photograph of somebody else lies within it of one of Ada's with the probability of the target FPIR, 1 %: among
//!   k photographs of hers it escapes with at most k %.
//! - *Could one person be taken for another?* Everybody is asked about: the threshold for as many people as there **will be**, `all`,
//!   which is narrower. A photograph lies within it of anybody else's with the probability of the target FPIR.
//!
//! The rules. Photographs of one person with the same crop count once.
//!
//! | finding | rule |
//! |---|---|
//! | duplicate | more than half of the pairs of photographs of two people lie within `all` |
//! | outlier | links of at most `one` part a person's photographs into groups, and this is not in the largest, or, of somebody enrolled already, in none that reaches what is enrolled; or it alone lies within `all` of somebody else (no duplicate of theirs), and beyond `all` from the person's others |
//! | divided | there are two largest groups, and not all but one of them are taken for somebody else: nobody can be blamed |
//! | too alike | a photograph that is no outlier, held against all others, lies within `all` of another person and not nearer to its own by the device's margin: the device would give the other's name, or none |
//! | repeated | photographs, of one person or of several, have the same crop, byte by byte |
//!
//! Why so, with figures of MobileFaceNet and 200 people. Two photographs of one person lie beyond `all` in 7 % of pairs on LFW, 37 %
//! on CelebA's small ones: that is no sign of a mistake, and links from photograph to photograph bridge what pose and light part. Two
//! people have *some* pair within `all` by chance, in a set of N photographs about N times the FPIR; with most of their pairs within,
//! chance is no explanation. Half of them is no sign yet: so it is where one of somebody's two photographs is of another. Where each has
//! one photograph there is one pair, and nothing tells a duplicate from two people who look alike: it is called a duplicate. A pair
//! within `all` alone does not confuse a device, which takes the nearer person: only photographs that it would fail on make two people
//! too alike; the other pairs are counted apart ([`Review::near`]). The rules were chosen on CelebA and synthetic portraits;
//! `tests/tests/enroll.rs` counts on LFW what they find and what they find wrongly.
//!
//! Of people whom the target holds already it says, for each photograph, only who is nearest. So somebody enrolled counts as one
//! photograph more, at that angle, and as beyond every threshold where somebody else is nearer; two people enrolled already are taken
//! to be told apart.

mod alike;
mod crowd;
mod limits;
mod outliers;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use arcgate_firmware::embedding::Angle;

use crowd::Crowd;
pub use limits::{Count, Limits};

/// A photograph that is to become a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shot {
    /// Whose it is said to be.
    pub name: String,
    /// Where it is.
    pub photo: PathBuf,
    /// SHA-256 of its crop; of the whole picture where the device makes the crop.
    pub crop: [u8; 32],
    /// What the model makes of it.
    pub embedding: Vec<i8>,
    /// The people enrolled whom the target found nearest, as far as it names them: at most two.
    pub enrolled: Vec<(String, Angle)>,
}

/// A photograph in a finding.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Photograph {
    /// Whose it is said to be.
    pub name: String,
    /// Where it is.
    pub photo: PathBuf,
}

impl From<&Shot> for Photograph {
    fn from(shot: &Shot) -> Self {
        Photograph { name: shot.name.clone(), photo: shot.photo.clone() }
    }
}

/// Whom a photograph looks like.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Likeness {
    /// Their name.
    pub name: String,
    /// The nearest photograph of theirs; `None` when it is a template that the target holds.
    pub photo: Option<PathBuf>,
    /// The angle to it.
    pub angle: Angle,
}

/// Something that a person should look at, with the threshold that it turns on. In order: the kinds, and each by names and photographs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Finding {
    /// A photograph that is not of the person whose name it has.
    Outlier {
        /// Which.
        photo: Photograph,
        /// The angle to the nearest of that person's photographs which are not in doubt themselves; `None` when the target holds
        /// somebody of that name and finds others nearer.
        own: Option<Angle>,
        /// Beyond which it lies.
        threshold: Angle,
        /// Whom it lies within the threshold for everybody of.
        like: Option<Likeness>,
    },
    /// Photographs of one name in equal groups, not of one person; which is right cannot be told.
    Divided {
        /// The name.
        name: String,
        /// The groups, the largest first.
        groups: Vec<Vec<PathBuf>>,
        /// The least angle between two groups.
        angle: Angle,
        /// Beyond which it lies.
        threshold: Angle,
    },
    /// One person under two names.
    Duplicate {
        /// The names, in order.
        names: [String; 2],
        /// Pairs of photographs within the threshold.
        within: usize,
        /// All pairs.
        pairs: usize,
        /// The least angle.
        angle: Angle,
        /// The photographs of that angle; `None` for one that the target holds.
        photos: [Option<PathBuf>; 2],
        /// Within which they lie.
        threshold: Angle,
    },
    /// Two people whom the device could confuse.
    TooAlike {
        /// The names, in order.
        names: [String; 2],
        /// The photograph of one of them that lies nearest to the other.
        photo: Photograph,
        /// The nearest of the other.
        like: Likeness,
        /// The angle from it to the nearest other photograph of its own person, if there is one.
        own: Option<Angle>,
        /// Photographs of either that the device would fail on.
        photographs: usize,
        /// Within which it lies.
        threshold: Angle,
    },
    /// One picture several times.
    Repeated {
        /// At least two photographs.
        photos: Vec<Photograph>,
    },
}

/// Two people some of whose photographs lie within the threshold, without confusing the device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Near {
    /// The names, in order.
    pub names: [String; 2],
    /// The least angle.
    pub angle: Angle,
}

/// What was found. It does not depend on the order of the photographs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Review {
    /// In order.
    pub findings: Vec<Finding>,
    /// Pairs of people within the threshold who are told apart all the same, by names.
    pub near: Vec<Near>,
}

/// Looks for what the module's rules name among `shots`; `enrolled` are the names that the target holds already.
pub fn review(shots: &[Shot], enrolled: &BTreeSet<String>, limits: &Limits) -> Review {
    let crowd = Crowd::new(shots, enrolled);
    let seen = crowd.seen(limits);
    let pairs = alike::pairs(&crowd, &seen);
    let duplicates = alike::duplicates(&crowd, &pairs, limits);
    let (mut findings, blamed) = outliers::outliers(&crowd, &seen, &duplicates, limits);
    let alike = alike::too_alike(&crowd, &seen, &blamed, &duplicates, limits);
    findings.extend(duplicates.into_values());
    findings.extend(alike.confused);
    findings.extend(repeated(shots));
    findings.sort();
    Review { findings, near: alike.near }
}

/// Crops that several photographs have.
fn repeated(shots: &[Shot]) -> impl Iterator<Item = Finding> {
    let mut by_crop: BTreeMap<[u8; 32], BTreeSet<Photograph>> = BTreeMap::new();
    for shot in shots {
        by_crop.entry(shot.crop).or_default().insert(shot.into());
    }
    let several = by_crop.into_values().filter(|photos| photos.len() > 1);
    several.map(|photos| Finding::Repeated { photos: photos.into_iter().collect() })
}
