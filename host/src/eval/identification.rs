//! Open-set identification: who is it, or is it nobody enrolled?
//!
//! Each trial enrolls some identities and probes with further images of theirs (mated searches) and with images of all others
//! (non-mated searches). FPIR is the share of non-mated searches in which anybody lies above the threshold; FNIR is the share
//! of mated searches in which the own identity is not the best one or does not lie above it. (NIST's FRVT 1:N, rank 1.)

use std::borrow::Cow;
use std::time::{Duration, Instant};

use arcgate_firmware::gallery::GalleryError;
use rayon::prelude::*;

use super::gallery::{Gallery, Vector};
use super::transform::{self, transformed};
use crate::synth::dice::Dice;

/// How identities are enrolled and probed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trials {
    /// Identities enrolled at a time.
    pub enrolled: usize,
    /// Images enrolled of each.
    pub templates: usize,
    /// Galleries drawn.
    pub galleries: usize,
    /// Images of each identity that search a gallery, at most, drawn anew for each.
    pub probes: usize,
    /// Draws them.
    pub seed: u64,
    /// Draws each gallery's revocable transform, behind which int8 embeddings are compared; without it they are compared as they are.
    pub transform: Option<u64>,
}

/// A mated search.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Mated {
    identity: usize,
    /// To the best template of the own identity.
    own: f32,
    /// How many identities are at least as alike, the own one among them.
    rank: usize,
}

/// A non-mated search.
#[derive(Debug, Clone, Copy, PartialEq)]
struct NonMated {
    identity: usize,
    /// Whose the best template in the gallery is.
    nearest: usize,
    /// To that template.
    similarity: f32,
}

/// What the trials gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Searches {
    mated: Vec<Mated>,
    /// The most alike first.
    non_mated: Vec<NonMated>,
    /// Non-mated searches of each identity.
    of_stranger: Vec<f64>,
    took: Duration,
}

/// Rates at a threshold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rates {
    /// Searches are answered above this similarity.
    pub threshold: f32,
    /// Share of mated searches that did not find their own identity.
    pub fnir: f64,
    /// Share of non-mated searches that found anybody; at most what was asked for.
    pub fpir: f64,
}

/// Why there are no trials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TrialError {
    /// So many cannot be enrolled.
    #[error(
        "{enrolled} of {identities} identities with {templates} images or more are to be enrolled, {searched} of which have one more to \
         search with\n  accepted: 1 to {}, so that somebody is left who is not enrolled, and somebody who has one more",
        identities.saturating_sub(1)
    )]
    People {
        /// Identities that were to be enrolled.
        enrolled: usize,
        /// Images of each.
        templates: usize,
        /// Identities that have so many.
        identities: usize,
        /// Identities that have more.
        searched: usize,
    },
    /// A gallery does not take such embeddings.
    #[error(transparent)]
    Gallery(#[from] GalleryError),
}

impl Searches {
    /// Runs the trials; `identities` `[n]` are numbers from 0 without gaps. A person is as alike as the most alike of their templates.
    /// People with an image left to search with are enrolled before others.
    ///
    /// # Errors
    /// When so many cannot be enrolled, or a gallery does not take the embeddings.
    pub fn run(vectors: &[Vector], identities: &[usize], trials: &Trials) -> Result<Self, TrialError> {
        let people = identities.iter().max().map_or(0, |&last| last + 1);
        let mut images = vec![Vec::new(); people];
        identities.iter().enumerate().for_each(|(image, &identity)| images[identity].push(image));
        let &Trials { enrolled, templates, galleries, probes, seed, transform } = trials;
        let with = |least: usize, most: usize| -> Vec<usize> {
            (0..people).filter(|&i| (least..=most).contains(&images[i].len())).collect()
        };
        let (able, barely) = (with(templates + 1, usize::MAX), with(templates.max(1), templates));
        let (searched, identities) = (able.len(), able.len() + barely.len());
        if enrolled == 0
            || enrolled >= identities.max(people)
            || enrolled > identities
            || templates == 0
            || searched == 0
        {
            return Err(TrialError::People { enrolled, templates, identities, searched });
        }
        let (mut mated, mut non_mated, mut took) = (Vec::new(), Vec::new(), Duration::ZERO);
        for gallery in 0..galleries {
            let mut dice = Dice::new(seed, gallery as u64, GALLERY, 0);
            let mut chosen = choose(&able, enrolled.min(able.len()), &mut dice);
            chosen.extend(choose(&barely, enrolled - chosen.len(), &mut dice));
            let mut place = vec![None; people];
            let mut left = images.clone();
            let mut rows = Vec::with_capacity(enrolled * templates);
            for (at, &person) in chosen.iter().enumerate() {
                place[person] = Some(at);
                left[person] = choose(&images[person], images[person].len(), &mut dice);
                rows.extend(left[person].drain(..templates));
            }
            let searches = left.iter().enumerate().flat_map(|(person, left)| {
                choose(left, left.len().min(probes), &mut dice).into_iter().map(move |image| (person, image))
            });
            let searches: Vec<(usize, usize)> = searches.collect();
            let vectors = match transform {
                Some(seed) => Cow::Owned(transformed(vectors, &transform::seed(seed, gallery as u64))?),
                None => Cow::Borrowed(vectors),
            };
            let rows = Gallery::new(rows.iter().map(|&row| &vectors[row]));
            let search = |cosines: &mut Vec<f32>, &(identity, image): &(usize, usize)| {
                let started = Instant::now();
                rows.compare(&vectors[image], cosines);
                let took = started.elapsed();
                (look(cosines, templates, identity, place[identity], &chosen), took)
            };
            let found: Vec<_> = searches.par_iter().map_init(Vec::new, search).collect();
            for (found, time) in found {
                took += time;
                match found {
                    Found::Mated(search) => mated.push(search),
                    Found::NonMated(search) => non_mated.push(search),
                }
            }
        }
        Ok(Self::of(mated, non_mated, people, took))
    }

