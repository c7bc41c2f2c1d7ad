//! Photographs that are not of the person whose name they have.

use std::collections::BTreeMap;

use arcgate_firmware::embedding::Angle;
use rayon::prelude::*;

use super::crowd::{Crowd, Person, Seen};
use super::{Finding, Limits};

/// Finds outliers and divided people; and which photographs are outliers.
pub(super) fn outliers(
    crowd: &Crowd<'_>,
    seen: &[Vec<Seen>],
    duplicates: &BTreeMap<[usize; 2], Finding>,
    limits: &Limits,
) -> (Vec<Finding>, Vec<bool>) {
    let mut blamed = vec![false; crowd.shots.len()];
    let mut findings = Vec::new();
    // First who does not belong to their own people; whom they are taken for is not asked of those.
    let rules: [fn(&mut Search<'_>); 2] = [|search| search.settle(), |search| search.blame_lookalikes()];
    for rule in rules {
        let of = |person| {
            let (found, outliers) = (Vec::new(), Vec::new());
            let mut search =
                Search { crowd, seen, duplicates, limits, blamed: &blamed, person, found, outliers };
            rule(&mut search);
            (search.found, search.outliers)
        };
        // One photograph alone is compared with nothing, and where nobody could be blamed before it stays so.
        let several = |person: &&Person<'_>| person.shots.len() + usize::from(person.enrolled) > 1;
        let divided = |person: &&Person<'_>| {
            findings.iter().any(|found| matches!(found, Finding::Divided { name, .. } if name == person.name))
        };
        let all: Vec<_> =
            crowd.people.par_iter().filter(|person| several(person) && !divided(person)).map(of).collect();
        for (found, outliers) in all {
            findings.extend(found);
            outliers.into_iter().for_each(|shot| blamed[shot] = true);
        }
    }
    (findings, blamed)
}

/// The search among one person's photographs.
struct Search<'a> {
    crowd: &'a Crowd<'a>,
    seen: &'a [Vec<Seen>],
    duplicates: &'a BTreeMap<[usize; 2], Finding>,
    limits: &'a Limits,
    /// The outliers known before.
    blamed: &'a [bool],
    person: &'a Person<'a>,
    found: Vec<Finding>,
    outliers: Vec<usize>,
}

impl Search<'_> {
    /// Splits the photographs into groups and blames all but one of them.
    fn settle(&mut self) {
        let Some(threshold) = self.limits.one else { return };
        let crowd = self.crowd;
        let linked = |a, b| self.limits.links(crowd.angle(a, b));
        let mut all = groups(self.person.shots.clone().collect(), linked);
        let held = |group: &Vec<usize>| {
            group.iter().any(|&shot| crowd.enrolled_own(shot).is_some_and(|angle| self.limits.links(angle)))
        };
        let (home, outside): (Vec<usize>, Vec<Vec<usize>>) = if self.person.enrolled {
            let (home, outside): (Vec<_>, Vec<_>) = all.into_iter().partition(held);
            (home.concat(), outside)
        } else {
            // The order by photographs stays among groups of one size.
            all.sort_by_key(|group| std::cmp::Reverse(group.len()));
            let largest = all.iter().take_while(|group| group.len() == all[0].len()).count();
            let stranger = |group: &Vec<usize>| group.iter().all(|&shot| self.other(shot).is_none());
            let mut candidates = (0..largest).filter(|&i| largest == 1 || stranger(&all[i]));
            match (candidates.next(), candidates.next()) {
                (Some(home), None) => (all.remove(home), all),
                _ => return self.divided(&all, threshold),
            }
        };
        for shot in outside.concat() {
            self.blame(shot, &home, threshold);
        }
    }

    /// Blames photographs that a device would take for somebody else. Where two photographs are taken for the same person, that is no
    /// photograph in the wrong folder: the two people are alike, or one.
    fn blame_lookalikes(&mut self) {
        let Some(threshold) = self.limits.all else { return };
        let home: Vec<usize> = self.person.shots.clone().filter(|&shot| !self.blamed[shot]).collect();
        for &shot in &home {
            let own = self.crowd.own(shot, home.iter().copied());
            let far = !own.is_some_and(|own| self.limits.answers(own));
            let Some(other) = self.other(shot).filter(|_| far) else { continue };
            let mut mates = home.iter().filter(|&&mate| mate != shot);
            if !mates.any(|&mate| self.others(mate).any(|seen| seen.person == other.person)) {
                self.blame(shot, &home, threshold);
            }
        }
    }

    fn blame(&mut self, shot: usize, home: &[usize], threshold: Angle) {
        let own = self.crowd.own(shot, home.iter().copied());
        let like = self.other(shot).map(|other| self.crowd.likeness(&other));
        self.found.push(Finding::Outlier { photo: self.crowd.shots[shot].into(), own, threshold, like });
        self.outliers.push(shot);
    }

    fn divided(&mut self, groups: &[Vec<usize>], threshold: Angle) {
        let across = groups.iter().enumerate().flat_map(|(i, group)| {
            let others = groups[..i].iter().flatten();
            others.flat_map(move |&a| group.iter().map(move |&b| (a, b)))
        });
        let angle = across.map(|(a, b)| self.crowd.angle(a, b)).min().unwrap_or(Angle::MAX);
        let photo = |&shot: &usize| self.crowd.shots[shot].photo.clone();
        let groups = groups.iter().map(|group| group.iter().map(photo).collect()).collect();
        self.found.push(Finding::Divided { name: self.person.name.to_owned(), groups, angle, threshold });
    }

    /// Other people within the threshold for everybody who are no duplicates of this one; outliers say nothing.
    fn others(&self, shot: usize) -> impl Iterator<Item = &Seen> {
        let own = self.crowd.owner(shot);
        let duplicate = move |other: usize| self.duplicates.contains_key(&[own.min(other), own.max(other)]);
        let trusted = |seen: &&Seen| seen.shot.is_none_or(|shot| !self.blamed[shot]);
        self.seen[shot].iter().filter(trusted).filter(move |seen| !duplicate(seen.person))
    }

    /// The nearest of them.
    fn other(&self, shot: usize) -> Option<Seen> {
        self.others(shot).min_by_key(|seen| (seen.angle, seen.person, seen.shot)).copied()
    }
}

/// Puts items together that are linked, directly or by others; the groups by their first items, and in each the items in order.
fn groups(mut left: Vec<usize>, linked: impl Fn(usize, usize) -> bool) -> Vec<Vec<usize>> {
    let mut groups = Vec::new();
    while !left.is_empty() {
        let mut group = vec![left.remove(0)];
        let mut at = 0;
        while let Some(&item) = group.get(at) {
            let (near, far): (Vec<_>, Vec<_>) = left.into_iter().partition(|&other| linked(item, other));
            group.extend(near);
            left = far;
            at += 1;
        }
        group.sort_unstable();
        groups.push(group);
    }
    groups
}
