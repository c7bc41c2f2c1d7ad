//! Arguments that several commands about people share.

use std::path::PathBuf;

use anyhow::Context;
use arcgate_firmware::embedding::Angle;
use arcgate_firmware::link::answer::Answer;
use arcgate_firmware::sim::SimSecret;
use serde_json::{Value, json};

use crate::engine::Model;
use crate::keys::Key;
use crate::link::Target;

/// The model that the repository ships; the plan first.
const SHIPPED: [&str; 2] = ["models/synth-s/synth-s.plan", "models/synth-s/synth-s.onnx"];

/// Which model embeds.
#[derive(clap::Args, Debug)]
pub struct ModelArg {
    /// Int8 ONNX or plan [default for a gallery file or a bundle: models/synth-s, where that is; a device knows its own].
    #[arg(long, value_name = "MODEL")]
    pub model: Option<PathBuf>,
}

impl ModelArg {
    /// The model named, else the shipped one.
    ///
    /// # Errors
    /// When there is neither, or it cannot be opened.
    pub fn open(&self) -> anyhow::Result<Model> {
        let path = match &self.model {
            Some(path) => path.clone(),
            None => SHIPPED.map(PathBuf::from).into_iter().find(|p| p.is_file()).context(
                "no model named, and models/synth-s is not here\n  accepted: --model MODEL.onnx or MODEL.plan",
            )?,
        };
        Ok(Model::open(&path)?)
    }

    /// The model for `target`: a device has its own, so there it is opened only if it was named.
    ///
    /// # Errors
    /// As [`ModelArg::open`].
    pub fn for_target(&self, target: &Target) -> anyhow::Result<Option<Model>> {
        match target {
            Target::File(_) => self.open().map(Some),
            _ if self.model.is_some() => self.open().map(Some),
            _ => Ok(None),
        }
    }
}

/// The key of the device that is spoken of.
#[derive(clap::Args, Debug)]
pub struct KeyArg {
    /// The device's key file (`arcgate keys`); without one, the key in the software, which is no secret.
    #[arg(long, value_name = "FILE")]
    device_key: Option<PathBuf>,
}

impl KeyArg {
    /// Whether a key file was named.
    pub fn is_given(&self) -> bool {
        self.device_key.is_some()
    }

    /// The key file that was named.
    pub fn file(&self) -> Option<&PathBuf> {
        self.device_key.as_ref()
    }

    /// The key.
    ///
    /// # Errors
    /// When the file cannot be read or is no key.
    pub fn read(&self) -> anyhow::Result<Key> {
        Ok(Key::read(self.device_key.as_deref())?)
    }

    /// The secret of a device that runs here.
    ///
    /// # Errors
    /// As [`KeyArg::read`], and when it is a bundle key.
    pub fn secret(&self) -> anyhow::Result<SimSecret> {
        Ok(self.read()?.secret(self.device_key.as_deref())?)
    }

    /// The secret of the device of a gallery file; a device elsewhere knows its own.
    ///
    /// # Errors
    /// As [`KeyArg::secret`].
    pub fn secret_for(&self, target: &Target) -> anyhow::Result<SimSecret> {
        match target {
            Target::File(_) => self.secret(),
            _ => Ok(SimSecret::software()),
        }
    }
}

/// An angle in degrees with its three decimals, as JSON shows it.
pub fn degrees(angle: Angle) -> f64 {
    angle.millidegrees() as f64 / 1000.0
}

/// An answer as JSON.
pub fn answer_json(answer: &Answer) -> Value {
    let named = |n: &arcgate_firmware::link::answer::Named| json!({"person": n.person.0, "name": n.name.as_str(), "angle": degrees(n.angle)});
    match answer {
        Answer::Known { best, second, confidence, may_adapt } => json!({
            "answer": "known",
            "best": named(best),
            "second": second.as_ref().map(named),
            "confidence_fpir": confidence.fpir(),
            "may_adapt": may_adapt,
        }),
        Answer::Unknown { why, nearest } => {
            json!({"answer": "unknown", "why": why.to_string(), "nearest": nearest.as_ref().map(named)})
        }
        Answer::Rejected(why) => json!({"answer": "rejected", "why": why.to_string()}),
    }
}

/// An answer for people; `bar` is the threshold and how many people are enrolled, where that is known.
pub fn answer_text(answer: &Answer, bar: Option<(Option<Angle>, u32)>) -> String {
    let bar = bar.map(|(threshold, people)| {
        let threshold = threshold.map_or_else(|| "no threshold".to_owned(), |t| format!("threshold {t}"));
        format!("{threshold} at {people} people")
    });
    let beside = |others: Vec<String>| {
        let parts: Vec<String> = bar.into_iter().chain(others).collect();
        if parts.is_empty() { String::new() } else { format!("   ({})", parts.join("; ")) }
    };
    match answer {
        Answer::Known { best, second, confidence, .. } => {
            let second = second.as_ref().map(|s| format!("second: {} {}", s.name, s.angle));
            let sure = [Some(format!("sure to {confidence}")), second].into_iter().flatten();
            format!("{}   {} degrees{}", best.name, best.angle, beside(sure.collect()))
        }
        Answer::Unknown { why, nearest } => {
            let nearest = nearest.as_ref().map(|n| format!("nearest: {} {}", n.name, n.angle));
            format!("unknown   {why}{}", beside(nearest.into_iter().collect()))
        }
        Answer::Rejected(why) => format!("rejected   {why}"),
    }
}
