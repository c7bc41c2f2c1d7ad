//! Models opened for use: a plan or an int8 ONNX through either int8 engine, a float ONNX through tract.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use arcgate_firmware::engine::Models;
use arcgate_firmware::engine::plan::{PairError, Plan, PlanEngine, PlanError, PlanModels};
use arcgate_firmware::engine::tract::{TractEngine, TractError};
use arcgate_firmware::model::thresholds::ThresholdTable;
use arcgate_firmware::model::{ChannelOrder, ModelInfo, Task};
use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::*;

use crate::lower::{self, LowerError};
use crate::onnx::file::{self, FileError};

/// The two int8 engines. They give the same bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// The plan's interpreter, as on a device.
    Plan,
    /// tract's optimized graph; needs the ONNX.
    Tract,
}

/// Why a model cannot be opened or run.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The file cannot be read, or is no ONNX.
    #[error(transparent)]
    File(#[from] FileError),
    /// The int8 ONNX cannot be lowered.
    #[error("{}: {source}", path.display())]
    Lower {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: Box<LowerError>,
    },
    /// The file is no valid plan.
    #[error("{}: {source}", path.display())]
    Plan {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: PlanError,
    },
    /// The model and a detector cannot run together.
    #[error("{} with a detector: {source}", path.display())]
    Pair {
        /// The model's file.
        path: PathBuf,
        /// Which of the two, and why.
        source: PairError,
    },
    /// tract refuses the model.
    #[error("{}: {source}", path.display())]
    Tract {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: TractError,
    },
    /// A plan holds no graph that tract could run.
    #[error("{} is a plan, and the tract engine needs the int8 .onnx that it was compiled from", .0.display())]
    NoGraph(PathBuf),
    /// A crop is not of the model's size.
    #[error("the model takes crops of {expected} bytes, {found} were given")]
    Crop {
        /// Bytes of a crop.
        expected: usize,
        /// Bytes given.
        found: usize,
    },
    /// tract failed while it ran a float model.
    #[error("tract failed to run the model: {0}")]
    Run(String),
}

/// An int8 model: its plan, and its ONNX where it was opened from one.
#[derive(Debug)]
pub struct Model {
    path: PathBuf,
    plan: Arc<[u8]>,
    info: ModelInfo,
    onnx: Option<ModelProto>,
    /// Made once, when the plan's engine is first asked for: its weights are packed for this processor.
    engine: OnceLock<PlanEngine<Arc<[u8]>, Vec<u8>>>,
    /// Built once, when the tract engine is first asked for.
    tract: OnceLock<TractEngine>,
}

impl Model {
    /// Opens a `.plan`, or an int8 `.onnx` that is lowered in memory. The content decides, not the name.
    ///
    /// # Errors
    /// When the file cannot be read, is neither, or cannot be lowered.
    pub fn open(path: &Path) -> Result<Self, EngineError> {
        let bytes = std::fs::read(path).map_err(|source| FileError::Io {
            verb: "read",
            path: path.into(),
            source,
        })?;
        if bytes.starts_with(b"ARCPLAN") || path.extension().is_some_and(|e| e == "plan") {
            return Self::from_plan(path, bytes);
        }
        let onnx = file::decode(&bytes).map_err(|why| FileError::NotOnnx { path: path.into(), why })?;
        Self::from_onnx(path, onnx)
    }

    /// A model from an int8 ONNX in memory; `path` is what errors call it.
    ///
    /// # Errors
    /// When it cannot be lowered.
    pub fn from_onnx(path: &Path, onnx: ModelProto) -> Result<Self, EngineError> {
        let plan = lower::lower(&onnx)
            .map_err(|source| EngineError::Lower { path: path.into(), source: Box::new(source) })?;
        Ok(Model { onnx: Some(onnx), ..Self::from_plan(path, plan)? })
    }

    /// A model from a plan in memory; `path` is what errors call it.
    ///
    /// # Errors
    /// When it is no valid plan.
    pub fn from_plan(path: &Path, plan: Vec<u8>) -> Result<Self, EngineError> {
        let parsed = Plan::parse(&plan).map_err(|source| EngineError::Plan { path: path.into(), source })?;
        parsed
            .header()
            .expect(Task::Embedding)
            .map_err(|source| EngineError::Plan { path: path.into(), source })?;
        let info = parsed.info().clone();
        let (engine, tract) = (OnceLock::new(), OnceLock::new());
        Ok(Model { path: path.into(), plan: plan.into(), info, onnx: None, engine, tract })
    }

    /// What the model says of itself.
    pub fn info(&self) -> &ModelInfo {
        &self.info
    }

