//! `arcgate eval identification`.

use std::path::PathBuf;

use anyhow::Context;
use arcgate_firmware::model::thresholds::Scope;
use serde_json::{Value, json};

use super::identification_sides::{People, Sides, Transformed};
use super::identification_tables::{Case, Held, Row, tell_cases, tell_rows, tell_splits, write};
use super::measured::Measured;
use super::shared;
use crate::data::{self, ImageSet};
use crate::eval::bootstrap::{Draw, draws};
use crate::eval::embed::{Engine, NoFace, embed_set};
use crate::eval::errata;
use crate::eval::gallery::Vector;
use crate::eval::identification::{TrialError, Trials};
use crate::eval::splits::{self, Asked};
use crate::photo::Finder;
use crate::ui::{Ui, thousands};

/// Draws of identities for an interval.
const DRAWS: usize = 300;

/// Open-set identification as NIST reports it: who is it, or nobody enrolled?
///
/// FNIR is the share of mated searches that do not find their own identity first and within the threshold, FPIR that of
/// non-mated searches that find anybody. In the JSON object `rows` has for each n (people enrolled), k (images of each) and
/// fpir_target: fpir, fnir and the ends of their 95 % intervals, by drawing identities again; with --float also those of the float
/// model; with a model that has thresholds also what its table gives; with --transform both what a gallery's transform changes, and the
/// largest change among nine draws of transforms. On LFW `rows_corrected` and
/// `splits_corrected` leave out photographs whose labels are known to be wrong, which are listed.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Folder per identity: DIR/NAME/*.jpg; DIR/landmarks.csv is used when it is there [default: lfw in $ARCGATE_DATA].
    dir: Option<PathBuf>,
    #[command(flatten)]
    measured: Measured,
    /// Identities enrolled at a time; those that the folder has too few identities for are left out.
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [50, 100, 420, 1600])]
    enrolled: Vec<usize>,
    /// Images enrolled of each.
    #[arg(long, value_name = "K", value_delimiter = ',', default_values_t = [1, 3])]
    templates: Vec<usize>,
    /// The shares of non-mated searches that may find anybody.
    #[arg(long, value_name = "RATE", value_delimiter = ',', default_values_t = [0.001, 0.003, 0.01, 0.1], value_parser = shared::rate::<f64>)]
    fpir: Vec<f64>,
    /// Galleries drawn for each number of people.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
    galleries: u16,
    /// Images of each identity that search a gallery, at most.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    probes: u16,
    /// Whether int8 embeddings are compared behind a gallery's revocable transform.
    #[arg(long, value_enum, default_value_t = Transformed::On)]
    transform: Transformed,
    /// Splits the identities so many times in two halves by lot, makes thresholds from one and measures FPIR with them on the other.
    #[arg(long, value_name = "N", default_value_t = 0)]
    splits: usize,
    /// Draws galleries, their transforms and splits.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// A folder for tables (CSV) and curves (SVG, PNG).
    #[arg(long, short, value_name = "DIR")]
    output: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// When the model or the folder cannot be used, or has too few identities.
