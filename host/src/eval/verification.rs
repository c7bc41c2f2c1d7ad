//! One person or two: figures from pairs with scores.

use std::collections::{BTreeMap, BTreeSet};

use arcgate_firmware::embedding::Angle;

/// What an engine said of one pair.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// Larger is more alike: a cosine, or the negative of an angle. Finite.
    pub similarity: f64,
    /// Whether both show one person.
    pub same: bool,
    /// The fold of the pair, from 0.
    pub fold: u8,
}

impl Score {
    /// From an angle; the similarity is its negative, in degrees.
    pub fn from_angle(angle: Angle, same: bool, fold: u8) -> Self {
        Score { similarity: -(angle.millidegrees() as f64) / 1000.0, same, fold }
    }
}

/// The scores of a set of pairs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scores(Vec<Score>);

/// Accuracy over folds.
#[derive(Debug, Clone, PartialEq)]
pub struct Accuracy {
    /// Mean share of right decisions over the folds, 0..=1.
    pub mean: f64,
    /// Standard deviation of the folds' shares (of the folds themselves, divided by their number).
    pub std: f64,
    /// Mean of the thresholds that the folds used, in the scores' unit.
    pub threshold: f64,
    /// Pairs decided rightly, over all folds.
    pub right: usize,
}

impl Scores {
    /// Takes scores; those that are not finite can never be compared and are a caller's mistake.
    ///
    /// # Errors
    /// The index of the first score that is not finite.
    pub fn new(scores: Vec<Score>) -> Result<Self, usize> {
        match scores.iter().position(|s| !s.similarity.is_finite()) {
            Some(at) => Err(at),
            None => Ok(Scores(scores)),
        }
    }

    /// In the order given.
    pub fn as_slice(&self) -> &[Score] {
        &self.0
    }

    /// Pairs of one person.
    pub fn genuine(&self) -> usize {
        self.0.iter().filter(|s| s.same).count()
    }

    /// Pairs of two people.
    pub fn impostors(&self) -> usize {
        self.0.len() - self.genuine()
    }

    /// The protocol of LFW ("image-restricted" folds, Huang et al. 2007): each fold is decided with the threshold that was
    /// best on the other folds. "Same" is decided at or above the threshold; thresholds tried are the middles between
    /// neighbouring scores, of equally good ones the median.
    ///
    /// `None` without scores in at least two folds.
    pub fn accuracy(&self) -> Option<Accuracy> {
        let thresholds = self.thresholds()?;
        let (mut shares, mut right) = (Vec::new(), 0);
        for (&fold, &threshold) in &thresholds {
            let held_out = self.0.iter().filter(|s| s.fold == fold);
            let (mut of, mut well) = (0, 0);
            for score in held_out {
                of += 1;
                well += ((score.similarity >= threshold) == score.same) as usize;
            }
            shares.push(well as f64 / of as f64);
            right += well;
        }
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let average = mean(&shares);
        let squares: Vec<f64> = shares.iter().map(|s| (s - average) * (s - average)).collect();
        let thresholds: Vec<f64> = thresholds.into_values().collect();
        Some(Accuracy { mean: average, std: mean(&squares).sqrt(), threshold: mean(&thresholds), right })
    }

    /// Which scores, in the order given, [`Scores::accuracy`] decides rightly.
    ///
    /// `None` without scores in at least two folds.
    pub fn decided_rightly(&self) -> Option<Vec<bool>> {
        let thresholds = self.thresholds()?;
        Some(self.0.iter().map(|s| (s.similarity >= thresholds[&s.fold]) == s.same).collect())
    }

    /// For each fold the threshold that is best on the others.
    fn thresholds(&self) -> Option<BTreeMap<u8, f64>> {
        let folds: BTreeSet<u8> = self.0.iter().map(|s| s.fold).collect();
        if folds.len() < 2 {
            return None;
        }
        let mut sorted = self.0.clone();
        sorted.sort_by(|a, b| a.similarity.total_cmp(&b.similarity));
        let best = |fold: u8| Some((fold, best_threshold(sorted.iter().filter(|s| s.fold != fold))?));
        folds.into_iter().map(best).collect()
    }

