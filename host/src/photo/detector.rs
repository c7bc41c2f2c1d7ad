//! A face detector: a float YuNet through tract, or an int8 one as a plan, as a device runs it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arcgate_firmware::detect::{self, Face, LookError, MOST_FACES, Settings, View};
use arcgate_firmware::engine::plan::{MAGIC, Plan, PlanDetector};
use arcgate_firmware::frame::{Frame, PixelFormat};
use arcgate_firmware::model::ChannelOrder;
use image::RgbImage;
use image::imageops::{self, FilterType};

use super::yunet::FloatYunet;
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
    plan: Arc<[u8]>,
    /// What others are cloned from, which share what it prepared.
    first: Looking,
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
        let first = Looking::new(plan.clone(), vec![0; arena]).map_err(|e| wrong(e.to_string()))?;
        let engine = Engine::Plan(Box::new(PlanYunet { plan, first, free: Mutex::default() }));
        Ok(Detector { path: path.into(), engine })
    }

    /// Columns and rows of the pictures that a plan takes; `None` of a float detector, which takes any.
    pub fn picture(&self) -> Option<(u16, u16)> {
        match &self.engine {
            Engine::Float(_) => None,
            Engine::Plan(plan) => Some((plan.first.info().width, plan.first.info().height)),
        }
    }

    /// The plan, for a device that is to find faces itself; `None` of a float detector, which no device runs.
    pub fn plan(&self) -> Option<&Arc<[u8]>> {
        match &self.engine {
            Engine::Float(_) => None,
            Engine::Plan(plan) => Some(&plan.plan),
        }
    }

    /// Every face in `photo`, the surest first, in the photograph's own pixels. A large photograph is scaled down: for a float
    /// detector to the first of [`BOUNDS`] and, when no face is seen there, to the others; for a plan as the device does it
    /// ([`detect::look`]).
    ///
    /// # Errors
    /// When the detector does not run.
    pub fn faces(&self, photo: &Photo) -> Result<Vec<Face>, PhotoError> {
        if let Engine::Plan(yunet) = &self.engine {
            return yunet.look(&photo.frame()).map_err(|why| self.failed(why));
        }
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
        let small = scaled(whole, bound);
        let times =
            [whole.width() as f32 / small.width() as f32, whole.height() as f32 / small.height() as f32];
        Ok(self.look(&small)?.iter().map(|face| face.scaled(times)).collect())
    }

    /// The faces of a picture as it is, padded with black at its right and lower edges, the surest first; for a plan, of one that is
    /// no larger than the plan's pictures.
    ///
    /// # Errors
    /// When the detector does not run.
    pub fn look(&self, picture: &RgbImage) -> Result<Vec<Face>, PhotoError> {
        let found = match &self.engine {
            Engine::Float(yunet) => yunet.look(picture),
            Engine::Plan(yunet) => yunet.look_once(picture),
        };
        found.map_err(|why| self.failed(why))
    }

    fn failed(&self, why: String) -> PhotoError {
        PhotoError::Detector { path: self.path.clone(), why }
    }
}

impl PlanYunet {
    /// The faces of a picture of any size.
    fn look(&self, frame: &Frame<'_>) -> Result<Vec<Face>, String> {
        self.with(|engine| {
            let info = engine.info().clone();
            let mut picture = vec![0; info.crop_bytes()];
            let find = |seen: &[u8]| engine.faces::<MOST_FACES>(seen, &Settings::default());
            detect::look(frame, &info, &mut picture, find)
        })
    }

    /// The faces of a picture no larger than the plan's.
    fn look_once(&self, picture: &RgbImage) -> Result<Vec<Face>, String> {
        let room = [self.first.info().width, self.first.info().height];
        let fits = |side: u32, most: u16| u16::try_from(side).ok().filter(|side| *side <= most);
        let sides = fits(picture.width(), room[0]).zip(fits(picture.height(), room[1]));
        let (width, height) = sides.ok_or_else(|| {
            let (width, height) = picture.dimensions();
            format!("it takes pictures of at most {}x{}, this one has {width}x{height}", room[0], room[1])
        })?;
        let frame =
            Frame::new(PixelFormat::Rgb8, width, height, picture.as_raw()).map_err(|e| e.to_string())?;
        self.with(|engine| {
            let mut seen = vec![0; engine.info().crop_bytes()];
            View::fitting([width, height], room).draw(&frame, engine.info().order, &mut seen)?;
            engine.faces::<MOST_FACES>(&seen, &Settings::default())
        })
    }

    /// Has one of the engines look.
    fn with(
        &self,
        look: impl FnOnce(&mut Looking) -> Result<heapless::Vec<Face, MOST_FACES>, LookError>,
    ) -> Result<Vec<Face>, String> {
        let free = || self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = free().pop();
        let mut engine = taken.unwrap_or_else(|| self.first.clone());
        let faces = look(&mut engine);
        free().push(engine);
        Ok(faces.map_err(|e| e.to_string())?.into_iter().collect())
    }
}

/// What a detector for pictures of `width` x `height` pixels sees of a photograph at first: scaled down until it fits, never up, and
/// padded with black at its right and lower edges. Interleaved R, G, B.
pub fn detector_picture(photo: &Photo, width: u16, height: u16) -> Vec<u8> {
    let mut picture = vec![0; usize::from(width) * usize::from(height) * 3];
    let view = View::fitting([photo.width(), photo.height()], [width, height]);
    match view.draw(&photo.frame(), ChannelOrder::Rgb, &mut picture) {
        Ok(()) => picture,
        Err(_) => unreachable!("the picture has the bytes that its sides ask for"),
    }
}

/// A picture scaled down until its longer side is `bound`.
fn scaled(whole: &RgbImage, bound: u32) -> RgbImage {
    let (width, height) = whole.dimensions();
    let longest = width.max(height) as u64;
    let side = |s: u32| ((s as u64 * bound as u64 + longest / 2) / longest).max(1) as u32;
    imageops::resize(whole, side(width), side(height), FilterType::Triangle)
}
