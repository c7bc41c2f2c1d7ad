//! What a float ONNX takes: geometry from its graph, the rest from its metadata or from what somebody says.

use std::path::{Path, PathBuf};

use arcgate_firmware::model::{ChannelOrder, ModelInfo};
use nalgebra::Point2;
use tract_onnx::pb::tensor_shape_proto::dimension::Value as Dimension;
use tract_onnx::pb::type_proto::Value as Type;
use tract_onnx::pb::{ModelProto, ValueInfoProto};

use crate::engine::{EngineError, FloatEngine, InputSpec};
use crate::onnx::file::{self, FileError};
use crate::onnx::metadata::{FloatInput, Metadata, MetadataError, template_by_shape};

/// Why a float model cannot be measured.
#[derive(Debug, thiserror::Error)]
pub enum FloatError {
    /// The file cannot be read, or is no ONNX.
    #[error(transparent)]
    File(#[from] FileError),
    /// Its metadata is damaged.
    #[error("{}: {source}", path.display())]
    Metadata {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        source: MetadataError,
    },
    /// Nobody said how pixels become its input.
    #[error(
        "{} does not say how pixels become its input\n  accepted: --mean and --std, one value a channel in units of \
         the full range 0..1, or a model that `arcgate train` wrote", path.display()
    )]
    NoNormalisation {
        /// Which file.
        path: PathBuf,
    },
    /// Its input or what was said of it does not fit.
    #[error("{}: {what}\n  accepted: {accepted}", path.display())]
    Input {
        /// Which file.
        path: PathBuf,
        /// What does not fit.
        what: String,
        /// What would.
        accepted: &'static str,
    },
    /// tract refuses it.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// What a person said of the input, on the command line.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Said {
    /// Subtracted from red, green and blue (or grey), in units of the full range 0..1.
    pub mean: Option<Vec<f32>>,
    /// Divided by, in the same units.
    pub std: Option<Vec<f32>>,
    /// "grey", "rgb" or "bgr".
    pub order: Option<String>,
}

/// Opens the float ONNX at `path`: the engine, and what its crops are (its `dimension` is 1 and means nothing).
///
/// How pixels become its input is looked up in what was `said`, then in the metadata of the int8 model that was `imported`
/// from it, then in the model's own [`FloatInput`].
///
/// # Errors
/// When the file is no model, its input is not `[N, C, H, W]`, or nothing tells its normalisation.
pub fn open(
    path: &Path,
    said: &Said,
    imported: Option<&Metadata>,
) -> Result<(FloatEngine, ModelInfo), FloatError> {
    let model = file::read(path)?;
    let own = FloatInput::of(&model).map_err(|source| FloatError::Metadata { path: path.into(), source })?;
    let imported = imported.map(|m| FloatInput {
        order: m.order.clone(),
        mean: m.mean.clone(),
        std: m.std.clone(),
        template: m.template,
    });
    // What the int8 model was made with stands above what the float model says: `import` may have been told otherwise.
    let known = imported.or(own);
    let wrong = |what: String, accepted| FloatError::Input { path: path.into(), what, accepted };
    let (channels, height, width) = geometry(&model).map_err(|what| {
        wrong(
            what,
            "one input [N, C, H, W] with known C, H and W, 1 or 3 channels, at most 65535 pixels a side",
        )
    })?;
    let order = said.order.clone().or_else(|| known.as_ref().map(|k| k.order.clone()));
    let order = match (order.as_deref(), channels) {
        (Some("grey") | None, 1) => ChannelOrder::Grey,
        (Some("rgb") | None, 3) => ChannelOrder::Rgb,
        (Some("bgr"), 3) => ChannelOrder::Bgr,
        (order, _) => {
            let what = format!("channel order {order:?} for {channels} input channels");
            return Err(wrong(what, "grey for one channel, rgb or bgr for three"));
        }
    };
    let from_known = |pick: fn(&FloatInput) -> &Vec<f32>| known.as_ref().map(|k| pick(k).clone());
    let no_normalisation = || FloatError::NoNormalisation { path: path.into() };
    // The flags speak of colours, the metadata and the model of planes.
    let planes = |mut colours: Vec<f32>| {
        if order == ChannelOrder::Bgr {
            colours.reverse();
        }
        colours
    };
    let mean =
        said.mean.clone().map(planes).or_else(|| from_known(|k| &k.mean)).ok_or_else(no_normalisation)?;
    let std = said.std.clone().map(planes).or_else(|| from_known(|k| &k.std)).ok_or_else(no_normalisation)?;
    let finite = mean.iter().all(|m| m.is_finite()) && std.iter().all(|s| s.is_finite() && *s > 0.0);
    if mean.len() != channels || std.len() != channels || !finite {
        let what = format!("mean {mean:?} and std {std:?} for {channels} input channels");
        return Err(wrong(what, "one finite value a channel, std above 0"));
    }
    let template = match &known {
        Some(known) => known.template,
        None => template_by_shape(channels, width.into(), height.into()),
    };
    let template = template.map(|points| points.map(Point2::from));
    let spec = InputSpec { width, height, order, mean, std };
    let engine = FloatEngine::from_model(path, &model, &spec)?;
    let info = ModelInfo { width, height, order, template, dimension: 1, embedding_id: [0; 32] };
    Ok((engine, info))
}

/// Channels, rows and columns of the only input.
fn geometry(model: &ModelProto) -> Result<(usize, u16, u16), String> {
    let graph = model.graph.as_ref().ok_or("it has no graph")?;
    let weights: Vec<&str> = graph.initializer.iter().map(|i| i.name.as_str()).collect();
    let inputs: Vec<&ValueInfoProto> =
        graph.input.iter().filter(|i| !weights.contains(&i.name.as_str())).collect();
    let [input] = inputs[..] else { return Err(format!("it has {} inputs", inputs.len())) };
    let shape = input.r#type.as_ref().and_then(|t| t.value.as_ref()).and_then(|value| match value {
        Type::TensorType(tensor) => tensor.shape.as_ref(),
        #[allow(unreachable_patterns, reason = "ONNX builds with more types have more arms")]
        _ => None,
    });
    let dims: Vec<Option<i64>> = shape
        .iter()
        .flat_map(|s| &s.dim)
        .map(|d| match d.value {
            Some(Dimension::DimValue(n)) => Some(n),
            _ => None,
        })
        .collect();
    let side = |n: Option<i64>| n.and_then(|n| u16::try_from(n).ok()).filter(|&n| n > 0);
    match dims[..] {
        [_, Some(channels @ (1 | 3)), height, width] if side(height).is_some() && side(width).is_some() => {
            Ok((channels as usize, side(height).unwrap_or(1), side(width).unwrap_or(1)))
        }
        _ => {
            let say = |d: &Option<i64>| d.map_or_else(|| "?".into(), |n| n.to_string());
            let dims: Vec<String> = dims.iter().map(say).collect();
            Err(format!("its input {:?} is [{}]", input.name, dims.join(", ")))
        }
    }
}
