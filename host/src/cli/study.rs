//! `arcgate study`.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;

use super::shared;
use crate::study::{self, Row, Study};
use crate::train::Place;
use crate::ui::{Ui, table};

/// The losses side by side: the same backbone, data, seeds and budget under every one of them.
///
/// Goes on where it was stopped. In the folder lie afterwards index.html (everything on one page), README.md, study.json,
/// study.csv, each figure as .svg and .png, and the trainings in runs/.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The study (TOML); its fields are documented in models/recipes/README.md. When absent, the built-in one on Omniglot's
    /// characters, about half an hour on two cores.
    #[arg(conflicts_with = "quick")]
    study: Option<PathBuf>,
    /// The built-in study on synthetic portraits: a minute or two, one seed.
    #[arg(long)]
    quick: bool,
    /// Where everything goes [default: target/study].
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Trainings of each loss, in the place of what the study says.
    #[arg(long, value_name = "N")]
    seeds: Option<u64>,
    /// Only these of its losses, e.g. softmax,arcface.
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    losses: Vec<String>,
    /// Begin anew: the trainings in the folder are deleted.
    #[arg(long)]
    restart: bool,
    /// Where it trains.
    #[arg(long, value_enum, default_value_t)]
    device: Place,
}

/// Runs the command.
///
/// # Errors
/// A study, image or folder that cannot be used, or Ctrl-C.
pub fn run(args: &Args, ui: &Ui) -> anyhow::Result<ExitCode> {
    let mut study = match &args.study {
        Some(path) => Study::read(path)?,
        None if args.quick => Study::quick(),
        None => Study::omniglot(),
    };
    study.seeds = args.seeds.unwrap_or(study.seeds);
    choose(&mut study, &args.losses)?;
    study.check().map_err(anyhow::Error::msg)?;
    let folder = args.output.clone().unwrap_or_else(|| PathBuf::from("target/study"));
    if args.restart {
        study::forget(&folder)?;
    }
    let stop = shared::stop_flag();
    shared::name_device(ui, args.device)?;
    let outcome = study::run(&study, &folder, args.device, &command(args), ui, &stop)?;
    ui.say(table(&study::table(&outcome)).trim_end());
    for said in study::verdicts(&outcome) {
        ui.say(said);
    }
    let page = folder.join("index.html");
    ui.note(format!("report: {}", page.display()));
    ui.json(&json!({
        "study": outcome.name, "seeds": outcome.seeds, "images": outcome.images, "classes": outcome.classes,
        "identities": outcome.identities, "fpir": outcome.fpir, "far": outcome.far, "report": page,
        "training_seconds": outcome.training_seconds,
        "baselines": outcome.baselines.iter().map(json_row).collect::<Vec<_>>(),
        "losses": outcome.losses.iter().map(json_row).collect::<Vec<_>>(),
    }));
    Ok(ExitCode::SUCCESS)
}

/// What decides the outcome, as it would be typed.
fn command(args: &Args) -> String {
    let mut words = vec!["arcgate study".to_owned()];
    words.extend(args.study.as_ref().map(|path| path.display().to_string()));
    words.extend(args.quick.then(|| "--quick".into()));
    words.extend(args.seeds.map(|seeds| format!("--seeds {seeds}")));
    words.extend((!args.losses.is_empty()).then(|| format!("--losses {}", args.losses.join(","))));
    words.extend((args.device == Place::Gpu).then(|| "--device gpu".into()));
    words.push("-o DIR".into());
    words.join(" ")
}

/// Keeps the losses that were named.
fn choose(study: &mut Study, names: &[String]) -> anyhow::Result<()> {
    let known: Vec<&str> = study.losses.iter().map(|entry| entry.loss.name()).collect();
    if let Some(unknown) = names.iter().find(|name| !known.contains(&name.as_str())) {
        anyhow::bail!("--losses {unknown}\n  accepted: {}", known.join(", "));
    }
    study.losses.retain(|entry| names.is_empty() || names.iter().any(|name| name == entry.loss.name()));
    Ok(())
}

fn json_row(row: &Row) -> serde_json::Value {
    let e = row.estimates.as_ref();
    let interval = |e: Option<&study::Estimate>| e.map(|e| [e.low, e.high]);
    json!({
        "loss": row.name, "settings": row.settings,
        "accuracy": e.map(|e| e.accuracy.value), "accuracy_95": interval(e.map(|e| &e.accuracy)),
        "tar_at_far": e.map(|e| e.tar.value), "tar_at_far_95": interval(e.map(|e| &e.tar)),
        "fnir_at_fpir": e.map(|e| e.fnir.value), "fnir_at_fpir_95": interval(e.map(|e| &e.fnir)),
        "fnir_less_softmax": row.fnir_less_softmax.map(|e| e.value),
        "fnir_less_softmax_95": interval(row.fnir_less_softmax.as_ref()),
        "intra_degrees": e.map(|e| e.intra.value), "inter_degrees": e.map(|e| e.inter.value),
        "seconds": row.seconds, "diverged": !row.diverged.is_empty(), "causes": row.diverged,
    })
}