pub fn run(args: &Args, ui: &Ui) -> anyhow::Result<()> {
    let dir = args.dir.clone().unwrap_or_else(|| data::default_root().join("lfw"));
    let set = ImageSet::open(&dir)?;
    let (engines, info) = args.measured.engines()?;
    anyhow::ensure!(
        args.transform != Transformed::Both || matches!(engines[0], Engine::Int8(..)),
        "a gallery transforms int8 embeddings, and --engine float gives none\n  accepted: --engine plan or tract with --transform both"
    );
    let faces = &args.measured.faces;
    let finder = Finder::new(faces.detector()?, faces.landmarks_or(set.landmarks.clone())?);
    let of_person: Vec<Vec<usize>> = set.identities().into_iter().map(|identity| identity.images).collect();
    let images: Vec<usize> = of_person.concat();
    let bar = ui.progress("embedding", "images", images.len() as u64);
    let each: Vec<&Engine> = engines.iter().collect();
    let embedded = embed_set(&set, &images, (&finder, NoFace::LeaveOut), &info, &each, || bar.inc(1))?;
    bar.finish_and_clear();
    shared::name_left_out(ui, &embedded.left_out);
    anyhow::ensure!(embedded.is_finite(), "the model gives embeddings that are not finite");

    let wrong = |image: usize| {
        let name = set.images[image].file_name()?.to_str()?;
        errata::lfw(name).map(|why| (name.to_owned(), why))
    };
    let all = People::new(&of_person, &embedded, &engines, |_| true);
    let errors: Vec<(String, &str)> = images.iter().filter_map(|&image| wrong(image)).collect();
    let (cases, refused) = measure(args, &engines, &all, ui);
    if let Some(why) = refused.filter(|_| cases.is_empty()) {
        return Err(why.into());
    }
    let failed = embedded.left_out.len() + all.zeros();
    let bytes = all.own.first().map_or(0, Vector::bytes);
    ui.say(format!(
        "{}: {} identities, {} images, engine {}, model {}",
        dir.display(),
        thousands(all.number as u64),
        thousands(images.len() as u64),
        args.measured.engine_name(),
        shared::file_name(&args.measured.model)
    ));
    ui.say(format!(
        "failure to enrol: {failed} of {} images ({:.2} %); a template has {bytes} bytes",
        thousands(images.len() as u64),
        100.0 * failed as f64 / images.len().max(1) as f64
    ));
    tell_cases(&cases, ui);
    tell_rows("", &cases, ui);
    let (mut corrected, mut held_corrected) = (Vec::new(), Vec::new());
    if !errors.is_empty() {
        let part = People::new(&of_person, &embedded, &engines, |image| wrong(image).is_none());
        corrected = measure(args, &engines, &part, ui).0;
        held_corrected = hold(args, &part, ui)?;
        tell_rows(
            &format!(" without {} images whose labels are known to be wrong", errors.len()),
            &corrected,
            ui,
        );
        errors.iter().for_each(|(name, why)| ui.say(format!("  {name}: {why}")));
    }
    let held = hold(args, &all, ui)?;
    tell_splits("", &held, ui);
    tell_splits(" without these images", &held_corrected, ui);
    if let Some(folder) = &args.output {
        write(folder, [&cases, &corrected], [&held, &held_corrected])
            .with_context(|| folder.display().to_string())?;
        ui.say(format!("tables and curves: {}", folder.display()));
    }
    let rows =
        |cases: &[Case]| cases.iter().flat_map(|case| case.rows.iter().map(Row::json)).collect::<Value>();
    ui.json(&json!({
        "model": args.measured.model,
        "engine": args.measured.engine_name(),
        "transform": args.transform.json(&engines),
        "identities": all.number,
        "images": images.len(),
        "left_out": embedded.left_out.len(),
        "failure_to_enrol": failed as f64 / images.len().max(1) as f64,
        "template_bytes": bytes,
        "rows": rows(&cases),
        "rows_corrected": rows(&corrected),
        "label_errors": errors.iter().map(|(name, why)| json!({"image": name, "label": why})).collect::<Value>(),
        "galleries": cases.iter().map(Case::json).collect::<Value>(),
        "splits": held.iter().map(Held::json).collect::<Value>(),
        "splits_corrected": held_corrected.iter().map(Held::json).collect::<Value>(),
    }));
    Ok(())
}

/// Every number of people with every number of images that there are enough identities for, and why the last of the others is not.
fn measure(args: &Args, engines: &[Engine], people: &People, ui: &Ui) -> (Vec<Case>, Option<TrialError>) {
    let (mut cases, mut refused) = (Vec::new(), None);
    let drawn = draws(1, people.number, DRAWS, args.seed);
    let bar = ui.progress("searching", "galleries", (args.enrolled.len() * args.templates.len()) as u64);
    for (&templates, &enrolled) in
        args.templates.iter().flat_map(|k| args.enrolled.iter().map(move |n| (k, n)))
    {
        let (galleries, probes) = (args.galleries.into(), args.probes.into());
        let (seed, transform) = (args.seed, args.transform.seed(args.seed));
        let trials = Trials { enrolled, templates, galleries, probes, seed, transform };
        match Sides::run(people, &trials, args.transform) {
            Ok(searches) => cases.push(case(args, engines, &trials, &searches, (people.number, &drawn))),
            Err(why) => refused = Some(why),
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    (cases, refused)
}

/// The figures of one size of gallery.
fn case(
    args: &Args,
    engines: &[Engine],
    trials: &Trials,
    searches: &Sides,
    (people, drawn): (usize, &[Draw]),
) -> Case {
    let table = match &engines[0] {
        Engine::Int8(model, _) => model.thresholds(),
        Engine::Float(_) => None,
    };
    let rows = args.fpir.iter().map(|&target| {
        let bar = table.and_then(|table| {
            let templates = (trials.enrolled * trials.templates) as u32;
            table.lookup(table.counted(trials.enrolled as u32, templates), target as f32, Scope::Frame)
        });
        Row::new((trials.enrolled, trials.templates, target), searches, bar, (people, drawn))
    });
    Case::new(trials, &searches.own, rows.collect())
}

/// Thresholds from one half of the people held against searches on the other.
fn hold(args: &Args, people: &People, ui: &Ui) -> anyhow::Result<Vec<Held>> {
    if args.splits == 0 {
        return Ok(Vec::new());
    }
    let bar = ui.progress("splitting", "splits", args.splits as u64);
    let (galleries, probes) = (args.galleries.into(), args.probes.into());
    let (seed, transform) = (args.seed, args.transform.seed(args.seed));
    let trials = Trials { enrolled: 0, templates: 1, galleries, probes, seed, transform };
    let asked = Asked { sizes: &args.enrolled, templates: &args.templates, rates: &args.fpir };
    let (vectors, splits) = ((&people.own[..], &people.of_vector[..]), (args.splits, &trials));
    let rows = splits::splits(vectors, &asked, splits, || bar.inc(1))?;
    bar.finish_and_clear();
    Ok(rows.iter().map(Held::new).collect())
}
