//! Float ONNX to int8 QOperator ONNX with its scales on the lattice.
//!
//! [`import`] reads the float graph and runs it through tract on calibration crops; brings the channels of each tensor to like
//! ranges; walks the graph in order, with what int8 has made of the crops so far beside what they are in float: it chooses
//! each tensor's range by the error it causes, places its scale where all runtimes agree (see [`lattice`] and [`pairs`]) and rounds weights
//! so that they make up for one another's errors; and measures what all that did to the embeddings on crops that were held
//! back.

mod blame;
mod calibrate;
mod conv;
mod equalize;
mod input;
pub mod lattice;
mod learnt;
mod measure;
pub mod pairs;
mod range;
mod rounding;
mod twin;
mod walk;

use std::cmp::Ordering;

use tract_onnx::pb::ModelProto;

use crate::onnx::float::{FloatGraph, ReadError};
use crate::onnx::identity::embedding_id;
use crate::onnx::metadata::{Calibration, FloatInput, Metadata, VERSION, hex};
use crate::onnx::origin::{Origin, OriginError};
pub use blame::Blame;
use calibrate::Observed;
use input::Picture;
pub use learnt::Ranges;
pub use range::Rule;
use walk::Quantized;

/// What [`import`] must know besides the model and the crops.
#[derive(Debug, Clone)]
pub struct ImportOptions {
    /// How crops become the model's input. [`FloatInput::of`] reads it from models that `arcgate train` wrote.
    pub input: FloatInput,
    /// What the float model is and on which terms it may be used, for people; it goes into the metadata.
    pub origin: Origin,
    /// Seed of the choice of activations that ranges are refined on.
    pub seed: u64,
    /// How many crops, the last ones given, are kept out of calibration to measure on; never more than a quarter.
    pub held_back: usize,
    /// Find out what each layer does to the embeddings by itself.
    pub blame: bool,
    /// The least mean cosine of the embeddings to the float model's.
    pub min_cosine: f64,
}

impl ImportOptions {
    /// Seed 0, 32 crops held back, no blame, any cosine.
    pub fn new(input: FloatInput, origin: impl Into<Origin>) -> Self {
        ImportOptions { input, origin: origin.into(), seed: 0, held_back: 32, blame: false, min_cosine: -1.0 }
    }
}

/// Where [`import`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Crops gone through the float graph, of how many.
    Calibrating(usize, usize),
    /// Layers placed on the lattice, of how many.
    Quantizing(usize, usize),
    /// Held-back crops gone through both graphs, of how many.
    Measuring(usize, usize),
    /// Layers tried alone in int8, of how many.
    Blaming(usize, usize),
}

/// What became of one layer.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerRow {
    /// The node's name in the int8 graph.
    pub name: String,
    /// What it was in the float graph ("Conv+Relu").
    pub op: String,
    /// Channels, rows and columns of the output.
    pub shape: [usize; 3],
    /// Real value of one step of the output.
    pub scale: f32,
    /// The int8 that stands for zero.
    pub zero_point: i8,
    /// What the range of the output was chosen by.
    pub rule: Rule,
    /// The largest relative move of its scales onto the lattice, dead channels left out.
    pub moved: f64,
    /// Channels whose requantization scale was raised to [`lattice::LEAST_SCALE`], because they hardly say anything.
    pub dead: usize,
}

/// Float against int8 embeddings.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Agreement {
    /// How many images.
    pub images: usize,
    /// Mean cosine between the two embeddings of an image.
    pub mean_cosine: f64,
    /// The least one.
    pub least_cosine: f64,
    /// Mean angle in degrees.
    pub mean_degrees: f64,
    /// The greatest one.
    pub greatest_degrees: f64,
}

/// An int8 model and how it came about.
#[derive(Debug, Clone)]
pub struct Imported {
    /// The int8 ONNX with its metadata.
    pub model: ModelProto,
    /// The metadata that stands in it.
    pub metadata: Metadata,
    /// One row a layer, in the order of the graph; the first is the input's table.
    pub layers: Vec<LayerRow>,
    /// Crops that ranges were measured on; 0 where a training had learnt them.
    pub calibrated: usize,
    /// On the held-back crops (on the calibration crops when there were fewer than four).
    pub agreement: Agreement,
    /// Every layer alone in int8 on the same crops, the worst first; none where nobody asked.
    pub blame: Vec<Blame>,
}

