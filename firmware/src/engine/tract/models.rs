//! The models of a Linux board: what the plans of its slot say, run by tract.

use std::path::Path;

use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::Framework;

use super::{TractDetector, TractEngine, TractError};
use crate::detect::{Face, LookError, MOST_FACES, Settings};
use crate::engine::vectors;
use crate::engine::{EmbedError, Embedder, Models};
use crate::model::ModelInfo;
use crate::model::thresholds::ThresholdTable;

/// Drawn crops on which a graph is held against its plan.
pub const CROPS: u32 = 4;

/// The int8 ONNX of a device's plans.
#[derive(Debug, Clone)]
pub struct Graphs {
    embedder: ModelProto,
    detector: Option<ModelProto>,
}

impl Graphs {
    /// Reads the files.
    ///
    /// # Errors
    /// When one of them is no ONNX, in tract's words.
    pub fn read(embedder: &Path, detector: Option<&Path>) -> Result<Self, TractError> {
        let read = |path: &Path| {
            let model = tract_onnx::onnx().proto_model_for_path(path);
            model.map_err(|why| TractError::Graph(format!("{why:#}")))
        };
        Ok(Graphs { embedder: read(embedder)?, detector: detector.map(read).transpose()? })
    }
}

/// The models `M`, by tract once their graphs are [loaded](TractModels::load). What a graph does not carry is theirs: what the models say
/// of themselves, the thresholds, and the arena in which a model that comes is tried.
#[derive(Debug)]
pub struct TractModels<M> {
    plans: M,
    embedder: Option<TractEngine>,
    detector: Option<TractDetector>,
}

impl<M: Models> TractModels<M> {
    /// The models as they are.
    pub fn new(plans: M) -> Self {
        TractModels { plans, embedder: None, detector: None }
    }

    /// Runs these graphs from now on, once they were found to give what the models give on [`CROPS`] drawn crops. Without a detector's
    /// graph the models' own finds the faces.
    ///
    /// # Errors
    /// When tract refuses a graph, there is no detector that it could be, or it gives something else. The models run as before.
    pub fn load(&mut self, graphs: &Graphs) -> Result<(), TractError> {
        let embedder = self.same_embedder(&graphs.embedder)?;
        let detector = graphs.detector.as_ref().map(|model| self.same_detector(model)).transpose()?;
        (self.embedder, self.detector) = (Some(embedder), detector);
        Ok(())
    }

    fn same_embedder(&mut self, model: &ModelProto) -> Result<TractEngine, TractError> {
        let info = self.plans.info().clone();
        let mut engine = TractEngine::from_model(model, info.clone())?;
        let dimension = usize::from(info.dimension);
        let (mut expected, mut found) = (vec![0; dimension], vec![0; dimension]);
        each_crop("embedder", &info, |crop| {
            let ran = self.plans.embed(crop, &mut expected).and_then(|()| engine.embed(crop, &mut found));
            ran.is_ok() && expected == found
        })?;
        Ok(engine)
    }

    fn same_detector(&mut self, model: &ModelProto) -> Result<TractDetector, TractError> {
        let info = self.plans.detector().cloned().ok_or(TractError::NoDetector)?;
        let mut engine = TractDetector::from_model(model, info.clone())?;
        // Any cell is a face: drawn crops show none.
        let anything = Settings { least_score: 0.0, ..Settings::default() };
        each_crop("detector", &info, |crop| {
            let found = engine.faces::<MOST_FACES>(crop, &anything);
            self.plans.find(crop, &anything).is_ok_and(|expected| found == Ok(expected))
        })?;
        Ok(engine)
    }
}

/// Draws crops until one is not the `same`.
fn each_crop(
    which: &'static str,
    info: &ModelInfo,
    mut same: impl FnMut(&[u8]) -> bool,
) -> Result<(), TractError> {
    let mut crop = vec![0; info.crop_bytes()];
    for number in 0..CROPS {
        vectors::draw(number, info, &mut crop);
        if !same(&crop) {
            return Err(TractError::Differs { which, crop: number });
        }
    }
    Ok(())
}

impl<M: Models> Embedder for TractModels<M> {
    fn info(&self) -> &ModelInfo {
        self.plans.info()
    }

    fn thresholds(&self) -> Option<ThresholdTable<'_>> {
        self.plans.thresholds()
    }

    fn embed(&mut self, crop: &[u8], out: &mut [i8]) -> Result<(), EmbedError> {
        match &mut self.embedder {
            Some(engine) => engine.embed(crop, out),
            None => self.plans.embed(crop, out),
        }
    }
}

impl<M: Models> Models for TractModels<M> {
    fn detector(&self) -> Option<&ModelInfo> {
        self.plans.detector()
    }

    fn find(
        &mut self,
        picture: &[u8],
        settings: &Settings,
    ) -> Result<heapless::Vec<Face, MOST_FACES>, LookError> {
        match &mut self.detector {
            Some(engine) => engine.faces(picture, settings),
            None => self.plans.find(picture, settings),
        }
    }

    fn arena(&mut self) -> &mut [u8] {
        self.plans.arena()
    }
}