    fn of(mated: Vec<Mated>, mut non_mated: Vec<NonMated>, people: usize, took: Duration) -> Self {
        non_mated.sort_by(|a, b| b.similarity.total_cmp(&a.similarity));
        let mut of_stranger = vec![0.0; people];
        non_mated.iter().for_each(|search| of_stranger[search.identity] += 1.0);
        Searches { mated, non_mated, of_stranger, took }
    }

    /// Mated and non-mated searches.
    pub fn count(&self) -> [usize; 2] {
        [self.mated.len(), self.non_mated.len()]
    }

    /// How long a search took on average, on one thread.
    pub fn time(&self) -> Duration {
        self.took / (self.mated.len() + self.non_mated.len()).max(1) as u32
    }

    /// The rates at the threshold above which at most the share `fpir` of non-mated searches lies, each search weighted by its
    /// probe's identity and, where it finds somebody, by theirs; no numbers where no stranger has weight.
    pub fn rates(&self, fpir: f64, weights: &[f64]) -> Rates {
        let total = self.strangers(weights);
        if total == 0.0 {
            return Rates { threshold: f32::NAN, fnir: f64::NAN, fpir: f64::NAN };
        }
        // A rate like 0.01 is not exact in binary: 0.01 x 300 must be 3.
        let allowed = fpir * total + 1e-9;
        let (mut accepted, mut threshold) = (0.0, -f32::INFINITY);
        for equal in self.non_mated.chunk_by(|a, b| a.similarity == b.similarity) {
            let more: f64 = equal.iter().map(|s| weights[s.identity] * weights[s.nearest]).sum();
            if accepted + more > allowed {
                threshold = equal[0].similarity;
                break;
            }
            accepted += more;
        }
        Rates { threshold, fnir: self.missed(threshold, weights), fpir: accepted / total }
    }

    /// The rates at a threshold, weighted in the same way.
    pub fn at(&self, threshold: f32, weights: &[f64]) -> Rates {
        let found = self.non_mated.iter().take_while(|search| search.similarity > threshold);
        let accepted: f64 = found.map(|s| weights[s.identity] * weights[s.nearest]).sum();
        Rates { threshold, fnir: self.missed(threshold, weights), fpir: accepted / self.strangers(weights) }
    }

    /// The weight of all non-mated searches.
    fn strangers(&self, weights: &[f64]) -> f64 {
        self.of_stranger.iter().zip(weights).map(|(searches, weight)| searches * weight).sum()
    }

    /// FNIR at a threshold.
    fn missed(&self, threshold: f32, weights: &[f64]) -> f64 {
        let (mut missed, mut all) = (0.0, 0.0);
        for search in &self.mated {
            all += weights[search.identity];
            if search.rank > 1 || search.own <= threshold {
                missed += weights[search.identity];
            }
        }
        missed / all
    }

    /// The cumulative match characteristic: the share of mated searches whose own identity is among the best 1, 2, ... `most`, at no
    /// threshold.
    pub fn cmc(&self, most: usize) -> Vec<f64> {
        let within = |rank: usize| self.mated.iter().filter(|search| search.rank <= rank).count() as f64;
        (1..=most).map(|rank| within(rank) / self.mated.len() as f64).collect()
    }

