//! Which pairs a set of identities has: all of them, or a sample from a seed.

use std::collections::BTreeSet;

use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::data::Identity;

/// Folds that sampled pairs are dealt into.
pub const FOLDS: u8 = 10;

/// The most pairs that are held at once when all are asked for.
pub const MOST_PAIRS: u64 = 20_000_000;

/// Two images of a set, by index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexPair {
    /// The first image.
    pub first: usize,
    /// The second image.
    pub second: usize,
    /// Whether both belong to one identity.
    pub same: bool,
    /// From 0, below [`FOLDS`].
    pub fold: u8,
}

/// Why there are no pairs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PairsError {
    /// Nothing to compare.
    #[error(
        "{identities} identities, {genuine} pairs of one identity and {impostors} of two\n  \
         accepted: a folder an identity, at least two identities, one of them with two images"
    )]
    TooFew {
        /// Identities with images.
        identities: usize,
        /// Pairs of one identity.
        genuine: u64,
        /// Pairs of two.
        impostors: u64,
    },
    /// More than fits.
    #[error("all pairs of the set are {pairs}\n  accepted: at most {MOST_PAIRS}; leave out --all to sample")]
    TooMany {
        /// Genuine and impostor pairs.
        pairs: u64,
    },
}

/// Counts the genuine and impostor pairs of `identities`.
pub fn count(identities: &[Identity]) -> (u64, u64) {
    let choose = |n: u64| n * n.saturating_sub(1) / 2;
    let images: u64 = identities.iter().map(|i| i.images.len() as u64).sum();
    let genuine = identities.iter().map(|i| choose(i.images.len() as u64)).sum();
    (genuine, choose(images) - genuine)
}

/// Every pair, in ten folds; all pairs of one fold share the first image's identity, modulo ten.
///
/// # Errors
/// When there is no pair of one of the kinds, or more than [`MOST_PAIRS`].
pub fn all(identities: &[Identity]) -> Result<Vec<IndexPair>, PairsError> {
    let (genuine, impostors) = check(identities)?;
    if genuine + impostors > MOST_PAIRS {
        return Err(PairsError::TooMany { pairs: genuine + impostors });
    }
    let flat: Vec<(usize, usize)> = flatten(identities);
    let mut pairs = Vec::with_capacity((genuine + impostors) as usize);
    for (at, &(identity, first)) in flat.iter().enumerate() {
        let fold = (identity % FOLDS as usize) as u8;
        for &(other, second) in &flat[at + 1..] {
            pairs.push(IndexPair { first, second, same: identity == other, fold });
        }
    }
    Ok(pairs)
}

/// At most `most` pairs of each kind, as many of one as of the other, none twice, the same for the same seed; dealt into
/// folds in turn.
///
/// # Errors
/// When there is no pair of one of the kinds.
pub fn sample(identities: &[Identity], most: usize, seed: u64) -> Result<Vec<IndexPair>, PairsError> {
    let (genuine, impostors) = check(identities)?;
    let most = (most as u64).min(genuine).min(impostors) as usize;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut same: Vec<(usize, usize)> = Vec::new();
    for identity in identities {
        for (at, &first) in identity.images.iter().enumerate() {
            same.extend(identity.images[at + 1..].iter().map(|&second| (first, second)));
        }
    }
    same.shuffle(&mut rng);
    same.truncate(most);

    let flat = flatten(identities);
    let mut different = Vec::new();
    if (most as u64) * 2 > impostors {
        // Nearly all of them: draw from the list.
        for (at, &(identity, first)) in flat.iter().enumerate() {
            let others = flat[at + 1..].iter().filter(|(other, _)| *other != identity);
            different.extend(others.map(|&(_, second)| (first, second)));
        }
        different.shuffle(&mut rng);
        different.truncate(most);
    } else {
        let mut drawn = BTreeSet::new();
        while different.len() < most {
            let (i, j) = (rng.random_range(0..flat.len()), rng.random_range(0..flat.len()));
            let (low, high) = (flat[i.min(j)], flat[i.max(j)]);
            if low.0 != high.0 && drawn.insert((low.1, high.1)) {
                different.push((low.1, high.1));
            }
        }
    }
    let deal = |pairs: Vec<(usize, usize)>, same| {
        let folds = (0..FOLDS).cycle();
        pairs.into_iter().zip(folds).map(move |((first, second), fold)| IndexPair {
            first,
            second,
            same,
            fold,
        })
    };
    Ok(deal(same, true).chain(deal(different, false)).collect())
}

/// Identity and image, in order.
fn flatten(identities: &[Identity]) -> Vec<(usize, usize)> {
    let each = identities.iter().enumerate();
    each.flat_map(|(identity, i)| i.images.iter().map(move |&image| (identity, image))).collect()
}

fn check(identities: &[Identity]) -> Result<(u64, u64), PairsError> {
    let (genuine, impostors) = count(identities);
    if genuine == 0 || impostors == 0 {
        return Err(PairsError::TooFew { identities: identities.len(), genuine, impostors });
    }
    Ok((genuine, impostors))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identities(sizes: &[usize]) -> Vec<Identity> {
        let mut next = 0..;
        let images = |n| (0..n).map(|_| next.next().unwrap()).collect();
        let mut images = images;
        sizes.iter().map(|&n| Identity { name: n.to_string(), images: images(n) }).collect()
    }

    #[test]
    fn all_pairs_are_counted() {
        let set = identities(&[3, 1, 2]);
        assert_eq!(count(&set), (4, 11));
        let pairs = all(&set).unwrap();
        assert_eq!(pairs.len(), 15);
        assert_eq!(pairs.iter().filter(|p| p.same).count(), 4);
        assert!(all(&identities(&[1, 1])).is_err());
        assert!(all(&identities(&[2])).is_err());
        assert!(matches!(all(&identities(&[4000, 4000])), Err(PairsError::TooMany { .. })));
    }

    #[test]
    fn samples_are_balanced_distinct_and_repeatable() {
        let set = identities(&[5; 40]);
        let pairs = sample(&set, 100, 7).unwrap();
        assert_eq!(pairs, sample(&set, 100, 7).unwrap());
        assert_ne!(pairs, sample(&set, 100, 8).unwrap());
        assert_eq!(pairs.iter().filter(|p| p.same).count(), 100);
        assert!(pairs.iter().all(|p| p.same == (p.first / 5 == p.second / 5)));
        let distinct: BTreeSet<_> = pairs.iter().map(|p| (p.first, p.second)).collect();
        assert_eq!(distinct.len(), 200);
        assert!((0..FOLDS).all(|f| pairs.iter().filter(|p| p.fold == f).count() == 20));
        // Fewer than asked for: as many as there are, of each kind.
        assert_eq!(sample(&identities(&[2, 1]), 100, 7).unwrap().len(), 2);
    }
}
