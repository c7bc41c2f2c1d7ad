//! Figures of `arcgate eval identification`: on the terminal, as JSON, CSV and curves.

use std::fmt::Write;
use std::path::Path;

use arcgate_firmware::model::thresholds::Bar;
use rayon::prelude::*;
use serde_json::{Value, json};

use super::identification_sides::Sides;
use crate::eval::bootstrap::{Draw, interval95};
use crate::eval::gallery::degrees;
use crate::eval::identification::{Rates, Searches, Trials};
use crate::eval::splits;
use crate::report::figure::{png, svg};
use crate::report::tradeoff::{Axes, Tradeoff};
use crate::ui::{Ui, table, thousands};

/// Points of a curve.
const POINTS: usize = 120;

/// Ranks of a match characteristic.
const RANKS: usize = 50;

/// What tables of all images, and of those without known label errors, call their labels.
const LABELS: [&str; 2] = ["published", "corrected"];

/// A rate with its 95 % interval.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rate {
    value: f64,
    low: f64,
    high: f64,
}

impl Rate {
    fn new(value: f64, drawn: Vec<f64>) -> Self {
        let (low, high) = interval95(drawn).unwrap_or((0.0, 1.0));
        Rate { value, low: low.min(value), high: high.max(value) }
    }

    fn percent(&self) -> String {
        format!("{:.2} [{:.2}, {:.2}]", 100.0 * self.value, 100.0 * self.low, 100.0 * self.high)
    }
}

/// The FNIR of another side, and how much larger the model's is, on the same draws; a difference may be negative.
#[derive(Debug, Clone, Copy)]
struct Beside {
    fnir: Rate,
    less: Rate,
}

impl Beside {
    fn json(&self, row: &mut Value, [fnir, less]: [&str; 2]) {
        for (name, rate) in [(fnir, &self.fnir), (less, &self.less)] {
            row[name] = json!(rate.value);
            row[format!("{name}_low")] = json!(rate.low);
            row[format!("{name}_high")] = json!(rate.high);
        }
    }
}

/// FNIR at one FPIR.
#[derive(Debug, Clone)]
pub(super) struct Row {
    n: usize,
    k: usize,
    target: f64,
    threshold: f32,
    fpir: Rate,
    fnir: Rate,
    /// The float model's.
    float: Option<Beside>,
    /// Without a gallery's transform, and the largest change among all galleries whose transforms were tried.
    plain: Option<(Beside, f64)>,
    /// The model's own threshold, and what it gives.
    table: Option<(f64, Rates)>,
}

impl Row {
    pub(super) fn new(
        (n, k, target): (usize, usize, f64),
        sides: &Sides,
        bar: Option<Bar>,
        (people, drawn): (usize, &[Draw]),
    ) -> Self {
        let weights = vec![1.0; people];
        let own = sides.own.rates(target, &weights);
        let again = |of: &(dyn Fn(&Draw) -> f64 + Sync)| drawn.par_iter().map(of).collect::<Vec<f64>>();
        let fnir = |searches: &Searches| again(&|draw| searches.rates(target, &draw.weights).fnir);
        let own_fnir = fnir(&sides.own);
        let beside = |searches: &Searches| {
            let (other, drawn) = (searches.rates(target, &weights).fnir, fnir(searches));
            let less = own_fnir.iter().zip(&drawn).map(|(own, other)| own - other).collect();
            Beside { less: Rate::new(own.fnir - other, less), fnir: Rate::new(other, drawn) }
        };
        let plain = sides.plain.as_ref().map(|searches| {
            let plain = beside(searches);
            let further = sides.further.iter().map(|of| of.rates(target, &weights).fnir);
            let moved = further.chain([own.fnir]).map(|fnir| (fnir - plain.fnir.value).abs());
            (plain, moved.fold(0.0, f64::max))
        });
        let table = bar.map(|bar| {
            let angle = f64::from(bar.angle.millidegrees()) / 1000.0;
            (angle, sides.own.at(angle.to_radians().cos() as f32, &weights))
        });
        Row {
            n,
            k,
            target,
            threshold: own.threshold,
            fpir: Rate::new(own.fpir, again(&|draw| sides.own.at(own.threshold, &draw.weights).fpir)),
            float: sides.float.as_ref().map(beside),
            plain,
            table,
            fnir: Rate::new(own.fnir, own_fnir),
        }
    }

    pub(super) fn json(&self) -> Value {
        let mut row = json!({
            "n": self.n, "k": self.k, "fpir_target": self.target, "threshold_degrees": degrees(self.threshold),
            "fpir": self.fpir.value, "fpir_low": self.fpir.low, "fpir_high": self.fpir.high,
            "fnir": self.fnir.value, "fnir_low": self.fnir.low, "fnir_high": self.fnir.high,
        });
        if let Some(float) = &self.float {
            float.json(&mut row, ["float_fnir", "fnir_less_float"]);
        }
        if let Some((plain, most)) = &self.plain {
            plain.json(&mut row, ["untransformed_fnir", "fnir_by_transform"]);
            row["fnir_by_transform_most"] = json!(most);
        }
        if let Some((angle, rates)) = &self.table {
            row["table"] = json!({"degrees": angle, "fpir": rates.fpir, "fnir": rates.fnir});
        }
        row
    }
}

