//! Figures of one set of embeddings, of identities that nothing was trained on.

use super::StudyError;
use super::config::MeasureConfig;
use crate::data::Identity;
use crate::eval::gallery::{Vector, unit};
use crate::eval::identification::{Searches, Trials};
use crate::eval::{Score, Scores, pairs};

/// Images of each identity of which all pairs are compared.
const PAIR_VIEWS: usize = 10;
/// Pairs of each kind that accuracy is measured on, at most.
const PAIRS: usize = 3_000;

/// The identities that are measured on, as numbers from 0 without gaps, one an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identities {
    pub(super) of_image: Vec<usize>,
    number: usize,
}

impl Identities {
    /// From any numbers.
    pub fn new(of_image: impl Iterator<Item = usize>) -> Self {
        let of_image: Vec<usize> = of_image.collect();
        let mut known = of_image.clone();
        known.sort_unstable();
        known.dedup();
        let place = |i: &usize| known.binary_search(i).expect("it is among them");
        Identities { of_image: of_image.iter().map(place).collect(), number: known.len() }
    }

    /// How many there are.
    pub fn number(&self) -> usize {
        self.number
    }

    /// Images of each of which all pairs are compared: fewer where there would be too many pairs.
    fn views(&self) -> usize {
        let images = (2.0 * pairs::MOST_PAIRS as f64).sqrt() as usize;
        (images / self.number.max(1)).clamp(2, PAIR_VIEWS)
    }

    /// Images of people who are not enrolled, in one gallery.
    fn strangers(&self, enrolled: usize, templates: usize) -> usize {
        let able = self.images(templates + 1).iter().filter(|i| i.images.len() > templates).count();
        self.of_image.len() * able.saturating_sub(enrolled) / able.max(1)
    }

    /// At most `most` images of each.
    fn images(&self, most: usize) -> Vec<Identity> {
        let mut all: Vec<Identity> =
            (0..self.number).map(|i| Identity { name: i.to_string(), images: Vec::new() }).collect();
        for (image, &identity) in self.of_image.iter().enumerate() {
            if all[identity].images.len() < most {
                all[identity].images.push(image);
            }
        }
        all
    }
}

/// The figures that losses are compared by. Shares are 0..=1, angles in degrees.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figures {
    /// Share of pairs, as many of one identity as of two, decided rightly; the threshold of each tenth from the other nine.
    pub accuracy: f64,
    /// Share of pairs of one identity accepted, at the rate of false accepts asked for.
    pub tar: f64,
    /// Share of mated searches that miss, at the rate of false positives asked for.
    pub fnir: f64,
    /// Mean angle between images of one identity.
    pub intra: f64,
    /// Mean angle between images of two.
    pub inter: f64,
}

/// Everything that the figures are worked out from, so that they can be worked out again with other weights.
#[derive(Debug, Clone)]
pub struct Measured {
    searches: Searches,
    /// Identity and cosine.
    mated: Vec<(usize, f64)>,
    /// Identities and cosine, the most alike first.
    non_mated: Vec<(usize, usize, f64)>,
    /// The same by pair of identities, to be summed up faster.
    cells: Vec<Cell>,
    /// The pairs that accuracy is measured on: identities, and whether they were decided rightly.
    decided: Vec<(usize, usize, bool)>,
    rates: [f64; 2],
}

