//! Learning from a teacher: a float ONNX whose embeddings the student's come to point along.
//!
//! `(1 - weight) * loss + weight * scale * mean(1 - cos(student, teacher))`, the cosine between the student's embedding and the
//! teacher's of the same crop with the same variation (or, to save the teacher's time, of the image as it is). Where their lengths differ, the student's goes through a learnt matrix
//! first, which is left behind with the head. With `weight` 1 the loss is not taken at all, and no label counts.
//!
//! Both see one picture: it is cut, varied and degraded at the larger of the two sizes and averaged down to the smaller.

use std::path::{Path, PathBuf};

use arcgate_firmware::align::luma;
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use sha2::{Digest, Sha256};

use super::Recipe;
use super::augment::{Picture, Variation, crop};
use super::model::Model;
use super::recipe::{DistillConfig, Template};
use crate::engine::{EngineError, FloatEngine};
use crate::eval::float::{self, FloatError, Said};
use crate::loss::unit_rows;
use crate::net;
use crate::onnx::file::{self, FileError};
use crate::onnx::metadata::{FloatInput, hex};
use crate::synth::dice::Dice;

/// Why there is nothing to learn from a teacher.
#[derive(Debug, thiserror::Error)]
pub enum TeacherError {
    /// It cannot be opened.
    #[error(transparent)]
    Open(FloatError),
    /// It does not say how pixels become its input, and nor does the recipe.
    #[error(
        "the teacher {} does not say how pixels become its input\n  accepted: distill.mean and distill.std, one value a channel in \
         units of the full range 0..1, or a model that `arcgate train` wrote", .0.display()
    )]
    NoNormalisation(PathBuf),
    /// It cannot see what the student sees.
    #[error("the teacher {}: {what}\n  accepted: {accepted}", path.display())]
    Input {
        /// Which file.
        path: PathBuf,
        /// What does not go together.
        what: String,
        /// What would.
        accepted: &'static str,
    },
    /// It cannot be run.
    #[error("the teacher {}: {why}", path.display())]
    Run {
        /// Which file.
        path: PathBuf,
        /// Why.
        why: EngineError,
    },
    /// It gives nothing to point along.
    #[error("the teacher {} gives an embedding of {length} values without a finite direction", path.display())]
    NoDirection {
        /// Which file.
        path: PathBuf,
        /// Its length.
        length: f32,
    },
}

/// A teacher, opened; one serves many threads.
#[derive(Debug)]
pub struct Teacher {
    path: PathBuf,
    engine: FloatEngine,
    /// Columns and rows.
    size: [usize; 2],
    channels: usize,
    dimension: usize,
    sha256: String,
}

impl Teacher {
    /// Opens the teacher of `config` for the student of `recipe`.
    ///
    /// # Errors
    /// When it cannot be opened or run, or its crops are not of the student's proportions and alignment.
    pub fn open(config: &DistillConfig, recipe: &Recipe) -> Result<Self, TeacherError> {
        let path = config.teacher.clone();
        let said = Said { mean: config.mean.clone(), std: config.std.clone(), order: config.order.clone() };
        let (engine, info) = float::open(&path, &said, None).map_err(|why| match why {
            FloatError::NoNormalisation { path } => TeacherError::NoNormalisation(path),
            why => TeacherError::Open(why),
        })?;
        let bytes = std::fs::read(&path).map_err(|source| {
            TeacherError::Open(FileError::Io { verb: "read", path: path.clone(), source }.into())
        })?;
        let own = file::decode(&bytes).ok().and_then(|model| FloatInput::of(&model).ok().flatten());
        let sha256 = hex(&Sha256::digest(&bytes));
        let size = [info.width, info.height].map(usize::from);
        let wrong = |what, accepted| TeacherError::Input { path: path.clone(), what, accepted };
        let [columns, rows] = recipe.net.input;
        if size[0] * rows != size[1] * columns {
            let what = format!("its input is {}x{}, the student's {columns}x{rows}", size[0], size[1]);
            return Err(wrong(what, "inputs with the same ratio of columns to rows"));
        }
        let aligned = recipe.input.template == Template::Face;
        // Only of a model that says so itself is it known.
        if own.is_some_and(|own| own.template.is_some() != aligned) {
            let told = |aligned| if aligned { "aligned faces" } else { "framed pictures" };
            let what = format!("it takes {}, the student {}", told(!aligned), told(aligned));
            return Err(wrong(what, "input.template as it was for the teacher"));
        }
        let channels = info.order.channels();
        let mut teacher = Teacher { path, engine, size, channels, dimension: 0, sha256 };
        let grey = Picture {
            width: size[0],
            height: size[1],
            channels,
            data: vec![128; channels * size[0] * size[1]],
        };
        teacher.dimension = teacher.target(&grey)?.len();
        Ok(teacher)
    }

