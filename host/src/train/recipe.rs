//! The recipe: a TOML file that says everything about a training. The same recipe gives the same weights on the same machine.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::loss::LossConfig;
use crate::net::NetConfig;
use crate::onnx::metadata::{FloatInput, face_template, hex};
use crate::onnx::origin;

use super::aware::QuantizationConfig;
use super::distill::DistillConfig;
use super::optimizer::Rule;
use super::paths::Paths;
use super::schedule::Schedule;
use super::split::SplitConfig;

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

/// Differences between embeddings that a loss over pairs keeps at once: half a gigabyte.
const MOST_DIFFERENCES: usize = 1 << 27;

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

    /// What is wrong with the values, and what would be accepted.
    ///
    /// # Errors
    /// The first field that is out of its range.
    pub fn check(&self) -> Result<(), String> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if self.name.is_empty() || !self.name.chars().all(plain) {
            return Err(format!("name = {:?}\n  accepted: letters, digits, - and _", self.name));
        }
        if let Some(licence) = &self.licence {
            origin::check("licence", licence).map_err(|why| why.to_string())?;
        }
        let within = |name: &str, value: f64, low: f64, high: f64| {
            let ok = (low..=high).contains(&value);
            ok.then_some(()).ok_or_else(|| format!("{name} = {value}\n  accepted: {low} to {high}"))
        };
        self.net.check()?;
        self.loss.check()?;
        self.distill.as_ref().map_or(Ok(()), DistillConfig::check)?;
        self.quantization.as_ref().map_or(Ok(()), QuantizationConfig::check)?;
        within("input.mean", self.input.mean.into(), 0.0, 1.0)?;
        within("input.std", self.input.std.into(), 0.01, 10.0)?;
        if let DataConfig::Synth { identities, .. } = self.data {
            within("data.identities", identities as f64, 2.0, 1e7)?;
            if self.split.learn.is_some() {
                return Err("split.learn\n  accepted: data.identities, where the data is synthetic".into());
            }
        }
        within("split.validation", self.split.validation as f64, 2.0, 2000.0)?;
        within("split.test", self.split.test as f64, 0.0, 1e6)?;
        within("split.learn", self.split.learn.unwrap_or(2) as f64, 2.0, 1e7)?;
        if let DataConfig::Folder { least_images, .. } | DataConfig::Records { least_images, .. } = self.data
        {
            within("data.least_images", least_images as f64, 1.0, 1e6)?;
        }
        if matches!(self.data, DataConfig::Records { .. }) && self.input.template != Template::Face {
            return Err(
                "input.template = \"none\"\n  accepted: \"face\", because records hold aligned faces".into(),
            );
        }
        if matches!(self.data, DataConfig::Folder { unlabelled: true, .. }) && self.heeds_labels() {
            return Err(
                "data.unlabelled = true\n  accepted: with distill.weight = 1, for which no label counts"
                    .into(),
            );
        }
        if self.distill.as_ref().is_some_and(|d| !d.vary) && !matches!(self.data, DataConfig::Folder { .. }) {
            return Err("distill.vary = false\n  accepted: with data.source = \"folder\", whose images are few enough to \
                 be seen once beforehand"
                .into());
        }
        let a = &self.augment;
        for (name, value, high) in [
            ("shift", a.shift, 0.5),
            ("scale", a.scale, 0.5),
            ("rotate", a.rotate, 180.0),
            ("shear", a.shear, 1.0),
            ("brightness", a.brightness, 1.0),
            ("contrast", a.contrast, 1.0),
            ("blur", a.blur, 20.0),
            ("occlude", a.occlude, 1.0),
            ("low_resolution", a.low_resolution, 1.0),
            ("jpeg", a.jpeg, 1.0),
        ] {
            within(&format!("augment.{name}"), value.into(), 0.0, high)?;
        }
        let t = &self.train;
        within("train.batch", t.batch as f64, 2.0, 4096.0)?;
        let per_class = self.per_class();
        within("train.per_class", per_class as f64, 1.0, 256.0)?;
        if !t.batch.is_multiple_of(per_class) {
            return Err(format!(
                "train.batch = {}\n  accepted: a multiple of train.per_class = {per_class}",
                t.batch
            ));
        }
        if self.loss.needs_pairs() {
            if per_class < 2 || t.batch / per_class < 2 {
                return Err(format!(
                    "train.per_class = {per_class} of train.batch = {}\n  accepted: this loss compares images of a batch, \
                     so at least 2 of each class and at least 2 classes",
                    t.batch
                ));
            }
            let values = (t.batch * t.batch).saturating_mul(self.net.embedding);
            if values > MOST_DIFFERENCES {
                return Err(format!(
                    "train.batch = {} with net.embedding = {}\n  accepted: batch * batch * embedding up to {MOST_DIFFERENCES} for \
                     a loss that compares all pairs of a batch",
                    t.batch, self.net.embedding
                ));
            }
            if let DataConfig::Folder { least_images: least @ ..2, .. }
            | DataConfig::Records { least_images: least @ ..2, .. } = self.data
            {
                return Err(format!(
                    "data.least_images = {least}\n  accepted: 2 or more; a class of one image has no pair for this loss"
                ));
            }
        }
        within("train.images", t.images as f64, t.batch as f64, 1e10)?;
        within("train.rate", t.rate, 1e-6, 100.0)?;
        within("train.warmup", t.warmup, 0.0, 1.0)?;
        t.drops.iter().try_for_each(|&at| within("train.drops", at, 0.0, 1.0))?;
        within("train.momentum", t.momentum, 0.0, 0.9999)?;
        within("train.weight_decay", t.weight_decay, 0.0, 1.0)?;
        within("train.clip", t.clip, 1e-3, 1e9)?;
        within("train.ema", t.ema, 0.0, 0.99999)?;
        within("train.patience", t.patience as f64, 0.0, 1e6)?;
        within("train.validate_every", t.validate_every as f64, 1.0, 1e10)?;
        within("train.threads", t.threads as f64, 1.0, 1024.0)?;
        within("train.replicas", t.replicas as f64, 1.0, 64.0)?;
        // Of two values that are normalised by their own moments, nothing but the order is left.
        let least = if t.replicas == 1 || t.frozen_norm { 2 } else { 4 };
        if !t.batch.is_multiple_of(t.replicas) || t.batch / t.replicas < least {
            return Err(format!(
                "train.replicas = {} of train.batch = {}\n  accepted: equal parts of at least {least} images",
                t.replicas, t.batch
            ));
        }
        Ok(())
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

    const TEXT: &str = include_str!("demo.toml");

    fn wrong(text: &str) -> String {
        Recipe::parse(text, Path::new("r.toml")).unwrap_err().to_string()
    }

    #[test]
    fn the_built_in_recipe_is_one() {
        assert_eq!(Recipe::demo().name, "demo");
    }

    #[test]
    fn unknown_and_bad_fields_are_named_with_their_line_and_what_is_accepted() {
        let unknown = wrong(&TEXT.replace("batch =", "bath ="));
        assert!(
            unknown.contains("line") && unknown.contains("bath") && unknown.contains("`batch`"),
            "{unknown}"
        );
        let unknown = wrong(&TEXT.replace("margin =", "margins ="));
        assert!(unknown.contains("margins") && unknown.contains("`margin`"), "{unknown}");
        let kind = wrong(&TEXT.replace("\"synth\"", "\"dreams\""));
        assert!(kind.contains("dreams") && kind.contains("`folder`"), "{kind}");
        let range = wrong(&TEXT.replace("order = \"rgb\"", "order = \"cmyk\""));
        assert!(range.contains("cmyk") && range.contains("accepted: \"grey\""), "{range}");
    }

    #[test]
    fn a_licence_is_a_line() {
        let with = |licence: &str| format!("licence = \"{licence}\"\n{TEXT}");
        let recipe = Recipe::parse(&with("MIT OR Apache-2.0"), Path::new("r.toml")).unwrap();
        assert_eq!(recipe.licence.as_deref(), Some("MIT OR Apache-2.0"));
        let refused = wrong(&with("MIT\\n"));
        assert!(refused.contains("U+000A at 4\n  accepted: 1 to 500"), "{refused}");
    }

    #[test]
    fn losses_over_pairs_need_pairs_in_a_batch() {
        let triplet = |train: &str| {
            let text = TEXT.replace("name = \"arcface\"", "name = \"triplet\"").replace("scale = 16.0\n", "");
            text.replace("batch = 32", train)
        };
        let parsed = |text: &str| Recipe::parse(text, Path::new("r.toml"));
        assert_eq!(parsed(&triplet("batch = 32")).unwrap().per_class(), 4);
        assert_eq!(Recipe::demo().per_class(), 1);
        let one = wrong(&triplet("batch = 32\nper_class = 1"));
        assert!(one.contains("per_class = 1") && one.contains("at least 2 of each class"), "{one}");
        let odd = wrong(&triplet("batch = 30"));
        assert!(odd.contains("batch = 30") && odd.contains("multiple of train.per_class = 4"), "{odd}");
        let mut folder = parsed(&triplet("batch = 32")).unwrap();
        folder.data = DataConfig::Folder {
            path: "faces".into(),
            least_images: 1,
            leave_out: Paths::default(),
            detector: None,
            unlabelled: false,
        };
        assert!(folder.check().unwrap_err().contains("one image has no pair"));
        let large = wrong(&triplet("batch = 4096"));
        assert!(large.contains("batch = 4096") && large.contains("all pairs of a batch"), "{large}");
        let parts = wrong(&TEXT.replace("batch = 32", "batch = 32\nreplicas = 3"));
        assert!(parts.contains("replicas = 3") && parts.contains("equal parts"), "{parts}");
        let mining = wrong(&triplet("batch = 32").replace("margin = 0.25", "mining = \"lucky\""));
        assert!(mining.contains("lucky") && mining.contains("semihard"), "{mining}");
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