/// What galleries of one size gave.
#[derive(Debug, Clone)]
pub(super) struct Case {
    n: usize,
    k: usize,
    mated: usize,
    non_mated: usize,
    microseconds: f64,
    cmc: Vec<f64>,
    det: Vec<(f64, f64)>,
    pub(super) rows: Vec<Row>,
}

impl Case {
    pub(super) fn new(trials: &Trials, searches: &Searches, rows: Vec<Row>) -> Self {
        let [mated, non_mated] = searches.count();
        let (n, k) = (trials.enrolled, trials.templates);
        let microseconds = 1e6 * searches.time().as_secs_f64();
        let (cmc, det) = (searches.cmc(RANKS.min(n)), searches.det(POINTS));
        Case { n, k, mated, non_mated, microseconds, cmc, det, rows }
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "n": self.n, "k": self.k, "mated": self.mated, "non_mated": self.non_mated, "rank1": self.cmc[0], "cmc": self.cmc,
            "microseconds_per_search": self.microseconds,
        })
    }

    fn name(&self) -> String {
        format!("N {}, k {}", thousands(self.n as u64), self.k)
    }
}

/// Predicted against measured FPIR for one number of people and one target, over all splits.
#[derive(Debug, Clone)]
pub(super) struct Held {
    n: usize,
    k: usize,
    /// Images of each person that the table was measured with.
    table_k: usize,
    target: f64,
    angle: f64,
    fpir: Rate,
    fnir: f64,
    fnir_exact: f64,
    splits: usize,
}

impl Held {
    pub(super) fn new(row: &splits::Row) -> Self {
        let &splits::Row { enrolled: n, templates: k, calibrated: table_k, rate: target, ref held } = row;
        let splits = held.len();
        let mean = |of: &dyn Fn(&splits::Held) -> f64| held.iter().map(of).sum::<f64>() / splits as f64;
        let fpir =
            Rate { value: mean(&|h| h.fpir), low: mean(&|h| h.interval.0), high: mean(&|h| h.interval.1) };
        let (angle, fnir) = (mean(&|h| h.angle), mean(&|h| h.fnir));
        Held { n, k, table_k, target, angle, fpir, fnir, fnir_exact: mean(&|h| h.fnir_exact), splits }
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "n": self.n, "k": self.k, "table_k": self.table_k, "fpir_target": self.target, "splits": self.splits, "degrees": self.angle,
            "fpir": self.fpir.value, "fpir_low": self.fpir.low, "fpir_high": self.fpir.high,
            "fpir_by_target": self.fpir.value / self.target, "fnir": self.fnir, "fnir_exact": self.fnir_exact,
        })
    }
}

