//! A float YuNet through tract.
//!
//! The model takes `[1, 3, height, width]`, blue, green, red, values 0..=255 as they are, both sides multiples of 32, and
//! gives `cls_S`, `obj_S`, `bbox_S` and `kps_S` for the strides S = 8, 16 and 32.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use arcgate_firmware::detect::{self, Face, Map, STRIDES, Settings};
use image::RgbImage;
use image::imageops::{self, FilterType};
use nalgebra::Point2;
use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::*;

use super::{Photo, PhotoError};
use crate::onnx::file;

/// The longer side that a photograph is scaled down to before the detector sees it, in pixels, in the order in which they
/// are tried until a face is found: the usual distance, small faces in a crowd, a face that fills the picture.
pub const BOUNDS: [u32; 3] = [640, 1280, 320];

/// The most faces in one picture.
pub const MOST_FACES: usize = 128;

/// Prepared sizes that are kept; photographs of one camera need one or two.
const MOST_SIZES: usize = 16;

const MAPS: [&str; 4] = ["cls", "obj", "bbox", "kps"];

type Runnable = Arc<TypedRunnableModel>;

/// Finds faces. Usable from many threads at once.
#[derive(Debug)]
pub struct Detector {
    path: PathBuf,
    model: ModelProto,
    /// For each stride the places of cls, obj, bbox and kps among the model's outputs.
    outputs: [[usize; 4]; 3],
    settings: Settings,
    prepared: Mutex<HashMap<(u32, u32), Runnable>>,
}

impl Detector {
    /// Reads the detector at `path` and tries it on an empty picture.
    ///
    /// # Errors
    /// When the file is no ONNX model, lacks an output of a YuNet, or does not run.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, PhotoError> {
        let path = path.as_ref();
        let wrong = |why: String| PhotoError::Detector { path: path.into(), why };
        let model = file::read(path).map_err(|e| wrong(e.to_string()))?;
        let names: Vec<&str> =
            model.graph.iter().flat_map(|g| &g.output).map(|output| output.name.as_str()).collect();
        let mut outputs = [[0; 4]; 3];
        for (stride, places) in STRIDES.iter().zip(&mut outputs) {
            for (map, place) in MAPS.iter().zip(places) {
                let name = format!("{map}_{stride}");
                *place = names.iter().position(|n| *n == name).ok_or_else(|| {
                    wrong(format!("it has no output {name:?}\n  accepted: a YuNet with outputs cls_S, obj_S, bbox_S and kps_S for the strides 8, 16 and 32"))
                })?;
            }
        }
        let detector = Detector {
            path: path.into(),
            model,
            outputs,
            settings: Settings::default(),
            prepared: Mutex::default(),
        };
        detector.look(&RgbImage::new(32, 32))?;
        Ok(detector)
    }

    /// Every face in `photo`, the surest first, in the photograph's own pixels. A large photograph is scaled down to the first
    /// of [`BOUNDS`]; when no face is seen there, to the others.
    ///
    /// # Errors
    /// When the detector does not run.
    pub fn faces(&self, photo: &Photo) -> Result<Vec<Face>, PhotoError> {
        let whole = photo.to_rgb();
        let longest = whole.width().max(whole.height());
        let mut tried = Vec::new();
        for bound in BOUNDS.map(|b| b.min(longest)) {
            if tried.contains(&bound) {
                continue;
            }
            tried.push(bound);
            let faces = if bound == longest { self.look(&whole)? } else { self.look_scaled(&whole, bound)? };
            if !faces.is_empty() {
                return Ok(faces);
            }
        }
        Ok(Vec::new())
    }

    /// The faces of a picture scaled down until its longer side is `bound`, in the pixels of the whole picture.
    fn look_scaled(&self, whole: &RgbImage, bound: u32) -> Result<Vec<Face>, PhotoError> {
        let (width, height) = whole.dimensions();
        let longest = width.max(height) as u64;
        let side = |s: u32| ((s as u64 * bound as u64 + longest / 2) / longest).max(1) as u32;
        let small = imageops::resize(whole, side(width), side(height), FilterType::Triangle);
        let (sx, sy) = (width as f32 / small.width() as f32, height as f32 / small.height() as f32);
        // Pixel centres are whole numbers: the picture's left edge is at -1/2 in both.
        let x_of = |x: f32| (x + 0.5) * sx - 0.5;
        let y_of = |y: f32| (y + 0.5) * sy - 0.5;
        let faces = self.look(&small)?.into_iter().map(|face| Face {
            x: x_of(face.x),
            y: y_of(face.y),
            width: face.width * sx,
            height: face.height * sy,
            landmarks: face.landmarks.map(|p| Point2::new(x_of(p.x), y_of(p.y))),
            score: face.score,
        });
        Ok(faces.collect())
    }

    /// The faces of a picture as it is, padded with black to multiples of 32 at its right and lower edges.
    fn look(&self, picture: &RgbImage) -> Result<Vec<Face>, PhotoError> {
        let width = picture.width().next_multiple_of(STRIDES[2] as u32);
        let height = picture.height().next_multiple_of(STRIDES[2] as u32);
        let plane = width as usize * height as usize;
        let mut planes = vec![0f32; 3 * plane];
        for (y, row) in picture.rows().enumerate() {
            for (x, pixel) in row.enumerate() {
                for (channel, value) in pixel.0.iter().rev().enumerate() {
                    planes[channel * plane + y * width as usize + x] = *value as f32;
                }
            }
        }
        let wrong = |e: TractError| PhotoError::Detector { path: self.path.clone(), why: format!("{e:#}") };
        let input = Tensor::from_shape(&[1, 3, height as usize, width as usize], &planes).map_err(wrong)?;
        let outputs = self.prepare(width, height).map_err(wrong)?.run(tvec![input.into()]).map_err(wrong)?;
        let values = |at: usize| match outputs.get(at) {
            Some(tensor) => tensor.try_as_plain_ram()?.as_slice::<f32>(),
            None => Ok(&[][..]),
        };
        let map = |places: [usize; 4]| -> TractResult<Map<'_>> {
            let [cls, obj, bbox, kps] = places;
            Ok(Map { cls: values(cls)?, obj: values(obj)?, bbox: values(bbox)?, kps: values(kps)? })
        };
        let [small, middle, large] = self.outputs;
        let maps = [map(small).map_err(wrong)?, map(middle).map_err(wrong)?, map(large).map_err(wrong)?];
        let faces = detect::decode::<MOST_FACES>(&maps, width as u16, height as u16, &self.settings)
            .map_err(|e| PhotoError::Detector { path: self.path.clone(), why: e.to_string() })?;
        Ok(faces.into_iter().collect())
    }

    /// The model for pictures of one size; optimizing it takes longer than running it, so it is kept.
    fn prepare(&self, width: u32, height: u32) -> TractResult<Runnable> {
        let lock = || self.prepared.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(ready) = lock().get(&(width, height)) {
            return Ok(ready.clone());
        }
        let shape = [1, 3, height as usize, width as usize];
        let mut model = tract_onnx::onnx()
            .model_for_proto_model(&self.model)?
            .with_input_fact(0, f32::fact(shape).into())?;
        for output in 0..model.outputs.len() {
            model.set_output_fact(output, Default::default())?;
        }
        let ready = model.into_optimized()?.into_runnable()?;
        let mut prepared = lock();
        if prepared.len() >= MOST_SIZES {
            prepared.clear();
        }
        prepared.insert((width, height), ready.clone());
        Ok(ready)
    }
}