impl Imported {
    /// The layer whose scales moved farthest.
    pub fn largest_move(&self) -> Option<&LayerRow> {
        self.layers.iter().max_by(|a, b| a.moved.total_cmp(&b.moved))
    }
}

/// Why a model could not be imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The float graph is not one that is taken.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The preprocessing does not fit the model.
    #[error("{problem}\n  accepted: {accepted}")]
    Input {
        /// What is the matter, with the value.
        problem: String,
        /// What would be taken.
        accepted: String,
    },
    /// The licence or the source is not one that is taken.
    #[error(transparent)]
    Origin(#[from] OriginError),
    /// There is nothing to measure ranges on.
    #[error(
        "no image to calibrate on\n  accepted: at least one; some hundred of the kind that the device will see"
    )]
    NoCrops,
    /// A crop of another size.
    #[error("crop {index} has {found} bytes\n  accepted: {expected}, height x width x channels")]
    CropLength {
        /// Which crop.
        index: usize,
        /// Bytes that the input takes.
        expected: usize,
        /// Bytes given.
        found: usize,
    },
    /// A tensor took values that are no numbers.
    #[error(
        "tensor {tensor:?} takes values that are not finite on crop {index}\n  accepted: finite activations"
    )]
    NotFinite {
        /// Its name in the float model.
        tensor: String,
        /// On which crop.
        index: usize,
    },
    /// The ranges that the model carries are none of its own.
    #[error("learnt ranges: {problem}\n  accepted: {accepted}")]
    Ranges {
        /// What is the matter, with the name or value.
        problem: String,
        /// What would be taken.
        accepted: &'static str,
    },
    /// No scale near the wanted one makes all runtimes agree.
    #[error("layer {layer:?} ({op}): {problem}\n  accepted: {accepted}")]
    Lattice {
        /// The float node.
        layer: String,
        /// Its operator.
        op: String,
        /// What is the matter, with the value.
        problem: String,
        /// What would be taken.
        accepted: &'static str,
    },
    /// The embeddings point elsewhere than the float model's.
    #[error(
        "the int8 embeddings' mean cosine to the float ones is {:.4}, asked were {least}; alone in int8, these layers turn them most:{}\n  \
         accepted: more or other images to calibrate on, a model without these layers' outliers, or a lower --min-cosine",
        agreement.mean_cosine, named(blame)
    )]
    FarFromFloat {
        /// What was asked for.
        least: f64,
        /// What was found.
        agreement: Agreement,
        /// Every layer alone in int8, the worst first.
        blame: Vec<Blame>,
    },
    /// tract did not run a graph that should be well-formed.
    #[error("tract cannot run the {graph} graph: {why}")]
    Runtime {
        /// "float" or "int8".
        graph: &'static str,
        /// What it said.
        why: String,
    },
}

/// Turns a float embedder into an int8 one.
///
/// `crops` are height x width x channels bytes each, rows from top to bottom, interleaved R, G, B (one grey byte for a grey
/// model). The same input gives the same bytes on any machine whose float arithmetic gives the same activations, however
/// many threads there are. `progress` is called from one thread.
///
/// # Errors
/// When the graph or the preprocessing is not taken, a crop has the wrong size, or a scale cannot be placed.
pub fn import(
    float: &ModelProto,
    crops: &[Vec<u8>],
    options: &ImportOptions,
    progress: &dyn Fn(Progress),
) -> Result<Imported, ImportError> {
    let original = FloatGraph::read(float)?;
    let picture = Picture::new(original.input(), &options.input)?;
    options.origin.check()?;
    fit(crops, &picture)?;
    let held_back = options.held_back.min(crops.len() / 4);
    let (calibration, held) = crops.split_at(crops.len() - held_back);
    let learnt = Ranges::of(float, &original)?;
    let Calibrated { graph, observed, quantized } =
        calibrate(&original, learnt.as_ref(), calibration, &picture, options.seed, progress)?;

    let mut metadata = Metadata {
        version: VERSION,
        task: graph.task,
        width: graph.input().width as u16,
        height: graph.input().height as u16,
        order: options.input.order.clone(),
        mean: options.input.mean.clone(),
        std: options.input.std.clone(),
        template: options.input.template,
        dimension: graph.dimension() as u16,
        embedding_id: String::new(),
        source: options.origin.source.clone(),
        licence: options.origin.licence.clone(),
        calibration: learnt
            .is_none()
            .then(|| Calibration { images: calibration.len() as u32, sha256: digest(calibration) }),
        thresholds: None,
    };
    let mut model = quantized.model.clone();
    metadata.embedding_id = hex(&embedding_id(&model, &metadata));
    metadata.store(&mut model);

    let measured = if held.is_empty() { calibration } else { held };
    let agreement = measure::agreement(&original, &model, &picture, measured, progress)?;
    let least = options.min_cosine;
    // Not a number is far, too.
    let far = !matches!(agreement.mean_cosine.partial_cmp(&least), Some(Ordering::Greater | Ordering::Equal));
    let blame = match options.blame || far {
        true => blame::blame(&graph, &observed, &quantized, &picture, measured, progress)?,
        false => Vec::new(),
    };
    if far {
        return Err(ImportError::FarFromFloat { least, agreement, blame });
    }
    let layers = quantized.rows;
    let calibrated = if learnt.is_some() { 0 } else { calibration.len() };
    Ok(Imported { model, metadata, layers, calibrated, agreement, blame })
}

