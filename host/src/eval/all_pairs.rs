//! Verification over all pairs of a set of images, many millions: what the rare false accepts of 6,000 pairs cannot show.

use nalgebra::DMatrix;
use rayon::prelude::*;

use super::gallery::unit;
use super::verification::allowed;

/// Images whose similarities to all others are in memory at once, for each thread.
const BLOCK: usize = 64;

/// An image's identity and its embedding.
pub type Labelled<'e> = (usize, &'e [f32]);

/// True-accept rates over all pairs.
#[derive(Debug, Clone, PartialEq)]
pub struct AllPairs {
    /// Pairs of one identity.
    pub mated: u64,
    /// Pairs of two identities.
    pub non_mated: u64,
    /// For each false-accept rate asked for: the share of mated pairs above the first non-mated pair that must be refused. `None`
    /// when the rate allows less than one pair, or there is no mated pair.
    pub tar: Vec<Option<f64>>,
}

/// Compares every image with every other by the cosine of its embedding, in f32. An embedding of zeros is at right angles to all.
pub fn all_pairs(images: &[Labelled<'_>], rates: &[f64]) -> AllPairs {
    let dimension = images.first().map_or(0, |(_, e)| e.len());
    let columns: Vec<f32> = images.iter().flat_map(|(_, embedding)| unit(embedding.to_vec())).collect();
    let units = DMatrix::from_vec(dimension, images.len(), columns);
    let number = |n: usize| n as u64 * (n as u64).saturating_sub(1) / 2;
    let mut sizes = std::collections::BTreeMap::<usize, usize>::new();
    images.iter().for_each(|(identity, _)| *sizes.entry(*identity).or_default() += 1);
    let mated: u64 = sizes.values().map(|&n| number(n)).sum();
    let non_mated = number(images.len()) - mated;
    let accepted: Vec<Option<usize>> = rates.iter().map(|&r| allowed(r, non_mated as usize)).collect();
    // One more than may pass: the first that must be refused.
    let kept = accepted.iter().flatten().max().map_or(0, |most| most + 1);

    let compare = |first: usize| -> (Vec<f32>, Vec<f32>) {
        let width = BLOCK.min(images.len() - first);
        let rest = units.columns(first, images.len() - first);
        let products = units.columns(first, width).tr_mul(&rest);
        let (mut genuine, mut impostors) = (Vec::new(), Vec::new());
        for (row, column) in (0..width).flat_map(|r| (r + 1..images.len() - first).map(move |c| (r, c))) {
            let same = images[first + row].0 == images[first + column].0;
            if same { &mut genuine } else { &mut impostors }.push(products[(row, column)]);
        }
        highest(&mut impostors, kept);
        (genuine, impostors)
    };
    let merge = |(mut genuine, mut impostors): (Vec<f32>, Vec<f32>), (more, others): (Vec<f32>, Vec<f32>)| {
        genuine.extend(more);
        impostors.extend(others);
        highest(&mut impostors, kept);
        (genuine, impostors)
    };
    let blocks = (0..images.len()).into_par_iter().step_by(BLOCK);
    let (genuine, mut impostors) = blocks.map(compare).reduce(Default::default, merge);
    impostors.sort_unstable_by(|a, b| b.total_cmp(a));
    let tar = |accepted: &Option<usize>| {
        let bar = impostors.get((*accepted)?).copied().unwrap_or(f32::NEG_INFINITY);
        let above = genuine.iter().filter(|&&g| g > bar).count();
        (!genuine.is_empty()).then(|| above as f64 / genuine.len() as f64)
    };
    AllPairs { mated, non_mated, tar: accepted.iter().map(tar).collect() }
}

/// Leaves the `number` greatest values.
fn highest(values: &mut Vec<f32>, number: usize) {
    if values.len() > number {
        if number > 0 {
            values.select_nth_unstable_by(number - 1, |a, b| b.total_cmp(a));
        }
        values.truncate(number);
    }
}

#[cfg(test)]
mod tests {
    use super::super::embed::cosine;
    use super::super::verification::{Score, Scores};
    use super::*;

    #[test]
    fn the_same_as_pair_by_pair() {
        let mut dice = 1u64;
        let mut draw = || {
            dice = dice.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (dice >> 40) as f32 / (1 << 24) as f32 - 0.5
        };
        let centres: Vec<[f32; 3]> = (0..30).map(|_| [draw(), draw(), draw()]).collect();
        let images: Vec<(usize, Vec<f32>)> =
            (0..200).map(|i| (i % 30, centres[i % 30].iter().map(|c| c + 0.3 * draw()).collect())).collect();
        let labelled: Vec<Labelled<'_>> = images.iter().map(|(id, e)| (*id, e.as_slice())).collect();
        let rates = [1e-1, 1e-2, 1e-3, 1e-9];
        let found = all_pairs(&labelled, &rates);

        let pairs = (0..200).flat_map(|a| (a + 1..200).map(move |b| (a, b)));
        let score = |(a, b): (usize, usize)| {
            let similarity = cosine(&images[a].1, &images[b].1);
            Score { similarity, same: images[a].0 == images[b].0, fold: 0 }
        };
        let scores = Scores::new(pairs.map(score).collect()).unwrap();
        let same = scores.as_slice().iter().filter(|s| s.same).count() as u64;
        assert_eq!((found.mated, found.non_mated), (same, 19_900 - same));
        for (rate, tar) in rates.iter().zip(&found.tar) {
            match (tar, scores.tar_at_far(*rate)) {
                // One mated pair may fall on the other side of the bar in f32.
                (Some(found), Some(wanted)) => {
                    assert!((found - wanted).abs() <= 1.5 / same as f64, "at {rate}")
                }
                (found, wanted) => assert_eq!(*found, wanted, "at {rate}"),
            }
        }
        assert!(found.tar[0] > found.tar[2] && found.tar[3].is_none());
    }

    #[test]
    fn nothing_to_compare() {
        assert_eq!(all_pairs(&[], &[0.5]), AllPairs { mated: 0, non_mated: 0, tar: vec![None] });
        let lonely: &[f32] = &[1.0];
        let two = all_pairs(&[(0, lonely), (1, lonely)], &[1.0]);
        assert_eq!((two.mated, two.non_mated, two.tar), (0, 1, vec![None]));
    }
}
