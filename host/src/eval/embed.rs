//! A set of images through one or several engines, each image loaded once.

use std::collections::BTreeMap;

use arcgate_firmware::engine::{EmbedError, Embedder};
use arcgate_firmware::frame::Landmarks;
use arcgate_firmware::model::ModelInfo;
use nalgebra::Point2;
use rayon::prelude::*;

use crate::data::{ImageSet, LeftOut};
use crate::engine::{EngineError, FloatEngine, Kind, Model};
use crate::photo::{self, Finder, Found, Photo, PhotoError};

/// The side of the centred square that [`NoFace::Centre`] takes, as a share of the picture's shorter side: what an aligned
/// crop covers of an LFW photograph.
pub const CENTRE_SHARE: f32 = 0.58;

/// Images that one thread takes at once at least: making its engines costs about as much as one image.
const IMAGES_AT_ONCE: usize = 8;

/// A model and what runs it.
#[derive(Debug)]
pub enum Engine {
    /// An int8 model.
    Int8(Box<Model>, Kind),
    /// A float ONNX through tract.
    Float(FloatEngine),
}

/// One thread's engine.
enum Worker<'a> {
    Int8(Box<dyn Embedder + Send>),
    Float(&'a FloatEngine),
}

/// Why an engine gave no embedding.
#[derive(Debug, thiserror::Error)]
pub enum EvalError {
    /// It cannot be made, or a float model does not run.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// An int8 model does not take the crop.
    #[error(transparent)]
    Embed(#[from] EmbedError),
}

impl Engine {
    fn worker(&self) -> Result<Worker<'_>, EvalError> {
        Ok(match self {
            Engine::Int8(model, kind) => Worker::Int8(model.embedder(*kind)?),
            Engine::Float(engine) => Worker::Float(engine),
        })
    }
}

impl Worker<'_> {
    /// The embedding; int8 values as they are, so that dot products in f64 are exact.
    fn embed(&mut self, crop: &[u8]) -> Result<Vec<f32>, EvalError> {
        match self {
            Worker::Int8(engine) => {
                let mut out = vec![0i8; engine.info().dimension as usize];
                engine.embed(crop, &mut out)?;
                Ok(out.into_iter().map(f32::from).collect())
            }
            Worker::Float(engine) => Ok(engine.embed(crop)?),
        }
    }
}

/// What to do with a photograph in which no face was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoFace {
    /// Leave it out and name it.
    LeaveOut,
    /// Take the centred square of [`CENTRE_SHARE`] of the shorter side.
    Centre,
}

/// Images and what the engines made of them.
#[derive(Debug, Default)]
pub struct Embedded {
    /// By index in the set: one vector an engine.
    pub vectors: BTreeMap<usize, Vec<Vec<f32>>>,
    /// Images that gave no crop.
    pub left_out: Vec<LeftOut>,
    /// Images taken by [`NoFace::Centre`].
    pub centred: Vec<usize>,
}

impl Embedded {
    /// Whether every number of every embedding is finite.
    pub fn is_finite(&self) -> bool {
        self.vectors.values().flatten().flatten().all(|v| v.is_finite())
    }
}

/// Runs crops of the engines' size through every engine: for each crop one vector an engine. `done` is called once a crop, from
/// many threads.
///
/// # Errors
/// When an engine fails.
pub fn embed_crops(
    crops: &[Vec<u8>],
    engines: &[&Engine],
    done: impl Fn() + Sync,
) -> Result<Vec<Vec<Vec<f32>>>, EvalError> {
    let make = || engines.iter().map(|e| e.worker()).collect::<Result<Vec<_>, _>>();
    let each = |workers: &mut Option<Vec<_>>, crop: &Vec<u8>| -> Result<Vec<Vec<f32>>, EvalError> {
        let workers = match workers {
            Some(workers) => workers,
            None => workers.insert(make()?),
        };
        let vectors = workers.iter_mut().map(|w| w.embed(crop)).collect();
        done();
        vectors
    };
    crops.par_iter().with_min_len(IMAGES_AT_ONCE).map_init(|| None, each).collect()
}

