//! Which weights a training gives: the last ones, their running average, or the best that were validated.

use super::state::Values;

/// What lies beside the weights in a checkpoint.
const AVERAGE: &str = "average.";
const BEST: &str = "best.";
const FIGURES: &str = "kept";

/// Weights of the backbone besides those that are being trained.
#[derive(Debug, Clone)]
pub struct Kept {
    /// How much of the average stays at each step; 0: there is none.
    decay: f64,
    /// Validations without a better one that end the training; 0: it runs to its end and the last weights count.
    patience: usize,
    average: Option<Values>,
    best: Option<Best>,
}

#[derive(Debug, Clone)]
struct Best {
    figure: f32,
    /// Validations since.
    stale: usize,
    values: Values,
}

impl Kept {
    /// Nothing kept yet.
    pub fn new(decay: f64, patience: usize) -> Self {
        Kept { decay, patience, average: None, best: None }
    }

    /// Takes the weights after step `step` (counted from 0) into the average.
    ///
    /// The average begins with the first weights and follows fast at first, `(1 + step) / (10 + step)`, so that it does not drag
    /// the random beginning along.
    pub fn step(&mut self, step: usize, weights: impl FnOnce() -> Values) {
        if self.decay == 0.0 {
            return;
        }
        let weights = weights();
        let keep = self.decay.min((1 + step) as f64 / (10 + step) as f64) as f32;
        match &mut self.average {
            None => self.average = Some(weights),
            Some(average) => {
                for (name, new) in weights {
                    let old = average.entry(name).or_insert_with(|| new.clone());
                    old.iter_mut().zip(new).for_each(|(old, new)| *old = keep * *old + (1.0 - keep) * new);
                }
            }
        }
    }

    /// The weights that are validated, where they are not those in training.
    pub fn average(&self) -> Option<&Values> {
        self.average.as_ref()
    }

    /// Hears a validation's figure (higher is better) of `weights`; whether the training has waited long enough for a better.
    pub fn validated(&mut self, figure: f64, weights: impl FnOnce() -> Values) -> bool {
        if self.patience == 0 {
            return false;
        }
        let figure = figure as f32;
        match &mut self.best {
            Some(best) if figure <= best.figure => best.stale += 1,
            best => *best = Some(Best { figure, stale: 0, values: weights() }),
        }
        self.ended()
    }

    /// Whether the training has waited long enough for a better validation.
    pub fn ended(&self) -> bool {
        self.patience > 0 && self.best.as_ref().is_some_and(|best| best.stale >= self.patience)
    }

    /// The weights that the training gives, where they are not the last ones.
    pub fn result(&self) -> Option<&Values> {
        self.best.as_ref().map(|best| &best.values).or(self.average.as_ref())
    }

    /// Adds what is kept to a checkpoint's vectors.
    pub fn store(&self, into: &mut Values) {
        let mut put = |prefix: &str, values: &Values| {
            into.extend(values.iter().map(|(name, v)| (format!("{prefix}{name}"), v.clone())));
        };
        if let Some(average) = &self.average {
            put(AVERAGE, average);
        }
        if let Some(best) = &self.best {
            put(BEST, &best.values);
            into.insert(FIGURES.into(), vec![best.figure, best.stale as f32]);
        }
    }

    /// Takes what a checkpoint kept.
    ///
    /// # Errors
    /// What is missing in it.
    pub fn restore(&mut self, from: &Values) -> Result<(), String> {
        let taken = |prefix: &str| -> Option<Values> {
            let named =
                from.iter().filter_map(|(name, v)| Some((name.strip_prefix(prefix)?.to_owned(), v.clone())));
            Some(named.collect()).filter(|values: &Values| !values.is_empty())
        };
        self.average = taken(AVERAGE);
        self.best = match (taken(BEST), from.get(FIGURES).map(Vec::as_slice)) {
            (Some(values), Some(&[figure, stale])) => Some(Best { figure, stale: stale as usize, values }),
            (None, None) => None,
            _ => return Err(FIGURES.into()),
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weights(value: f32) -> Values {
        Values::from([("net.a".into(), vec![value, 2.0 * value])])
    }

    #[test]
    fn the_average_follows_fast_at_first_and_slowly_later() {
        let mut kept = Kept::new(0.9, 0);
        kept.step(0, || weights(1.0));
        assert_eq!(kept.average(), Some(&weights(1.0)));
        // (1 + 1) / (10 + 1) of the old.
        kept.step(1, || weights(0.0));
        let early = kept.average().unwrap()["net.a"][0];
        assert!((early - 2.0 / 11.0).abs() < 1e-6, "{early}");
        kept.step(10_000, || weights(0.0));
        assert!((kept.average().unwrap()["net.a"][0] - 0.9 * early).abs() < 1e-6);
        assert_eq!(kept.result(), kept.average());
        let mut none = Kept::new(0.0, 0);
        none.step(0, || unreachable!("nothing is averaged"));
        assert!(none.result().is_none());
    }

    #[test]
    fn the_best_counts_until_patience_ends() {
        let mut kept = Kept::new(0.0, 2);
        let heard = [(0.5, false), (0.7, false), (0.7, false), (0.6, true)];
        for (at, (figure, ends)) in heard.into_iter().enumerate() {
            assert_eq!(kept.validated(figure, || weights(at as f32)), ends, "validation {at}");
        }
        assert_eq!(kept.result(), Some(&weights(1.0)));
        assert!(!Kept::new(0.0, 0).validated(0.1, || unreachable!("nothing is kept")));
    }

    #[test]
    fn comes_back_from_a_checkpoint() {
        let mut kept = Kept::new(0.9, 3);
        kept.step(0, || weights(1.0));
        kept.validated(0.5, || weights(4.0));
        kept.validated(0.4, || unreachable!());
        let mut stored = weights(9.0);
        kept.store(&mut stored);
        let mut back = Kept::new(0.9, 3);
        back.restore(&stored).unwrap();
        assert_eq!((back.average(), back.result()), (kept.average(), kept.result()));
        assert!(!back.validated(0.4, || unreachable!()) && back.validated(0.4, || unreachable!()));
        stored.remove(FIGURES);
        assert_eq!(back.restore(&stored), Err(FIGURES.into()));
    }
}
