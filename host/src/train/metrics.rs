//! How a training went, as JSON lines: a line now and then with the loss, a line at each validation with its figures.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Status, Validation};
use crate::disk;

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Images seen.
    pub images: usize,
    /// Mean over about the last fifty steps.
    pub loss: f64,
    /// The learning rate.
    pub rate: f64,
    /// Since the process that wrote the line began.
    pub images_per_second: f64,
    /// Share of mated pairs of held-out identities accepted where one in a hundred pairs of strangers is; at validations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tar_at_1e2: Option<f64>,
    /// The best balanced accuracy on the same pairs; at validations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<f64>,
    /// Mean cosine to the teacher's embeddings; at validations of a distillation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cosine_to_teacher: Option<f64>,
}

/// Why metrics could not be kept.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}: {why}", path.display())]
pub struct MetricsError {
    path: PathBuf,
    why: std::io::Error,
}

/// A file that grows by a line at a time.
#[derive(Debug)]
pub struct Metrics {
    file: File,
    path: PathBuf,
}

impl Metrics {
    /// Begins the file, or goes on with it: lines after the first `images` images, written after the checkpoint that a
    /// training goes on from, are left out.
    ///
    /// # Errors
    /// When the file system says no.
    pub fn open(path: &Path, images: usize) -> Result<Self, MetricsError> {
        let io = |why| MetricsError { path: path.into(), why };
        let kept: String = read(path).iter().filter(|l| l.images <= images).map(text).collect();
        disk::replace(path, if images > 0 { kept.as_bytes() } else { b"" }).map_err(io)?;
        let file = File::options().append(true).open(path).map_err(io)?;
        Ok(Metrics { file, path: path.into() })
    }

    /// Adds a line; `validation` is given where there was one just now.
    ///
    /// # Errors
    /// When the file system says no.
    pub fn add(&mut self, status: &Status, validation: Option<Validation>) -> Result<(), MetricsError> {
        let line = Line {
            images: status.images,
            loss: status.loss,
            rate: status.rate,
            images_per_second: status.images_per_second,
            tar_at_1e2: validation.map(|v| v.tar_at_1e2),
            accuracy: validation.map(|v| v.accuracy),
            cosine_to_teacher: validation.and_then(|v| v.cosine_to_teacher),
        };
        let written = self.file.write_all(text(&line).as_bytes());
        written.map_err(|why| MetricsError { path: self.path.clone(), why })
    }
}

fn text(line: &Line) -> String {
    format!("{}\n", serde_json::to_string(line).expect("plain fields serialize"))
}

/// The lines of a file; what is no line of metrics is left out, and a file that is not there has none.
pub fn read(path: &Path) -> Vec<Line> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(images: usize) -> Status {
        let (total, loss, rate, images_per_second) = (100, 1.0 / images as f64, 0.1, 50.0);
        Status { images, total, loss, rate, images_per_second, validation: None }
    }

    #[test]
    fn lines_after_the_checkpoint_are_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.jsonl");
        let mut metrics = Metrics::open(&path, 0).unwrap();
        let validation = Validation { tar_at_1e2: 0.5, accuracy: 0.75, cosine_to_teacher: None };
        for (images, validation) in [(10, None), (20, Some(validation)), (30, None)] {
            metrics.add(&status(images), validation).unwrap();
        }
        let before = read(&path);
        assert_eq!(before.iter().map(|l| l.images).collect::<Vec<_>>(), [10, 20, 30]);
        assert_eq!((before[1].tar_at_1e2, before[0].accuracy), (Some(0.5), None));
        // A line that a cut ended, and a resumed training.
        std::fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"images\": 4").unwrap();
        let mut metrics = Metrics::open(&path, 20).unwrap();
        metrics.add(&status(30), None).unwrap();
        assert_eq!(read(&path), before);
        drop(Metrics::open(&path, 0).unwrap());
        assert!(read(&path).is_empty());
    }
}
