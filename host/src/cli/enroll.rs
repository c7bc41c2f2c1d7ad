//! `arcgate enroll`.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use serde_json::{Value, json};

use super::clock;
use super::findings::{finding_json, finding_text, limits_text, near_json};
use super::gallery::confirmed;
use super::people::{KeyArg, ModelArg, degrees};
use super::shared::FaceArgs;
use super::signer::SignerArg;
use crate::data::ImageSet;
use crate::enroll::review::{Limits, Review};
use crate::enroll::{self, PersonPhotos, Place, Survey};
use crate::link::Target;
use crate::onnx::metadata::hex;
use crate::photo::{Finder, PhotoError};
use crate::ui::{Ui, thousands};
use crate::{bundle, disk};

/// Photographs -> people in a gallery file or on a device.
///
/// Looks at every photograph before it writes anything, and lists photographs that seem to be of somebody else, one person under two
/// names, people whom the device could confuse, and pictures that are there twice.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// A folder with a folder of photographs for each person; with --name, the photographs of that one.
    #[arg(required = true, value_name = "DIR|PHOTO")]
    photos: Vec<PathBuf>,
    /// Where to keep them: a gallery file (made if it is not there), tcp:HOST:PORT, or a serial port.
    #[arg(long, value_name = "TARGET", required_unless_present = "output", conflicts_with = "signer")]
    to: Option<Target>,
    /// Make a bundle for the device with --device-key instead, signed, for `arcgate gallery restore`.
    #[arg(long, short, value_name = "BUNDLE", conflicts_with = "to", requires = "signer")]
    output: Option<PathBuf>,
    #[command(flatten)]
    signer: SignerArg,
    /// The bundle's version, which only goes up: a device that took it takes no lower one any more [default: the seconds since 1970].
    #[arg(long, value_name = "NUMBER", requires = "output", value_parser = clap::value_parser!(u32).range(1..u32::MAX.into()))]
    bundle_version: Option<u32>,
    #[command(flatten)]
    key: KeyArg,
    /// Whose photographs they are. Somebody enrolled under this name gets more templates.
    #[arg(long)]
    name: Option<String>,
    /// Look at the photographs, list what is wrong with them and write nothing.
    #[arg(long, conflicts_with = "accept_findings")]
    check: bool,
    /// Enroll whatever is found; without it findings are asked about on a terminal, and stop the command elsewhere.
    #[arg(long)]
    accept_findings: bool,
    #[command(flatten)]
    model: ModelArg,
    #[command(flatten)]
    finder: FaceArgs,
}

