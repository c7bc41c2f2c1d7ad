//! A study's outcome on disk: JSON, CSV, figures, Markdown and one HTML page.

use std::fmt::Write as _;
use std::path::Path;

use super::config::{Entry, Study};
use super::estimate::Estimate;
use super::figures::{Angles, Axes, Borders, Line, Plane, PlanePanel, Progress, Targets, View};
use super::{Outcome, Row, Runs, StudyError};
use crate::disk;
use crate::loss::LossConfig;
use crate::report::figure::{self, Figure};
use crate::report::page::Page;
use crate::ui::thousands;

/// What a loss was told beside its name, as a recipe would write it.
pub fn settings(entry: &Entry) -> String {
    let fields = serde_json::to_value(&entry.loss).expect("plain fields serialize");
    let mut said: Vec<String> = fields
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(name, value)| *name != "name" && !value.is_null())
        .map(|(name, value)| format!("{name} = {value}"))
        .collect();
    said.extend(entry.rate.map(|rate| format!("rate {rate}")));
    said.join(", ")
}

/// A figure that was drawn: its file's stem and what is to be seen.
struct Drawn {
    stem: &'static str,
    caption: String,
    svg: String,
}

/// Writes everything into `folder`.
pub fn write(
    folder: &Path,
    outcome: &Outcome,
    study: &Study,
    losses: &[Runs],
    planes: &[PlanePanel],
) -> Result<(), StudyError> {
    let put = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        disk::replace(&path, bytes).map_err(|source| StudyError::Io { path, source })
    };
    let mut drawn = Vec::new();
    let mut draw = |stem: &'static str, caption: &str, figure: &dyn Both| -> Result<(), StudyError> {
        let svg = figure.svg()?;
        put(&format!("{stem}.svg"), svg.as_bytes())?;
        put(&format!("{stem}.png"), &figure.png()?)?;
        drawn.push(Drawn { stem, caption: caption.into(), svg });
        Ok(())
    };
    let configs: Vec<LossConfig> = study.losses.iter().map(|entry| entry.loss.clone()).collect();
    if !planes.is_empty() {
        let euclidean = Plane { panels: planes, view: View::Euclidean };
        draw(
            "plane",
            "Embeddings of two dimensions, of images of the classes learnt, a colour for each. Lines are the class weights; \
             for losses without any (contrastive, triplet) the mean directions.",
            &euclidean,
        )?;
        let angular = Plane { panels: planes, view: View::Angular };
        draw(
            "plane-angles",
            "The same by direction alone, which is all that a comparison by angle sees. Points are spread over a \
             ring so that equal ones can be seen.",
            &angular,
        )?;
    }
    let borders = |axes| Borders { losses: &configs, axes };
    draw(
        "borders-cosine",
        "Borders between two classes by the cosines to both, margins at full strength: in blue what the loss is \
         content to call class 1, in orange class 2, between them the margin. For contrastive and triplet, \"class\" is another image of it.",
        &borders(Axes::Cosine),
    )?;
    draw("borders-angle", "The same by the angles.", &borders(Axes::Angle))?;
    draw(
        "targets",
        "What each loss puts in the place of the target's cosine.",
        &Targets { losses: &configs },
    )?;
    let angles: Vec<(String, [Vec<f32>; 2])> = losses
        .iter()
        .filter_map(|runs| Some((runs.name.clone(), runs.measured.iter().flatten().next()?.angles())))
        .collect();
    draw(
        "angles",
        "Angles between images of one identity and of two, of identities never seen in training, first seed.",
        &Angles { panels: &angles },
    )?;
    let lines: Vec<Line> =
        losses.iter().map(|runs| Line { name: runs.name.clone(), points: runs.curve() }).collect();
    draw(
        "progress",
        "Accuracy on the identities that are validated on, at the best threshold for them, against the time of training; mean over the seeds.",
        &Progress { lines: &lines },
    )?;
    let text = serde_json::to_string_pretty(outcome).expect("plain fields serialize");
    put("study.json", format!("{text}\n").as_bytes())?;
    put("study.csv", csv(outcome).as_bytes())?;
    put("README.md", markdown(outcome, &drawn).as_bytes())?;
    put("index.html", html(outcome, &drawn).as_bytes())
}

/// A figure behind a pointer.
trait Both {
    fn svg(&self) -> Result<String, StudyError>;
    fn png(&self) -> Result<Vec<u8>, StudyError>;
}

