//! `arcgate simulate --script`.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use arcgate_firmware::sim::StoredShot;
use serde_json::json;

use crate::data::ImageSet;
use crate::photo::PhotoError;
use crate::scenario::{self, Do, Line, Setting};
use crate::ui::Ui;

/// Plays the script in the file `script`; its pictures are in `folder`, and `shot` makes of one what a camera would give.
///
/// # Errors
/// When the script or a picture cannot be read. A line that fails is a failed command.
pub fn play(
    script: &Path,
    folder: &Path,
    shot: &dyn Fn(&Path) -> Result<StoredShot, PhotoError>,
    setting: Setting,
    ui: &Ui,
) -> anyhow::Result<ExitCode> {
    let name = script.display();
    let text = std::fs::read_to_string(script).with_context(|| format!("cannot read {name}"))?;
    let lines = scenario::parse(&text).with_context(|| name.to_string())?;
    let pictures = pictures(&lines, folder, shot).with_context(|| name.to_string())?;
    let report = scenario::run(&lines, &pictures, setting);
    for step in &report.steps {
        if !ui.json {
            ui.say(format!("{:>9} ms  {}", step.at_ms, step.text));
        }
        if let Some(why) = &step.failure {
            ui.note(format!("{name}:{}: {}\n  failed: {why}", step.line, step.text));
            ui.note(match step.seen.as_slice() {
                [] => "  seen: nothing".to_owned(),
                seen => format!("  seen: {}", seen.join("\n        ")),
            });
        }
    }
    ui.json(&json!({"script": name.to_string(), "steps": report.steps, "passed": report.passed}));
    Ok(if report.passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The pictures that the lines show, by their paths.
fn pictures(
    lines: &[Line],
    folder: &Path,
    shot: &dyn Fn(&Path) -> Result<StoredShot, PhotoError>,
) -> anyhow::Result<BTreeMap<String, Vec<Arc<StoredShot>>>> {
    let mut pictures = BTreeMap::new();
    for line in lines {
        let Do::Show { path, .. } = &line.what else { continue };
        if pictures.contains_key(path) {
            continue;
        }
        let place = folder.join(path);
        let files = if place.is_dir() {
            let set = ImageSet::open(&place)?;
            (0..set.images.len()).map(|i| set.path(i)).collect()
        } else {
            vec![place]
        };
        let shots: Result<Vec<_>, PhotoError> = files.iter().map(|file| shot(file).map(Arc::new)).collect();
        pictures.insert(path.clone(), shots.with_context(|| format!("line {}", line.number))?);
    }
    Ok(pictures)
}
