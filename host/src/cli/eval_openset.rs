//! `arcgate eval openset`.

use std::path::PathBuf;

use rayon::prelude::*;
use serde_json::{Value, json};

use super::measured::Measured;
use super::shared;
use crate::data::ImageSet;
use crate::eval::bootstrap::{Draw, draws, interval95};
use crate::eval::embed::{Embedded, Engine, NoFace, embed_set};
use crate::eval::gallery::unit;
use crate::eval::identification::{Searches, Trials};
use crate::photo::Finder;
use crate::ui::{Ui, table, thousands};

/// Draws of identities for an interval.
const DRAWS: usize = 1000;

/// Open-set identification: who is it, or nobody enrolled? Some identities of a folder are enrolled, the others are strangers.
///
/// FNIR is the share of mated searches that do not find their own identity above the threshold, FPIR that of non-mated searches
/// that find anybody. In the JSON object: fnir_at_fpir, fpir, threshold_degrees; with --float also float {...} and fnir_less_float;
/// NAME_95 is an interval by drawing identities again, the same ones for both models.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Folder per identity: DIR/NAME/*.jpg; DIR/landmarks.csv is used when it is there.
    dir: PathBuf,
    #[command(flatten)]
    measured: Measured,
    /// Identities enrolled at a time [default: half of those with enough images].
    #[arg(long, value_name = "N")]
    enrolled: Option<usize>,
    /// Images enrolled of each.
    #[arg(long, value_name = "N", default_value_t = 1)]
    templates: usize,
    /// Galleries drawn.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = 1..=1000)]
    galleries: i64,
    /// The share of non-mated searches that may find anybody.
    #[arg(long, value_name = "RATE", default_value_t = 0.01, value_parser = parse_rate)]
    fpir: f64,
    /// Draws galleries.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn parse_rate(text: &str) -> Result<f64, String> {
    let rate = text.parse::<f64>().map_err(|e| e.to_string())?;
    if rate > 0.0 && rate < 1.0 { Ok(rate) } else { Err("accepted: more than 0 and less than 1".into()) }
}

/// Runs the command.
///
/// # Errors
/// When the model or the folder cannot be used, or has too few identities.
pub fn run(args: &Args, ui: &Ui) -> anyhow::Result<()> {
    let set = ImageSet::open(&args.dir)?;
    let (engines, info) = args.measured.engines()?;
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

    let able = |person: &&Vec<usize>| {
        person.iter().filter(|image| embedded.vectors.contains_key(image)).count() > args.templates
    };
    let enrolled = args.enrolled.unwrap_or(of_person.iter().filter(able).count() / 2);
    let trials =
        Trials { enrolled, templates: args.templates, galleries: args.galleries as usize, seed: args.seed };
    let searches = (0..engines.len()).map(|at| {
        let (vectors, identities) = units(&embedded, &of_person, at);
        Searches::run(&vectors, &identities, &trials).map_err(anyhow::Error::from)
    });
    let searches: Vec<Searches> = searches.collect::<Result<_, _>>()?;
    tell(args, &of_person, &embedded, (enrolled, &searches), ui);
    Ok(())
}

/// Unit embeddings by engine `at` with the number of each one's identity.
fn units(embedded: &Embedded, of_person: &[Vec<usize>], at: usize) -> (Vec<Vec<f32>>, Vec<usize>) {
    let (mut vectors, mut identities, mut number) = (Vec::new(), Vec::new(), 0);
    for person in of_person {
        let own = person.iter().filter_map(|image| embedded.vectors.get(image)?.get(at));
        let before = vectors.len();
        vectors.extend(own.cloned().map(unit));
        identities.resize(vectors.len(), number);
        // Numbers have no gaps, whoever is left out.
        number += usize::from(vectors.len() > before);
    }
    (vectors, identities)
}

fn tell(
    args: &Args,
    of_person: &[Vec<usize>],
    embedded: &Embedded,
    (enrolled, searches): (usize, &[Searches]),
    ui: &Ui,
) {
    let shown = |p: &&Vec<usize>| p.iter().any(|image| embedded.vectors.contains_key(image));
    let people = of_person.iter().filter(shown).count();
    let fnir = |at: usize, weights: &[f64]| searches[at].rates(args.fpir, weights).fnir;
    let drawn = draws(1, people, DRAWS, 1);
    let each = |draw: &Draw| -> Vec<f64> { (0..searches.len()).map(|at| fnir(at, &draw.weights)).collect() };
    let again: Vec<Vec<f64>> = drawn.par_iter().map(each).collect();
    let plain = vec![1.0; people];
    let [mated, non_mated] = searches[0].count();
    ui.say(format!(
        "{}: {} of {} identities enrolled with {} each, {} mated and {} non-mated searches in {} galleries, model {}",
        args.dir.display(),
        thousands(enrolled as u64),
        thousands(people as u64),
        if args.templates == 1 { "one image".into() } else { format!("{} images", args.templates) },
        thousands(mated as u64),
        thousands(non_mated as u64),
        args.galleries,
        shared::file_name(&args.measured.model)
    ));
    let share = |value: f64, interval: Option<(f64, f64)>| {
        let interval =
            interval.map_or(String::new(), |(lo, hi)| format!(" [{:.2}, {:.2}]", 100.0 * lo, 100.0 * hi));
        format!("{:.2}{interval}", 100.0 * value)
    };
    let head = ["", &format!("FNIR at FPIR {} %, %", 100.0 * args.fpir), "FPIR, %", "threshold, degrees"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    let names = [args.measured.engine_name(), "float"];
    let mut found: Vec<Value> = Vec::new();
    for (at, name) in names.iter().enumerate().take(searches.len()) {
        let rates = searches[at].rates(args.fpir, &plain);
        let interval = interval95(again.iter().map(|draw| draw[at]).collect());
        let degrees = f64::from(rates.threshold).clamp(-1.0, 1.0).acos().to_degrees();
        rows.push(vec![
            (*name).to_owned(),
            share(rates.fnir, interval),
            format!("{:.2}", 100.0 * rates.fpir),
            format!("{degrees:.1}"),
        ]);
        found.push(json!({
            "fnir_at_fpir": rates.fnir, "fnir_at_fpir_95": interval.map(|(lo, hi)| [lo, hi]), "fpir": rates.fpir,
            "threshold_degrees": degrees,
        }));
    }
    ui.say(table(&rows).trim_end());
    let mut out = found[0].clone();
    if searches.len() > 1 {
        let less = fnir(0, &plain) - fnir(1, &plain);
        let interval = interval95(again.iter().map(|draw| draw[0] - draw[1]).collect());
        ui.say(format!("FNIR less the float model's, on the same draws: {} points", share(less, interval)));
        out["float"] = found[1].clone();
        (out["fnir_less_float"], out["fnir_less_float_95"]) =
            (json!(less), json!(interval.map(|(lo, hi)| [lo, hi])));
    }
    for (key, value) in [
        ("model", json!(args.measured.model.display().to_string())),
        ("engine", json!(args.measured.engine_name())),
        ("identities", json!(people)),
        ("enrolled", json!(enrolled)),
        ("mated", json!(mated)),
        ("non_mated", json!(non_mated)),
        ("images", json!(embedded.vectors.len())),
        ("left_out", json!(embedded.left_out.len())),
    ] {
        out[key] = value;
    }
    ui.json(&out);
}