impl Measured {
    /// Of embeddings, not necessarily of unit length, one an image.
    ///
    /// # Errors
    /// When there are too few identities or images for the rates asked for, or an embedding is not finite.
    pub fn new(
        vectors: Vec<Vec<f32>>,
        identities: &Identities,
        config: &MeasureConfig,
    ) -> Result<Self, StudyError> {
        if vectors.iter().flatten().any(|v| !v.is_finite()) {
            return Err(StudyError::NotFinite);
        }
        let unit: Vec<Vec<f32>> = vectors.into_iter().map(unit).collect();
        let &MeasureConfig { enrolled, templates, galleries, fpir, far } = config;
        let trials = Trials { enrolled, templates, galleries, probes: usize::MAX, seed: 1, transform: None };
        let vectors: Vec<Vector> = unit.iter().cloned().map(Vector::Float).collect();
        let searches = Searches::run(&vectors, &identities.of_image, &trials)?;
        let of = |image: usize| identities.of_image[image];
        let cosine = |a: usize, b: usize| -> f64 {
            unit[a].iter().zip(&unit[b]).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>()
        };
        let pairs_of = identities.images(identities.views());
        let (mut mated, mut non_mated) = (Vec::new(), Vec::new());
        for pair in pairs::all(&pairs_of)? {
            let alike = cosine(pair.first, pair.second);
            match pair.same {
                true => mated.push((of(pair.first), alike)),
                false => non_mated.push((of(pair.first), of(pair.second), alike)),
            }
        }
        let strangers = identities.strangers(enrolled, templates);
        for (name, rate, trials) in [("far", far, non_mated.len()), ("fpir", fpir, strangers)] {
            if rate * (trials as f64) < 1.0 {
                return Err(StudyError::Rate { name, rate, trials });
            }
        }
        let cells = cells(&non_mated, identities.number());
        non_mated.sort_by(|a, b| b.2.total_cmp(&a.2));
        let sampled = pairs::sample(&pairs_of, PAIRS, 1)?;
        let score = |p: &pairs::IndexPair| Score {
            similarity: cosine(p.first, p.second),
            same: p.same,
            fold: p.fold,
        };
        let scores = Scores::new(sampled.iter().map(score).collect()).map_err(|_| StudyError::NotFinite)?;
        let rightly = scores.decided_rightly().ok_or(StudyError::NotFinite)?;
        let decided = sampled.iter().zip(rightly).map(|(p, right)| (of(p.first), of(p.second), right));
        Ok(Measured { searches, mated, non_mated, cells, decided: decided.collect(), rates: [far, fpir] })
    }

    /// Mated and non-mated searches.
    pub fn searches(&self) -> [usize; 2] {
        self.searches.count()
    }

    /// The figures with each comparison weighted by its identities: a search by the probe's, a pair by the product of both.
    pub fn figures(&self, weights: &[f64]) -> Figures {
        let of_two = |i: usize, j: usize| if i == j { weights[i] } else { weights[i] * weights[j] };
        let mut right = [Share::default(); 2];
        for &(i, j, rightly) in &self.decided {
            right[usize::from(i == j)].add(of_two(i, j), f64::from(u8::from(rightly)));
        }
        let [far, fpir] = self.rates;
        let (mut intra, mut inter) = (Share::default(), Share::default());
        self.mated.iter().for_each(|&(i, cosine)| intra.add(weights[i], degrees(cosine)));
        let mut total = 0.0;
        for cell in &self.cells {
            let weight = of_two(cell.identities.0, cell.identities.1);
            total += weight * cell.pairs;
            inter.add(weight * cell.pairs, cell.degrees / cell.pairs);
        }
        // A rate like 0.01 is not exact in binary: 0.01 x 300 must be 3.
        let allowed = far * total + 1e-9;
        let mut accepted = 0.0;
        let bar = self.non_mated.iter().find(|&&(i, j, _)| {
            accepted += of_two(i, j);
            accepted > allowed
        });
        // A draw without two people has no bar, and no figure.
        let bar = bar.map_or(f64::NAN, |&(_, _, cosine)| cosine);
        let mut tar = Share::default();
        for &(i, cosine) in &self.mated {
            tar.add(weights[i], f64::from(u8::from(cosine > bar)));
        }
        let tar = if bar.is_nan() { f64::NAN } else { tar.mean() };
        Figures {
            accuracy: 0.5 * (right[0].mean() + right[1].mean()),
            tar,
            fnir: self.searches.rates(fpir, weights).fnir,
            intra: intra.mean(),
            inter: inter.mean(),
        }
    }

    /// Angles in degrees of pairs of one identity, and of two.
    pub fn angles(&self) -> [Vec<f32>; 2] {
        let mated = self.mated.iter().map(|p| degrees(p.1) as f32).collect();
        [mated, self.non_mated.iter().map(|p| degrees(p.2) as f32).collect()]
    }
}

/// All comparisons of two identities.
#[derive(Debug, Clone, Copy)]
struct Cell {
    identities: (usize, usize),
    pairs: f64,
    /// The sum of their angles.
    degrees: f64,
}