    /// The detection error trade-off: FPIR and FNIR at thresholds that are answered by 1, 2, ... non-mated searches, about `points` of
    /// them, evenly apart on a logarithmic axis.
    pub fn det(&self, points: usize) -> Vec<(f64, f64)> {
        let mut own: Vec<f32> =
            self.mated.iter().map(|s| if s.rank > 1 { f32::NEG_INFINITY } else { s.own }).collect();
        own.sort_unstable_by(f32::total_cmp);
        let strangers = self.non_mated.len() as f64;
        let places = (0..points).map(|i| strangers.powf(i as f64 / (points - 1) as f64) as usize);
        let mut places: Vec<usize> = places.filter(|&place| place < self.non_mated.len()).collect();
        places.dedup();
        let rates = |place: usize| {
            let threshold = self.non_mated[place].similarity;
            let missed = own.partition_point(|&own| own <= threshold);
            (place as f64 / strangers, missed as f64 / own.len() as f64)
        };
        places.into_iter().map(rates).collect()
    }
}

enum Found {
    Mated(Mated),
    NonMated(NonMated),
}

/// What a search found: `cosines` to the templates of the people `chosen`, so many each; `place` is the own identity's among them.
fn look(cosines: &[f32], templates: usize, identity: usize, place: Option<usize>, chosen: &[usize]) -> Found {
    let best = |of: &[f32]| of.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let people = cosines.chunks_exact(templates).map(best);
    match place {
        Some(place) => {
            let own = best(&cosines[place * templates..(place + 1) * templates]);
            Found::Mated(Mated { identity, own, rank: people.filter(|&other| other >= own).count() })
        }
        None => {
            let nearest = people.enumerate().max_by(|a, b| a.1.total_cmp(&b.1));
            let (at, similarity) = nearest.expect("somebody is enrolled");
            Found::NonMated(NonMated { identity, nearest: chosen[at], similarity })
        }
    }
}

/// `number` of `from`, each equally likely.
fn choose(from: &[usize], number: usize, dice: &mut Dice) -> Vec<usize> {
    let mut all = from.to_vec();
    for i in 0..number {
        let other = i + dice.below(all.len() - i);
        all.swap(i, other);
    }
    all.truncate(number);
    all
}

/// The key that sets the galleries' random numbers apart.
const GALLERY: u64 = 16;

#[cfg(test)]
mod tests {
    use super::*;

    const TRIALS: Trials =
        Trials { enrolled: 2, templates: 1, galleries: 8, probes: usize::MAX, seed: 1, transform: None };

    fn at(degrees: f32) -> Vector {
        Vector::Float(vec![degrees.to_radians().cos(), degrees.to_radians().sin()])
    }

    fn cosine(degrees: f32) -> f32 {
        degrees.to_radians().cos()
    }

    /// Four people a right angle apart, three images each, a few degrees apart.
    fn apart() -> (Vec<Vector>, Vec<usize>) {
        let of = |i: usize| at(90.0 * (i / 3) as f32 + 4.0 * (i % 3) as f32);
        ((0..12).map(of).collect(), (0..12).map(|i| i / 3).collect())
    }

    #[test]
    fn people_who_are_apart_are_all_found() {
        let (vectors, identities) = apart();
        let searches = Searches::run(&vectors, &identities, &TRIALS).unwrap();
        // Two enrolled people have two further images each; the two others three.
        assert_eq!(searches.count(), [8 * 4, 8 * 6]);
        let rates = searches.rates(0.05, &[1.0; 4]);
        assert_eq!(rates.fnir, 0.0);
        assert!(rates.fpir <= 0.05 && rates.threshold < cosine(8.0), "{rates:?}");
        assert_eq!(searches.cmc(2), [1.0, 1.0]);
        let one = Searches::run(&vectors, &identities, &Trials { probes: 1, ..TRIALS }).unwrap();
        assert_eq!(one.count(), [8 * 2, 8 * 2]);
    }

