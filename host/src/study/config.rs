//! A study's file: one backbone, one set of data, one budget, and the losses that are compared on them.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::loss::LossConfig;
use crate::net::NetConfig;
use crate::train::Recipe;
use crate::train::recipe::{AugmentConfig, DataConfig, InputConfig, RecipeError, TrainConfig};
use crate::train::split::SplitConfig;

/// A study. The tables that a recipe has too mean the same. Unknown fields are errors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Study {
    /// What it is called: letters, digits, `-` and `_`.
    pub name: String,
    /// Trainings of each loss, with the seeds 1, 2, 3 and so on.
    #[serde(default = "three")]
    pub seeds: u64,
    /// The backbone.
    pub net: NetConfig,
    /// How pixels are normalised.
    #[serde(default)]
    pub input: InputConfig,
    /// What is learnt from.
    pub data: DataConfig,
    /// Which identities are learnt; everything is measured on those of `split.test`.
    pub split: SplitConfig,
    /// How images are varied.
    #[serde(default)]
    pub augment: AugmentConfig,
    /// How long and how fast.
    pub train: TrainConfig,
    /// What is measured.
    #[serde(default)]
    pub measure: MeasureConfig,
    /// Trainings whose embeddings have two dimensions, to look at; none without it.
    #[serde(default)]
    pub plane: Option<PlaneConfig>,
    /// The losses; the nine with their defaults when absent.
    #[serde(default = "nine")]
    pub losses: Vec<Entry>,
}

/// The `[measure]` table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MeasureConfig {
    /// Identities enrolled at a time; the others of `split.test` are strangers.
    pub enrolled: usize,
    /// Images enrolled of each.
    pub templates: usize,
    /// Galleries drawn.
    pub galleries: usize,
    /// The rate of strangers taken for somebody at which FNIR is read.
    pub fpir: f64,
    /// The rate of false accepts at which TAR is read.
    pub far: f64,
}

impl Default for MeasureConfig {
    fn default() -> Self {
        MeasureConfig { enrolled: 20, templates: 1, galleries: 20, fpir: 0.05, far: 0.01 }
    }
}

/// The `[plane]` table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlaneConfig {
    /// Classes learnt.
    #[serde(default = "eight")]
    pub classes: usize,
    /// Images seen.
    pub images: usize,
    /// The learning rate, where it is not the study's: directions in a plane turn over sooner than those of many dimensions.
    #[serde(default)]
    pub rate: Option<f64>,
}

/// A loss of a study.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// As in a recipe's `[loss]`.
    pub loss: LossConfig,
    /// Its learning rate, where it is not the study's.
    #[serde(default)]
    pub rate: Option<f64>,
}

fn three() -> u64 {
    3
}

fn eight() -> usize {
    8
}

/// The survey's nine losses in the order of their history.
fn nine() -> Vec<Entry> {
    let names = [
        "contrastive",
        "triplet",
        "center",
        "softmax",
        "normface",
        "sphereface",
        "cosface",
        "arcface",
        "curricularface",
    ];
    let entry = |name: &str| {
        let text = format!("loss = {{ name = {name:?} }}");
        toml::from_str(&text).expect("every loss has defaults; a test reads them")
    };
    names.into_iter().map(entry).collect()
}

impl Study {
    /// The built-in study on Omniglot's characters.
    pub fn omniglot() -> Self {
        Self::parse(include_str!("omniglot.toml"), Path::new("omniglot.toml"))
            .expect("a test parses the built-in study")
    }

    /// The built-in study on synthetic portraits: every loss in under three minutes, figures to see that each of them learns.
    pub fn quick() -> Self {
        Self::parse(include_str!("quick.toml"), Path::new("quick.toml"))
            .expect("a test parses the built-in study")
    }

    /// Reads a study; relative data paths in it become relative to its folder.
    ///
    /// # Errors
    /// See [`RecipeError`].
    pub fn read(path: &Path) -> Result<Self, RecipeError> {
        let text =
            std::fs::read_to_string(path).map_err(|why| RecipeError::Read { path: path.into(), why })?;
        let mut study = Self::parse(&text, path)?;
        study.data.relative_to(path.parent().unwrap_or(Path::new("")));
        Ok(study)
    }

    /// Parses the text of the study that errors will call `path`.
    ///
    /// # Errors
    /// See [`RecipeError`].
    pub fn parse(text: &str, path: &Path) -> Result<Self, RecipeError> {
        let study: Study = toml::from_str(text)
            .map_err(|e| RecipeError::Syntax { path: path.into(), why: e.to_string() })?;
        study.check().map_err(|why| RecipeError::Value { name: path.display().to_string(), why })?;
        Ok(study)
    }

    /// What is wrong with the values, and what would be accepted.
    ///
    /// # Errors
    /// The first field that is out of its range.
    pub fn check(&self) -> Result<(), String> {
        let within = |name: &str, value: f64, low: f64, high: f64| {
            let ok = (low..=high).contains(&value);
            ok.then_some(()).ok_or_else(|| format!("{name} = {value}\n  accepted: {low} to {high}"))
        };
        within("seeds", self.seeds as f64, 1.0, 100.0)?;
        let m = &self.measure;
        within("split.test", self.split.test as f64, 4.0, 1e6)?;
        within("measure.enrolled", m.enrolled as f64, 1.0, self.split.test as f64 - 1.0)?;
        within("measure.templates", m.templates as f64, 1.0, 19.0)?;
        within("measure.galleries", m.galleries as f64, 1.0, 1000.0)?;
        within("measure.fpir", m.fpir, 1e-6, 0.5)?;
        within("measure.far", m.far, 1e-6, 0.5)?;
        if self.losses.is_empty() {
            return Err("losses = []\n  accepted: at least one".into());
        }
        for (i, entry) in self.losses.iter().enumerate() {
            if self.losses[..i].iter().any(|other| other.loss.name() == entry.loss.name()) {
                return Err(format!("{} stands twice among the losses", entry.loss.name()));
            }
            self.recipe(entry, 1).check()?;
            self.plane_recipe(entry).map_or(Ok(()), |recipe| recipe.check())?;
        }
        Ok(())
    }

