//! The threshold table of a model: for each number of people and each target false-positive identification rate (FPIR) the angle
//! that keeps it, on people who are not in the data.
//!
//! - **Where the data reach**, an angle is the quantile of the rate's curve ([`fpir`](super::fpir)) at
//!   `rate - (1 - rate) / 2n` for `n` people who search: in the middle of the step that each of them is (Hazen 1914). The plain
//!   quantile would be too generous on people who are not in the data.
//! - **Beyond**, where less than [`LEAST_EVENTS`] of the `n` would be answered, the tail of the nearest angles follows a
//!   generalised Pareto distribution ([`pareto`](super::pareto)) fitted to those of about [`TAIL_EVENTS`] people. (Extreme value
//!   theory for recognition scores: Scheirer, Rocha, Micheals and Boult 2011.)
//! - **Galleries larger than the data** have `n / m` times as many people as the largest that the data have; the rate there is at
//!   most `1 - (1 - FPIR_m)^(n / m)`, by Jensen's inequality.
//! - **A presentation** of `F` frames (all that are voted on, retries included) is answered if one of its frames is. If a
//!   second frame adds the share `t` of the first one's chance, each later one adds at most as much, so a frame may have
//!   `rate / (1 + (F - 1) t)`. `t` is measured on people with several images, which differ more than the frames of a camera do:
//!   that errs on the strict side. Where too few people have two, frames are taken as having nothing in common, `t = 1`.
//! - **Further templates** of a person (of a table that was measured with one) add at most the share that a second one adds to the chance
//!   that a stranger is near it: measured on people with several images, where that is largest among the angles of the table
//!   that the data reach. A device counts its people by it
//!   ([`Origin::counted`](arcgate_firmware::model::thresholds::Origin::counted)).
//!
//! Held (`arcgate eval identification --splits 20`) on people whom the table has not seen, enrolled with one image, at .003 and .01:
//! measured FPIR was .89 to 1.07 of the target for 50 to 1,600 people of LFW by MobileFaceNet, with each of three seeds of the splits,
//! and .82 to .99 for 50 to 420 drawn ones by `synth-s`, with two. Half a step was chosen on the first of these seeds; the others
//! came after it. With three images, by a table that was measured with one, it was .57 to .92 and .75 to .87.
//!
//! Intervals: the whole calculation again on identities drawn with replacement ([`bootstrap`](super::bootstrap)).

use arcgate_firmware::embedding::Angle;
use rayon::prelude::*;

use super::bootstrap::{draws, interval95};
use super::fpir::{Curve, Impostors};
use super::pareto::Pareto;
use crate::onnx::thresholds::{Measured, ThresholdCell, Thresholds};

/// Numbers of people that a table has thresholds for: from 3 to 5,000 each at most 5/3 times the one before it, for a gallery takes the
/// threshold of the next one.
pub const PEOPLE: [u32; 24] = [
    1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200, 300, 420, 700, 1000, 1600, 2000, 3000, 5000,
    10_000, 50_000,
];

/// Target false-positive identification rates that it has thresholds for.
pub const RATES: [f64; 4] = [0.001, 0.003, 0.01, 0.1];

/// People who are answered, fewer than which an angle is not read off the data.
pub const LEAST_EVENTS: f64 = 5.0;

/// People whose nearest angles a tail is fitted to.
pub const TAIL_EVENTS: f64 = 50.0;

/// The people that a table takes at least.
pub const LEAST_PEOPLE: usize = 20;

/// People enrolled, at most, for each person in the data: a union of more galleries than that says little.
const EXTENT: usize = 10;

/// Draws of identities for the intervals.
const DRAWS: usize = 200;

/// What a calibration measures beside the embeddings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Frames of a presentation, at least 1.
    pub frames: u16,
    /// Templates enrolled of each person, at least 1.
    pub templates: u8,
    /// Draws identities again.
    pub seed: u64,
}

