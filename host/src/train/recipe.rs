//! The recipe: a TOML file that says everything about a training. The same recipe gives the same weights on the same machine.

mod check;
mod distill;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::loss::LossConfig;
use crate::net::NetConfig;
use crate::onnx::metadata::{FloatInput, face_template, hex};

use super::aware::QuantizationConfig;
use super::optimizer::Rule;
use super::paths::Paths;
use super::schedule::Schedule;
use super::split::SplitConfig;
pub use distill::DistillConfig;

/// A recipe. Unknown fields are errors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// What the model is called: letters, digits, `-` and `_`.
    pub name: String,
    /// The terms of the model's use, for the exported ONNX: a name, an SPDX expression or a URL. Decides no weight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licence: Option<String>,
    /// Decides the first weights, the order of the images and the augmentation.
    #[serde(default)]
    pub seed: u64,
    /// The backbone.
    pub net: NetConfig,
    /// How pixels are normalised.
    #[serde(default)]
    pub input: InputConfig,
    /// What is learnt.
    pub loss: LossConfig,
    /// Whom it is learnt from besides, if anybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distill: Option<DistillConfig>,
    /// Simulated int8: then the training fine-tunes a float network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantization: Option<QuantizationConfig>,
    /// What it is learnt on.
    pub data: DataConfig,
    /// Which of its identities are learnt.
    #[serde(default)]
    pub split: SplitConfig,
    /// How images are varied.
    #[serde(default)]
    pub augment: AugmentConfig,
    /// How long and how fast.
    pub train: TrainConfig,
}

/// The `[input]` table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InputConfig {
    /// Subtracted from pixels in 0..1, the same for all channels.
    pub mean: f32,
    /// What they are then divided by.
    pub std: f32,
    /// "none": pictures are framed, and scaled whole. "face": five landmarks are brought to the common face template,
    /// scaled from 112x112 to the input's rows and centred in its columns.
    pub template: Template,
}

impl Default for InputConfig {
    fn default() -> Self {
        InputConfig { mean: 0.5, std: 0.25, template: Template::None }
    }
}

/// Where the landmarks go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Template {
    /// Pictures are framed.
    None,
    /// To the common face template.
    Face,
}

/// The `[data]` table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "source", rename_all = "lowercase", deny_unknown_fields)]
pub enum DataConfig {
    /// Synthetic portraits (`arcgate synth`), painted as they are needed; no view is ever seen twice.
    Synth {
        /// Which population.
        population: u64,
        /// People to learn from, numbers 0 and up.
        identities: usize,
    },
    /// A folder for each identity, or a folder with CelebA's list of identities.
    Folder {
        /// The folder of folders, or several; relative paths are relative to the recipe.
        path: Paths,
        /// Identities with fewer images are left out.
        #[serde(default = "two")]
        least_images: usize,
        /// A text file, or several, that name identities or images, one a line, that are neither learnt from nor validated on: those who are
        /// also in a test set.
        #[serde(default)]
        leave_out: Paths,
        /// A face detector (YuNet ONNX) for photographs that no landmarks.csv knows.
        #[serde(default)]
        detector: Option<PathBuf>,
        /// Whether nobody knows who is who, wherever the images lie: each is an identity of its own, of which a mirror image is
        /// the second view. For distillation with weight 1.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        unlabelled: bool,
    },
    /// InsightFace's NAME.rec with its NAME.idx: aligned faces, read from the file as they are needed.
    Records {
        /// NAME.rec; relative paths are relative to the recipe.
        path: PathBuf,
        /// Identities with fewer images are left out.
        #[serde(default = "two")]
        least_images: usize,
    },
    /// The Omniglot background set's archives; the characters of the one-shot runs are not in them.
    Omniglot {
        /// The folder with images_background*.zip; relative paths are relative to the recipe. `$ARCGATE_DATA/omniglot/python`
        /// when absent.
        #[serde(default)]
        path: Option<PathBuf>,
        /// Whether a character turned by 90, 180 and 270 degrees counts as three more.
        #[serde(default)]
        rotations: bool,
    },
}

impl DataConfig {
    /// Makes relative paths relative to `folder`.
    pub(crate) fn relative_to(&mut self, folder: &Path) {
        match self {
            DataConfig::Folder { path, leave_out, detector, .. } => {
                for path in path.iter_mut().chain(leave_out.iter_mut()).chain(detector) {
                    *path = folder.join(&path);
                }
            }
            DataConfig::Records { path, .. } | DataConfig::Omniglot { path: Some(path), .. } => {
                *path = folder.join(&path)
            }
            DataConfig::Synth { .. } | DataConfig::Omniglot { path: None, .. } => {}
        }
    }
}