    /// The training of one loss with one seed.
    pub fn recipe(&self, entry: &Entry, seed: u64) -> Recipe {
        let mut train = self.train.clone();
        train.rate = entry.rate.unwrap_or(train.rate);
        Recipe {
            name: format!("{}-{}", self.name, entry.loss.name()),
            licence: None,
            seed,
            net: self.net.clone(),
            input: self.input.clone(),
            loss: entry.loss.clone(),
            distill: None,
            quantization: None,
            data: self.data.clone(),
            split: self.split.clone(),
            augment: self.augment.clone(),
            train,
        }
    }

    /// The same backbone before it has learnt anything: its first weights, and the statistics of its normalisation layers over
    /// a few batches.
    pub fn untrained(&self, seed: u64) -> Recipe {
        let mut recipe = self.recipe(&Entry { loss: LossConfig::Softmax {}, rate: Some(1e-6) }, seed);
        recipe.name = format!("{}-untrained", self.name);
        recipe.train.images = recipe.train.batch * 100;
        recipe
    }

    /// The training of one loss with two dimensions on a handful of classes.
    pub fn plane_recipe(&self, entry: &Entry) -> Option<Recipe> {
        let plane = self.plane.as_ref()?;
        let mut recipe = self.recipe(entry, 1);
        recipe.name = format!("{}-plane-{}", self.name, entry.loss.name());
        recipe.net.embedding = 2;
        recipe.train.images = plane.images;
        recipe.train.rate = plane.rate.unwrap_or(recipe.train.rate);
        match &mut recipe.data {
            DataConfig::Synth { identities, .. } => *identities = plane.classes,
            data => {
                if let DataConfig::Omniglot { rotations, .. } = data {
                    *rotations = false;
                }
                recipe.split.learn = Some(plane.classes);
            }
        }
        Some(recipe)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_studies_compare_the_nine_losses() {
        for study in [Study::omniglot(), Study::quick()] {
            let names: Vec<&str> = study.losses.iter().map(|e| e.loss.name()).collect();
            assert_eq!(names.len(), 9);
            assert_eq!(names[..4], ["contrastive", "triplet", "center", "softmax"]);
        }
    }

    #[test]
    fn what_the_project_ships_can_be_read() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let folders = ["models/recipes", "models/synth-s", "tests/bench"];
        let files = folders.map(|folder| std::fs::read_dir(root.join(folder)).unwrap());
        let (mut recipes, mut studies) = (0, 0);
        for file in files.into_iter().flatten() {
            let path = file.unwrap().path();
            match path.file_name().and_then(|name| name.to_str()).unwrap() {
                name if name.ends_with("-study.toml") => studies += usize::from(Study::read(&path).is_ok()),
                name if name.ends_with(".toml") => recipes += usize::from(Recipe::read(&path).is_ok()),
                _ => continue,
            }
            assert!(Study::read(&path).is_ok() || Recipe::read(&path).is_ok(), "{}", path.display());
        }
        assert!(recipes >= 5 && studies >= 1, "{recipes} recipes, {studies} studies");
    }

    #[test]
    fn wrong_studies_are_refused_by_field() {
        let whole = include_str!("quick.toml");
        let (before, list) = whole.split_once("losses = [\n").expect("it lists its losses");
        let text = format!("{before}{}", list.split_once("\n]\n").expect("the list ends").1);
        assert_eq!(Study::parse(&text, Path::new("s.toml")).unwrap().losses, nine());
        let wrong = |from: &str, to: &str| {
            assert!(text.contains(from), "{from}");
            Study::parse(&text.replace(from, to), Path::new("s.toml")).unwrap_err().to_string()
        };
        let unknown = wrong("seeds =", "sedes =");
        assert!(unknown.contains("sedes") && unknown.contains("`seeds`"), "{unknown}");
        let none = wrong("seeds = 1", "seeds = 1\nlosses = []");
        assert!(none.contains("at least one"), "{none}");
        let twice =
            "seeds = 1\nlosses = [{ loss = { name = \"softmax\" } }, { loss = { name = \"softmax\" } }]";
        assert!(wrong("seeds = 1", twice).contains("softmax stands twice"));
        let all = wrong("enrolled = ", "enrolled = 1000 # ");
        assert!(all.contains("measure.enrolled = 1000"), "{all}");
        let batch = wrong("batch = 32", "batch = 30");
        assert!(batch.contains("batch = 30"), "a loss over pairs takes groups of four: {batch}");
    }

    #[test]
    fn the_plane_has_two_dimensions_and_few_classes() {
        let study = Study::omniglot();
        let recipe = study.plane_recipe(&study.losses[3]).unwrap();
        assert_eq!(recipe.net.embedding, 2);
        assert_eq!(recipe.split.learn, study.plane.map(|p| p.classes));
        assert!(matches!(recipe.data, DataConfig::Omniglot { rotations: false, .. }));
    }
}
