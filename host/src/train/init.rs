//! First weights from a file: a .safetensors that `--weights` wrote, or a float ONNX whose layers are the recipe's.
//!
//! An ONNX has batch normalisation folded into its convolutions, and a training normalises by the moments of each batch. So the
//! moments of every convolution are measured on the first batches, and gamma and beta set so that normalising by them gives
//! what the file computes. Kernels are brought to the length of fresh ones (gamma takes the rest): behind a batch
//! normalisation only their direction counts, and their length decides how far a step turns them.

mod moments;
mod onnx;

use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use sha2::{Digest, Sha256};

use super::backbone::Backbone;
use super::batch::load;
use super::state::{self, Values};
use super::trainer::Trainer;
use super::weights::{self, Weights};
use super::{Recipe, TrainError};
use crate::net::{ConvBn, Net};
use crate::onnx::file::{self, FileError};
use crate::onnx::float::{FloatGraph, ReadError};
use crate::onnx::metadata::{FloatInput, MetadataError, hex};
use crate::synth::dice::Dice;
use moments::Moments;

/// Images that the moments are measured on, at least.
const MEASURED: usize = 256;

/// First weights of a backbone, and of its head where the file has them.
#[derive(Debug, Clone)]
pub(super) struct Initial {
    pub net: Values,
    /// The head's tensors, by their path in the model.
    pub head: Weights,
    /// From an ONNX: the moments must be measured.
    folded: bool,
    /// Of the file, in hexadecimal.
    pub sha256: String,
}

/// Why a training cannot begin from a file.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The file system said no.
    #[error("cannot read {}: {why}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// What it said.
        why: std::io::Error,
    },
    /// It is no ONNX.
    #[error(transparent)]
    File(#[from] FileError),
    /// It is an ONNX that is no float embedder.
    #[error("{}: {why}", path.display())]
    Onnx {
        /// Which file.
        path: PathBuf,
        /// What is not taken.
        why: ReadError,
    },
    /// Its metadata is damaged.
    #[error("{}: {why}", path.display())]
    Metadata {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        why: MetadataError,
    },
    /// It is no .safetensors, cut short, or not of f32.
    #[error("{} is no .safetensors to begin from: {why}\n  accepted: a whole file, all tensors F32 and finite", path.display())]
    Safetensors {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// It is a network, but another one.
    #[error("{}: {found}; the recipe has {wanted}\n  accepted: weights of a network with the recipe's [net] and [input]", path.display())]
    Misfit {
        /// Which file.
        path: PathBuf,
        /// The first thing that does not fit.
        found: String,
        /// What the recipe has in its place.
        wanted: String,
    },
}

/// What does not fit, and what the recipe has in its place.
type Misfit = (String, String);

impl Initial {
    /// Reads `path`: a .safetensors by its ending, else a float ONNX.
    ///
    /// # Errors
    /// When it cannot be read, or is not of the recipe's network; the first layer or tensor that is not is named.
    pub fn read(path: &Path, recipe: &Recipe) -> Result<Self, InitError> {
        let bytes = std::fs::read(path).map_err(|why| InitError::Read { path: path.into(), why })?;
        let sha256 = hex(&Sha256::digest(&bytes));
        // Only its shapes count.
        let net = Net::new(&recipe.net, &mut Dice::new(0, 0, 0, 0), &Device::flex());
        let misfit = |(found, wanted)| InitError::Misfit { path: path.into(), found, wanted };
        if path.extension().is_some_and(|e| e == "safetensors") {
            let tensors = weights::from_bytes(&bytes)
                .map_err(|why| InitError::Safetensors { path: path.into(), why })?;
            let values = unfolded(&tensors, &net).map_err(misfit)?;
            let head = tensors.into_iter().filter(|(name, _)| name.starts_with("head.")).collect();
            return Ok(Initial { net: values, head, folded: false, sha256 });
        }
        let model = file::decode(&bytes).map_err(|why| FileError::NotOnnx { path: path.into(), why })?;
        let said = FloatInput::of(&model).map_err(|why| InitError::Metadata { path: path.into(), why })?;
        if let Some(said) = said {
            same_pixels(&said, &recipe.float_input()).map_err(misfit)?;
        }
        let graph = FloatGraph::read(&model).map_err(|why| InitError::Onnx { path: path.into(), why })?;
        let net = onnx::folded(&graph, &net).map_err(misfit)?;
        Ok(Initial { net, head: Weights::new(), folded: true, sha256 })
    }
}

impl<N: Backbone> Trainer<'_, N> {
    /// Begins with `head`. One that has other shapes (another loss, other classes) stays fresh.
    pub(super) fn take_head(&mut self, head: &Weights) {
        let own = weights::of(&self.model.valid());
        let mut heads = own.iter().filter(|(name, _)| name.starts_with("head."));
        if heads.all(|(name, (shape, _))| head.get(name).is_some_and(|(s, _)| s == shape)) {
            let mut values: Values = own.into_iter().map(|(name, (_, v))| (name, v)).collect();
            values.extend(head.iter().map(|(name, (_, v))| (name.clone(), v.clone())));
            self.model = state::with_values(self.model.clone(), &values).expect("the shapes were compared");
        }
    }
}