    /// Its thresholds, if `arcgate calibrate` has run.
    pub fn thresholds(&self) -> Option<ThresholdTable<'_>> {
        Plan::parse(&self.plan).ok()?.thresholds()
    }

    /// The plan.
    pub fn plan_bytes(&self) -> &[u8] {
        &self.plan
    }

    /// The int8 ONNX, when the model was opened from one.
    pub fn onnx(&self) -> Option<&ModelProto> {
        self.onnx.as_ref()
    }

    /// A new engine for one thread; cheap, the constants are shared.
    ///
    /// # Errors
    /// When the tract engine is asked for and the model is a plan, or tract refuses it.
    pub fn embedder(&self, kind: Kind) -> Result<Box<dyn Models + Send>, EngineError> {
        match kind {
            Kind::Plan => {
                if let Some(engine) = self.engine.get() {
                    return Ok(Box::new(engine.clone()));
                }
                let plan_error = |source| EngineError::Plan { path: self.path.clone(), source };
                let arena = Plan::parse(&self.plan).map_err(plan_error)?.arena_bytes();
                let engine = PlanEngine::new(Arc::clone(&self.plan), vec![0u8; arena]).map_err(plan_error)?;
                Ok(Box::new(self.engine.get_or_init(|| engine).clone()))
            }
            Kind::Tract => {
                if let Some(engine) = self.tract.get() {
                    return Ok(Box::new(engine.clone()));
                }
                let onnx = self.onnx.as_ref().ok_or_else(|| EngineError::NoGraph(self.path.clone()))?;
                let engine = TractEngine::from_model(onnx, self.info.clone())
                    .map_err(|source| EngineError::Tract { path: self.path.clone(), source })?;
                Ok(Box::new(self.tract.get_or_init(|| engine).clone()))
            }
        }
    }

    /// A new engine for one thread that finds faces itself, by the plan `detector`: both in one arena, as on a device.
    ///
    /// # Errors
    /// When one of the plans cannot be run.
    pub fn with_detector(&self, detector: &Arc<[u8]>) -> Result<Box<dyn Models + Send>, EngineError> {
        let pair_error = |source| EngineError::Pair { path: self.path.clone(), source };
        let bytes = |plan, wrap: fn(PlanError) -> PairError| {
            Plan::parse(plan).map(|plan| plan.arena_bytes()).map_err(|why| pair_error(wrap(why)))
        };
        let arena = bytes(&self.plan, PairError::Embedder)?.max(bytes(detector, PairError::Detector)?);
        let plans = (Arc::clone(&self.plan), Some(Arc::clone(detector)));
        Ok(Box::new(PlanModels::new(plans.0, plans.1, vec![0u8; arena]).map_err(pair_error)?))
    }
}

/// What a float model takes: geometry, channel order and normalisation.
#[derive(Debug, Clone, PartialEq)]
pub struct InputSpec {
    /// Columns.
    pub width: u16,
    /// Rows.
    pub height: u16,
    /// Order of the input planes.
    pub order: ChannelOrder,
    /// Subtracted, in units of the full pixel range 0..1, one value a channel.
    pub mean: Vec<f32>,
    /// Divided by, in the same units.
    pub std: Vec<f32>,
}

/// A float model through tract; one can serve many threads.
#[derive(Debug)]
pub struct FloatEngine {
    graph: Arc<TypedRunnableModel>,
    spec: InputSpec,
}

impl FloatEngine {
    /// Opens a float ONNX with one input `[N, C, H, W]`, which is run with N = 1.
    ///
    /// # Errors
    /// When the file cannot be read or tract refuses it.
    pub fn open(path: &Path, spec: &InputSpec) -> Result<Self, EngineError> {
        Self::from_model(path, &file::read(path)?, spec)
    }

    /// The same from a model in memory; `path` is what errors call it.
    ///
    /// # Errors
    /// When tract refuses it.
    pub fn from_model(path: &Path, model: &ModelProto, spec: &InputSpec) -> Result<Self, EngineError> {
        let shape = [1, spec.order.channels(), spec.height as usize, spec.width as usize];
        let load = || -> TractResult<_> {
            let mut inference = tract_onnx::onnx().model_for_proto_model(model)?;
            inference.set_input_fact(0, f32::fact(shape).into())?;
            // Without their stated shapes (often a batch of any size) the outputs follow from the input.
            for slot in 0..inference.outputs.len() {
                inference.set_output_fact(slot, Default::default())?;
            }
            inference.into_optimized()?.into_runnable()
        };
        let graph = load().map_err(|why| EngineError::Tract {
            path: path.into(),
            source: TractError::Graph(format!("{why:#}")),
        })?;
        Ok(FloatEngine { graph, spec: spec.clone() })
    }

    /// Embeds one crop: interleaved R, G, B (or grey) whatever the model's channel order.
    ///
    /// # Errors
    /// When the crop has another size, or tract fails.
    pub fn embed(&self, crop: &[u8]) -> Result<Vec<f32>, EngineError> {
        let spec = &self.spec;
        let channels = spec.order.channels();
        let (height, width) = (spec.height as usize, spec.width as usize);
        let (expected, found) = (height * width * channels, crop.len());
        if expected != found {
            return Err(EngineError::Crop { expected, found });
        }
        let pixels = height * width;
        let mut planes = vec![0u8; crop.len()];
        arcgate_firmware::engine::tract::to_planes(spec.order, crop, &mut planes);
        let values: Vec<f32> = planes
            .chunks_exact(pixels)
            .zip(spec.mean.iter().zip(&spec.std))
            .flat_map(|(plane, (mean, std))| plane.iter().map(move |&p| (p as f32 / 255.0 - mean) / std))
            .collect();
        let run = || -> TractResult<Vec<f32>> {
            let input = Tensor::from_shape(&[1, channels, height, width], &values)?;
            let outputs = self.graph.run(tvec!(input.into_tvalue()))?;
            Ok(outputs[0].try_as_plain_ram()?.as_slice::<f32>()?.to_vec())
        };
        run().map_err(|why| EngineError::Run(format!("{why:#}")))
    }
}