fn cells(non_mated: &[(usize, usize, f64)], identities: usize) -> Vec<Cell> {
    let mut sums = vec![(0.0, 0.0); identities * identities];
    for &(i, j, cosine) in non_mated {
        let sum = &mut sums[i.min(j) * identities + i.max(j)];
        sum.0 += 1.0;
        sum.1 += degrees(cosine);
    }
    let at = |(place, (pairs, degrees))| Cell {
        identities: (place / identities, place % identities),
        pairs,
        degrees,
    };
    sums.into_iter().enumerate().filter(|(_, sum)| sum.0 > 0.0).map(at).collect()
}

/// A weighted mean.
#[derive(Debug, Clone, Copy, Default)]
struct Share {
    sum: f64,
    weight: f64,
}

impl Share {
    fn add(&mut self, weight: f64, value: f64) {
        self.sum += weight * value;
        self.weight += weight;
    }

    /// No number when nothing had weight.
    fn mean(self) -> f64 {
        self.sum / self.weight
    }
}

fn degrees(cosine: f64) -> f64 {
    cosine.clamp(-1.0, 1.0).acos().to_degrees()
}

/// A crop as a vector: its pixels, their mean taken away. What a trained network must beat.
pub fn raw_pixels(crop: &[u8]) -> Vec<f32> {
    let mean = crop.iter().map(|&p| f64::from(p)).sum::<f64>() / crop.len().max(1) as f64;
    crop.iter().map(|&p| (f64::from(p) - mean) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: MeasureConfig =
        MeasureConfig { enrolled: 10, templates: 1, galleries: 5, fpir: 0.1, far: 0.01 };

    /// Twenty people around a circle, four images each, `spread` degrees apart.
    fn circle(spread: f32) -> (Vec<Vec<f32>>, Identities) {
        let at = |i: usize| (18.0 * (i / 4) as f32 + spread * (i % 4) as f32).to_radians();
        let vectors = (0..80).map(|i| vec![3.0 * at(i).cos(), 3.0 * at(i).sin()]).collect();
        (vectors, Identities::new((0..80).map(|i| 100 + 7 * (i / 4))))
    }

    #[test]
    fn tight_people_are_told_apart_and_angles_are_those_of_the_circle() {
        let (vectors, identities) = circle(1.0);
        assert_eq!(identities.number(), 20);
        let measured = Measured::new(vectors, &identities, &CONFIG).unwrap();
        let found = measured.figures(&[1.0; 20]);
        assert_eq!((found.accuracy, found.tar, found.fnir), (1.0, 1.0, 0.0));
        // Of four in a row: three pairs 1 apart, two 2, one 3.
        assert!((found.intra - 10.0 / 6.0).abs() < 1e-3, "{found:?}");
        assert!((found.inter - 90.0).abs() < 8.0, "{found:?}");
        let [mated, non_mated] = measured.angles();
        assert_eq!((mated.len(), non_mated.len()), (20 * 6, 190 * 16));
    }

    #[test]
    fn mixed_people_are_not_and_weights_count() {
        let (vectors, identities) = circle(9.0);
        let measured = Measured::new(vectors, &identities, &CONFIG).unwrap();
        let found = measured.figures(&[1.0; 20]);
        assert!(found.accuracy < 1.0 && found.fnir > 0.0, "{found:?}");
        // Two opposite people alone are far apart.
        let mut two = [0.0; 20];
        (two[0], two[10]) = (1.0, 1.0);
        let found = measured.figures(&two);
        assert!(found.tar == 1.0 && found.inter > 150.0, "{found:?}");
    }

    #[test]
    fn too_few_people_and_vectors_that_are_no_numbers() {
        let (vectors, identities) = circle(1.0);
        let all = MeasureConfig { enrolled: 20, ..CONFIG };
        let said = Measured::new(vectors.clone(), &identities, &all).unwrap_err().to_string();
        assert!(said.contains("20 of 20 identities"), "{said}");
        let mut wrong = vectors;
        wrong[79][1] = f32::NAN;
        assert!(matches!(Measured::new(wrong.clone(), &identities, &CONFIG), Err(StudyError::NotFinite)));
        wrong[79][1] = 0.0;
        let rare = MeasureConfig { fpir: 0.01, ..CONFIG };
        let said = Measured::new(wrong, &identities, &rare).unwrap_err().to_string();
        assert!(said.contains("measure.fpir = 0.01 of 40 comparisons"), "{said}");
    }

    #[test]
    fn brightness_does_not_count_for_raw_pixels() {
        assert_eq!(raw_pixels(&[10, 20, 30]), raw_pixels(&[110, 120, 130]));
    }
}
