//! Does a threshold table keep what it says? People are split in two halves by lot: the table comes from one, the searches that it
//! is held against from the other.

use rayon::prelude::*;

use super::bootstrap::{draws, interval95};
use super::calibration;
use super::fpir::Impostors;
use super::gallery::Vector;
use super::identification::{Searches, TrialError, Trials};
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

/// Splits `number` times and holds tables against searches: for each of `sizes`, of `rates` and of the splits, in this order. A size
/// is left out where a half does not have so many people, or the table has no threshold for it.
///
/// # Errors
/// When nobody in a half can be searched for.
pub fn splits(
    (vectors, people): (&[Vector], &[usize]),
    (sizes, rates): (&[usize], &[f64]),
    (number, trials): (usize, &Trials),
    done: impl Fn(),
) -> Result<Vec<(usize, f64, Vec<Held>)>, TrialError> {
    let last = people.iter().max().map_or(0, |&last| last + 1);
    let mut rows: Vec<(usize, f64, Vec<Held>)> =
        sizes.iter().flat_map(|&size| rates.iter().map(move |&rate| (size, rate, Vec::new()))).collect();
    for split in 0..number {
        let mut dice = Dice::new(trials.seed, split as u64, SPLIT, 0);
        let mut order: Vec<usize> = (0..last).collect();
        for i in (1..last).rev() {
            order.swap(i, dice.below(i + 1));
        }
        let (calibrates, tested) = order.split_at(last / 2);
        let (vectors_a, people_a) = part((vectors, people), calibrates, CALIBRATED_ON);
        let (vectors_b, people_b) = part((vectors, people), tested, usize::MAX);
        let impostors = Impostors::new(&people_a, &vectors_a, trials.templates, || ());
        for (at, &enrolled) in sizes.iter().enumerate() {
            if 2 * enrolled > tested.len() * 3 / 2 {
                continue;
            }
            let seed = trials.seed + split as u64;
            let searches = Searches::run(&vectors_b, &people_b, &Trials { enrolled, seed, ..*trials })?;
            let plain = vec![1.0; tested.len()];
            let drawn = draws(1, tested.len(), DRAWS, seed);
            for (of, &rate) in rates.iter().enumerate() {
                let Some(angle) = calibration::angle(&impostors, enrolled as u32, rate) else { continue };
                let threshold = angle.to_radians().cos() as f32;
                let found = searches.at(threshold, &plain);
                let again = drawn.par_iter().map(|draw| searches.at(threshold, &draw.weights).fpir).collect();
                rows[at * rates.len() + of].2.push(Held {
                    angle,
                    fpir: found.fpir,
                    interval: interval95(again).unwrap_or((0.0, 1.0)),
                    fnir: found.fnir,
                    fnir_exact: searches.rates(rate, &plain).fnir,
                });
            }
        }
        done();
    }
    rows.retain(|row| !row.2.is_empty());
    Ok(rows)
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

    #[test]
    fn on_the_sphere_a_table_holds() {
        let (people, vectors) = sphere(600, 2, 4);
        let trials = Trials { enrolled: 0, templates: 1, galleries: 10, probes: 1, seed: 1 };
        let rows = splits((&vectors, &people), (&[10, 100, 400], &[0.1, 0.03]), (6, &trials), || ()).unwrap();
        assert_eq!(
            rows.iter().map(|row| (row.0, row.1)).collect::<Vec<_>>(),
            [(10, 0.1), (10, 0.03), (100, 0.1), (100, 0.03)]
        );
        for (size, rate, held) in &rows {
            let ratio = held.iter().map(|held| held.fpir / rate).sum::<f64>() / held.len() as f64;
            assert!((0.6..1.3).contains(&ratio), "{size} at {rate}: {ratio}");
            assert!(held.iter().all(|h| h.interval.0 <= h.fpir && h.fpir <= h.interval.1), "{held:?}");
        }
    }
}