fn two() -> usize {
    2
}

/// The `[augment]` table; everything is off by default.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AugmentConfig {
    /// Mirror every other image. For faces, not for writing.
    pub flip: bool,
    /// Largest shift, as a share of the side.
    pub shift: f32,
    /// Largest change of size: 0.1 is 0.9 to 1.1.
    pub scale: f32,
    /// Largest turn, in degrees.
    pub rotate: f32,
    /// Largest slant: columns moved per row.
    pub shear: f32,
    /// Largest change of brightness, as a share of the full range.
    pub brightness: f32,
    /// Largest change of contrast: 0.2 is 0.8 to 1.2.
    pub contrast: f32,
    /// Largest standard deviation of a blur, in pixels of the input.
    pub blur: f32,
    /// How often something is in the way: a rectangle of one colour.
    pub occlude: f32,
    /// How often the crop is one of fewer pixels, up to a quarter of each side.
    pub low_resolution: f32,
    /// How often it was compressed, to a JPEG quality of 25 to 90.
    pub jpeg: f32,
}

/// The `[train]` table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// Images seen in all.
    pub images: usize,
    /// Images a step.
    pub batch: usize,
    /// Images of each class in a batch, K of P x K; 4 for losses over pairs and triplets, 1 for the others, when absent.
    #[serde(default)]
    pub per_class: Option<usize>,
    /// "sgd" (with momentum) or "adamw".
    #[serde(default)]
    pub optimizer: Rule,
    /// The highest learning rate.
    pub rate: f64,
    /// Share of the training over which the rate rises from 0.
    #[serde(default = "a_twentieth")]
    pub warmup: f64,
    /// The way down from the highest rate: "cosine", "linear", "step" or "constant".
    #[serde(default)]
    pub schedule: Schedule,
    /// Shares of the training at which "step" divides the rate by ten.
    #[serde(default = "half_and_three_quarters")]
    pub drops: Vec<f64>,
    /// Of SGD.
    #[serde(default = "nine_tenths")]
    pub momentum: f64,
    /// Of matrices and kernels; normalisation, biases and slopes do not decay.
    #[serde(default = "decay")]
    pub weight_decay: f64,
    /// Largest norm of all gradients together.
    #[serde(default = "five")]
    pub clip: f64,
    /// How much of a running average of the weights stays at each step; the average is validated and exported. 0: there is none.
    #[serde(default)]
    pub ema: f64,
    /// Validations without a better TAR that end the training, which then gives the weights of the best one. 0: it runs to its end
    /// and gives the last weights.
    #[serde(default)]
    pub patience: usize,
    /// Images between two validations, each of which also writes a checkpoint.
    #[serde(default = "validate_every")]
    pub validate_every: usize,
    /// Most threads to use; what the machine has when that is less. Takes effect when nothing in the process ran in parallel yet.
    #[serde(default = "threads")]
    pub threads: usize,
    /// Parts of a batch that go through the backbone apart, on threads and with batch normalisation of their own; the loss sees
    /// them together.
    #[serde(default = "one")]
    pub replicas: usize,
    /// Normalise by the running moments as they are, not by the batch's.
    #[serde(default)]
    pub frozen_norm: bool,
}

fn one() -> usize {
    1
}

fn a_twentieth() -> f64 {
    0.05
}

fn half_and_three_quarters() -> Vec<f64> {
    vec![0.5, 0.75]
}

fn nine_tenths() -> f64 {
    0.9
}

fn decay() -> f64 {
    5e-4
}

fn five() -> f64 {
    5.0
}

fn validate_every() -> usize {
    10_000
}

/// Small networks gain nothing from more.
fn threads() -> usize {
    8
}

/// Why a recipe was refused.
#[derive(Debug, thiserror::Error)]
pub enum RecipeError {
    /// The file system said no.
    #[error("cannot read {}: {why}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// What it said.
        why: std::io::Error,
    },
    /// It is no recipe: the line, and what would be accepted there.
    #[error("{}: {why}", path.display())]
    Syntax {
        /// Which file.
        path: PathBuf,
        /// The parser's words.
        why: String,
    },
    /// A value is out of its range.
    #[error("in {name}: {why}")]
    Value {
        /// The recipe's file or name.
        name: String,
        /// Which field, and what would be accepted.
        why: String,
    },
}