impl<F: Figure> Both for F {
    fn svg(&self) -> Result<String, StudyError> {
        Ok(figure::svg(self)?)
    }

    fn png(&self) -> Result<Vec<u8>, StudyError> {
        Ok(figure::png(self)?)
    }
}

fn rows(outcome: &Outcome) -> impl Iterator<Item = &Row> {
    outcome.baselines.iter().chain(&outcome.losses)
}

fn share(e: &Estimate) -> String {
    format!("{:.1} [{:.1}, {:.1}]", 100.0 * e.value, 100.0 * e.low, 100.0 * e.high)
}

/// A share in per cent, without the digits that binary fractions add.
fn percent(share: f64) -> f64 {
    (share * 1e8).round() / 1e6
}

/// The table as text, the first row its head.
pub fn table(outcome: &Outcome) -> Vec<Vec<String>> {
    let head = [
        "loss".to_owned(),
        "accuracy, %".into(),
        format!("TAR at FAR {} %, %", percent(outcome.far)),
        format!("FNIR at FPIR {} %, %", percent(outcome.fpir)),
        "FNIR less softmax, points".into(),
        "same, degrees".into(),
        "different, degrees".into(),
        "training, s".into(),
    ];
    let line = |row: &Row| {
        let left = outcome.seeds as usize - row.diverged.len();
        let mut cells = vec![match row.diverged.len() {
            0 => row.name.clone(),
            _ if left == 0 => row.name.clone(),
            _ => format!("{} ({left} of {} seeds)", row.name, outcome.seeds),
        }];
        match &row.estimates {
            Some(e) => {
                cells.extend([share(&e.accuracy), share(&e.tar), share(&e.fnir)]);
                cells.push(row.fnir_less_softmax.as_ref().map_or(String::new(), share));
                cells.extend([format!("{:.1}", e.intra.value), format!("{:.1}", e.inter.value)]);
            }
            None => cells.extend(["diverged", "", "", "", "", ""].map(str::to_owned)),
        }
        cells.push(if row.seconds > 0.0 { format!("{:.0}", row.seconds) } else { String::new() });
        cells
    };
    std::iter::once(head.to_vec()).chain(rows(outcome).map(line)).collect()
}

/// How the study was made.
fn made(o: &Outcome) -> String {
    let drawn = match o.seeds {
        1 => {
            "by drawing identities again; with one training of each loss, how much trainings differ is not in them"
        }
        _ => "by drawing identities and seeds again (who is enrolled stays as it is)",
    };
    format!(
        "Each loss trained the same backbone ({} parameters) on {} classes with {} images, {} {}. Everything is measured on {} \
         images of {} identities that no training touched. {} of them are enrolled at a time with the others as strangers, {} \
         mated and {} non-mated searches a run. Intervals are 95 %, {drawn}; several losses are compared, each with its own. Times \
         are by the clock, with whatever else the machine did meanwhile.",
        thousands(o.parameters as u64),
        thousands(o.classes as u64),
        thousands(o.images as u64),
        o.seeds,
        if o.seeds == 1 { "seed" } else { "seeds" },
        thousands(o.test_images as u64),
        o.identities,
        o.enrolled,
        thousands(o.searches[0] as u64),
        thousands(o.searches[1] as u64),
    )
}

/// The losses whose margin is one between classes, which the page holds against softmax.
const MARGINS: [&str; 5] = ["sphereface", "cosface", "arcface", "curricularface", "combined"];

/// What the figures say, in sentences.
pub fn verdicts(outcome: &Outcome) -> Vec<String> {
    let mut said = Vec::new();
    said.extend(against_softmax(outcome));
    said.extend(against_baselines(outcome));
    for row in outcome.baselines.iter().chain(&outcome.losses) {
        said.extend(row.diverged.iter().map(|why| format!("{} diverged, {why}", row.name)));
    }
    said
}

fn against_softmax(outcome: &Outcome) -> Option<String> {
    let margins = outcome.losses.iter().filter(|row| MARGINS.contains(&row.name.as_str()));
    let compared: Vec<(&Row, &Estimate)> =
        margins.filter_map(|row| Some((row, row.fnir_less_softmax.as_ref()?))).collect();
    let list = |of: &dyn Fn(&Estimate) -> bool| {
        let those = compared.iter().filter(|(_, e)| of(e));
        those.map(|(row, e)| format!("{} ({} points)", row.name, share(e))).collect::<Vec<_>>().join(", ")
    };
    let groups = [
        ("Lower open-set FNIR than plain softmax", list(&|e| e.high < 0.0)),
        ("Not told apart from it", list(&|e| e.low <= 0.0 && e.high >= 0.0)),
        ("Higher than softmax", list(&|e| e.low > 0.0)),
    ];
    let mut text = String::new();
    if !compared.is_empty() && groups[0].1.is_empty() {
        text.push_str("None of the margin losses compared beats plain softmax on open-set FNIR here. ");
    }
    for (what, names) in groups.iter().filter(|(_, names)| !names.is_empty()) {
        let _ = write!(text, "{what}: {names}. ");
    }
    (!compared.is_empty()).then(|| text.trim_end().to_owned())
}

