//! The same ONNX through tract: the oracle, and the engine of Linux-class boards.

mod models;

use std::sync::Arc;

use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::*;

use super::plan::{MAPS, map_shape};
use super::{EmbedError, Embedder, Models};
use crate::detect::{self, Face, LookError, Map, Settings, Values};
use crate::kernels::Shape;
use crate::model::{ChannelOrder, ModelInfo};
pub use models::{CROPS, Graphs, TractModels};

/// An int8 model in tract's optimized form. Cloning shares the graph.
#[derive(Debug, Clone)]
pub struct TractEngine {
    graph: Arc<TypedRunnableModel>,
    info: ModelInfo,
    /// The crop in planes, kept from one embedding to the next.
    planes: Vec<u8>,
}

/// Why tract cannot run a model.
#[derive(Debug)]
pub enum TractError {
    /// tract refused the graph; in its words.
    Graph(String),
    /// The graph's input or output is not what the model says of itself.
    Fact {
        /// "input" or "output".
        which: &'static str,
        /// What the graph has.
        found: String,
        /// What it should have.
        expected: String,
    },
    /// A detector's graph, where the models have no detector.
    NoDetector,
    /// The graph is not the model's: the two give other bytes.
    Differs {
        /// "embedder" or "detector".
        which: &'static str,
        /// The drawn crop on which they do.
        crop: u32,
    },
}

impl core::fmt::Display for TractError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            TractError::Graph(why) => write!(f, "tract cannot run the model: {why}"),
            TractError::Fact { which, found, expected } => {
                write!(f, "the model's {which} is {found}; accepted: {expected}")
            }
            TractError::NoDetector => f.write_str("a detector's ONNX, and the model has no detector"),
            TractError::Differs { which, crop } => {
                write!(
                    f,
                    "the {which}'s ONNX differs from its plan on drawn crop {crop}; accepted: the file that it was lowered from"
                )
            }
        }
    }
}

impl core::error::Error for TractError {}

impl TractEngine {
    /// Loads, types and optimizes an int8 model: u8 planes `[1, C, H, W]` in the model's channel order in, an int8 embedding
    /// `[1, D]` out.
    ///
    /// # Errors
    /// When tract refuses the graph, or its input and output are not those of `info`.
    pub fn from_model(model: &ModelProto, info: ModelInfo) -> Result<Self, TractError> {
        let embedding = vec![1, info.dimension as usize];
        let graph = load(model, &info, i8::datum_type(), &[embedding])?;
        let planes = vec![0; info.crop_bytes()];
        Ok(TractEngine { graph, info, planes })
    }
}

/// An int8 detector in tract's optimized form. Cloning shares the graph.
#[derive(Debug, Clone)]
pub struct TractDetector {
    graph: Arc<TypedRunnableModel>,
    info: ModelInfo,
    /// The picture in planes, kept from one to the next.
    planes: Vec<u8>,
}

impl TractDetector {
    /// Loads, types and optimizes an int8 detector: u8 planes `[1, C, H, W]` in the model's channel order in, the dequantized maps
    /// `[1, values, rows, columns]` out, in the order of [`super::plan::map_shape`].
    ///
    /// # Errors
    /// When tract refuses the graph, or its input and outputs are not those of a detector for the pictures of `info`.
    pub fn from_model(model: &ModelProto, info: ModelInfo) -> Result<Self, TractError> {
        let shape = |map| {
            let Shape { height, width, channels } = map_shape(map, info.width, info.height);
            vec![1, channels, height, width]
        };
        let shapes: Vec<Vec<usize>> = (0..MAPS).map(shape).collect();
        let graph = load(model, &info, f32::datum_type(), &shapes)?;
        let planes = vec![0; info.crop_bytes()];
        Ok(TractDetector { graph, info, planes })
    }

    /// The maps of a picture, the values of a cell side by side, as a plan has them.
    ///
    /// # Errors
    /// When `picture` has the wrong length, or tract fails.
    pub fn maps(&mut self, picture: &[u8]) -> Result<Vec<Vec<f32>>, EmbedError> {
        let outputs = run(&self.graph, &self.info, picture, &mut self.planes)?;
        let cells = |(map, tensor): (usize, &TValue)| {
            let plain = tensor.try_as_plain_ram().map_err(|_| EmbedError::Runtime)?;
            let values = plain.as_slice::<f32>().map_err(|_| EmbedError::Runtime)?;
            let Shape { height, width, channels } = map_shape(map, self.info.width, self.info.height);
            let (area, mut cells) = (height * width, vec![0.0; values.len()]);
            for (at, &value) in values.iter().enumerate() {
                cells[at % area * channels + at / area] = value;
            }
            Ok(cells)
        };
        outputs.iter().enumerate().map(cells).collect()
    }