impl Recipe {
    /// Reads a recipe; relative data paths in it become relative to its folder.
    ///
    /// # Errors
    /// See [`RecipeError`].
    pub fn read(path: &Path) -> Result<Self, RecipeError> {
        let text =
            std::fs::read_to_string(path).map_err(|why| RecipeError::Read { path: path.into(), why })?;
        let mut recipe = Self::parse(&text, path)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        recipe.data.relative_to(folder);
        if let Some(distill) = &mut recipe.distill {
            distill.teacher = folder.join(&distill.teacher);
        }
        Ok(recipe)
    }

    /// Parses the text of the recipe that errors will call `path`.
    ///
    /// # Errors
    /// See [`RecipeError`].
    pub fn parse(text: &str, path: &Path) -> Result<Self, RecipeError> {
        let recipe: Recipe = toml::from_str(text)
            .map_err(|e| RecipeError::Syntax { path: path.into(), why: e.to_string() })?;
        recipe.check().map_err(|why| RecipeError::Value { name: path.display().to_string(), why })?;
        Ok(recipe)
    }

    /// The recipe that `arcgate demo` trains: small enough for a few minutes on two cores.
    pub fn demo() -> Self {
        let text = include_str!("demo.toml");
        Self::parse(text, Path::new("demo.toml")).expect("a test parses the built-in recipe")
    }

    /// What the exported model says of its input.
    pub fn float_input(&self) -> FloatInput {
        let [columns, rows] = self.net.input;
        FloatInput {
            order: self.net.order.clone(),
            mean: vec![self.input.mean; self.net.planes()],
            std: vec![self.input.std; self.net.planes()],
            template: (self.input.template == Template::Face).then(|| face_template(columns, rows)),
        }
    }

    /// SHA-256 in hexadecimal over everything that decides the weights; checkpoints carry it.
    pub fn digest(&self) -> String {
        let mut own = self.clone();
        // Neither the threads, the licence nor where the data lies decide the weights; checkpoints name the replicas apart.
        (own.train.threads, own.train.replicas) = (1, 1);
        own.licence = None;
        match &mut own.data {
            DataConfig::Folder { path, leave_out, detector, .. } => {
                for path in path.iter_mut().chain(leave_out.iter_mut()).chain(detector) {
                    *path = PathBuf::new();
                }
            }
            DataConfig::Records { path, .. } => *path = PathBuf::new(),
            DataConfig::Omniglot { path, .. } => *path = None,
            DataConfig::Synth { .. } => {}
        }
        // Checkpoints hold the teacher's own digest.
        if let Some(distill) = &mut own.distill {
            distill.teacher = PathBuf::new();
        }
        let text = serde_json::to_string(&own).expect("plain fields always serialize");
        hex(&Sha256::digest(text))
    }

    /// Whether the loss is taken, and not the teacher's word alone.
    pub fn heeds_labels(&self) -> bool {
        self.distill.as_ref().is_none_or(|d| d.weight < 1.0)
    }

    /// Images of each class in a batch.
    pub fn per_class(&self) -> usize {
        self.train.per_class.unwrap_or(if self.loss.needs_pairs() { 4 } else { 1 })
    }

    /// Steps in all.
    pub fn steps(&self) -> usize {
        self.train.images / self.train.batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::metadata::FACE_TEMPLATE_112;

    #[test]
    fn the_built_in_recipe_is_one() {
        assert_eq!(Recipe::demo().name, "demo");
    }

    #[test]
    fn the_digest_knows_what_decides_the_weights() {
        let base = Recipe::demo();
        let mut other = base.clone();
        (other.train.threads, other.train.replicas) = (3, 2);
        other.licence = Some("MIT".into());
        assert_eq!(base.digest(), other.digest());
        other.train.rate *= 2.0;
        assert_ne!(base.digest(), other.digest());
    }

    #[test]
    fn the_face_template_scales_with_the_input() {
        let mut recipe = Recipe::demo();
        recipe.input.template = Template::Face;
        recipe.net.input = [112, 112];
        let template = recipe.float_input().template.unwrap();
        for (found, expected) in template.iter().flatten().zip(FACE_TEMPLATE_112.iter().flatten()) {
            assert!((found - expected).abs() < 1e-4);
        }
    }
}
