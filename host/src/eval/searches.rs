//! Searches by strangers: how near the nearest of so many people comes, and the thresholds that follow.
//!
//! For each number of people, galleries are drawn by lot, one template a person, and searched with every image of everybody
//! else. The threshold of a false-positive identification rate is the quantile of the best angles.

use std::collections::BTreeMap;

use arcgate_firmware::embedding::{Angle, Likeness, angle_from_products, dot, norm_squared};
use rayon::prelude::*;

use super::identification::choose;
use super::impostors::AngleHistogram;
use crate::onnx::thresholds::{ThresholdCell, ThresholdTable};
use crate::synth::dice::Dice;

/// Numbers of people that a table has thresholds for.
pub const PEOPLE: [usize; 4] = [1, 10, 100, 1000];

/// False-positive identification rates that it has thresholds for.
pub const RATES: [f64; 5] = [0.001, 0.003, 0.01, 0.03, 0.1];

/// Templates drawn for each number of people, at least: a few galleries of one person would say how that person is.
const TEMPLATES: usize = 1000;

/// Galleries drawn for each number of people, at least.
const GALLERIES: usize = 20;

/// Galleries that a table draws for `people`; none where fewer than `people + 1` of the `identities` are there.
fn galleries(people: usize, identities: usize) -> usize {
    if people < identities { TEMPLATES.div_ceil(people).max(GALLERIES) } else { 0 }
}

/// Galleries that [`threshold_table`] draws in all.
pub fn galleries_in_all(embeddings: &[(usize, Vec<i8>)]) -> usize {
    let identities = by_identity(embeddings).len();
    PEOPLE.iter().map(|&people| galleries(people, identities)).sum()
}

/// The table of thresholds that `embeddings`, each with its identity, support. Galleries are drawn by `seed`; `done` is called
/// after each. A cell that would rest on fewer than ten false positives is absent, and so is one whose rate no angle keeps.
pub fn threshold_table(embeddings: &[(usize, Vec<i8>)], seed: u64, done: impl Fn()) -> ThresholdTable {
    let images = by_identity(embeddings);
    let norms: Vec<i32> = embeddings.iter().map(|(_, e)| norm_squared(e)).collect();
    let mut cells = Vec::new();
    for people in PEOPLE {
        let mut angles = AngleHistogram::default();
        for gallery in 0..galleries(people, images.len()) {
            let enrolled = draw(&images, people, dice(seed, gallery, people));
            let best = |(probe, (identity, vector)): (usize, &(usize, Vec<i8>))| {
                let stranger = enrolled.binary_search_by_key(identity, |&(person, _)| person).is_err();
                stranger.then(|| nearest(embeddings, &norms, &enrolled, vector, norms[probe]))
            };
            let found: Vec<Angle> = embeddings.par_iter().enumerate().filter_map(best).collect();
            angles.extend(found);
            done();
        }
        cells.extend(RATES.iter().filter_map(|&fpir| {
            let threshold = angles.threshold(fpir).ok()?;
            let millidegrees = threshold.angle.millidegrees();
            Some(ThresholdCell { people: people as u32, fpir, millidegrees, searches: angles.pairs() })
        }));
    }
    let (identities, images) = (images.len() as u32, embeddings.len() as u32);
    ThresholdTable { identities, images, seed, cells }
}

/// What draws a gallery.
fn dice(seed: u64, gallery: usize, people: usize) -> Dice {
    Dice::new(seed, gallery as u64, SEARCHES, people as u64)
}

/// The key that sets these galleries' random numbers apart.
const SEARCHES: u64 = 17;

/// Which embeddings are of whom.
fn by_identity(embeddings: &[(usize, Vec<i8>)]) -> Vec<(usize, Vec<usize>)> {
    let mut images = BTreeMap::<usize, Vec<usize>>::new();
    for (image, (identity, _)) in embeddings.iter().enumerate() {
        images.entry(*identity).or_default().push(image);
    }
    images.into_iter().collect()
}

/// Some identities and one image of each, in the order of the identities.
fn draw(images: &[(usize, Vec<usize>)], people: usize, mut dice: Dice) -> Vec<(usize, usize)> {
    let all: Vec<usize> = (0..images.len()).collect();
    let mut places = choose(&all, people, &mut dice);
    places.sort_unstable();
    places
        .into_iter()
        .map(|place| {
            let (identity, images) = &images[place];
            (*identity, images[dice.below(images.len())])
        })
        .collect()
}

