//! Open-set identification: who is it, or is it nobody enrolled?
//!
//! Each trial enrolls some identities and probes with further images of theirs (mated searches) and with images of all others
//! (non-mated searches). FPIR is the share of non-mated searches in which anybody lies above the threshold; FNIR is the share
//! of mated searches in which the own identity is not the best one or does not lie above it. (NIST's FRVT 1:N, rank 1.)

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
    /// Draws them.
    pub seed: u64,
}

/// A mated search.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Mated {
    identity: usize,
    /// To the best template in the gallery, where that is the own identity's.
    own: Option<f32>,
}

/// A non-mated search.
#[derive(Debug, Clone, Copy, PartialEq)]
struct NonMated {
    identity: usize,
    /// To the best template in the gallery.
    similarity: f32,
}

/// What the trials gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Searches {
    mated: Vec<Mated>,
    /// The most alike first.
    non_mated: Vec<NonMated>,
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
#[error(
    "{enrolled} of {identities} identities with more than {templates} images are to be enrolled\n  \
     accepted: 1 to {}, so that somebody is left who is not enrolled", identities.saturating_sub(1)
)]
pub struct TrialError {
    enrolled: usize,
    templates: usize,
    identities: usize,
}

impl Searches {
    /// Runs the trials on unit vectors; `identities` [n] are numbers from 0 without gaps. A person is as alike as the most alike
    /// of their templates.
    ///
    /// # Errors
    /// When so many cannot be enrolled.
    pub fn run(vectors: &[Vec<f32>], identities: &[usize], trials: &Trials) -> Result<Self, TrialError> {
        let people = identities.iter().max().map_or(0, |&last| last + 1);
        let mut images = vec![Vec::new(); people];
        identities.iter().enumerate().for_each(|(image, &identity)| images[identity].push(image));
        let able: Vec<usize> = (0..people).filter(|&i| images[i].len() > trials.templates).collect();
        let &Trials { enrolled, templates, galleries, seed } = trials;
        if enrolled == 0 || enrolled >= able.len() || templates == 0 {
            return Err(TrialError { enrolled, templates, identities: able.len() });
        }
        let (mut mated, mut non_mated) = (Vec::new(), Vec::new());
        for gallery in 0..galleries {
            let mut dice = Dice::new(seed, gallery as u64, GALLERY, 0);
            let mut of_person = vec![None; people];
            let mut enrolled_images = Vec::new();
            for person in choose(&able, enrolled, &mut dice) {
                let chosen = choose(&images[person], templates, &mut dice);
                enrolled_images.extend(chosen.iter().map(|&image| (person, image)));
                of_person[person] = Some(chosen);
            }
            for (image, (&identity, probe)) in identities.iter().zip(vectors).enumerate() {
                let own = of_person[identity].as_ref();
                if own.is_some_and(|templates| templates.contains(&image)) {
                    continue;
                }
                let alike = enrolled_images.iter().map(|&(person, t)| (dot(probe, &vectors[t]), person));
                let (similarity, person) =
                    alike.max_by(|a, b| a.0.total_cmp(&b.0)).expect("somebody is enrolled");
                match own {
                    Some(_) => {
                        mated.push(Mated { identity, own: (person == identity).then_some(similarity) })
                    }
                    None => non_mated.push(NonMated { identity, similarity }),
                }
            }
        }
        non_mated.sort_by(|a, b| b.similarity.total_cmp(&a.similarity));
        Ok(Searches { mated, non_mated })
    }

    /// Mated and non-mated searches.
    pub fn count(&self) -> [usize; 2] {
        [self.mated.len(), self.non_mated.len()]
    }

