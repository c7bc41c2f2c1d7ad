//! People for the tests of devices: photographs with landmarks where the data folder is, synthetic portraits elsewhere.

use std::path::PathBuf;

use arcgate::data::{ImageSet, LandmarksCsv};
use arcgate::engine::{Kind, Model};
use arcgate::lower;
use arcgate::onnx::metadata::hex;
use arcgate::photo::{self, Found, Photo};
use arcgate::synth::Portraits;
use arcgate_firmware::embedding::{Angle, angle};
use arcgate_firmware::model::ModelInfo;
use arcgate_firmware::model::thresholds::{Bar, Cell, Origin, ThresholdTable};

use crate::data;

/// A photograph, and where its face is.
#[derive(Debug)]
pub struct Shot {
    /// The picture.
    pub photo: Photo,
    /// The face; `Framed` for a model that takes pictures whole.
    pub found: Found,
}

impl Shot {
    /// The landmarks as the link carries them.
    pub fn landmarks(&self) -> Option<[[f32; 2]; 5]> {
        match self.found {
            Found::Face { landmarks, .. } => Some(landmarks.map(|p| [p.x, p.y])),
            Found::Framed => None,
        }
    }

    /// The photograph's part of at most `side` x `side` pixels around the face: fewer bytes over a slow link.
    ///
    /// # Panics
    /// When the part is no photograph, which it always is.
    pub fn window(&self, side: u32) -> Shot {
        let Found::Face { landmarks, others } = self.found else {
            return Shot { photo: self.photo.clone(), found: self.found };
        };
        let picture = self.photo.to_rgb();
        let (width, height) = (side.min(picture.width()), side.min(picture.height()));
        let middle = landmarks.iter().fold([0.0, 0.0], |[x, y], p| [x + p.x / 5.0, y + p.y / 5.0]);
        let begin = |middle: f32, part: u32, whole: u32| {
            (middle - part as f32 / 2.0).clamp(0.0, (whole - part) as f32) as u32
        };
        let (x, y) = (begin(middle[0], width, picture.width()), begin(middle[1], height, picture.height()));
        let part = image::imageops::crop_imm(&picture, x, y, width, height).to_image();
        let photo = Photo::from_rgb(self.photo.path(), part).expect("a part of a photograph");
        let landmarks = landmarks.map(|p| nalgebra::Point2::new(p.x - x as f32, p.y - y as f32));
        Shot { photo, found: Found::Face { landmarks, others } }
    }

    /// The crop that the desktop makes.
    ///
    /// # Panics
    /// When the landmarks cannot be aligned.
    pub fn crop(&self, info: &ModelInfo) -> Vec<u8> {
        photo::crop(&self.photo, &self.found, info).expect("landmarks that can be aligned")
    }
}

/// Where shots of people come from: LFW for a model that aligns, synthetic portraits for one that takes pictures whole.
#[derive(Debug)]
pub enum Crowd {
    /// People with at least [`Crowd::VIEWS`] photographs, then people with one.
    Photographs(Vec<Vec<PathBuf>>, LandmarksCsv),
    /// Portraits of the size that the model takes.
    Synthetic(Portraits, (u32, u32)),
}

impl Crowd {
    /// Views that everybody who is enrolled has.
    pub const VIEWS: usize = 4;

    /// People for `model`.
    ///
    /// # Errors
    /// When the model aligns and there are no photographs with landmarks: why, in words.
    pub fn for_model(model: &Model) -> Result<Self, String> {
        let info = model.info();
        if info.template.is_none() {
            let size = (info.width as u32, info.height as u32);
            return Ok(Crowd::Synthetic(Portraits::new(0xa7c6), size));
        }
        let folder = data::find("lfw").ok_or("no lfw in the data folder (ARCGATE_DATA)")?;
        let mut set = ImageSet::open(&folder).map_err(|e| e.to_string())?;
        let landmarks = set.landmarks.take().ok_or("no lfw-protocol/landmarks.csv in the data folder")?;
        let face = |path: &PathBuf| landmarks.get(path).is_some_and(|row| row.face.is_some());
        let mut people: Vec<Vec<PathBuf>> = set
            .identities()
            .into_iter()
            .map(|identity| identity.images.iter().map(|&i| set.path(i)).filter(|p| face(p)).collect())
            .filter(|shots: &Vec<PathBuf>| !shots.is_empty())
            .collect();
        people.sort_by_key(|shots| shots.len() < Self::VIEWS);
        Ok(Crowd::Photographs(people, landmarks))
    }