impl Trainer<'_, Net> {
    /// Begins with `initial` in the place of fresh weights. A head that has other shapes (another loss, other classes) stays fresh.
    pub(super) fn begin_from(&mut self, initial: &Initial) -> Result<(), TrainError> {
        let put =
            |net: Net, values: &Values| state::with_values(net, values).expect("the shapes were compared");
        self.model.net = put(self.model.net.clone(), &initial.net);
        if initial.folded {
            let mut moments = Moments::default();
            let net = self.model.valid().net;
            let [columns, rows] = self.recipe.net.input;
            for step in 0..MEASURED.div_ceil(self.recipe.train.batch) {
                let batch = load(self.recipe, self.source, step)?;
                let shape = [batch.labels.len(), self.recipe.net.planes(), rows, columns];
                let device = self.device.clone().inner();
                let pixels = Tensor::<4>::from_data(TensorData::new(batch.pixels, shape), &device);
                moments.add(&net, pixels);
            }
            let mut values = state::values(&net);
            moments.set(&net, &mut values);
            self.model.net = put(self.model.net.clone(), &values);
        }
        self.take_head(&initial.head);
        self.files.insert("init".into(), initial.sha256.clone());
        Ok(())
    }
}

/// That a model's crops are the recipe's: the same planes, normalised alike.
pub(super) fn same_pixels(said: &FloatInput, own: &FloatInput) -> Result<(), Misfit> {
    let told =
        |i: &FloatInput| format!("input of the order {:?}, mean {:?}, std {:?}", i.order, i.mean, i.std);
    let same = (&said.order, &said.mean, &said.std) == (&own.order, &own.mean, &own.std);
    if same { Ok(()) } else { Err((format!("its {}", told(said)), told(own))) }
}

/// The backbone's tensors of a .safetensors, each with the shape that `net` has.
fn unfolded(tensors: &Weights, net: &Net) -> Result<Values, Misfit> {
    let own = weights::of(net);
    let mut values = Values::new();
    for (name, (wanted, _)) in &own {
        let wanted = format!("tensor \"net.{name}\" {wanted:?}");
        match tensors.get(&format!("net.{name}")) {
            Some((_, v)) if name.ends_with("running_var") && v.iter().any(|&v| v < 0.0) => {
                return Err((format!("tensor \"net.{name}\" with a value below 0"), "variances".into()));
            }
            Some((found, v)) if *found == own[name].0 => values.insert(name.clone(), v.clone()),
            Some((found, _)) => {
                return Err((format!("tensor \"net.{name}\" has the shape {found:?}"), wanted));
            }
            None => return Err((format!("no tensor \"net.{name}\" in it"), wanted)),
        };
    }
    let strange = |name: &&String| name.strip_prefix("net.").is_some_and(|n| !own.contains_key(n));
    match tensors.keys().find(strange) {
        Some(name) => Err((format!("tensor {name:?} {:?}", tensors[name].0), "no such tensor".into())),
        None => Ok(values),
    }
}

/// What happens in a network, in its order.
enum Step<'n> {
    /// A layer, and its path.
    Layer(String, &'n ConvBn),
    /// The map is kept aside.
    Fork,
    /// What was kept aside is added.
    Join,
}

fn steps(net: &Net) -> Vec<Step<'_>> {
    let layer = |path: &str, layer| Step::Layer(path.to_owned(), layer);
    let mut steps = vec![layer("stem", &net.stem), layer("stem_depthwise", &net.stem_depthwise)];
    for (i, block) in net.blocks.iter().enumerate() {
        steps.extend(block.residual.then_some(Step::Fork));
        steps.push(layer(&format!("blocks.{i}.up"), &block.up));
        steps.push(layer(&format!("blocks.{i}.depthwise"), &block.depthwise));
        steps.push(layer(&format!("blocks.{i}.down"), &block.down));
        steps.extend(block.residual.then_some(Step::Join));
    }
    steps.extend([layer("head", &net.head), layer("pool", &net.pool), layer("embedding", &net.embedding)]);
    steps
}

#[cfg(test)]
mod tests;