fn against_baselines(outcome: &Outcome) -> Option<String> {
    let baselines: Vec<&Estimate> =
        outcome.baselines.iter().filter_map(|row| row.estimates.as_ref()).map(|e| &e.fnir).collect();
    if baselines.len() < outcome.baselines.len() {
        return None;
    }
    let trained: Vec<(&str, &Estimate)> = outcome
        .losses
        .iter()
        .filter_map(|row| Some((row.name.as_str(), &row.estimates.as_ref()?.fnir)))
        .collect();
    let not: Vec<&str> = trained
        .iter()
        .filter(|(_, own)| !baselines.iter().all(|other| own.below(other)))
        .map(|(name, _)| *name)
        .collect();
    Some(match not.is_empty() {
        true if trained.len() < outcome.losses.len() => {
            "Every loss that gave a model beats raw pixels and the untrained backbone on open-set FNIR, intervals apart.".into()
        }
        true => "Every loss beats raw pixels and the untrained backbone on open-set FNIR, intervals apart.".into(),
        false => format!(
            "Not clearly below raw pixels and the untrained backbone on open-set FNIR (intervals overlap, or lie above): {}.",
            not.join(", ")
        ),
    })
}

fn csv(outcome: &Outcome) -> String {
    let mut text = String::from("loss");
    for figure in ["accuracy", "tar_at_far", "fnir_at_fpir", "intra_degrees", "inter_degrees"] {
        let _ = write!(text, ",{figure},{figure}_low,{figure}_high");
    }
    text.push_str(",seconds,diverged\n");
    for row in rows(outcome) {
        text.push_str(&row.name);
        match &row.estimates {
            Some(e) => {
                for e in [e.accuracy, e.tar, e.fnir, e.intra, e.inter] {
                    let _ = write!(text, ",{:.5},{:.5},{:.5}", e.value, e.low, e.high);
                }
            }
            None => text.push_str(&",".repeat(15)),
        }
        let _ = writeln!(text, ",{:.1},{}", row.seconds, row.diverged.len());
    }
    text
}

fn markdown(outcome: &Outcome, drawn: &[Drawn]) -> String {
    let mut text = format!(
        "# Losses side by side: {}\n\nMade by `{}`.\n\n{}\n\n",
        outcome.name,
        outcome.command,
        made(outcome)
    );
    for (i, cells) in table(outcome).iter().enumerate() {
        let _ = writeln!(text, "| {} |", cells.join(" | "));
        if i == 0 {
            let _ = writeln!(text, "|---|{}", "---:|".repeat(cells.len() - 1));
        }
    }
    for said in verdicts(outcome) {
        let _ = write!(text, "\n{said}\n");
    }
    text.push_str("\nWhat each loss was told:\n\n");
    for row in &outcome.losses {
        let settings = if row.settings.is_empty() { "nothing" } else { &row.settings };
        let _ = writeln!(text, "- {}: {settings}", row.name);
    }
    for Drawn { stem, caption, .. } in drawn {
        let _ = write!(text, "\n{caption}\n\n![{stem}]({stem}.png)\n");
    }
    text
}

fn html(outcome: &Outcome, drawn: &[Drawn]) -> String {
    let mut page = Page::new(&format!("Losses side by side: {}", outcome.name));
    page.paragraph("Made by").code(&outcome.command);
    page.paragraph(&made(outcome)).table(&table(outcome));
    for said in verdicts(outcome) {
        page.paragraph(&said);
    }
    page.heading("What each loss was told");
    let told = outcome.losses.iter().map(|row| vec![row.name.clone(), row.settings.clone()]);
    page.table(&std::iter::once(vec!["loss".into(), "settings".into()]).chain(told).collect::<Vec<_>>());
    page.heading("Figures");
    for Drawn { caption, svg, .. } in drawn {
        page.paragraph(caption).svg(svg);
    }
    page.html()
}
