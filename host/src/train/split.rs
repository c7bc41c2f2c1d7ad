//! Which identities are learnt, which are validated on, and which a training never sees.

use serde::{Deserialize, Serialize};

use crate::synth::dice::Dice;

/// The `[split]` table of a recipe. No identity is in two parts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SplitConfig {
    /// Identities to validate on during the training.
    pub validation: usize,
    /// Identities that the training never touches, not even to choose weights: what is measured afterwards is measured on them.
    pub test: usize,
    /// Most identities to learn; all that are left when absent.
    pub learn: Option<usize>,
    /// Draws the parts by lot. Without it each part is spread evenly over the names in their order, so that neighbours, which
    /// resemble each other in an alphabet or a family, are in all parts.
    pub seed: Option<u64>,
}

impl Default for SplitConfig {
    fn default() -> Self {
        SplitConfig { validation: 40, test: 0, learn: None, seed: None }
    }
}

/// Where an identity belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// A class of the training.
    Learnt,
    /// Seen at validations.
    Validation,
    /// Never seen.
    Test,
    /// One more than is to be learnt.
    Unused,
}

impl SplitConfig {
    /// The fewest identities that can be split so: two are left to learn.
    pub fn least(&self) -> usize {
        self.validation + self.test + 2
    }

    /// The part of each of `found` identities, at least [`SplitConfig::least`] of them.
    pub fn parts(&self, found: usize) -> Vec<Part> {
        let mut order: Vec<usize> = (0..found).collect();
        if let Some(seed) = self.seed {
            let mut dice = Dice::new(seed, found as u64, LOT, 0);
            for i in (1..found).rev() {
                order.swap(i, dice.below(i + 1));
            }
        }
        let mut parts = vec![Part::Unused; found];
        let mut give = |part: Part, number: usize, from: Vec<usize>| -> Vec<usize> {
            let all = from.len();
            let (given, left): (Vec<_>, Vec<_>) =
                from.into_iter().enumerate().partition(|(i, _)| evenly(*i, number, all));
            given.into_iter().for_each(|(_, identity)| parts[identity] = part);
            left.into_iter().map(|(_, identity)| identity).collect()
        };
        let left = give(Part::Test, self.test, order);
        let left = give(Part::Validation, self.validation, left);
        let number = self.learn.unwrap_or(left.len()).min(left.len());
        give(Part::Learnt, number, left);
        parts
    }
}

/// Whether place `i` of `all` is one of `number` that are spread evenly over them.
fn evenly(i: usize, number: usize, all: usize) -> bool {
    (i + 1) * number / all > i * number / all
}

/// The key that sets the lots' random numbers apart.
const LOT: u64 = 14;

#[cfg(test)]
mod tests {
    use super::*;

    fn count(parts: &[Part], part: Part) -> usize {
        parts.iter().filter(|&&p| p == part).count()
    }

    #[test]
    fn every_identity_has_one_part_and_the_parts_their_sizes() {
        for seed in [None, Some(1), Some(2)] {
            let split = SplitConfig { validation: 7, test: 11, learn: Some(20), seed };
            for found in [20, 38, 100] {
                let parts = split.parts(found);
                assert_eq!(count(&parts, Part::Validation), 7);
                assert_eq!(count(&parts, Part::Test), 11);
                assert_eq!(count(&parts, Part::Learnt), (found - 18).min(20));
                assert_eq!(parts.len(), found);
            }
        }
        let all = SplitConfig { learn: None, ..SplitConfig::default() };
        assert_eq!(count(&all.parts(100), Part::Learnt), 60);
    }

    #[test]
    fn spread_evenly_without_a_seed_and_by_lot_with_one() {
        let even = SplitConfig { validation: 0, test: 5, ..SplitConfig::default() };
        let at = |parts: &[Part]| (0..parts.len()).filter(|&i| parts[i] == Part::Test).collect::<Vec<_>>();
        assert_eq!(at(&even.parts(50)), [9, 19, 29, 39, 49]);
        let lot = |seed| at(&SplitConfig { seed: Some(seed), ..even.clone() }.parts(50));
        assert_eq!(lot(3), lot(3));
        assert_ne!(lot(3), lot(4));
    }
}