/// Why there is no table.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CalibrationError {
    /// Too few people.
    #[error(
        "{people} people with {templates} images or more\n  accepted: at least {LEAST_PEOPLE}, and some hundreds for a rate of 1 %"
    )]
    People {
        /// How many can be enrolled.
        people: usize,
        /// Templates of each.
        templates: u8,
    },
    /// So many strangers look alike that no angle keeps to a rate.
    #[error(
        "no angle keeps a false-positive identification rate of {rate} at {people} people: strangers' embeddings are equal\n  \
         accepted: a model whose embeddings differ, and a set whose identities are different people"
    )]
    Degenerate {
        /// People enrolled.
        people: u32,
        /// The rate.
        rate: f64,
    },
}

/// An angle in degrees, and whether a tail gave it.
#[derive(Debug, Clone, Copy)]
struct Found {
    angle: f64,
    extrapolated: bool,
}

/// The table that `impostors` support; `images` is how many embeddings they are of.
///
/// # Errors
/// When they are too few or too much alike.
pub fn thresholds(
    impostors: &Impostors,
    images: usize,
    options: &Options,
) -> Result<Thresholds, CalibrationError> {
    let (people, frames) = (impostors.people(), f64::from(options.frames));
    if impostors.enrollable() < LEAST_PEOPLE {
        return Err(CalibrationError::People {
            people: impostors.enrollable(),
            templates: options.templates,
        });
    }
    let sizes: Vec<u32> = PEOPLE.into_iter().filter(|&size| size as usize <= EXTENT * people).collect();
    let curves = impostors.curves(&sizes, &vec![1.0; people]);
    let effective: Vec<f64> = sizes
        .iter()
        .zip(&curves)
        .map(|(&size, curve)| 1.0 + (frames - 1.0) * repetition(impostors, curve, size))
        .collect();
    // Frames and presentations of every cell.
    let all = |curves: &[Curve]| -> Vec<Option<[Found; 2]>> {
        let each = |(at, &size): (usize, &u32)| {
            let (curve, effective) = (&curves[at], effective[at]);
            RATES.map(move |rate| {
                let at = |rate: f64| threshold(curve, size, rate, people as f64);
                Some([at(rate)?, at(rate / effective)?])
            })
        };
        sizes.iter().enumerate().flat_map(each).collect()
    };
    let again: Vec<_> = draws(1, people, DRAWS, options.seed)
        .par_iter()
        .map(|draw| all(&impostors.curves(&sizes, &draw.weights)))
        .collect();
    let mut cells: Vec<ThresholdCell> = Vec::new();
    for (index, found) in all(&curves).into_iter().enumerate() {
        let (people, rate) = (sizes[index / RATES.len()], RATES[index % RATES.len()]);
        let Some(found) = found else {
            // The table ends with the last number of people for which every rate is kept.
            cells.truncate(cells.len() / RATES.len() * RATES.len());
            if cells.is_empty() {
                return Err(CalibrationError::Degenerate { people, rate });
            }
            break;
        };
        let measured = |which: usize| {
            let drawn = again.iter().filter_map(|draw| draw[index].map(|found| found[which].angle));
            measured(found[which], interval95(drawn.collect()))
        };
        cells.push(ThresholdCell { people, fpir: rate, frame: measured(0), presentation: measured(1) });
    }
    order(&mut cells);
    let (identities, images) = (people as u32, images as u32);
    let Options { frames, templates, seed } = *options;
    let overlap = if templates == 1 { overlap_on(impostors, &sizes, &curves) } else { 0 };
    Ok(Thresholds { identities, images, frames, templates, overlap, seed, cells })
}

/// The angle in degrees that keeps `rate` for a search with one frame among `people`, without its interval; `None` where none does.
pub fn angle(impostors: &Impostors, people: u32, rate: f64) -> Option<f64> {
    let number = impostors.people();
    let curve = impostors.curves(&[people], &vec![1.0; number]).pop()?;
    threshold(&curve, people, rate, number as f64).map(|found| found.angle)
}

