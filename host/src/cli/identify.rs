//! `arcgate identify`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use arcgate_firmware::link::answer::Answer;
use serde_json::json;

use super::people::{KeyArg, ModelArg, answer_json, answer_text, degrees};
use super::shared::FaceArgs;
use super::{EXIT_REJECTED, EXIT_UNKNOWN, told};
use crate::enroll::{self, Place, Sending};
use crate::link::Target;
use crate::photo::{Finder, Photo, PhotoError};
use crate::ui::Ui;

/// Who is in a photograph: a name or unknown.
///
/// Exit codes: 0 everybody is known, 1 a photograph could not be read, 10 somebody is unknown, 11 a photograph was rejected (it
/// shows no face, or one that is too small, turned away, blurred, dark or glaring).
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The photographs.
    #[arg(required = true, value_name = "PHOTO")]
    photos: Vec<PathBuf>,
    /// Where people are enrolled: a gallery file, tcp:HOST:PORT, or a serial port.
    #[arg(long, visible_alias = "port", value_name = "TARGET")]
    to: Target,
    #[command(flatten)]
    key: KeyArg,
    #[command(flatten)]
    model: ModelArg,
    #[command(flatten)]
    finder: FaceArgs,
}

/// Runs the command.
///
/// # Errors
/// Whatever stopped it, in words for people.
pub fn run(args: Args, ui: &Ui) -> anyhow::Result<ExitCode> {
    if let Target::File(path) = &args.to {
        anyhow::ensure!(
            path.exists(),
            "{}: no such gallery file; `arcgate enroll` makes one",
            path.display()
        );
    }
    let finder = args.finder.finder(None)?;
    let model = args.model.for_target(&args.to)?;
    let mut place = enroll::open_with(&args.to, model.as_ref(), args.key.secret_for(&args.to)?)?;
    let (shown, mut bar) = (*ui, None);
    place.tell_sent(move |sent, of| {
        let bar_of_it = bar.get_or_insert_with(|| shown.progress("sending", "bytes", of));
        bar_of_it.set_position(sent);
        if sent >= of {
            bar_of_it.finish_and_clear();
            bar = None;
        }
    });
    let threshold = place.info().threshold;
    let people = place.info().usage.people;
    let (mut results, mut worst, mut failed) = (Vec::new(), 0, false);
    for path in &args.photos {
        let prefix = if args.photos.len() > 1 { format!("{}: ", path.display()) } else { String::new() };
        let (line, mut value, code) = match look(&mut place, path, &finder, ui) {
            // Of several photographs one that cannot be read does not take the others' answers away.
            Err(error) if args.photos.len() > 1 => {
                let why = told(&error);
                ui.note(format!("error: {why}"));
                failed = true;
                (format!("failed     {why}"), json!({"answer": null, "why": why}), 0)
            }
            Err(error) => return Err(error),
            Ok(Seen::Answer(answer)) => {
                let code = match answer {
                    Answer::Known { .. } => 0,
                    Answer::Unknown { .. } => EXIT_UNKNOWN,
                    Answer::Rejected(_) => EXIT_REJECTED,
                };
                (answer_text(&answer, Some((threshold, people))), answer_json(&answer), code)
            }
            Ok(Seen::NoFace(why)) => {
                (format!("rejected   {why}"), json!({"answer": "rejected", "why": why}), EXIT_REJECTED)
            }
        };
        if !ui.json {
            ui.say(format!("{prefix}{line}"));
        }
        value["photo"] = json!(path);
        results.push(value);
        worst = worst.max(code);
    }
    match &results[..] {
        [one] => ui.json(one),
        many => ui.json(&json!({"people": people, "threshold": threshold.map(degrees), "photos": many})),
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::from(worst) })
}

enum Seen {
    Answer(Answer),
    /// Nobody is in the photograph, or nobody who could be told; why, in words.
    NoFace(String),
}

fn look(place: &mut Place, path: &Path, finder: &Finder, ui: &Ui) -> anyhow::Result<Seen> {
    let photo = Photo::open(path)?;
    let (sending, others) = match Sending::of(&photo, finder, place.info(), place.model()) {
        Ok(prepared) => prepared,
        Err(why @ (PhotoError::NoFace { .. } | PhotoError::Quality { .. })) => {
            return Ok(Seen::NoFace(why.to_string()));
        }
        Err(error) => return Err(error.into()),
    };
    if others > 0 {
        ui.note(format!("{}: other faces; the largest was taken", path.display()));
    }
    Ok(Seen::Answer(place.identify(&sending)?))
}
