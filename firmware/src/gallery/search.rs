//! Who lies nearest to a probe.

use embedded_storage::nor_flash::NorFlash;
use serde::{Deserialize, Serialize};

use super::layout::MAX_RECORD;
use super::{Gallery, GalleryError, Index, Monotonic, PersonId, Room};
use crate::embedding::{Angle, Likeness, angle_from_products, dot, norm_squared};
use crate::kernels::dot::{Line, Probe};

/// A person and the angle between the probe and the nearest of their templates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Candidate {
    /// Who.
    pub person: PersonId,
    /// Smaller is more alike.
    pub angle: Angle,
}

/// The two people nearest to a probe; fewer when fewer are enrolled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Nearest {
    /// The nearest person.
    pub best: Option<Candidate>,
    /// The nearest of all other people.
    pub second: Option<Candidate>,
}

impl<F: NorFlash, Y: Room, M: Monotonic> Gallery<F, Y, M> {
    /// Looks through all templates: those in RAM, then the others, which are opened from flash one after the other and stay in
    /// RAM as far as there is room. Of two equally alike the one opened first wins. A probe of zeros is [`Angle::MAX`] from
    /// everybody. A template whose seal is broken takes no part; [`Gallery::verify`] lists it.
    ///
    /// # Errors
    /// When the probe does not fit the model, the gallery is not mounted, or the flash fails.
    pub fn nearest(&mut self, probe: &[i8]) -> Result<Nearest, GalleryError> {
        self.state?;
        if probe.len() != self.dimension {
            let (expected, found) = (self.dimension as u32, probe.len() as u32);
            return Err(GalleryError::Dimension { expected, found });
        }
        let probe = &self.transformed(probe)?[..];
        let ready = Probe::new(probe);
        let mut ranking = self.index.rank(&ready);
        for at in 0..self.table.list().len() {
            let Some(entry) = self.table.get(at) else { break };
            if !entry.is_template() || entry.is_opened() {
                continue;
            }
            let mut bytes = [0; MAX_RECORD];
            let Some(payload) = self.open_entry(at, &mut bytes)? else { continue };
            let Some(template) = self.stored(payload) else { continue };
            if self.index.push(entry.person, template) {
                self.table.set_opened(at);
            }
            let likeness = Likeness { dot: dot(probe, template), norm_squared: norm_squared(template) };
            ranking.offer(entry.person, likeness);
        }
        Ok(ranking.nearest(probe))
    }
}

impl<T: AsRef<[Line]> + AsMut<[Line]>> Index<T> {
    /// The two people nearest to `probe`, which has [`Index::dimension`] values; as [`Gallery::nearest`].
    pub fn nearest(&self, probe: &[i8]) -> Nearest {
        self.rank(&Probe::new(probe)).nearest(probe)
    }

    fn rank(&self, ready: &Probe) -> Ranking {
        let mut ranking = Ranking::default();
        let (mut next, mut bound) = (0, i32::MIN);
        while let Some(hit) = ready.scan(self.rows(), next, bound) {
            for (row, &dot) in (hit.first..).zip(hit.products()) {
                if dot <= bound {
                    continue;
                }
                let Some(owner) = self.owner(row) else { continue };
                let likeness = Likeness { dot, norm_squared: owner.norm_squared };
                if ranking.offer(owner.person, likeness)
                    && let Some((_, second)) = ranking.second
                {
                    bound = self.bound(second);
                }
            }
            next = hit.end();
        }
        ranking
    }
}

/// The two nearest people so far; the second is not nearer than the best.
#[derive(Debug, Default)]
struct Ranking {
    best: Option<(PersonId, Likeness)>,
    second: Option<(PersonId, Likeness)>,
}

impl Ranking {
    /// Who they are, and at what angles to the probe that they were compared with.
    fn nearest(&self, probe: &[i8]) -> Nearest {
        let probe_norm = norm_squared(probe);
        let candidate = |(person, l): (PersonId, Likeness)| Candidate {
            person,
            angle: angle_from_products(l.dot, probe_norm, l.norm_squared),
        };
        Nearest { best: self.best.map(candidate), second: self.second.map(candidate) }
    }

    /// Takes a template into account; says whether that changed anything, for which it must be nearer than the second.
    fn offer(&mut self, person: PersonId, likeness: Likeness) -> bool {
        let beats = |place: Option<(PersonId, Likeness)>| place.is_none_or(|(_, l)| likeness.exceeds(l));
        let is_best = self.best.is_some_and(|(best, _)| best == person);
        if !beats(self.second) {
            return false;
        }
        if beats(self.best) {
            if !is_best {
                self.second = self.best;
            }
            self.best = Some((person, likeness));
        } else if !is_best {
            self.second = Some((person, likeness));
        } else {
            return false;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::gallery::index_lines;
    use crate::kernels::dot::Kernel;

    /// The definition: the nearest template, the first of equals; then the same among those of other people.
    fn one_by_one(templates: &[(u32, Vec<i8>)], probe: &[i8]) -> Nearest {
        let nearest = |except: Option<PersonId>| {
            let mut best: Option<(PersonId, Likeness)> = None;
            for (person, template) in templates {
                let person = PersonId(*person);
                let likeness = Likeness { dot: dot(probe, template), norm_squared: norm_squared(template) };
                if Some(person) != except && best.is_none_or(|(_, l)| likeness.exceeds(l)) {
                    best = Some((person, likeness));
                }
            }
            best.map(|(person, l)| Candidate {
                person,
                angle: angle_from_products(l.dot, norm_squared(probe), l.norm_squared),
            })
        };
        let best = nearest(None);
        Nearest { best, second: best.and_then(|best| nearest(Some(best.person))) }
    }

    fn gallery() -> impl Strategy<Value = (Vec<(u32, Vec<i8>)>, Vec<i8>)> {
        (1..80usize).prop_flat_map(|dimension| {
            let values = prop_oneof![
                prop::collection::vec(any::<i8>(), dimension),
                // Many that are equally alike, and opposite.
                prop::collection::vec(-1..=1i8, dimension),
                prop::collection::vec(prop::sample::select(vec![-128, 127]), dimension),
            ];
            let values = values.prop_map(|v| if norm_squared(&v) == 0 { vec![1; v.len()] } else { v });
            let probe = prop_oneof![values.clone(), Just(vec![0; dimension])];
            (prop::collection::vec((0..5u32, values), 0..40), probe)
        })
    }

    proptest! {
        #[test]
        fn finds_what_comparing_one_by_one_finds((templates, probe) in gallery()) {
            let mut index = Index::new(vec![Line::ZERO; index_lines(40, probe.len())], probe.len());
            for (person, template) in &templates {
                prop_assert!(index.push(PersonId(*person), template));
            }
            for kernel in Kernel::available() {
                let found = index.rank(&Probe::with(kernel, &probe)).nearest(&probe);
                prop_assert_eq!(found, one_by_one(&templates, &probe), "{:?}", kernel);
            }
        }
    }
}
