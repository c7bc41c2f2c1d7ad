//! Does a threshold table keep what it says? People are split in two halves by lot: the table comes from one, the searches that it
//! is held against from the other.

use arcgate_firmware::model::thresholds::Origin;
use rayon::prelude::*;

use super::bootstrap::{draws, interval95};
use super::calibration;
use super::fpir::Impostors;
use super::gallery::Vector;
use super::identification::{Searches, TrialError, Trials};
use super::transform::{self, transformed};
use crate::synth::dice::Dice;

/// Images of each person that a table is calibrated on, at most.
const CALIBRATED_ON: usize = 5;

/// Draws of identities for the interval of one split.
const DRAWS: usize = 200;

/// What one split gave for a number of people and a rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Held {
    /// Degrees, from the half that calibrates.
    pub angle: f64,
    /// Measured with it on the other half.
    pub fpir: f64,
    /// The 95 % interval of that, by drawing identities again.
    pub interval: (f64, f64),
    /// FNIR with it.
    pub fnir: f64,
    /// FNIR at the threshold that has exactly the target on the other half.
    pub fnir_exact: f64,
}

/// What the splits gave for one size of gallery and one rate.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// People enrolled.
    pub enrolled: usize,
    /// Images enrolled of each.
    pub templates: usize,
    /// Images of each person that the table was measured with.
    pub calibrated: usize,
    /// The target.
    pub rate: f64,
    /// A split each.
    pub held: Vec<Held>,
}

/// What is asked of a table.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// Numbers of people enrolled.
    pub sizes: &'a [usize],
    /// Images enrolled of each.
    pub templates: &'a [usize],
    /// Target rates.
    pub rates: &'a [f64],
}

impl Asked<'_> {
    /// Every number of people with every number of images, first by a table measured with one image, which counts people by their
    /// templates, then by one measured with as many.
    fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for &templates in self.templates {
            let tables = if templates == 1 { vec![1] } else { vec![1, templates] };
            for calibrated in tables {
                let each = self.sizes.iter().flat_map(|&n| self.rates.iter().map(move |&rate| (n, rate)));
                let row = |(enrolled, rate)| Row { enrolled, templates, calibrated, rate, held: Vec::new() };
                rows.extend(each.map(row));
            }
        }
        rows
    }
}

/// Splits `number` times and holds tables against searches, `trials` of each size. A row is left out where no half has so many people,
/// or no table a threshold for them.
///
/// # Errors
/// When that leaves none.
pub fn splits(
    (vectors, people): (&[Vector], &[usize]),
    asked: &Asked<'_>,
    (number, trials): (usize, &Trials),
    done: impl Fn(),
) -> Result<Vec<Row>, TrialError> {
    let last = people.iter().max().map_or(0, |&last| last + 1);
    let (mut rows, mut refused) = (asked.rows(), None);
    let sizes: Vec<u32> = asked.sizes.iter().map(|&size| size as u32).collect();
    for split in 0..number {
        let mut dice = Dice::new(trials.seed, split as u64, SPLIT, 0);
        let mut order: Vec<usize> = (0..last).collect();
        for i in (1..last).rev() {
            order.swap(i, dice.below(i + 1));
        }
        let (calibrates, tested) = order.split_at(last / 2);
        let (mut vectors_a, people_a) = part((vectors, people), calibrates, CALIBRATED_ON);
        if let Some(seed) = trials.transform {
            // No gallery that is searched has this one.
            vectors_a = transformed(&vectors_a, &transform::seed(seed, u64::MAX))?;
        }
        let (vectors_b, people_b) = part((vectors, people), tested, usize::MAX);
        let seed = trials.seed + split as u64;
        let plain = vec![1.0; tested.len()];
        let drawn = draws(1, tested.len(), DRAWS, seed);
        let same = |a: &Row, b: &Row| (a.templates, a.calibrated) == (b.templates, b.calibrated);
        for rows in rows.chunk_by_mut(same) {
            let (templates, calibrated) = (rows[0].templates, rows[0].calibrated);
            let impostors = Impostors::new(&people_a, &vectors_a, calibrated, || ());
            let overlap = if calibrated < templates { calibration::overlap(&impostors, &sizes) } else { 0 };
            let origin = Origin { identities: 0, images: 0, frames: 1, templates: calibrated as u8, overlap };
            for rows in rows.chunk_by_mut(|a, b| a.enrolled == b.enrolled) {
                let enrolled = rows[0].enrolled;
                // Most of a half would have to be enrolled.
                if 4 * enrolled > 3 * tested.len() {
                    continue;
                }
                let trials = Trials { enrolled, templates, seed, ..*trials };
                let searches = match Searches::run(&vectors_b, &people_b, &trials) {
                    Ok(searches) => searches,
                    Err(why) => {
                        refused = Some(why);
                        continue;
                    }
                };
                let counted = origin.counted(enrolled as u32, (enrolled * templates) as u32);
                for row in rows {
                    let Some(angle) = calibration::angle(&impostors, counted, row.rate) else { continue };
                    let threshold = angle.to_radians().cos() as f32;
                    let found = searches.at(threshold, &plain);
                    let again =
                        drawn.par_iter().map(|draw| searches.at(threshold, &draw.weights).fpir).collect();
                    row.held.push(Held {
                        angle,
                        fpir: found.fpir,
                        interval: interval95(again).unwrap_or((0.0, 1.0)),
                        fnir: found.fnir,
                        fnir_exact: searches.rates(row.rate, &plain).fnir,
                    });
                }
            }
        }
        done();
    }
    rows.retain(|row| !row.held.is_empty());
    match refused.filter(|_| rows.is_empty()) {
        Some(why) => Err(why),
        None => Ok(rows),
    }
}

