//! A model's table of thresholds, in lines for people.

use crate::eval::searches::{PEOPLE, RATES};
use crate::onnx::thresholds::ThresholdTable;
use crate::ui::{table, thousands};

/// A row for each number of people, a column for each rate; "-" where the data did not reach.
pub fn lines(thresholds: &ThresholdTable) -> Vec<String> {
    let mut people: Vec<u32> = PEOPLE.iter().map(|&n| n as u32).collect();
    let mut rates = RATES.to_vec();
    // Tables from elsewhere may have others.
    people.extend(thresholds.cells.iter().map(|cell| cell.people));
    rates.extend(thresholds.cells.iter().map(|cell| cell.fpir));
    people.sort_unstable();
    people.dedup();
    rates.sort_unstable_by(f64::total_cmp);
    rates.dedup();
    let mut rows = vec![vec!["    people".to_owned()]];
    rows[0].extend(rates.iter().map(|rate| format!("FPIR {rate}")));
    rows[0].push("searches".into());
    for people in people {
        let cells: Vec<_> = rates.iter().map(|&rate| thresholds.cell(people, rate)).collect();
        let searches = cells.iter().flatten().map(|cell| cell.searches).max();
        let mut row = vec![format!("    {}", thousands(people.into()))];
        row.extend(cells.into_iter().map(|cell| {
            cell.map_or("-".into(), |cell| format!("{:.1}", f64::from(cell.millidegrees) / 1000.0))
        }));
        row.push(searches.map_or("-".into(), thousands));
        rows.push(row);
    }
    vec![
        format!(
            "  degrees by people enrolled and false-positive rate, from {} images of {} identities (seed {}):",
            thousands(thresholds.images.into()),
            thousands(thresholds.identities.into()),
            thresholds.seed
        ),
        table(&rows).trim_end().to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::thresholds::ThresholdCell;

    #[test]
    fn what_was_not_reached_is_a_dash() {
        let cell =
            |people, fpir, millidegrees| ThresholdCell { people, fpir, millidegrees, searches: 12_345 };
        let cells = vec![cell(1, 0.01, 41_200), cell(1, 0.1, 55_000), cell(10, 0.1, 44_449)];
        let shown = lines(&ThresholdTable { identities: 12, images: 40, seed: 3, cells }).join("\n");
        let rows: Vec<Vec<&str>> = shown.lines().skip(2).map(|l| l.split_whitespace().collect()).collect();
        assert_eq!(rows[0], ["1", "-", "-", "41.2", "-", "55.0", "12,345"]);
        assert_eq!(rows[1], ["10", "-", "-", "-", "-", "44.4", "12,345"]);
        assert_eq!(rows[2], ["100", "-", "-", "-", "-", "-", "-"]);
        assert_eq!(rows.len(), 4);
    }
}
