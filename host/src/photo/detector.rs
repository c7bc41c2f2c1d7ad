//! A face detector: a float YuNet through tract, or an int8 one as a plan, as a device runs it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arcgate_firmware::detect::{Face, Settings};
use arcgate_firmware::engine::plan::{MAGIC, Plan, PlanDetector};
use image::RgbImage;
use image::imageops::{self, FilterType};
use nalgebra::Point2;

use super::yunet::{FloatYunet, MOST_FACES};
use super::{Photo, PhotoError};
use crate::lower;
use crate::onnx::file;
use crate::onnx::metadata::{Metadata, MetadataError};

/// The longer side that a photograph is scaled down to before a float detector sees it, in pixels, in the order in which they
/// are tried until a face is found: the usual distance, small faces in a crowd, a face that fills the picture.
pub const BOUNDS: [u32; 3] = [640, 1280, 320];

/// Finds faces. Usable from many threads at once.
#[derive(Debug)]
pub struct Detector {
    path: PathBuf,
    engine: Engine,
}

#[derive(Debug)]
enum Engine {
    Float(Box<FloatYunet>),
    Plan(Box<PlanYunet>),
}

/// A plan over an arena of its own.
type Looking = PlanDetector<Arc<[u8]>, Vec<u8>>;

/// A plan for pictures of one size; threads take engines and give them back.
#[derive(Debug)]
struct PlanYunet {
    /// What others are cloned from, which share what it prepared.
    first: Looking,
    width: u32,
    height: u32,
    free: Mutex<Vec<Looking>>,
}

impl Detector {
    /// Reads the detector at `path` and tries it on an empty picture: a plan, an int8 ONNX that is lowered in memory, or a float
    /// ONNX.
    ///
    /// # Errors
    /// When the file is none of them, lacks an output of a YuNet, or does not run.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, PhotoError> {
        let path = path.as_ref();
        let wrong = |why: String| PhotoError::Detector { path: path.into(), why };
        let bytes = std::fs::read(path).map_err(|e| wrong(format!("cannot read it: {e}")))?;
        if bytes.starts_with(&MAGIC) || path.extension().is_some_and(|e| e == "plan") {
            return Self::from_plan(path, bytes);
        }
        let model = file::decode(&bytes).map_err(|why| wrong(format!("it is no ONNX model: {why}")))?;
        if Metadata::of(&model) != Err(MetadataError::Missing) {
            return Self::from_plan(path, lower::lower(&model).map_err(|e| wrong(e.to_string()))?);
        }
        let engine = Engine::Float(Box::new(FloatYunet::new(model).map_err(wrong)?));
        let detector = Detector { path: path.into(), engine };
        detector.look(&RgbImage::new(32, 32))?;
        Ok(detector)
    }

    /// A detector from a plan in memory; `path` is what errors call it.
    ///
    /// # Errors
    /// When it is no valid plan, or an embedder's.
    pub fn from_plan(path: &Path, plan: Vec<u8>) -> Result<Self, PhotoError> {
        let wrong = |why: String| PhotoError::Detector { path: path.into(), why };
        let plan: Arc<[u8]> = plan.into();
        let arena = Plan::parse(&plan).map_err(|e| wrong(e.to_string()))?.arena_bytes();
        let first = Looking::new(plan, vec![0; arena]).map_err(|e| wrong(e.to_string()))?;
        let (width, height) = (u32::from(first.info().width), u32::from(first.info().height));
        let yunet = PlanYunet { first, width, height, free: Mutex::default() };
        let engine = Engine::Plan(Box::new(yunet));
        Ok(Detector { path: path.into(), engine })
    }

    /// Columns and rows of the pictures that a plan takes; `None` of a float detector, which takes any.
    pub fn picture(&self) -> Option<(u16, u16)> {
        match &self.engine {
            Engine::Float(_) => None,
            Engine::Plan(plan) => Some((plan.width as u16, plan.height as u16)),
        }
    }

    /// Every face in `photo`, the surest first, in the photograph's own pixels. A large photograph is scaled down: for a float
    /// detector to the first of [`BOUNDS`], for a plan until it fits the plan's pictures; when no face is seen there, to the
    /// other bounds, or to half of that.
    ///
    /// # Errors
    /// When the detector does not run.
    pub fn faces(&self, photo: &Photo) -> Result<Vec<Face>, PhotoError> {
        let whole = photo.to_rgb();
        let longest = whole.width().max(whole.height());
        let bounds = match &self.engine {
            Engine::Float(_) => BOUNDS.to_vec(),
            Engine::Plan(plan) => {
                let fits = fitting(whole.dimensions(), (plan.width, plan.height));
                vec![fits, (fits / 2).max(1)]
            }
        };
        let mut tried = Vec::new();
        for bound in bounds.into_iter().map(|b| b.min(longest)) {
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
        let small = scaled(whole, bound);
        let (sx, sy) =
            (whole.width() as f32 / small.width() as f32, whole.height() as f32 / small.height() as f32);
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

    /// The faces of a picture as it is, padded with black at its right and lower edges, the surest first. What a plan's pictures
    /// have no room for is not seen.
    ///
    /// # Errors
    /// When the detector does not run.
    pub fn look(&self, picture: &RgbImage) -> Result<Vec<Face>, PhotoError> {
        let found = match &self.engine {
            Engine::Float(yunet) => yunet.look(picture),
            Engine::Plan(yunet) => yunet.look(picture),
        };
        found.map_err(|why| PhotoError::Detector { path: self.path.clone(), why })
    }
}

impl PlanYunet {
    fn look(&self, picture: &RgbImage) -> Result<Vec<Face>, String> {
        let free = || self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = free().pop();
        let mut engine = taken.unwrap_or_else(|| self.first.clone());
        let padded = padded(picture, self.width, self.height);
        let faces = engine.faces::<MOST_FACES>(&padded, &Settings::default());
        free().push(engine);
        Ok(faces.map_err(|e| e.to_string())?.into_iter().collect())
    }
}

/// What a detector for pictures of `width` x `height` pixels sees of a photograph: scaled down until it fits, never up, and padded
/// with black at its right and lower edges. Interleaved R, G, B.
pub fn detector_picture(photo: &Photo, width: u16, height: u16) -> Vec<u8> {
    let whole = photo.to_rgb();
    let (width, height) = (u32::from(width), u32::from(height));
    let bound = fitting(whole.dimensions(), (width, height));
    match bound < whole.width().max(whole.height()) {
        true => padded(&scaled(&whole, bound), width, height),
        false => padded(&whole, width, height),
    }
}

/// The longer side of a picture that is scaled down until it fits into another.
fn fitting((width, height): (u32, u32), (most_width, most_height): (u32, u32)) -> u32 {
    let longest = u64::from(width.max(height));
    let limit = |side: u32, most: u32| u64::from(most) * longest / u64::from(side.max(1));
    limit(width, most_width).min(limit(height, most_height)).clamp(1, longest) as u32
}

/// A picture scaled down until its longer side is `bound`.
fn scaled(whole: &RgbImage, bound: u32) -> RgbImage {
    let (width, height) = whole.dimensions();
    let longest = width.max(height) as u64;
    let side = |s: u32| ((s as u64 * bound as u64 + longest / 2) / longest).max(1) as u32;
    imageops::resize(whole, side(width), side(height), FilterType::Triangle)
}

/// The upper left `width` x `height` pixels of a picture, black where there are none.
fn padded(picture: &RgbImage, width: u32, height: u32) -> Vec<u8> {
    let mut canvas = RgbImage::new(width, height);
    imageops::replace(&mut canvas, picture, 0, 0);
    canvas.into_raw()
}