/// The embeddings of some people, numbered anew, at most so many of each.
fn part(
    (vectors, people): (&[Vector], &[usize]),
    chosen: &[usize],
    most: usize,
) -> (Vec<Vector>, Vec<usize>) {
    let mut number = vec![None; people.iter().max().map_or(0, |&last| last + 1)];
    chosen.iter().enumerate().for_each(|(new, &old)| number[old] = Some((new, 0)));
    let mut taken = (Vec::new(), Vec::new());
    for (vector, &person) in vectors.iter().zip(people) {
        if let Some((new, images)) = &mut number[person]
            && *images < most
        {
            *images += 1;
            taken.0.push(vector.clone());
            taken.1.push(*new);
        }
    }
    taken
}

/// The key that sets the splits' random numbers apart.
const SPLIT: u64 = 18;

#[cfg(test)]
mod tests {
    use super::super::fpir::tests::sphere;
    use super::*;

    fn ratio(row: &Row) -> f64 {
        row.held.iter().map(|held| held.fpir / row.rate).sum::<f64>() / row.held.len() as f64
    }

    #[test]
    fn templates_without_likeness_count_as_people() {
        // Every image is a point of its own, so three of a person are three people.
        let (people, vectors) = sphere(500, 4, 5);
        let trials = Trials { enrolled: 0, templates: 1, galleries: 10, probes: 1, seed: 1, transform: None };
        let asked = Asked { sizes: &[20, 600], templates: &[3], rates: &[0.1] };
        let rows = splits((&vectors, &people), &asked, (6, &trials), || ()).unwrap();
        assert_eq!(rows.iter().map(|row| row.calibrated).collect::<Vec<_>>(), [1, 3]);
        assert!(rows.iter().all(|row| (0.6..1.3).contains(&ratio(row))), "{rows:?}");
        let many = Asked { templates: &[4], ..asked };
        let refused = splits((&vectors, &people), &many, (1, &trials), || ()).unwrap_err();
        assert!(refused.to_string().contains("20 of 250 identities with 4 images"), "{refused}");
    }

    #[test]
    fn on_the_sphere_a_table_holds() {
        let (people, vectors) = sphere(600, 2, 4);
        let trials = Trials { enrolled: 0, templates: 1, galleries: 10, probes: 1, seed: 1, transform: None };
        let asked = Asked { sizes: &[10, 100, 400], templates: &[1], rates: &[0.1, 0.03] };
        let rows = splits((&vectors, &people), &asked, (6, &trials), || ()).unwrap();
        assert_eq!(
            rows.iter().map(|row| (row.enrolled, row.rate)).collect::<Vec<_>>(),
            [(10, 0.1), (10, 0.03), (100, 0.1), (100, 0.03)]
        );
        for row in &rows {
            assert!((0.6..1.3).contains(&ratio(row)), "{row:?}");
            assert!(row.held.iter().all(|h| h.interval.0 <= h.fpir && h.fpir <= h.interval.1), "{row:?}");
        }
    }
}
