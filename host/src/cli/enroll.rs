//! `arcgate enroll`.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;

use super::people::ModelArg;
use super::shared::FaceArgs;
use crate::data::ImageSet;
use crate::enroll::{self, PersonPhotos};
use crate::link::Target;
use crate::ui::{Ui, thousands};

/// Photographs -> people in a gallery file or on a device.
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
    #[command(flatten)]
    model: ModelArg,
    #[command(flatten)]
    finder: FaceArgs,
}

/// Runs the command. Exit code 1 when somebody named got no template.
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
    let mut place = enroll::open(&args.to, model.as_ref())?;
    let photos = people.iter().map(|p| p.photos.len() as u64).sum();
    let bar = ui.progress("enrolling", "photographs", photos);
    let summary = enroll::enroll(&mut place, &people, &finder, |_| bar.inc(1))?;
    bar.finish_and_clear();
    for (_, why) in &summary.left_out {
        ui.note(format!("left out: {why}"));
    }
    for (path, others) in &summary.others {
        let faces = if *others == 1 { "face" } else { "faces" };
        ui.note(format!(
            "{}: {others} other {faces}; the large one near the centre was taken",
            path.display()
        ));
    }
    for name in &summary.nobody {
        ui.note(format!("not enrolled: {name}, none of whose photographs shows a face well enough"));
    }
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
    ui.json(&json!({
        "people": summary.people,
        "templates": summary.templates,
        "left_out": summary.left_out.iter().map(|(path, why)| json!({"photo": path, "why": why.to_string()})).collect::<Vec<_>>(),
        "not_enrolled": summary.nobody,
        "total_people": usage.people,
        "total_templates": usage.templates,
    }));
    Ok(if summary.nobody.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