/// What the integers of an int8 model stand for: the graph as real numbers, and its ranges. It is the model that [`import`] makes
/// of `float` and `crops`, none of them held back; a training with simulated int8 begins there.
///
/// # Errors
/// As [`import`].
pub fn meant(
    float: &ModelProto,
    crops: &[Vec<u8>],
    input: &FloatInput,
    seed: u64,
    progress: &dyn Fn(Progress),
) -> Result<(FloatGraph, Ranges), ImportError> {
    let original = FloatGraph::read(float)?;
    let picture = Picture::new(original.input(), input)?;
    fit(crops, &picture)?;
    let learnt = Ranges::of(float, &original)?;
    let Calibrated { mut graph, quantized, .. } =
        calibrate(&original, learnt.as_ref(), crops, &picture, seed, progress)?;
    let Quantized { meant, steps, weights, .. } = quantized;
    graph.layers.iter_mut().zip(meant).for_each(|(layer, meant)| layer.op = meant);
    Ok((graph, Ranges { tensors: steps, weights }))
}

/// A graph that was quantized, and what was seen of it.
struct Calibrated {
    graph: FloatGraph,
    observed: Vec<Observed>,
    quantized: Quantized,
}

/// Quantizes the graph in its `learnt` ranges; without any, equalized and in ranges chosen by what crops make of it.
fn calibrate(
    original: &FloatGraph,
    learnt: Option<&Ranges>,
    crops: &[Vec<u8>],
    picture: &Picture,
    seed: u64,
    progress: &dyn Fn(Progress),
) -> Result<Calibrated, ImportError> {
    let observe = |graph: &FloatGraph| calibrate::observe(graph, crops, picture, seed, progress);
    let mut observed = observe(original)?;
    let mut graph = original.clone();
    if learnt.is_none() {
        graph = equalize::equalize(original, &observed);
        observed = observe(&graph)?;
    }
    let quantized = walk::quantize(&graph, &observed, picture, crops, learnt, progress)?;
    Ok(Calibrated { graph, observed, quantized })
}

/// Checks that there are crops, all of the picture's size.
fn fit(crops: &[Vec<u8>], picture: &Picture) -> Result<(), ImportError> {
    if crops.is_empty() {
        return Err(ImportError::NoCrops);
    }
    let expected = picture.crop_bytes();
    match crops.iter().position(|c| c.len() != expected) {
        Some(index) => Err(ImportError::CropLength { index, expected, found: crops[index].len() }),
        None => Ok(()),
    }
}

/// Layers that an error names.
const NAMED: usize = 5;

/// The worst layers, a line each.
fn named(blame: &[Blame]) -> String {
    let line = |b: &Blame| {
        let noise = b.sqnr_db.map_or(String::new(), |db| format!(", {db:.1} dB above its noise"));
        format!(
            "\n    {} ({}): {:.2} degrees{noise}, {:.2} % saturated",
            b.layer,
            b.op,
            b.mean_degrees,
            100.0 * b.saturated
        )
    };
    blame.iter().take(NAMED).map(line).collect()
}

/// SHA-256 in hexadecimal over crops, in order.
fn digest(crops: &[Vec<u8>]) -> String {
    use sha2::Digest;
    let mut hash = sha2::Sha256::new();
    crops.iter().for_each(|c| hash.update(c));
    hex(&hash.finalize())
}