/// The angle that keeps `rate` at `size` people, when `strangers` people searched for `curve`.
fn threshold(curve: &Curve, size: u32, rate: f64, strangers: f64) -> Option<Found> {
    let rate = 1.0 - (1.0 - rate).powf((curve.enrolled / f64::from(size)).min(1.0));
    // A rate like 0.01 is not exact in binary: 0.01 x 500 must be 5.
    if strangers * rate + 1e-9 >= LEAST_EVENTS {
        let angle = curve.angle(rate - 0.5 * (1.0 - rate) / strangers)?;
        return Some(Found { angle, extrapolated: false });
    }
    let share = (TAIL_EVENTS / strangers).clamp(0.02, 0.25);
    let beginning = curve.angle(share)?;
    let tail = Pareto::fit(&curve.excesses(beginning))?;
    // Where the tail reaches down to 0, nobody but an equal is answered.
    let angle = (beginning - tail.quantile((rate / share).min(1.0))).max(0.0);
    Some(Found { angle, extrapolated: true })
}

/// What share of a frame's chance a second one adds, at the rate of those that enough people support where that is largest.
fn repetition(impostors: &Impostors, curve: &Curve, size: u32) -> f64 {
    let at = |&rate: &f64| {
        let found = threshold(curve, size, rate, impostors.people() as f64)?;
        let (added, people) = impostors.second_frame(curve.enrolled, found.angle);
        (people as f64 * rate >= 2.0 * LEAST_EVENTS).then_some(added)
    };
    RATES.iter().filter_map(at).reduce(f64::max).unwrap_or(1.0)
}

/// How much of a person's chance to have strangers near a second template does not add, in 256ths, at `sizes` people; 0 where too few
/// people are near anybody who has two.
pub fn overlap(impostors: &Impostors, sizes: &[u32]) -> u8 {
    overlap_on(impostors, sizes, &impostors.curves(sizes, &vec![1.0; impostors.people()]))
}

fn overlap_on(impostors: &Impostors, sizes: &[u32], curves: &[Curve]) -> u8 {
    let cells = sizes.iter().zip(curves).flat_map(|(&size, curve)| RATES.map(|rate| (size, curve, rate)));
    let angles = cells.filter_map(|(size, curve, rate)| {
        let found = threshold(curve, size, rate, impostors.people() as f64)?;
        (!found.extrapolated).then_some(found.angle)
    });
    let added = angles.filter_map(|angle| {
        let (added, people) = impostors.second_template(angle);
        (people as f64 >= 2.0 * LEAST_EVENTS).then_some(added)
    });
    added.reduce(f64::max).map_or(0, |most| (256.0 * (1.0 - most)).clamp(0.0, 255.0) as u8)
}

fn measured(found: Found, interval: Option<(f64, f64)>) -> Measured {
    // Rounded down, to the strict side.
    let millidegrees = |degrees: f64| ((degrees.max(0.0) * 1000.0) as u32).min(Angle::MAX.millidegrees());
    let (low, high) = interval.unwrap_or((0.0, 180.0));
    let (low, high) = (millidegrees(low), millidegrees(high));
    Measured { millidegrees: millidegrees(found.angle), low, high, extrapolated: found.extrapolated }
}