    /// The rates at the threshold above which at most the share `fpir` of non-mated searches lies, each search weighted by its
    /// probe's identity; no numbers where no stranger has weight. Who is enrolled is not weighted.
    pub fn rates(&self, fpir: f64, weights: &[f64]) -> Rates {
        let total: f64 = self.non_mated.iter().map(|s| weights[s.identity]).sum();
        if total == 0.0 {
            return Rates { threshold: f32::NAN, fnir: f64::NAN, fpir: f64::NAN };
        }
        // A rate like 0.01 is not exact in binary: 0.01 x 300 must be 3.
        let allowed = fpir * total + 1e-9;
        let (mut accepted, mut threshold) = (0.0, -f32::INFINITY);
        for equal in self.non_mated.chunk_by(|a, b| a.similarity == b.similarity) {
            let more: f64 = equal.iter().map(|s| weights[s.identity]).sum();
            if accepted + more > allowed {
                threshold = equal[0].similarity;
                break;
            }
            accepted += more;
        }
        let (mut missed, mut all) = (0.0, 0.0);
        for search in &self.mated {
            all += weights[search.identity];
            if search.own.is_none_or(|similarity| similarity <= threshold) {
                missed += weights[search.identity];
            }
        }
        Rates { threshold, fnir: missed / all, fpir: accepted / total }
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
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

    const TRIALS: Trials = Trials { enrolled: 2, templates: 1, galleries: 8, seed: 1 };

    fn unit(degrees: f32) -> Vec<f32> {
        vec![degrees.to_radians().cos(), degrees.to_radians().sin()]
    }

    /// Four people a right angle apart, three images each, a few degrees apart.
    fn apart() -> (Vec<Vec<f32>>, Vec<usize>) {
        let of = |i: usize| unit(90.0 * (i / 3) as f32 + 4.0 * (i % 3) as f32);
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
        assert!(rates.fpir <= 0.05 && rates.threshold < unit(8.0)[0], "{rates:?}");
    }

    #[test]
    fn one_point_for_everybody_finds_nobody() {
        let (_, identities) = apart();
        let searches = Searches::run(&vec![unit(0.0); 12], &identities, &TRIALS).unwrap();
        let rates = searches.rates(0.1, &[1.0; 4]);
        assert_eq!((rates.fnir, rates.fpir), (1.0, 0.0));
        assert!(searches.rates(1.0, &[1.0; 4]).fnir > 0.2, "another person is found among equals");
    }

    #[test]
    fn rates_by_hand_and_by_weight() {
        let mated = |identity, own| Mated { identity, own };
        let non_mated = |identity, similarity| NonMated { identity, similarity };
        let searches = Searches {
            mated: vec![mated(0, Some(0.9)), mated(0, Some(0.6)), mated(1, Some(0.8)), mated(1, None)],
            non_mated: vec![non_mated(2, 0.85), non_mated(3, 0.7), non_mated(3, 0.2), non_mated(2, 0.1)],
        };
        // One of four strangers may pass: the one at 0.85; the bar is the next one, 0.7.
        let rates = searches.rates(0.25, &[1.0; 4]);
        assert_eq!((rates.threshold, rates.fpir, rates.fnir), (0.7, 0.25, 0.5));
        // Without the stranger at 0.85 the bar may sink below 0.7.
        let rates = searches.rates(0.5, &[1.0, 2.0, 0.0, 1.0]);
        assert_eq!((rates.threshold, rates.fpir), (0.2, 0.5));
        assert!((rates.fnir - 2.0 / 6.0).abs() < 1e-12, "{rates:?}");
        assert!(searches.rates(0.5, &[1.0, 1.0, 0.0, 0.0]).fnir.is_nan(), "no stranger, no threshold");
    }

    #[test]
    fn somebody_must_stay_a_stranger() {
        let (vectors, identities) = apart();
        let all = Trials { enrolled: 4, ..TRIALS };
        let said = Searches::run(&vectors, &identities, &all).unwrap_err().to_string();
        assert!(said.contains("4 of 4 identities") && said.contains("1 to 3"), "{said}");
        let many = Trials { templates: 3, ..TRIALS };
        assert!(Searches::run(&vectors, &identities, &many).is_err());
    }
}
