//! Which model a measurement is of, and what runs it.

use std::path::PathBuf;

use arcgate_firmware::model::ModelInfo;

use super::shared;
use crate::engine::{Kind, Model};
use crate::eval::embed::Engine;
use crate::eval::float;
use crate::onnx::metadata::Metadata;

/// What `arcgate eval` measures on all its sets.
#[derive(clap::Args, Debug)]
pub(super) struct Measured {
    /// An int8 .onnx or a .plan; with --engine float a float .onnx.
    #[arg(long, value_name = "FILE")]
    pub(super) model: PathBuf,
    /// What runs the model.
    #[arg(long, value_enum, default_value_t = EngineName::Plan)]
    engine: EngineName,
    /// The float .onnx that the model was made from: cosines between the two, and its own figures.
    #[arg(long, value_name = "FILE")]
    float: Option<PathBuf>,
    /// What the float model's input had subtracted, one value a channel, 0..1 is the full range [default: the model's metadata].
    #[arg(long, value_delimiter = ',', value_name = "R,G,B", allow_hyphen_values = true)]
    mean: Option<Vec<f32>>,
    /// What it was divided by, in the same units [default: the model's metadata].
    #[arg(long, value_delimiter = ',', value_name = "R,G,B")]
    std: Option<Vec<f32>>,
    /// The float model's channel order: rgb, bgr or grey [default: the model's metadata, else rgb or grey].
    #[arg(long)]
    order: Option<String>,
    #[command(flatten)]
    pub(super) faces: shared::FaceArgs,
}

impl Measured {
    /// The engines that were asked for, the model's first, and what the model's crops are.
    pub(super) fn engines(&self) -> anyhow::Result<(Vec<Engine>, ModelInfo)> {
        let said = float::Said { mean: self.mean.clone(), std: self.std.clone(), order: self.order.clone() };
        let kind = match self.engine {
            EngineName::Float => {
                let (engine, info) = float::open(&self.model, &said, None)?;
                return match &self.float {
                    None => Ok((vec![Engine::Float(engine)], info)),
                    Some(_) => anyhow::bail!(
                        "--float compares an int8 model with its float one\n  accepted: --engine plan or tract with it"
                    ),
                };
            }
            EngineName::Plan => Kind::Plan,
            EngineName::Tract => Kind::Tract,
        };
        let model = Model::open(&self.model)?;
        let info = model.info().clone();
        let metadata = model.onnx().map(Metadata::of).transpose()?;
        let mut engines = vec![Engine::Int8(Box::new(model), kind)];
        if let Some(path) = &self.float {
            let (engine, theirs) = float::open(path, &said, metadata.as_ref())?;
            // One crop serves both engines.
            if (theirs.width, theirs.height, theirs.order.channels())
                != (info.width, info.height, info.order.channels())
            {
                anyhow::bail!(
                    "{} takes {}x{} with {} channels, {} takes {}x{} with {}\n  accepted: the float model that the int8 one was made from",
                    path.display(),
                    theirs.width,
                    theirs.height,
                    theirs.order.channels(),
                    self.model.display(),
                    info.width,
                    info.height,
                    info.order.channels()
                );
            }
            engines.push(Engine::Float(engine));
        }
        Ok((engines, info))
    }

    /// What runs the model, for people and JSON.
    pub(super) fn engine_name(&self) -> &'static str {
        match self.engine {
            EngineName::Plan => "plan",
            EngineName::Tract => "tract",
            EngineName::Float => "float",
        }
    }
}

/// What runs a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum EngineName {
    /// The plan's interpreter, as on a device.
    Plan,
    /// tract's optimized int8 graph: the oracle, slow.
    Tract,
    /// tract on a float model.
    Float,
}