    /// The share of pairs of one person that are accepted when at most the share `far` of pairs of two people is: all that
    /// lie above the first impostor that must be refused.
    ///
    /// `None` when `far` times the impostors is less than one pair (such a rate cannot be measured on them), or there is no
    /// pair of one person.
    pub fn tar_at_far(&self, far: f64) -> Option<f64> {
        let (genuine, mut impostors) = self.split();
        let accepted = allowed(far, impostors.len())?;
        if genuine.is_empty() {
            return None;
        }
        impostors.sort_by(|a, b| b.total_cmp(a));
        let bar = impostors.get(accepted).copied().unwrap_or(f64::NEG_INFINITY);
        Some(genuine.iter().filter(|&&g| g > bar).count() as f64 / genuine.len() as f64)
    }

    /// The rate at which false accepts and false rejects are equally frequent, between steps by straight lines.
    ///
    /// `None` without pairs of both kinds.
    pub fn eer(&self) -> Option<f64> {
        let (genuine, impostors) = self.split();
        if genuine.is_empty() || impostors.is_empty() {
            return None;
        }
        let mut sorted = self.0.clone();
        sorted.sort_by(|a, b| b.similarity.total_cmp(&a.similarity));
        // The threshold sinks from above all scores: the false rejects fall from 1, the false accepts rise from 0.
        let (mut reject, mut accept) = (1.0, 0.0);
        let (mut taken_genuine, mut taken_impostors) = (0, 0);
        for equal in sorted.chunk_by(|a, b| a.similarity == b.similarity) {
            taken_genuine += equal.iter().filter(|s| s.same).count();
            taken_impostors += equal.iter().filter(|s| !s.same).count();
            let next_reject = 1.0 - taken_genuine as f64 / genuine.len() as f64;
            let next_accept = taken_impostors as f64 / impostors.len() as f64;
            if next_accept >= next_reject {
                // Where the two lines from here to there cross.
                let (before, after) = (reject - accept, next_accept - next_reject);
                let t = if before + after > 0.0 { before / (before + after) } else { 0.0 };
                return Some(accept + t * (next_accept - accept));
            }
            (reject, accept) = (next_reject, next_accept);
        }
        Some(accept)
    }

    fn split(&self) -> (Vec<f64>, Vec<f64>) {
        let of = |same| self.0.iter().filter(|s| s.same == same).map(|s| s.similarity).collect();
        (of(true), of(false))
    }
}

/// How many of `pairs` the rate allows, at least one; `None` if it is less than one.
pub(super) fn allowed(rate: f64, pairs: usize) -> Option<usize> {
    // A rate like 0.001 is not exact in binary: 0.001 x 3,000 must be 3.
    let pairs = (rate * pairs as f64 + 1e-9).floor();
    (pairs >= 1.0).then_some(pairs as usize)
}

