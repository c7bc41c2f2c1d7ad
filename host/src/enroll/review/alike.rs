//! Two names for one person, and people who look alike.

use std::collections::BTreeMap;

use arcgate_firmware::embedding::Angle;

use super::crowd::{Crowd, Seen};
use super::{Finding, Limits, Near};

/// What two people, in order, have within the threshold for everybody.
#[derive(Debug)]
pub(super) struct Pair {
    /// Pairs of photographs.
    within: usize,
    /// The least angle, and of whom: a photograph, or `None` for a template that the target holds.
    angle: Angle,
    shots: [Option<usize>; 2],
}

/// Finds the pairs of people who have anything within the threshold.
pub(super) fn pairs(crowd: &Crowd<'_>, seen: &[Vec<Seen>]) -> BTreeMap<[usize; 2], Pair> {
    let mut pairs = BTreeMap::new();
    for (shot, all) in seen.iter().enumerate() {
        // Two photographs see one another; they count once.
        for other in all.iter().filter(|other| other.shot.is_none_or(|other| other > shot)) {
            let (key, shots) = in_order((crowd.owner(shot), Some(shot)), (other.person, other.shot));
            let pair = pairs.entry(key).or_insert(Pair { within: 0, angle: Angle::MAX, shots });
            pair.within += 1;
            if other.angle < pair.angle {
                (pair.angle, pair.shots) = (other.angle, shots);
            }
        }
    }
    pairs
}

type Side = (usize, Option<usize>);

fn in_order(a: Side, b: Side) -> ([usize; 2], [Option<usize>; 2]) {
    let [a, b] = if a.0 <= b.0 { [a, b] } else { [b, a] };
    ([a.0, b.0], [a.1, b.1])
}

/// The pairs of people, not both enrolled already, more than half of whose pairs of photographs lie within the threshold.
pub(super) fn duplicates(
    crowd: &Crowd<'_>,
    pairs: &BTreeMap<[usize; 2], Pair>,
    limits: &Limits,
) -> BTreeMap<[usize; 2], Finding> {
    let finding = |(&key, pair): (&[usize; 2], &Pair)| {
        let [a, b] = key.map(|person| &crowd.people[person]);
        let [of_a, of_b] = [a, b].map(|person| person.shots.len() + usize::from(person.enrolled));
        let all = of_a * of_b;
        let held = a.enrolled && b.enrolled;
        (!held && 2 * pair.within > all).then(|| {
            let photos = pair.shots.map(|shot| shot.map(|shot| crowd.shots[shot].photo.clone()));
            let (names, within, threshold) =
                (crowd.names(key), pair.within, limits.all.unwrap_or(pair.angle));
            (key, Finding::Duplicate { names, within, pairs: all, angle: pair.angle, photos, threshold })
        })
    };
    pairs.iter().filter_map(finding).collect()
}

/// Pairs of people within the threshold who are no duplicates.
#[derive(Debug, Default)]
pub(super) struct Alike {
    /// Those whom the device would confuse.
    pub confused: Vec<Finding>,
    /// The others.
    pub near: Vec<Near>,
}

/// A photograph that the device would give another's name, or none.
struct Confusion {
    shot: usize,
    other: Seen,
    own: Option<Angle>,
}

/// Holds every photograph that is not `blamed` against all others, as a device would that has enrolled them.
pub(super) fn too_alike(
    crowd: &Crowd<'_>,
    seen: &[Vec<Seen>],
    blamed: &[bool],
    duplicates: &BTreeMap<[usize; 2], Finding>,
    limits: &Limits,
) -> Alike {
    let mut pairs: BTreeMap<[usize; 2], (Angle, Vec<Confusion>)> = BTreeMap::new();
    for (shot, all) in seen.iter().enumerate().filter(|&(shot, all)| !blamed[shot] && !all.is_empty()) {
        let person = crowd.owner(shot);
        let own = crowd.own(shot, crowd.people[person].shots.clone().filter(|&mate| !blamed[mate]));
        for &other in all.iter().filter(|other| other.shot.is_none_or(|other| !blamed[other])) {
            let (key, _) = in_order((person, None), (other.person, None));
            if duplicates.contains_key(&key) {
                continue;
            }
            let (least, confusions) = pairs.entry(key).or_insert((Angle::MAX, Vec::new()));
            *least = other.angle.min(*least);
            let least_other = |own: Angle| own.millidegrees() + limits.margin.millidegrees();
            if own.is_none_or(|own| other.angle.millidegrees() < least_other(own)) {
                confusions.push(Confusion { shot, other, own });
            }
        }
    }
    let mut alike = Alike::default();
    for (key, (angle, confusions)) in pairs {
        let names = crowd.names(key);
        let Some(worst) = confusions.iter().min_by_key(|c| (c.other.angle, c.shot, c.other.shot)) else {
            alike.near.push(Near { names, angle });
            continue;
        };
        let mut photographs: Vec<usize> = confusions.iter().map(|c| c.shot).collect();
        photographs.dedup();
        alike.confused.push(Finding::TooAlike {
            names,
            photo: crowd.shots[worst.shot].into(),
            like: crowd.likeness(&worst.other),
            own: worst.own,
            photographs: photographs.len(),
            threshold: limits.all.unwrap_or(angle),
        });
    }
    alike
}
