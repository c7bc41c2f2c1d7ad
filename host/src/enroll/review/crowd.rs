//! The photographs in one order, by person, and the angles between them.

use std::collections::BTreeSet;
use std::ops::Range;

use arcgate_firmware::embedding::{Angle, angle_from_products, dot, norm_squared};
use rayon::prelude::*;

use super::{Likeness, Limits, Shot};

/// Everybody, by name, and their photographs, by path; each crop of a person once.
pub(super) struct Crowd<'a> {
    pub shots: Vec<&'a Shot>,
    pub people: Vec<Person<'a>>,
    /// The person of each photograph.
    owners: Vec<usize>,
    norms: Vec<i32>,
}

/// A name, and where its photographs are among all; none for somebody who is only enrolled.
pub(super) struct Person<'a> {
    pub name: &'a str,
    pub shots: Range<usize>,
    /// Whether the target holds templates of this name.
    pub enrolled: bool,
}

/// Another person within the threshold for everybody of a photograph.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    pub person: usize,
    /// The photograph; `None` for a template that the target holds.
    pub shot: Option<usize>,
    pub angle: Angle,
}

impl<'a> Crowd<'a> {
    pub fn new(shots: &'a [Shot], enrolled: &'a BTreeSet<String>) -> Self {
        let mut sorted: Vec<&Shot> = shots.iter().collect();
        sorted.sort_by_key(|shot| (&shot.name, &shot.photo));
        let mut crops = BTreeSet::new();
        sorted.retain(|shot| crops.insert((&shot.name, shot.crop)));
        let named = sorted.iter().map(|shot| shot.name.as_str());
        let names: BTreeSet<&str> = named.chain(enrolled.iter().map(String::as_str)).collect();
        let (mut people, mut owners) = (Vec::new(), Vec::new());
        for name in names {
            let first = owners.len();
            let more = sorted[first..].iter().take_while(|shot| shot.name == name).count();
            owners.resize(first + more, people.len());
            people.push(Person { name, shots: first..first + more, enrolled: enrolled.contains(name) });
        }
        let norms = sorted.iter().map(|shot| norm_squared(&shot.embedding)).collect();
        Crowd { shots: sorted, people, owners, norms }
    }

    pub fn owner(&self, shot: usize) -> usize {
        self.owners[shot]
    }

    pub fn angle(&self, a: usize, b: usize) -> Angle {
        let product = dot(&self.shots[a].embedding, &self.shots[b].embedding);
        angle_from_products(product, self.norms[a], self.norms[b])
    }

    /// The angle to what the target holds of the photograph's own name, where that is among those that it names.
    pub fn enrolled_own(&self, shot: usize) -> Option<Angle> {
        let shot = self.shots[shot];
        shot.enrolled.iter().find(|(name, _)| *name == shot.name).map(|&(_, angle)| angle)
    }

    /// The least angle to the photographs `mates` of the same person, itself left out, and to what the target holds of them.
    pub fn own(&self, shot: usize, mates: impl Iterator<Item = usize>) -> Option<Angle> {
        let mates = mates.filter(|&mate| mate != shot).map(|mate| self.angle(shot, mate));
        mates.chain(self.enrolled_own(shot)).min()
    }

    /// For each photograph those of other people within the threshold for everybody. Takes a time that grows with the square of the
    /// photographs: 5,000 take a second.
    pub fn seen(&self, limits: &Limits) -> Vec<Vec<Seen>> {
        let person = |name: &str| self.people.binary_search_by(|person| person.name.cmp(name)).ok();
        let of = |shot: usize| {
            let own = self.owners[shot];
            let others = (0..self.shots.len()).filter(|&other| self.owners[other] != own);
            let photographs = others.map(|other| {
                let angle = self.angle(shot, other);
                Seen { person: self.owners[other], shot: Some(other), angle }
            });
            let enrolled = self.shots[shot].enrolled.iter().filter_map(|(name, angle)| {
                Some(Seen { person: person(name).filter(|&p| p != own)?, shot: None, angle: *angle })
            });
            photographs.chain(enrolled).filter(|seen| limits.answers(seen.angle)).collect()
        };
        (0..self.shots.len()).into_par_iter().map(of).collect()
    }

    pub fn likeness(&self, seen: &Seen) -> Likeness {
        Likeness {
            name: self.people[seen.person].name.to_owned(),
            photo: seen.shot.map(|shot| self.shots[shot].photo.clone()),
            angle: seen.angle,
        }
    }

    /// Two people's names; `pair` is in order, and so are they.
    pub fn names(&self, pair: [usize; 2]) -> [String; 2] {
        pair.map(|person| self.people[person].name.to_owned())
    }
}