    /// Its file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Of its file, in hexadecimal.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Length of its embeddings.
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// Columns and rows at which pictures are cut for it and for a student of the size `input`.
    pub fn cut(&self, input: [usize; 2]) -> [usize; 2] {
        if self.size[0] > input[0] { self.size } else { input }
    }

    /// Its embedding of `picture`, of unit length.
    ///
    /// # Errors
    /// When it cannot be run, or its embedding has no direction.
    pub fn target(&self, picture: &Picture) -> Result<Vec<f32>, TeacherError> {
        let [columns, rows] = self.size;
        let pixels = crop(picture, &Variation::plain(0), columns, rows);
        let pixels = match (picture.channels, self.channels) {
            (1, 3) => pixels.iter().flat_map(|&v| [v; 3]).collect(),
            (3, 1) => pixels.chunks_exact(3).map(|p| luma([p[0], p[1], p[2]])).collect(),
            _ => pixels,
        };
        let run = |why| TeacherError::Run { path: self.path.clone(), why };
        let mut embedding = self.engine.embed(&pixels).map_err(run)?;
        let length = embedding.iter().map(|v| v * v).sum::<f32>().sqrt();
        if !(length.is_finite() && length > 0.0) {
            return Err(TeacherError::NoDirection { path: self.path.clone(), length });
        }
        embedding.iter_mut().for_each(|v| *v /= length);
        Ok(embedding)
    }
}

/// The matrix [student's length, teacher's length] where the two differ.
pub(super) fn projection(teacher: &Teacher, recipe: &Recipe, device: &Device) -> Option<Param<Tensor<2>>> {
    let shape = [recipe.net.embedding, teacher.dimension];
    let mut dice = Dice::new(recipe.seed, 0, PROJECTION, 0);
    (shape[0] != shape[1]).then(|| net::normal(shape, (shape[0] as f32).sqrt().recip(), &mut dice, device))
}

/// The key that sets the matrix's random numbers apart.
const PROJECTION: u64 = 14;

impl<N: Module> Model<N> {
    /// Cosines [b, 1] between `embeddings` [b, d] and the teacher's, which are of unit length and lie one after the other.
    pub(super) fn cosines(&self, embeddings: Tensor<2>, targets: Vec<f32>) -> Tensor<2> {
        let images = embeddings.dims()[0];
        let shape = [images, targets.len() / images];
        let targets = Tensor::<2>::from_data(TensorData::new(targets, shape), &embeddings.device());
        let seen = match &self.projection {
            Some(matrix) => embeddings.matmul(matrix.val()),
            None => embeddings,
        };
        (unit_rows(seen) * targets).sum_dim(1)
    }
}

impl DistillConfig {
    /// What is learnt: `loss`, which is not taken at all where the teacher's weight is 1, mixed with `cosines` to the teacher.
    pub(super) fn mix(&self, cosines: Tensor<2>, loss: impl FnOnce() -> Tensor<1>) -> Tensor<1> {
        let pull = cosines.mean().neg().add_scalar(1.0).mul_scalar(self.weight * self.scale);
        if self.weight == 1.0 { pull } else { loss().mul_scalar(1.0 - self.weight) + pull }
    }
}

#[cfg(test)]
mod tests;
