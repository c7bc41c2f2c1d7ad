//! Float against int8 embeddings, both through tract.

use arcgate_firmware::embedding::Angle;
use rayon::prelude::*;
use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::*;

use super::calibrate::FloatRunner;
use super::input::Picture;
use super::{Agreement, ImportError, Progress};
use crate::onnx::float::FloatGraph;

/// Runs `crops` through the float graph and the int8 model and compares the embeddings by angle; of a detector all its maps as one
/// vector.
pub(super) fn agreement(
    graph: &FloatGraph,
    model: &ModelProto,
    picture: &Picture,
    crops: &[Vec<u8>],
    progress: &dyn Fn(Progress),
) -> Result<Agreement, ImportError> {
    let float = FloatRunner::new(graph, &graph.outputs)?;
    let int8 = tract_onnx::onnx()
        .model_for_proto_model(model)
        .and_then(|m| m.into_optimized())
        .and_then(|m| m.into_runnable())
        .map_err(runtime)?;
    let shape = [1, picture.channels, picture.height, picture.width];
    let embed = |crop: &Vec<u8>| -> TractResult<Vec<f32>> {
        let input = Tensor::from_shape(&shape, &picture.bytes(crop))?;
        let output = int8.run(tvec!(input.into_tvalue()))?;
        let mut values = Vec::new();
        for tensor in &output {
            values.extend_from_slice(tensor.cast_to::<f32>()?.try_as_plain_ram()?.as_slice::<f32>()?);
        }
        Ok(values)
    };
    let compare = |crop: &Vec<u8>| -> Result<f64, ImportError> {
        let real = float.run(&picture.reals(crop))?.concat();
        Ok(cosine(&real, &embed(crop).map_err(runtime)?))
    };
    let mut cosines: Vec<f64> = Vec::with_capacity(crops.len());
    progress(Progress::Measuring(0, crops.len()));
    for group in crops.chunks(8) {
        let found: Vec<f64> = group.par_iter().map(compare).collect::<Result<_, _>>()?;
        cosines.extend(found);
        progress(Progress::Measuring(cosines.len(), crops.len()));
    }
    let images = cosines.len();
    let degrees = |&c: &f64| Angle::from_cosine(c).degrees() as f64;
    Ok(Agreement {
        images,
        mean_cosine: cosines.iter().sum::<f64>() / images as f64,
        least_cosine: cosines.iter().copied().fold(1.0, f64::min),
        mean_degrees: cosines.iter().map(degrees).sum::<f64>() / images as f64,
        greatest_degrees: cosines.iter().map(degrees).fold(0.0, f64::max),
    })
}

/// The cosine of the angle between two vectors; -1 if one of them is zero, as for embeddings on a device.
pub(super) fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(&a, &b)| a as f64 * b as f64).sum::<f64>();
    let norms = (dot(a, a) * dot(b, b)).sqrt();
    if norms == 0.0 { -1.0 } else { dot(a, b) / norms }
}

fn runtime(error: TractError) -> ImportError {
    ImportError::Runtime { graph: "int8", why: format!("{error:#}") }
}