    #[test]
    fn every_gallery_has_a_transform_of_its_own() {
        let mut dice = Dice::new(3, 0, 0, 0);
        let mut person = |_| -> Vec<i8> { (0..64).map(|_| (30.0 * dice.bell()) as i8).collect() };
        let people: Vec<Vec<i8>> = (0..8).map(&mut person).collect();
        let vectors: Vec<Vector> = (0..24).map(|i| Vector::Int8(people[i / 3].clone())).collect();
        let identities: Vec<usize> = (0..24).map(|i| i / 3).collect();
        let run = |transform| {
            let trials = Trials { enrolled: 4, probes: 1, transform, ..TRIALS };
            Searches::run(&vectors, &identities, &trials).unwrap()
        };
        let (plain, moved) = (run(None), run(Some(5)));
        assert_eq!((moved.rates(0.05, &[1.0; 8]).fnir, moved.count()), (0.0, plain.count()));
        // A pair that is compared in several galleries is equally alike in all without a transform, and in none with.
        let different = |searches: &Searches| {
            let mut of = std::collections::BTreeMap::<_, Vec<u32>>::new();
            for search in &searches.non_mated {
                of.entry((search.identity, search.nearest)).or_default().push(search.similarity.to_bits());
            }
            let same = |found: &Vec<u32>| found.iter().all(|&bits| bits == found[0]);
            of.values().filter(|found| !same(found)).count()
        };
        assert_eq!(different(&plain), 0);
        assert!(different(&moved) > 3);
        for (a, b) in plain.non_mated.iter().zip(&moved.non_mated) {
            assert!((a.similarity - b.similarity).abs() < 0.02, "{a:?} {b:?}");
        }
        let large = vec![Vector::Int8(vec![1; 600]); 24];
        let refused =
            Searches::run(&large, &identities, &Trials { enrolled: 4, transform: Some(1), ..TRIALS });
        assert!(matches!(refused, Err(TrialError::Gallery(GalleryError::Dimension { found: 600, .. }))));
    }

    #[test]
    fn one_point_for_everybody_finds_nobody() {
        let (_, identities) = apart();
        let searches = Searches::run(&vec![at(0.0); 12], &identities, &TRIALS).unwrap();
        for fpir in [0.1, 1.0] {
            assert_eq!(searches.rates(fpir, &[1.0; 4]).fnir, 1.0, "among equals nobody is the best one");
        }
        assert_eq!(searches.cmc(2), [0.0, 1.0]);
    }

    #[test]
    fn rates_by_hand_and_by_weight() {
        let mated = |identity, own, rank| Mated { identity, own, rank };
        let non_mated = |identity, nearest, similarity| NonMated { identity, nearest, similarity };
        let searches = Searches::of(
            vec![mated(0, 0.9, 1), mated(0, 0.6, 1), mated(1, 0.8, 1), mated(1, 0.9, 2)],
            vec![non_mated(3, 0, 0.7), non_mated(2, 1, 0.85), non_mated(3, 1, 0.2), non_mated(2, 0, 0.1)],
            4,
            Duration::ZERO,
        );
        // One of four strangers may pass: the one at 0.85; the bar is the next one, 0.7.
        let rates = searches.rates(0.25, &[1.0; 4]);
        assert_eq!((rates.threshold, rates.fpir, rates.fnir), (0.7, 0.25, 0.5));
        assert_eq!(searches.at(0.7, &[1.0; 4]), rates);
        assert_eq!(searches.at(0.65, &[1.0; 4]).fpir, 0.5);
        // Without the stranger at 0.85 the bar may sink below 0.7.
        let rates = searches.rates(0.5, &[1.0, 2.0, 0.0, 1.0]);
        assert_eq!((rates.threshold, rates.fpir), (0.2, 0.5));
        assert!((rates.fnir - 2.0 / 6.0).abs() < 1e-12, "{rates:?}");
        // Whom strangers find counts as often as they were drawn.
        assert_eq!(searches.at(0.5, &[1.0, 2.0, 1.0, 1.0]).fpir, 0.75);
        assert!(searches.rates(0.5, &[1.0, 1.0, 0.0, 0.0]).fnir.is_nan(), "no stranger, no threshold");
        assert_eq!(searches.cmc(2), [0.75, 1.0]);
        assert_eq!(searches.det(3), [(0.25, 0.5), (0.5, 0.25)]);
    }

    #[test]
    fn somebody_must_stay_a_stranger() {
        let (vectors, identities) = apart();
        let all = Trials { enrolled: 4, ..TRIALS };
        let said = Searches::run(&vectors, &identities, &all).unwrap_err().to_string();
        assert!(said.contains("4 of 4 identities") && said.contains("1 to 3"), "{said}");
        let many = Trials { templates: 3, ..TRIALS };
        let said = Searches::run(&vectors, &identities, &many).unwrap_err().to_string();
        assert!(said.contains("0 of which have one more"), "{said}");
    }

    #[test]
    fn a_gallery_is_filled_with_people_of_one_image() {
        let (mut vectors, mut identities) = apart();
        vectors.extend([45.0, 135.0].map(at));
        identities.extend([4, 5]);
        let trials = Trials { enrolled: 5, ..TRIALS };
        let searches = Searches::run(&vectors, &identities, &trials).unwrap();
        // Four have two more images each; one of the two others is enrolled, the other searches.
        assert_eq!(searches.count(), [8 * 8, 8]);
    }
}
