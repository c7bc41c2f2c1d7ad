//! What several commands have in common.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;

use crate::data::{ImageSet, LandmarksCsv, LeftOut};
use crate::disk;
use crate::photo::{Detector, Finder};
use crate::train::Place;
use crate::ui::Ui;

/// Says on which adapter a training runs, if on any.
///
/// # Errors
/// When the device cannot be used.
pub fn name_device(ui: &Ui, place: Place) -> anyhow::Result<()> {
    let opened = place.open()?;
    if let Some(adapter) = opened.adapter {
        let slow = if opened.software { ", which is software; --device cpu is faster" } else { "" };
        ui.note(format!("training on {adapter}{slow}"));
    }
    Ok(())
}

/// Photographs that are named one by one when they are left out; the others are counted.
const NAMED: usize = 10;

/// What tells where the faces are.
#[derive(clap::Args, Debug, Clone, Default)]
pub struct FaceArgs {
    /// A face detector (YuNet ONNX) for photographs without landmarks.
    #[arg(long, value_name = "ONNX")]
    detector: Option<PathBuf>,
    /// Landmarks of the photographs, a line each: path, faces found, box, five points, score.
    #[arg(long, value_name = "CSV")]
    landmarks: Option<PathBuf>,
}

impl FaceArgs {
    /// The files that were named.
    pub fn files(&self) -> impl Iterator<Item = &PathBuf> {
        self.detector.iter().chain(&self.landmarks)
    }

    /// The detector, if one was given.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn detector(&self) -> anyhow::Result<Option<Detector>> {
        Ok(self.detector.as_ref().map(Detector::open).transpose()?)
    }

    /// The landmarks file that was given, else `found`.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn landmarks_or(&self, found: Option<LandmarksCsv>) -> anyhow::Result<Option<LandmarksCsv>> {
        match &self.landmarks {
            Some(path) => Ok(Some(LandmarksCsv::read(path)?)),
            None => Ok(found),
        }
    }

    /// Holds out of `set` what a pairs.txt beside the landmarks that were given names: a test set.
    ///
    /// # Errors
    /// When that file is malformed.
    pub fn hold_out(&self, set: &mut ImageSet) -> anyhow::Result<()> {
        match &self.landmarks {
            Some(csv) => Ok(set.hold_out_pairs_in(csv.parent().unwrap_or(Path::new("")))?),
            None => Ok(()),
        }
    }

    /// A finder of what was given and `found`.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn finder(&self, found: Option<LandmarksCsv>) -> anyhow::Result<Finder> {
        Ok(Finder::new(self.detector()?, self.landmarks_or(found)?))
    }
}

/// Reads a rate.
///
/// # Errors
/// When it is no number, or none of a share of searches.
pub fn rate<R: FromStr<Err: std::fmt::Display> + PartialOrd + From<u8>>(text: &str) -> Result<R, String> {
    let rate = text.parse::<R>().map_err(|why| why.to_string())?;
    let accepted = rate > R::from(0) && rate < R::from(1);
    if accepted { Ok(rate) } else { Err("accepted: more than 0 and less than 1".into()) }
}

/// Refuses an output that would be written over what the command reads.
///
/// # Errors
/// When `output` is one of `inputs`.
pub fn keep<'a>(output: &Path, inputs: impl IntoIterator<Item = &'a PathBuf>) -> anyhow::Result<()> {
    match disk::same_file(output, inputs) {
        Some(input) => anyhow::bail!(
            "the output would be written over {}\n  accepted: another place for the output (-o)",
            input.display()
        ),
        None => Ok(()),
    }
}

/// Takes `target` for one of `photos`: neither one of them nor another's.
///
/// # Errors
/// When it is.
pub fn claim<'a>(
    targets: &mut BTreeMap<PathBuf, &'a PathBuf>,
    target: &Path,
    photo: &'a PathBuf,
    photos: &[PathBuf],
) -> anyhow::Result<()> {
    keep(target, photos)?;
    match targets.insert(target.to_path_buf(), photo) {
        Some(other) => anyhow::bail!(
            "{} and {} would both become {}\n  accepted: photographs of different names, or one -o each",
            other.display(),
            photo.display(),
            target.display()
        ),
        None => Ok(()),
    }
}

/// `folder/NAME.png` for a photograph NAME.jpg.
///
/// # Errors
/// When the path names no file.
pub fn png_in(folder: &Path, photo: &Path) -> anyhow::Result<PathBuf> {
    let stem = photo.file_stem().with_context(|| format!("{} names no file", photo.display()))?;
    let mut name = stem.to_os_string();
    // Not `with_extension`, which would take "a.1" for a name with an ending.
    name.push(".png");
    Ok(folder.join(name))
}

/// Says which photographs gave no crop, and why: the first of them by name, the others as a number.
pub fn name_left_out(ui: &Ui, left_out: &[LeftOut]) {
    name_some(ui, "left out", left_out.iter().map(|one| &one.why));
}

/// Names the first reasons one by one, and counts the others.
pub fn name_some(ui: &Ui, what: &str, reasons: impl ExactSizeIterator<Item = impl std::fmt::Display>) {
    let all = reasons.len();
    for why in reasons.take(NAMED) {
        ui.note(format!("{what}: {why}"));
    }
    if all > NAMED {
        ui.note(format!("... and {} more; {all} in all", all - NAMED));
    }
}

/// The last part of a path, for people.
pub fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |n| n.to_string_lossy().into_owned())
}

/// Becomes true at Ctrl-C, so that long work can put its state on disk first.
pub fn stop_flag() -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = stop.clone();
    // A second handler in one process is refused: then Ctrl-C ends the program as it would anyway.
    let _ = ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed));
    stop
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_shares() {
        assert_eq!((rate::<f32>(".003"), rate::<f64>("1e-3")), (Ok(0.003), Ok(0.001)));
        for text in ["0", "1", "-.1", "1.5", "NaN", "inf"] {
            assert!(rate::<f64>(text).unwrap_err().contains("more than 0 and less than 1"), "{text}");
        }
        assert!(rate::<f32>("1 %").unwrap_err().contains("invalid float"));
    }
}