/// The threshold that decides most of the ascending scores rightly.
fn best_threshold<'a>(ascending: impl Iterator<Item = &'a Score>) -> Option<f64> {
    let scores: Vec<&Score> = ascending.collect();
    let (first, last) = (scores.first()?, scores.last()?);
    // Below all scores everything is "same"; each score that the threshold passes turns into "different".
    let mut right = scores.iter().filter(|s| s.same).count() as i64;
    let mut best = (right, vec![first.similarity]);
    let mut passed = 0;
    for equal in scores.chunk_by(|a, b| a.similarity == b.similarity) {
        passed += equal.len();
        right += equal.iter().map(|s| if s.same { -1 } else { 1 }).sum::<i64>();
        let here = equal.first()?.similarity;
        let threshold = match scores.get(passed) {
            Some(next) => here + (next.similarity - here) * 0.5,
            None => last.similarity.next_up(),
        };
        if right > best.0 {
            best = (right, vec![threshold]);
        } else if right == best.0 {
            best.1.push(threshold);
        }
    }
    best.1.get(best.1.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scores(of: &[(f64, bool, u8)]) -> Scores {
        let scores = of.iter().map(|&(similarity, same, fold)| Score { similarity, same, fold });
        Scores::new(scores.collect()).unwrap()
    }

    #[test]
    fn separable_scores_are_all_right() {
        let all = scores(&[(0.9, true, 0), (0.1, false, 0), (0.8, true, 1), (0.2, false, 1)]);
        let accuracy = all.accuracy().unwrap();
        assert_eq!((accuracy.mean, accuracy.std, accuracy.right), (1.0, 0.0, 4));
        assert!((accuracy.threshold - 0.5).abs() < 1e-9, "{}", accuracy.threshold);
        assert_eq!(all.eer(), Some(0.0));
    }

    #[test]
    fn the_threshold_comes_from_the_other_folds() {
        // Fold 1 alone would be split at 0.35; fold 0 says 0.65, which refuses fold 1's pair at 0.5.
        let all = scores(&[
            (0.9, true, 0),
            (0.8, true, 0),
            (0.5, false, 0),
            (0.4, false, 0),
            (0.7, true, 1),
            (0.5, true, 1),
            (0.2, false, 1),
            (0.1, false, 1),
        ]);
        let accuracy = all.accuracy().unwrap();
        // Fold 0 with 0.35: 0.5 and 0.4 are accepted wrongly: 2 of 4. Fold 1 with 0.65: 0.5 refused wrongly: 3 of 4.
        assert!((accuracy.mean - 0.625).abs() < 1e-12, "{accuracy:?}");
        assert!((accuracy.std - 0.125).abs() < 1e-12, "{accuracy:?}");
        assert_eq!(accuracy.right, 5);
        let rightly = all.decided_rightly().unwrap();
        assert_eq!(rightly, [true, true, false, false, true, false, true, true]);
    }

    #[test]
    fn tar_at_far_by_hand() {
        let mut all = vec![(0.95, true, 0), (0.5, true, 0), (0.25, true, 0), (0.05, true, 0)];
        all.extend((0..10).map(|i| (i as f64 / 10.0, false, 0)));
        let all = scores(&all);
        // One impostor (0.9) may pass: everything above 0.8.
        assert_eq!(all.tar_at_far(0.1), Some(0.25));
        // Seven may pass: everything above 0.2.
        assert_eq!(all.tar_at_far(0.7), Some(0.75));
        assert_eq!(all.tar_at_far(1.0), Some(1.0));
        assert_eq!(all.tar_at_far(0.05), None);
    }

    #[test]
    fn an_impostor_at_the_bar_does_not_let_its_equals_in() {
        let all = scores(&[(0.5, true, 0), (0.9, false, 0), (0.5, false, 0)]);
        assert_eq!(all.tar_at_far(0.5), Some(0.0));
    }

    #[test]
    fn eer_by_hand() {
        // At a threshold between 0.6 and 0.5: one of four impostors in, one of four genuine out.
        let all = scores(&[
            (0.9, true, 0),
            (0.8, true, 0),
            (0.7, true, 0),
            (0.6, false, 0),
            (0.5, true, 0),
            (0.4, false, 0),
            (0.3, false, 0),
            (0.2, false, 0),
        ]);
        assert_eq!(all.eer(), Some(0.25));
        assert_eq!(scores(&[(0.1, true, 0), (0.9, false, 0)]).eer(), Some(1.0));
        assert_eq!(scores(&[(0.5, true, 0), (0.5, false, 0)]).eer(), Some(0.5));
        assert_eq!(scores(&[(0.5, true, 0)]).eer(), None);
    }

    #[test]
    fn angles_are_scores_too() {
        let near = Score::from_angle(Angle::from_millidegrees(30_000), true, 0);
        let far = Score::from_angle(Angle::from_millidegrees(90_000), false, 0);
        assert!(near.similarity > far.similarity);
        assert_eq!(far.similarity, -90.0);
        assert_eq!(Scores::new(vec![near, Score { similarity: f64::NAN, ..far }]), Err(1));
    }

    proptest! {
        #[test]
        fn rates_are_rates(raw in prop::collection::vec((-1.0f64..1.0, any::<bool>(), 0u8..10), 1..200)) {
            let all = scores(&raw);
            if let Some(accuracy) = all.accuracy() {
                prop_assert!((0.0..=1.0).contains(&accuracy.mean) && accuracy.right <= raw.len());
            }
            let (strict, loose) = (all.tar_at_far(0.01), all.tar_at_far(0.1));
            if let (Some(strict), Some(loose)) = (strict, loose) {
                prop_assert!(strict <= loose);
            }
            if let Some(eer) = all.eer() {
                prop_assert!((0.0..=1.0).contains(&eer));
            }
        }
    }
}