/// The angle to the nearest template, as a device's gallery finds it. A template of zeros is like nobody.
fn nearest(
    embeddings: &[(usize, Vec<i8>)],
    norms: &[i32],
    enrolled: &[(usize, usize)],
    probe: &[i8],
    probe_norm: i32,
) -> Angle {
    let mut best: Option<Likeness> = None;
    for &(_, template) in enrolled.iter().filter(|&&(_, template)| norms[template] > 0) {
        let likeness = Likeness { dot: dot(probe, &embeddings[template].1), norm_squared: norms[template] };
        if best.is_none_or(|best| likeness.exceeds(best)) {
            best = Some(likeness);
        }
    }
    best.map_or(Angle::MAX, |l| angle_from_products(l.dot, probe_norm, l.norm_squared))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arcgate_firmware::embedding::angle;

    /// `images` of each of `identities`, every image a point of its own on a sphere: strangers and friends are alike.
    fn sphere(identities: usize, images: usize) -> Vec<(usize, Vec<i8>)> {
        let mut dice = Dice::new(5, 0, 0, 0);
        let mut point = || loop {
            let v: [f32; 3] = std::array::from_fn(|_| dice.between(-1.0, 1.0));
            let norm = v.iter().map(|x| x * x).sum::<f32>().sqrt();
            if (0.1..1.0).contains(&norm) {
                return v.map(|x| (x / norm * 127.0).round() as i8).to_vec();
            }
        };
        (0..identities * images).map(|i| (i / images, point())).collect()
    }

    /// The same by looking at every angle: the largest one at or below which lie at most `rate` of the best angles.
    fn by_hand(embeddings: &[(usize, Vec<i8>)], people: usize, rate: f64, seed: u64) -> (u32, u64) {
        let images = by_identity(embeddings);
        let mut best = Vec::new();
        for gallery in 0..galleries(people, images.len()) {
            let enrolled = draw(&images, people, dice(seed, gallery, people));
            for (identity, probe) in embeddings {
                if enrolled.iter().any(|(person, _)| person == identity) {
                    continue;
                }
                let angles = enrolled.iter().map(|&(_, image)| angle(probe, &embeddings[image].1));
                best.push(angles.min().unwrap().millidegrees());
            }
        }
        best.sort_unstable();
        let most = (rate * best.len() as f64 + 1e-9).floor() as usize;
        (best[most] - 1, best.len() as u64)
    }

    #[test]
    fn cells_are_quantiles_of_the_best_angles() {
        let embeddings = sphere(120, 2);
        let table = threshold_table(&embeddings, 3, || ());
        assert_eq!((table.identities, table.images, table.seed), (120, 240, 3));
        for (people, rate) in [(1, 0.1), (1, 0.001), (10, 0.01), (100, 0.1), (100, 0.03)] {
            let cell = table.cell(people, rate).unwrap_or_else(|| panic!("no cell {people} {rate}"));
            assert_eq!((cell.millidegrees, cell.searches), by_hand(&embeddings, people as usize, rate, 3));
        }
        assert_ne!(table, threshold_table(&embeddings, 4, || ()));
        assert_eq!(table, threshold_table(&embeddings, 3, || ()));
        assert_eq!(table.check(), Ok(()));
    }

    #[test]
    fn thresholds_are_those_of_the_distribution() {
        // On a sphere the share of points within an angle is (1 - cos) / 2; of n points, one at least: 1 - (1 - share)^n.
        let table = threshold_table(&sphere(600, 2), 1, || ());
        for (people, rate) in [(1, 0.1_f64), (1, 0.03), (10, 0.1), (10, 0.03), (100, 0.1)] {
            let share = 1.0 - (1.0 - rate).powf(1.0 / f64::from(people));
            let expected = (1.0 - 2.0 * share).acos().to_degrees();
            let found = f64::from(table.cell(people, rate).expect("a cell").millidegrees) / 1000.0;
            assert!(
                (found / expected - 1.0).abs() < 0.05,
                "{people} at {rate}: {found}, {expected} expected"
            );
        }
    }

    #[test]
    fn thresholds_rise_with_the_rate_and_fall_with_the_people() {
        let table = threshold_table(&sphere(300, 4), 1, || ());
        let rows: Vec<Vec<u32>> = [1, 10, 100]
            .iter()
            .map(|&people| RATES.iter().map(|&rate| table.cell(people, rate).unwrap().millidegrees).collect())
            .collect();
        for row in &rows {
            assert!(row.is_sorted_by(|a, b| a < b), "{rows:?}");
        }
        for (few, many) in rows.iter().zip(&rows[1..]) {
            assert!(few.iter().zip(many).all(|(few, many)| few > many), "{rows:?}");
        }
    }

    #[test]
    fn what_the_data_cannot_reach_is_absent() {
        // Eleven identities: ten enrolled leave one, whose 11 images search a hundred galleries.
        let table = threshold_table(&sphere(11, 11), 1, || ());
        assert_eq!(table.cell(10, 0.01).unwrap().searches, 1100);
        assert_eq!(table.cell(10, 0.003), None);
        assert!(table.cell(1, 0.001).is_some());
        assert!(table.cells.iter().all(|cell| cell.people <= 10));
        // Ten people enrolled of ten leave nobody.
        assert!(threshold_table(&sphere(10, 11), 1, || ()).cells.iter().all(|cell| cell.people == 1));
        assert_eq!(threshold_table(&sphere(1, 5), 1, || ()).cells, []);
        assert_eq!(threshold_table(&[], 1, || ()).cells, []);
        // Everybody the same: no angle keeps any rate.
        let same: Vec<_> = (0..200).map(|i| (i / 2, vec![100i8, 0])).collect();
        assert_eq!(threshold_table(&same, 1, || ()).cells, []);
    }

    #[test]
    fn zeros_are_like_nobody() {
        let embeddings: Vec<_> = (0..40).map(|i| (i, vec![0i8; 3])).collect();
        let table = threshold_table(&embeddings, 1, || ());
        assert!(table.cells.iter().all(|cell| cell.millidegrees == 179_999), "{:?}", table.cells);
        let drawn = std::cell::Cell::new(0);
        threshold_table(&sphere(20, 1), 1, || drawn.set(drawn.get() + 1));
        assert_eq!(drawn.get(), galleries_in_all(&sphere(20, 1)));
    }
}
