//! `arcgate enroll`.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::findings::{finding_json, finding_text, limits_text, near_json};
use super::gallery::confirmed;
use super::people::{ModelArg, degrees};
use super::shared::FaceArgs;
use crate::data::ImageSet;
use crate::enroll::review::{Limits, Review};
use crate::enroll::{self, PersonPhotos, Survey};
use crate::link::Target;
use crate::photo::PhotoError;
use crate::ui::{Ui, thousands};

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
    #[arg(long, value_name = "TARGET")]
    to: Target,
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
    let model = args.model.for_target(&args.to)?;
    let mut place = enroll::open_copy(&args.to, model.as_ref())?;
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

    if let Target::File(_) = &args.to {
        place = enroll::open(&args.to, model.as_ref())?;
    }
    let bar = ui.progress("enrolling", "photographs", survey.templates() as u64);
    let summary = enroll::enroll(&mut place, &survey, &finder, |_| bar.inc(1))?;
    bar.finish_and_clear();
    let usage = place.client().info()?.usage;
    if !ui.json {
        ui.say(format!(
            "enrolled {} templates of {} people; {} now holds {} people with {} templates",
            thousands(summary.templates as u64),
            thousands(summary.people as u64),
            args.to,
            thousands(usage.people as u64),
            thousands(usage.templates as u64),
        ));
        ui.note(format!("next:   arcgate identify PHOTO --to {}", args.to));
    }
    report["people"] = json!(summary.people);
    report["templates"] = json!(summary.templates);
    report["total_people"] = json!(usage.people);
    report["total_templates"] = json!(usage.templates);
    ui.json(&report);
    Ok(if nobody.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Names the photographs and people that give no template, and the photographs with several faces.
fn name_unused(survey: &Survey, ui: &Ui) {
    for (_, why) in &survey.left_out {
        ui.note(format!("left out: {why}"));
    }
    for (path, others) in &survey.others {
        let faces = if *others == 1 { "face" } else { "faces" };
        ui.note(format!(
            "{}: {others} other {faces}; the large one near the centre was taken",
            path.display()
        ));
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
