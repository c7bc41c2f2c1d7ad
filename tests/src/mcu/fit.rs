//! Rates of instructions from counts: least squares over relative errors, no rate below 0.

use std::collections::BTreeSet;

use arcgate::chips::Isa;
use arcgate::chips::term::Term;
use arcgate::chips::work::work;
use arcgate_firmware::engine::plan::{Plan, PlanError};
use nalgebra::{DMatrix, DVector};

use super::Counts;

/// One operation: what it does, and how many instructions that took.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// How often it does what.
    pub work: Vec<(Term, u64)>,
    /// Instructions counted.
    pub instructions: u64,
}

/// The samples of plans that were counted on `isa`.
///
/// # Errors
/// When a plan is none.
pub fn samples(plans: &[Vec<u8>], counts: &[Counts], isa: Isa) -> Result<Vec<Sample>, PlanError> {
    let mut samples = Vec::new();
    for (bytes, counts) in plans.iter().zip(counts) {
        let plan = Plan::parse(bytes)?;
        for (step, &instructions) in plan.steps().zip(&counts.steps) {
            samples.push(Sample { work: work(&step?, plan.info().order, isa), instructions });
        }
    }
    Ok(samples)
}

/// The rates under which the samples' relative errors have the least squares.
pub fn fit(samples: &[Sample]) -> Vec<(Term, f64)> {
    let mut terms: BTreeSet<Term> = samples
        .iter()
        .flat_map(|s| &s.work)
        .filter(|(_, amount)| *amount > 0)
        .map(|&(term, _)| term)
        .collect();
    let all: Vec<Term> = terms.iter().copied().collect();
    loop {
        let columns: Vec<Term> = terms.iter().copied().collect();
        let rates = solve(samples, &columns);
        let least = columns.iter().zip(rates.iter()).min_by(|a, b| a.1.total_cmp(b.1));
        match least {
            // What would speed a kernel up does not: it is left out, and the rest fitted again.
            Some((&term, &rate)) if rate < 0.0 => terms.remove(&term),
            _ => {
                let of = |term| columns.iter().position(|&c| c == term).map_or(0.0, |at| rates[at]);
                return all.into_iter().map(|term| (term, of(term))).collect();
            }
        };
    }
}

fn solve(samples: &[Sample], columns: &[Term]) -> DVector<f64> {
    let amount = |row: usize, column: usize| {
        let Sample { work, instructions } = &samples[row];
        let amount: u64 = work.iter().filter(|(term, _)| *term == columns[column]).map(|(_, n)| n).sum();
        amount as f64 / (*instructions).max(1) as f64
    };
    let matrix = DMatrix::from_fn(samples.len(), columns.len(), amount);
    // Columns differ by orders of magnitude: scaled alike, none is taken for noise.
    let scales: Vec<f64> = matrix.column_iter().map(|c| c.norm().max(f64::MIN_POSITIVE)).collect();
    let scaled =
        DMatrix::from_fn(samples.len(), columns.len(), |row, column| matrix[(row, column)] / scales[column]);
    let ones = DVector::from_element(samples.len(), 1.0);
    let solved =
        scaled.svd(true, true).solve(&ones, 1e-9).expect("both sides of the decomposition were asked for");
    DVector::from_fn(columns.len(), |column, _| solved[column] / scales[column])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_found_again_and_none_is_negative() {
        let sample = |work: &[(Term, u64)], instructions| Sample { work: work.to_vec(), instructions };
        let exact: Vec<Sample> = (1..20)
            .map(|i| {
                sample(
                    &[(Term::Step, 1), (Term::Sum, 10 * i), (Term::Copied, i * i)],
                    300 + 70 * i + 2 * i * i,
                )
            })
            .collect();
        let found = fit(&exact);
        for ((term, rate), expected) in found.iter().zip([300.0, 7.0, 2.0]) {
            assert!((rate - expected).abs() < 1e-6, "{term:?} {rate}");
        }
        let falling: Vec<Sample> =
            (1..20).map(|i| sample(&[(Term::Step, 1), (Term::Sum, i)], 1000 - 10 * i)).collect();
        let found = fit(&falling);
        assert_eq!(found[1], (Term::Sum, 0.0));
        assert!(found[0].1 > 800.0 && found[0].1 < 1000.0, "{found:?}");
    }
}