    /// View `view` of person `person`.
    ///
    /// # Panics
    /// When there is no such photograph.
    pub fn shot(&self, person: usize, view: usize) -> Shot {
        match self {
            Crowd::Photographs(people, landmarks) => {
                let path = &people[person][view];
                let face = landmarks.get(path).and_then(|row| row.face).expect("a face in every row taken");
                let photo = Photo::open(path).expect("a photograph");
                Shot { photo, found: Found::Face { landmarks: face.landmarks, others: 0 } }
            }
            Crowd::Synthetic(portraits, size) => {
                let picture = portraits.portrait(person as u64, view as u64, *size);
                let name = format!("portrait-{person}-{view}.png");
                Shot { photo: Photo::from_rgb(name, picture).expect("a portrait"), found: Found::Framed }
            }
        }
    }

    /// The last person: a stranger to galleries that begin with the first.
    pub fn stranger(&self) -> usize {
        match self {
            Crowd::Photographs(people, _) => people.len() - 1,
            Crowd::Synthetic(..) => 1_000_000,
        }
    }
}

/// The desktop's embedding of a crop.
///
/// # Panics
/// When the model cannot be run.
pub fn embed(model: &Model, crop: &[u8]) -> Vec<i8> {
    let mut engine = model.embedder(Kind::Plan).expect("an engine");
    let mut out = vec![0; model.info().dimension as usize];
    engine.embed(crop, &mut out).expect("a crop of the model's size");
    out
}

/// `model` with thresholds: its own, else one for any gallery, measured here over people whom the tests neither enroll nor look for,
/// so that at most one pair in a thousand of them lies within.
///
/// # Panics
/// When the model cannot be run.
pub fn calibrated(model: Model, crowd: &Crowd) -> Model {
    const PEOPLE: usize = 60;
    if model.thresholds().is_some() {
        return model;
    }
    let others = crowd.stranger() - PEOPLE..crowd.stranger();
    let embeddings: Vec<Vec<i8>> =
        others.map(|person| embed(&model, &crowd.shot(person, 0).crop(model.info()))).collect();
    let mut angles: Vec<Angle> = Vec::new();
    for (i, a) in embeddings.iter().enumerate() {
        angles.extend(embeddings[..i].iter().map(|b| angle(a, b)));
    }
    angles.sort();
    let within = angles.len() / 1000;
    let plan = lower::with_thresholds(model.plan_bytes(), &one_threshold(angles[within]));
    let plan = plan.expect("a valid plan");
    Model::from_plan("calibrated.plan".as_ref(), plan).expect("a valid plan")
}

/// A threshold table that has `angle` for every gallery of up to a million people.
///
/// # Panics
/// Never: it is a table.
pub fn one_threshold(angle: Angle) -> Vec<u8> {
    let bar = Bar { angle, low: angle, high: angle };
    let origin = Origin { identities: 2, images: 2, frames: 1, templates: 1, overlap: 0 };
    let mut bytes = vec![0; ThresholdTable::bytes_for(1, 1)];
    let cells = [Cell { frame: bar, presentation: bar }];
    ThresholdTable::write(origin, &[0.01], &[1_000_000], &cells, &mut bytes).expect("a table");
    bytes
}

/// The model that the tests of devices run: the plan named by ARCGATE_TEST_PLAN, else the one that the repository ships.
///
/// # Errors
/// When neither is there: why, in words.
pub fn model() -> Result<Model, String> {
    match std::env::var_os("ARCGATE_TEST_PLAN") {
        Some(named) => Model::open(&PathBuf::from(named)).map_err(|e| e.to_string()),
        None => shipped_model(),
    }
}

/// The small model that the repository ships, which takes pictures whole.
///
/// # Errors
/// When it is not there: why, in words.
pub fn shipped_model() -> Result<Model, String> {
    let files = ["synth-s.plan", "synth-s.onnx"].map(|f| data::workspace().join("models/synth-s").join(f));
    let path = files.into_iter().find(|p| p.is_file()).ok_or("no model in models/synth-s")?;
    Model::open(&path).map_err(|e| e.to_string())
}

/// Which models a test has run with, for its output.
pub fn describe(model: &Model) -> String {
    let info = model.info();
    format!(
        "{}x{}, {} values, id {}",
        info.width,
        info.height,
        info.dimension,
        &hex(&info.embedding_id)[..16]
    )
}
