//! A model's threshold table, in lines for people.

use arcgate_firmware::model::thresholds::{Bar, Scope, ThresholdTable};
use serde_json::{Value, json};

use super::people::degrees;
use crate::ui::{table, thousands};

/// A row for each number of people, a column for each rate: for a frame, and after the bar for a presentation.
pub fn lines(thresholds: Option<ThresholdTable<'_>>) -> Vec<String> {
    let Some(thresholds) = thresholds else {
        return vec!["  thresholds: none yet; `arcgate calibrate` measures them".into()];
    };
    let rates: Vec<f32> = thresholds.rates().collect();
    let mut rows = vec![vec!["    people".to_owned()]];
    rows[0].extend(rates.iter().map(|rate| format!("FPIR {rate}")));
    rows[0].extend(rates.iter().map(|rate| format!("| {rate}")));
    for people in thresholds.sizes() {
        let mut row = vec![format!("    {}", thousands(people.into()))];
        for (scope, bar) in [(Scope::Frame, ""), (Scope::Presentation, "| ")] {
            row.extend(rates.iter().map(|&rate| match thresholds.lookup(people, rate, scope) {
                Some(found) => format!("{bar}{} [{}, {}]", found.angle, found.low, found.high),
                None => "-".into(),
            }));
        }
        rows.push(row);
    }
    let origin = thresholds.origin();
    let further = 1.0 - f32::from(origin.overlap) / 256.0;
    vec![
        format!(
            "  thresholds in degrees with 95 % intervals, by people enrolled ({} each) and target FPIR of a frame | of {} frames, from {} images of {} identities:",
            if origin.templates == 1 { "one image".into() } else { format!("{} images", origin.templates) },
            origin.frames,
            thousands(origin.images.into()),
            thousands(origin.identities.into()),
        ),
        table(&rows).trim_end().to_owned(),
        format!(
            "  a further image of somebody counts as {:.2} people",
            further / f32::from(origin.templates)
        ),
    ]
}

/// The cells, by people and then by rate: `people`, `fpir`, `frame` and `presentation`, each with `angle`, `low` and `high` in degrees.
pub fn json(thresholds: ThresholdTable<'_>) -> Value {
    let bar =
        |bar: Bar| json!({"angle": degrees(bar.angle), "low": degrees(bar.low), "high": degrees(bar.high)});
    // The f32 of a plan as the decimal that it was made from.
    let rates: Vec<Option<f64>> = thresholds.rates().map(|rate| rate.to_string().parse().ok()).collect();
    let cell = |(at, people): (usize, u32), of: usize| {
        let cell = thresholds.cell(at, of)?;
        let (frame, presentation) = (bar(cell.frame), bar(cell.presentation));
        Some(json!({"people": people, "fpir": rates[of], "frame": frame, "presentation": presentation}))
    };
    let sizes = thresholds.sizes().enumerate();
    sizes.flat_map(|size| (0..rates.len()).filter_map(move |of| cell(size, of))).collect()
}

#[cfg(test)]
mod tests {
    use arcgate_firmware::embedding::Angle;
    use arcgate_firmware::model::thresholds::{Cell, Origin};

    use super::*;

    #[test]
    fn a_row_for_each_number_of_people() {
        let bar = |degrees: u32| {
            let angle = |degrees| Angle::from_millidegrees(1000 * degrees);
            Bar { angle: angle(degrees), low: angle(degrees - 1), high: angle(degrees + 2) }
        };
        let cell = |degrees| Cell { frame: bar(degrees), presentation: bar(degrees - 6) };
        let origin = Origin { identities: 4000, images: 8000, frames: 15, templates: 1, overlap: 0 };
        let mut bytes = vec![0; ThresholdTable::bytes_for(1, 2)];
        let made = ThresholdTable::write(origin, &[0.01], &[1, 1000], &[cell(60), cell(50)], &mut bytes);
        let shown = lines(Some(made.unwrap())).join("\n");
        let words: Vec<&str> = shown.lines().nth(3).unwrap().split_whitespace().collect();
        assert_eq!(words, ["1,000", "50.0", "[49.0,", "52.0]", "|", "44.0", "[43.0,", "46.0]"]);
        assert!(
            shown.contains("one image each") && shown.contains("of 15 frames, from 8,000 images of 4,000")
        );
        assert!(lines(None)[0].contains("none yet"));
    }
}