/// Runs the command. Exit code 1 when somebody named got no template, or findings stopped it; with `--check`, when there are any.
///
/// # Errors
/// Whatever stopped it, in words for people.
pub fn run(args: Args, ui: &Ui) -> anyhow::Result<ExitCode> {
    if let Some(output) = &args.output {
        let read = args.photos.iter().chain(&args.signer.key).chain(args.key.file()).chain(&args.model.model);
        super::shared::keep(output, read.chain(args.finder.files()))?;
    }
    let mut beside = None;
    let people = match (&args.name, &args.photos[..]) {
        (Some(name), photos) => vec![PersonPhotos { name: name.clone(), photos: photos.to_vec() }],
        (None, [folder]) if folder.is_dir() => {
            let mut set = ImageSet::open(folder)?;
            beside = set.landmarks.take();
            enroll::in_folder(&set)?
        }
        _ => anyhow::bail!(
            "whose photographs are these?\n  accepted: --name NAME PHOTO..., or one DIR with DIR/NAME/*.jpg"
        ),
    };
    let finder = args.finder.finder(beside)?;
    let (model, mut place) = match &args.to {
        Some(to) => {
            let model = args.model.for_target(to)?;
            let place = enroll::open_copy(to, model.as_ref(), args.key.secret_for(to)?)?;
            (model, place)
        }
        None => {
            let model = args.model.open()?;
            let place = enroll::nowhere(&model)?;
            (Some(model), place)
        }
    };
    let photos: u64 = people.iter().map(|p| p.photos.len() as u64).sum();
    let bar = ui.progress("looking", "photographs", photos);
    let survey = enroll::survey(&mut place, people, &finder, |_| bar.inc(1))?;
    bar.finish_and_clear();
    name_unused(&survey, ui);

    let limits = survey.limits(&place, model.as_ref());
    let review = survey.review(&limits);
    list(&review, &limits, ui);
    if args.check && review.findings.is_empty() && !ui.json {
        ui.say(format!("{} photographs, no findings; nothing was written", thousands(photos)));
    }
    let nobody = survey.nobody();
    let found = !review.findings.is_empty();
    let mut report = report(&survey, &review, &limits);
    if args.check || found && !args.accept_findings && !go_on(&review, ui)? {
        ui.json(&report);
        let clean = args.check && !found && nobody.is_empty();
        return Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }

    let done = match (&args.to, &args.output) {
        (Some(to), _) => {
            if let Target::File(_) = to {
                place = enroll::open_with(to, model.as_ref(), args.key.secret()?)?;
            }
            let (usage, needed) = (place.info().usage, survey.records() as u32);
            let free = usage.record_capacity.saturating_sub(usage.records);
            anyhow::ensure!(
                needed <= free,
                "{to} has room for {free} records more, these photographs take {needed}; nobody was enrolled\n  accepted: fewer photographs of each, or people removed (arcgate gallery remove)"
            );
            write(to, &mut place, &survey, &finder, ui)?
        }
        (None, Some(output)) => bundle(output, &args, &place, &survey, ui)?,
        (None, None) => anyhow::bail!("accepted: --to TARGET, or -o BUNDLE"),
    };
    done.into_iter().for_each(|(field, value)| report[field] = value);
    ui.json(&report);
    Ok(if nobody.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Enrolls what was looked at; fields for the report.
fn write(
    to: &Target,
    place: &mut Place,
    survey: &Survey,
    finder: &Finder,
    ui: &Ui,
) -> anyhow::Result<Vec<(&'static str, Value)>> {
    let bar = ui.progress("enrolling", "photographs", survey.templates() as u64);
    let summary = enroll::enroll(place, survey, finder, |_| bar.inc(1))?;
    bar.finish_and_clear();
    let usage = place.client().info()?.usage;
    if !ui.json {
        ui.say(format!(
            "enrolled {} templates of {} people; {} now holds {} people with {} templates",
            thousands(summary.templates as u64),
            thousands(summary.people as u64),
            to,
            thousands(usage.people as u64),
            thousands(usage.templates as u64),
        ));
        ui.note(format!("next:   arcgate identify PHOTO --to {to}"));
    }
    Ok(vec![
        ("people", json!(summary.people)),
        ("templates", json!(summary.templates)),
        ("total_people", json!(usage.people)),
        ("total_templates", json!(usage.templates)),
    ])
}

/// Signs what was looked at and seals it into a bundle; fields for the report.
fn bundle(
    output: &Path,
    args: &Args,
    place: &Place,
    survey: &Survey,
    ui: &Ui,
) -> anyhow::Result<Vec<(&'static str, Value)>> {
    let people = survey.embeddings();
    anyhow::ensure!(!people.is_empty(), "no photograph gives a template, so there is nothing to seal");
    let (signer, key) = (args.signer.read()?, args.key.read()?.bundle());
    let version =
        args.bundle_version.unwrap_or_else(|| u32::try_from(clock::now().0).unwrap_or(u32::MAX - 1));
    let bytes = bundle::enrolment(&key, &signer, version, place.model(), &people)?;
    let signer = hex(&signer.public().0);
    disk::replace(output, &bytes).with_context(|| format!("cannot write {}", output.display()))?;
    if !ui.json {
        ui.say(format!(
            "{}: {} people with {} templates, {} bytes",
            output.display(),
            thousands(people.len() as u64),
            thousands(survey.templates() as u64),
            thousands(bytes.len() as u64),
        ));
        ui.say(format!("  version {version}, signed with {signer}"));
        if !args.key.is_given() {
            ui.note("sealed with the key that is in the software: whoever has the file can read it");
        }
        ui.note(format!("next:   arcgate gallery restore {} --to TARGET", output.display()));
    }
    Ok(vec![
        ("people", json!(people.len())),
        ("templates", json!(survey.templates())),
        ("file", json!(output)),
        ("bytes", json!(bytes.len())),
        ("version", json!(version)),
        ("signer", json!(signer)),
    ])
}

/// Names the photographs and people that give no template, and the photographs with several faces.
fn name_unused(survey: &Survey, ui: &Ui) {
    for (_, why) in &survey.left_out {
        ui.note(format!("left out: {why}"));
    }
    for (path, others) in &survey.others {
        let faces = if *others == 1 { "face" } else { "faces" };
        ui.note(format!("{}: {others} other {faces}; the largest was taken", path.display()));
    }
    for name in survey.nobody() {
        ui.note(format!("not enrolled: {name}, none of whose photographs shows a face well enough"));
    }
}

/// Lists the findings.
fn list(review: &Review, limits: &Limits, ui: &Ui) {
    ui.note(limits_text(limits));
    for finding in review.findings.iter().filter(|_| !ui.json) {
        ui.say(finding_text(finding));
    }
    if !review.near.is_empty() {
        ui.note(format!(
            "{} pairs of people have photographs within the threshold, and their own nearer",
            thousands(review.near.len() as u64)
        ));
    }
    for near in review.near.iter().filter(|_| ui.verbose) {
        ui.note(format!("near: {} and {}, {} degrees", near.names[0], near.names[1], near.angle));
    }
}

/// Asks whether to enroll in spite of the findings; without a terminal: no.
fn go_on(review: &Review, ui: &Ui) -> anyhow::Result<bool> {
    let found = review.findings.len();
    let findings = if found == 1 { "1 finding".to_owned() } else { format!("{found} findings") };
    if std::io::stdin().is_terminal() && confirmed(&format!("{findings}. Enroll all the same?"))? {
        return Ok(true);
    }
    ui.note(format!(
        "{findings}, so nobody was enrolled\n  accepted: photographs put right, or --accept-findings to enroll all the same"
    ));
    Ok(false)
}

/// What was looked at and found; nobody is enrolled yet.
fn report(survey: &Survey, review: &Review, limits: &Limits) -> Value {
    let left_out = |(path, why): &(PathBuf, PhotoError)| json!({"photo": path, "why": why.to_string()});
    json!({
        "people": 0,
        "templates": 0,
        "left_out": survey.left_out.iter().map(left_out).collect::<Vec<_>>(),
        "not_enrolled": survey.nobody(),
        "findings": review.findings.iter().map(finding_json).collect::<Vec<_>>(),
        "near": review.near.iter().map(near_json).collect::<Vec<_>>(),
        "threshold_one_person": limits.one.map(degrees),
        "threshold_everybody": limits.all.map(degrees),
    })
}