/// How many searches there were, ranks and times.
pub(super) fn tell_cases(cases: &[Case], ui: &Ui) {
    let head = ["people", "images", "mated", "non-mated", "rank 1, %", "rank 10, %", "us a search"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(cases.iter().map(|case| {
        let within = |rank: usize| format!("{:.2}", 100.0 * case.cmc[rank.min(case.cmc.len()) - 1]);
        vec![
            thousands(case.n as u64),
            case.k.to_string(),
            thousands(case.mated as u64),
            thousands(case.non_mated as u64),
            within(1),
            within(10),
            format!("{:.1}", case.microseconds),
        ]
    }));
    ui.say(table(&rows).trim_end());
}

/// FNIR at FPIR.
pub(super) fn tell_rows(which: &str, cases: &[Case], ui: &Ui) {
    ui.say(format!("FNIR at FPIR{which}, % with 95 % intervals:"));
    let rows: Vec<&Row> = cases.iter().flat_map(|case| &case.rows).collect();
    let (float, has_table) = (rows.iter().any(|r| r.float.is_some()), rows.iter().any(|r| r.table.is_some()));
    let mut head = vec!["people", "images", "target", "FPIR", "FNIR", "degrees"];
    head.extend(float.then_some(["float FNIR", "less float"]).into_iter().flatten());
    let plain = rows.iter().any(|row| row.plain.is_some());
    head.extend(plain.then_some(["untransformed FNIR", "by the transform", "at most"]).into_iter().flatten());
    head.extend(has_table.then_some(["by the model's table: degrees", "FPIR", "FNIR"]).into_iter().flatten());
    let mut lines = vec![head.into_iter().map(str::to_owned).collect::<Vec<_>>()];
    lines.extend(rows.into_iter().map(|row| {
        let mut line = vec![
            thousands(row.n as u64),
            row.k.to_string(),
            format!("{}", 100.0 * row.target),
            row.fpir.percent(),
            row.fnir.percent(),
            format!("{:.1}", degrees(row.threshold)),
        ];
        line.extend(row.float.iter().flat_map(|float| [float.fnir.percent(), float.less.percent()]));
        line.extend(row.plain.iter().flat_map(|(plain, most)| {
            [plain.fnir.percent(), plain.less.percent(), format!("{:.2}", 100.0 * most)]
        }));
        match &row.table {
            Some((angle, rates)) => line.extend([
                format!("{angle:.1}"),
                format!("{:.2}", 100.0 * rates.fpir),
                format!("{:.2}", 100.0 * rates.fnir),
            ]),
            None if has_table => line.extend(["-", "-", "-"].map(str::to_owned)),
            None => {}
        }
        line
    }));
    ui.say(table(&lines).trim_end());
}

/// Predicted against measured.
pub(super) fn tell_splits(which: &str, held: &[Held], ui: &Ui) {
    let Some(Held { splits, .. }) = held.first() else { return };
    ui.say(format!(
        "thresholds from half of the identities, measured on the other half{which}, mean of {splits} splits:"
    ));
    let head = [
        "people",
        "images",
        "the table's",
        "target, %",
        "degrees",
        "FPIR, %",
        "FPIR / target",
        "FNIR, %",
        "at exactly the target",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(held.iter().map(|held| {
        vec![
            thousands(held.n as u64),
            held.k.to_string(),
            held.table_k.to_string(),
            format!("{}", 100.0 * held.target),
            format!("{:.1}", held.angle),
            held.fpir.percent(),
            format!("{:.2}", held.fpir.value / held.target),
            format!("{:.2}", 100.0 * held.fnir),
            format!("{:.2}", 100.0 * held.fnir_exact),
        ]
    }));
    ui.say(table(&rows).trim_end());
}

/// Writes tables and curves into a folder, which is made: of all images and of those whose labels are not known to be wrong.
///
/// # Errors
/// When a file cannot be written or a curve not be drawn.
pub(super) fn write(folder: &Path, cases: [&[Case]; 2], held: [&[Held]; 2]) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder)?;
    let mut rows = String::from(
        "labels,n,k,fpir_target,fpir,fpir_low,fpir_high,fnir,fnir_low,fnir_high,threshold_degrees,untransformed_fnir,\
         fnir_by_transform,fnir_by_transform_low,fnir_by_transform_high,fnir_by_transform_most\n",
    );
    for (labels, row) in LABELS.into_iter().zip(cases).flat_map(|(labels, cases)| {
        cases.iter().flat_map(move |case| case.rows.iter().map(move |row| (labels, row)))
    }) {
        let Row { n, k, target, fpir, fnir, .. } = row;
        let angle = degrees(row.threshold);
        let plain = row.plain.map_or(",,,,".into(), |(Beside { fnir, less }, most)| {
            format!("{},{},{},{},{most}", fnir.value, less.value, less.low, less.high)
        });
        writeln!(
            rows,
            "{labels},{n},{k},{target},{},{},{},{},{},{},{angle:.3},{plain}",
            fpir.value, fpir.low, fpir.high, fnir.value, fnir.low, fnir.high
        )?;
    }
    std::fs::write(folder.join("identification.csv"), rows)?;
    let mut splits = String::from(
        "labels,n,k,table_k,fpir_target,splits,degrees,fpir,fpir_low,fpir_high,fnir,fnir_exact\n",
    );
    for (labels, held) in
        LABELS.into_iter().zip(held).flat_map(|(labels, held)| held.iter().map(move |held| (labels, held)))
    {
        let Held { n, k, table_k, target, angle, fpir, fnir, fnir_exact, splits: number } = held;
        let Rate { value, low, high } = fpir;
        writeln!(
            splits,
            "{labels},{n},{k},{table_k},{target},{number},{angle:.3},{value},{low},{high},{fnir},{fnir_exact}"
        )?;
    }
    if !held[0].is_empty() {
        std::fs::write(folder.join("splits.csv"), splits)?;
    }
    let det = |case: &Case| (case.name(), case.det.clone());
    let cmc = |case: &Case| {
        let ranks = case.cmc.iter().enumerate().map(|(at, &share)| ((at + 1) as f64, share));
        (case.name(), ranks.collect())
    };
    for (name, axes, curves) in [
        ("det", Axes::Det, cases[0].iter().map(det).collect::<Vec<_>>()),
        ("cmc", Axes::Cmc, cases[0].iter().map(cmc).collect::<Vec<_>>()),
    ] {
        let mut points =
            String::from(if axes == Axes::Det { "curve,fpir,fnir\n" } else { "curve,rank,share\n" });
        for (curve, (x, y)) in
            curves.iter().flat_map(|(curve, points)| points.iter().map(move |p| (curve, p)))
        {
            writeln!(points, "\"{curve}\",{x},{y}")?;
        }
        std::fs::write(folder.join(format!("{name}.csv")), points)?;
        let figure = Tradeoff { axes, curves };
        std::fs::write(folder.join(format!("{name}.svg")), svg(&figure)?)?;
        std::fs::write(folder.join(format!("{name}.png")), png(&figure)?)?;
    }
    Ok(())
}