    /// The faces in a picture, best first, at most `N`: as [`PlanDetector::faces`](super::plan::PlanDetector::faces).
    ///
    /// # Errors
    /// When `picture` has the wrong length, or tract fails.
    pub fn faces<const N: usize>(
        &mut self,
        picture: &[u8],
        settings: &Settings,
    ) -> Result<heapless::Vec<Face, N>, LookError> {
        let maps = self.maps(picture).map_err(|error| match error {
            EmbedError::CropLength { expected, found } => LookError::PictureLength { expected, found },
            _ => LookError::Runtime,
        })?;
        let mut next = maps.iter().map(|values| Values::Float(values));
        let mut next = || next.next().ok_or(LookError::Runtime);
        let mut map = || Ok(Map { cls: next()?, obj: next()?, bbox: next()?, kps: next()? });
        let maps = [map()?, map()?, map()?];
        detect::decode(&maps, self.info.width, self.info.height, settings).map_err(LookError::Maps)
    }
}

/// A model ready to run, its input and outputs checked.
fn load(
    model: &ModelProto,
    info: &ModelInfo,
    datum_type: DatumType,
    outputs: &[Vec<usize>],
) -> Result<Arc<TypedRunnableModel>, TractError> {
    let graph = |e: tract_onnx::prelude::TractError| TractError::Graph(format!("{e:#}"));
    let typed = tract_onnx::onnx().model_for_proto_model(model).map_err(graph)?;
    let optimized = typed.into_optimized().map_err(graph)?;
    let shape = [1, info.order.channels(), info.height as usize, info.width as usize];
    let fact = optimized.input_fact(0).map_err(graph)?;
    check("input", fact, u8::datum_type(), &shape)?;
    let found = optimized.output_outlets().map_err(graph)?.len();
    if found != outputs.len() {
        let (found, expected) = (format!("{found} tensors"), format!("{} tensors", outputs.len()));
        return Err(TractError::Fact { which: "output", found, expected });
    }
    for (output, shape) in outputs.iter().enumerate() {
        check("output", optimized.output_fact(output).map_err(graph)?, datum_type, shape)?;
    }
    optimized.into_runnable().map_err(graph)
}

fn check(
    which: &'static str,
    fact: &TypedFact,
    datum_type: DatumType,
    shape: &[usize],
) -> Result<(), TractError> {
    if fact.datum_type == datum_type && fact.shape.as_concrete() == Some(shape) {
        return Ok(());
    }
    Err(TractError::Fact { which, found: format!("{fact:?}"), expected: format!("{datum_type:?} {shape:?}") })
}

/// What a graph makes of a crop.
fn run(
    graph: &Arc<TypedRunnableModel>,
    info: &ModelInfo,
    crop: &[u8],
    planes: &mut [u8],
) -> Result<TVec<TValue>, EmbedError> {
    let (expected, found) = (info.crop_bytes(), crop.len());
    if found != expected {
        return Err(EmbedError::CropLength { expected, found });
    }
    to_planes(info.order, crop, planes);
    let shape = [1, info.order.channels(), info.height as usize, info.width as usize];
    let input = Tensor::from_shape(&shape, planes).map_err(|_| EmbedError::Runtime)?;
    graph.run(tvec!(input.into_tvalue())).map_err(|_| EmbedError::Runtime)
}

/// A crop's interleaved pixels as planes in the order of the model.
pub fn to_planes(order: ChannelOrder, crop: &[u8], planes: &mut [u8]) {
    let channels = order.channels();
    let pixels = crop.len() / channels;
    for (plane, values) in planes.chunks_exact_mut(pixels.max(1)).enumerate() {
        let channel = if order == ChannelOrder::Bgr { 2 - plane.min(2) } else { plane };
        for (value, pixel) in values.iter_mut().zip(crop.chunks_exact(channels)) {
            *value = pixel[channel];
        }
    }
}

impl Embedder for TractEngine {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn embed(&mut self, crop: &[u8], out: &mut [i8]) -> Result<(), EmbedError> {
        let (expected, found) = (self.info.dimension as usize, out.len());
        if found != expected {
            return Err(EmbedError::OutputLength { expected, found });
        }
        let outputs = run(&self.graph, &self.info, crop, &mut self.planes)?;
        let plain = outputs[0].try_as_plain_ram().map_err(|_| EmbedError::Runtime)?;
        let embedding = plain.as_slice::<i8>().map_err(|_| EmbedError::Runtime)?;
        out.copy_from_slice(embedding);
        Ok(())
    }
}

impl Models for TractEngine {}