/// Crops the images with the given `indices` for `info`'s model and runs each crop through every engine. `done` is called
/// once an image, from many threads.
///
/// # Errors
/// When an engine fails; images that cannot be cropped are no error but in [`Embedded::left_out`].
pub fn embed_set(
    set: &ImageSet,
    indices: &[usize],
    (finder, no_face): (&Finder, NoFace),
    info: &ModelInfo,
    engines: &[&Engine],
    done: impl Fn() + Sync,
) -> Result<Embedded, EvalError> {
    type One = (usize, Result<(Vec<Vec<f32>>, bool), PhotoError>);
    let make = || engines.iter().map(|e| e.worker()).collect::<Result<Vec<_>, _>>();
    let each = |workers: &mut Option<Vec<_>>, index: usize| -> Result<One, EvalError> {
        let workers = match workers {
            Some(workers) => workers,
            None => workers.insert(make()?),
        };
        let cropped = Photo::open(set.path(index)).and_then(|photo| crop(&photo, finder, no_face, info));
        let result = match cropped {
            Ok((crop, centred)) => {
                let vectors: Result<Vec<_>, _> = workers.iter_mut().map(|w| w.embed(&crop)).collect();
                Ok((vectors?, centred))
            }
            Err(why) => Err(why),
        };
        done();
        Ok((index, result))
    };
    let results: Result<Vec<One>, EvalError> = indices
        .par_iter()
        .with_min_len(IMAGES_AT_ONCE)
        .map_init(|| None, |workers, &index| each(workers, index))
        .collect();
    let mut out = Embedded::default();
    for (index, result) in results? {
        match result {
            Ok((vectors, centred)) => {
                out.vectors.insert(index, vectors);
                if centred {
                    out.centred.push(index);
                }
            }
            Err(why) => out.left_out.push(LeftOut { image: set.images[index].clone(), why }),
        }
    }
    Ok(out)
}

/// A photograph's crop, and whether it is the centred square.
fn crop(
    photo: &Photo,
    finder: &Finder,
    no_face: NoFace,
    info: &ModelInfo,
) -> Result<(Vec<u8>, bool), PhotoError> {
    match (finder.find(photo, info), no_face, &info.template) {
        (Err(PhotoError::NoFace { .. } | PhotoError::NotListed { .. }), NoFace::Centre, Some(template)) => {
            let found = Found::Face { landmarks: centred(photo, template, info), others: 0 };
            Ok((photo::crop(photo, &found, info)?, true))
        }
        (found, _, _) => Ok((photo::crop(photo, &found?, info)?, false)),
    }
}

/// The template where it lies when the crop is the photograph's centred square.
fn centred(photo: &Photo, template: &Landmarks, info: &ModelInfo) -> Landmarks {
    let shorter = photo.width().min(photo.height()) as f32;
    let scale = CENTRE_SHARE * shorter / info.width.max(info.height) as f32;
    let middle = |side: u16| (side as f32 - 1.0) * 0.5;
    let place = |at: f32, crop: u16, whole: u16| (at - middle(crop)) * scale + middle(whole);
    template
        .map(|p| Point2::new(place(p.x, info.width, photo.width()), place(p.y, info.height, photo.height())))
}

/// The cosine of two vectors of equal length; 0 if one of them is zero, no number if they hold one that is none.
pub fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(&a, &b)| a as f64 * b as f64).sum::<f64>();
    let norms = (dot(a, a) * dot(b, b)).sqrt();
    if norms == 0.0 { 0.0 } else { dot(a, b) / norms }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cosines_by_hand() {
        assert_eq!(cosine(&[3.0, 4.0], &[4.0, 3.0]), 24.0 / 25.0);
        assert_eq!(cosine(&[0.0, 0.0], &[1.0, 2.0]), 0.0);
        assert!(cosine(&[f32::NAN, 0.0], &[1.0, 2.0]).is_nan());
    }

    #[test]
    fn the_centred_square() {
        let photo = Photo::from_rgb("a.png", image::RgbImage::new(200, 100)).unwrap();
        let info = ModelInfo {
            width: 58,
            height: 58,
            order: arcgate_firmware::model::ChannelOrder::Rgb,
            template: None,
            dimension: 1,
            embedding_id: [0; 32],
        };
        // Scale 1: crop pixel (28.5, 28.5), its middle, is the photograph's middle.
        let template = [Point2::new(28.5, 28.5); 5];
        assert!((centred(&photo, &template, &info)[0] - Point2::new(99.5, 49.5)).norm() < 1e-4);
        let corner = [Point2::new(0.0, 0.0); 5];
        assert!((centred(&photo, &corner, &info)[0] - Point2::new(71.0, 21.0)).norm() < 1e-4);
    }
}