/// Makes angles fall with people and rise with the rate where a tail beside a quantile does not, each time to the lower one.
fn order(cells: &mut [ThresholdCell]) {
    let lower = |cell: &mut Measured, to: u32| cell.millidegrees = cell.millidegrees.min(to);
    for size in 0..cells.len() / RATES.len() {
        for rate in (0..RATES.len()).rev() {
            let at = size * RATES.len() + rate;
            let frame = cells[at].frame.millidegrees;
            lower(&mut cells[at].presentation, frame);
            let fewer = size.checked_sub(1).map(|size| size * RATES.len() + rate);
            let higher = (rate + 1 < RATES.len()).then_some(at + 1);
            for other in [fewer, higher].into_iter().flatten() {
                let other = cells[other];
                lower(&mut cells[at].frame, other.frame.millidegrees);
                lower(&mut cells[at].presentation, other.presentation.millidegrees);
            }
            let frame = cells[at].frame.millidegrees;
            lower(&mut cells[at].presentation, frame);
            for measured in [&mut cells[at].frame, &mut cells[at].presentation] {
                measured.low = measured.low.min(measured.millidegrees);
                measured.high = measured.high.max(measured.millidegrees);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fpir::tests::{share, sphere};
    use super::super::gallery::Vector;
    use super::*;

    const OPTIONS: Options = Options { frames: 15, templates: 1, seed: 1 };

    fn table(people: usize, images: usize, seed: u64) -> Thresholds {
        let (owners, vectors) = sphere(people, images, seed);
        let impostors = Impostors::new(&owners, &vectors, 1, || ());
        thresholds(&impostors, vectors.len(), &OPTIONS).unwrap()
    }

    /// The rate on the whole sphere of an angle in thousandths of a degree.
    fn exact(people: u32, millidegrees: u32) -> f64 {
        1.0 - (1.0 - share(f64::from(millidegrees) / 1000.0)).powi(people as i32)
    }

    #[test]
    fn intervals_hold_the_angle_of_the_distribution() {
        // 300 people: rates below 1 in 60 and galleries above 269 come from tails.
        let tables: Vec<Thresholds> = (0..20).map(|seed| table(300, 2, seed)).collect();
        for (people, rate) in [(20, 0.1), (20, 0.01), (100, 0.003), (100, 0.1)] {
            let cells = tables.iter().map(|table| table.cell(people, rate).unwrap().frame);
            let inside =
                cells.filter(|m| (exact(people, m.low)..=exact(people, m.high)).contains(&rate)).count();
            assert!(inside >= 17, "{people} at {rate}: in {inside} of 20 intervals");
        }
        let cell = |people, rate| *tables[0].cell(people, rate).unwrap();
        assert!(!cell(20, 0.1).frame.extrapolated && cell(20, 0.01).frame.extrapolated);
        assert!(cell(20, 0.1).presentation.millidegrees < cell(20, 0.1).frame.millidegrees);
        assert_eq!(tables[0].check(), Ok(()));
    }

    #[test]
    fn strangers_of_the_future_are_answered_as_often_as_was_said() {
        // The rate on the whole distribution of the angle that 300 people gave, on average over 40 such sets.
        let tables: Vec<Thresholds> = (100..140).map(|seed| table(300, 1, seed)).collect();
        for (people, rate) in [(1, 0.1), (20, 0.1), (20, 0.01), (100, 0.01), (1000, 0.1)] {
            let rates = tables
                .iter()
                .map(|table| exact(people, table.cell(people, rate).unwrap().frame.millidegrees));
            let ratio = rates.sum::<f64>() / 40.0 / rate;
            assert!((0.5..1.2).contains(&ratio), "{people} at {rate}: {ratio} of the target");
        }
    }

    #[test]
    fn too_few_or_too_much_alike_give_none() {
        let (owners, vectors) = sphere(19, 3, 1);
        let few = thresholds(&Impostors::new(&owners, &vectors, 1, || ()), 57, &OPTIONS).unwrap_err();
        assert!(few.to_string().contains("19 people") && few.to_string().contains("at least 20"), "{few}");
        let same = vec![Vector::Int8(vec![100, 0]); 200];
        let owners: Vec<usize> = (0..200).map(|i| i / 2).collect();
        let alike = thresholds(&Impostors::new(&owners, &same, 1, || ()), 200, &OPTIONS).unwrap_err();
        assert_eq!(alike, CalibrationError::Degenerate { people: 1, rate: 0.001 });
    }
}
