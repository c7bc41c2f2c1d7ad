//! Where a fine-tuning begins: a trained float network, and ranges by calibration.

use std::path::Path;

use burn::module::Module;
use burn::tensor::Device;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tract_onnx::pb::ModelProto;

use super::Simulated;
use crate::net::Net;
use crate::onnx::file::{self, FileError};
use crate::onnx::float::FloatGraph;
use crate::onnx::metadata::{FloatInput, hex};
use crate::quantize::{self, Progress};
use crate::synth::dice::Dice;
use crate::train::init::{Initial, same_pixels};
use crate::train::weights::Weights;
use crate::train::{InitError, Recipe, Source, SourceError, TrainError, export, state};

/// The `[quantization]` table of a recipe: the training fine-tunes a float network with simulated int8.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuantizationConfig {
    /// Images of the training that the first ranges are chosen on.
    #[serde(default = "calibrate")]
    pub calibrate: usize,
}

fn calibrate() -> usize {
    256
}

impl QuantizationConfig {
    /// What is wrong with the values, and what would be accepted.
    pub(in crate::train) fn check(&self) -> Result<(), String> {
        let ok = (1..=100_000).contains(&self.calibrate);
        let wrong = || format!("quantization.calibrate = {}\n  accepted: 1 to 100000 images", self.calibrate);
        ok.then_some(()).ok_or_else(wrong)
    }
}

/// A trained float network.
#[derive(Debug)]
pub(in crate::train) struct Float {
    model: ModelProto,
    /// The head's tensors, by their path in the model; only a .safetensors has any.
    pub head: Weights,
    /// Of the file, in hexadecimal.
    pub sha256: String,
}

impl Float {
    /// Reads `path`: a .safetensors of the recipe's network by its ending, else any float ONNX that `import` takes and whose input
    /// and embedding are the recipe's.
    ///
    /// # Errors
    /// When it cannot be read, or its ends are others than the recipe's.
    pub fn read(path: &Path, recipe: &Recipe) -> Result<Self, InitError> {
        if path.extension().is_some_and(|e| e == "safetensors") {
            let initial = Initial::read(path, recipe)?;
            let fresh = Net::new(&recipe.net, &mut Dice::new(0, 0, 0, 0), &Device::flex());
            let net = state::with_values(fresh, &initial.net).expect("the shapes were compared");
            let model = export::export(&net.valid(), &recipe.net, &recipe.float_input(), &recipe.name);
            return Ok(Float { model, head: initial.head, sha256: initial.sha256 });
        }
        let bytes = std::fs::read(path).map_err(|why| InitError::Read { path: path.into(), why })?;
        let model = file::decode(&bytes).map_err(|why| FileError::NotOnnx { path: path.into(), why })?;
        let misfit = |(found, wanted)| InitError::Misfit { path: path.into(), found, wanted };
        let said = FloatInput::of(&model).map_err(|why| InitError::Metadata { path: path.into(), why })?;
        if let Some(said) = said {
            same_pixels(&said, &recipe.float_input()).map_err(misfit)?;
        }
        let graph = FloatGraph::read(&model).map_err(|why| InitError::Onnx { path: path.into(), why })?;
        same_ends(&graph, recipe).map_err(misfit)?;
        Ok(Float { model, head: Weights::new(), sha256: hex(&Sha256::digest(&bytes)) })
    }
}

/// That a network's input and embedding have the recipe's sizes.
fn same_ends(graph: &FloatGraph, recipe: &Recipe) -> Result<(), (String, String)> {
    let told = |[planes, columns, rows, length]: [usize; 4]| {
        format!("an input of {columns}x{rows} in {planes} planes and an embedding of {length}")
    };
    let input = graph.input();
    let own = [input.channels, input.width, input.height, graph.dimension()];
    let [columns, rows] = recipe.net.input;
    let wanted = [recipe.net.planes(), columns, rows, recipe.net.embedding];
    if own == wanted { Ok(()) } else { Err((told(own), told(wanted))) }
}

/// `float` in simulated int8, its ranges chosen on the first images of the training as `import` chooses them.
///
/// # Errors
/// When an image cannot be read, or the network cannot be quantized.
pub(in crate::train) fn begin(
    float: &Float,
    recipe: &Recipe,
    config: &QuantizationConfig,
    source: &Source,
    device: &Device,
    progress: &dyn Fn(Progress),
) -> Result<Simulated, TrainError> {
    let sample = |number| source.sample(number).map(|sample| sample.crop);
    let crops: Result<Vec<Vec<u8>>, SourceError> =
        (0..config.calibrate).into_par_iter().map(sample).collect();
    let input = recipe.float_input();
    let (graph, ranges) = quantize::meant(&float.model, &crops?, &input, recipe.seed, progress)?;
    Ok(Simulated::new(&graph, &ranges, device))
}
