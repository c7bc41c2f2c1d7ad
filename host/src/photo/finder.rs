//! From a photograph to the crop of a model.

use arcgate_firmware::align;
use arcgate_firmware::decide::quality::QualityRules;
use arcgate_firmware::detect::Face;
use arcgate_firmware::frame::Landmarks;
use arcgate_firmware::model::{ModelInfo, Task};

use super::{Detector, Photo, PhotoError, detector_picture};
use crate::data::LandmarksCsv;
use crate::onnx::metadata::face_template;

/// What tells where the face is: a file of landmarks first, then a detector.
#[derive(Debug, Default)]
pub struct Finder {
    detector: Option<Detector>,
    landmarks: Option<LandmarksCsv>,
}

/// What a model will see of a photograph.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Found {
    /// A face to align.
    Face {
        /// Its five points.
        landmarks: Landmarks,
        /// Faces in the photograph besides it.
        others: usize,
    },
    /// The whole picture: the model takes framed pictures, or the picture is an aligned crop already.
    Framed,
}

impl Finder {
    /// Looks into `landmarks` first and asks `detector` about photographs that have no face there.
    pub fn new(detector: Option<Detector>, landmarks: Option<LandmarksCsv>) -> Self {
        Finder { detector, landmarks }
    }

    /// Whether something here can tell where the face is in `photo`, or that there is none.
    pub fn can_tell(&self, photo: &Photo) -> bool {
        let listed = |csv: &LandmarksCsv| csv.get(photo.path()).is_some();
        self.detector.is_some() || self.landmarks.as_ref().is_some_and(listed)
    }

    /// Where the face is that `photo` is about: the largest one ([`Face::main`]).
    ///
    /// A model without a template takes the whole picture. One with a template takes the whole picture only when it has the
    /// input's size and neither a landmarks file nor a detector is there: then it counts as aligned.
    ///
    /// # Errors
    /// When there is no face, nothing tells where it is, or the detector fails.
    pub fn find(&self, photo: &Photo, info: &ModelInfo) -> Result<Found, PhotoError> {
        if info.template.is_none() {
            return Ok(Found::Framed);
        }
        let row = self.landmarks.as_ref().and_then(|csv| csv.get(photo.path()));
        if let Some(face) = row.and_then(|r| r.face) {
            let others = row.map_or(0, |r| r.faces.saturating_sub(1));
            return Ok(Found::Face { landmarks: face.landmarks, others });
        }
        let path = || photo.path().to_path_buf();
        if let Some(detector) = &self.detector {
            let faces = detector.faces(photo)?;
            let main = Face::main(&faces, photo.width(), photo.height());
            return match main.and_then(|i| faces.get(i)) {
                Some(face) => Ok(Found::Face { landmarks: face.landmarks, others: faces.len() - 1 }),
                None => Err(PhotoError::NoFace { path: path() }),
            };
        }
        match &self.landmarks {
            Some(_) if row.is_some() => Err(PhotoError::NoFace { path: path() }),
            Some(csv) => Err(PhotoError::NotListed { path: path(), csv: csv.path().into() }),
            None if (photo.width(), photo.height()) == (info.width, info.height) => Ok(Found::Framed),
            None => Err(PhotoError::NoLandmarks {
                path: path(),
                width: photo.width() as u32,
                height: photo.height() as u32,
                model_width: info.width,
                model_height: info.height,
            }),
        }
    }

    /// What a model takes of a photograph: an embedder the crop of the face that is meant, a detector the whole, padded.
    ///
    /// # Errors
    /// As [`Finder::crop`].
    pub fn picture(&self, photo: &Photo, info: &ModelInfo, task: Task) -> Result<Vec<u8>, PhotoError> {
        match task {
            Task::Embedding => self.crop(photo, info),
            Task::Detection => Ok(detector_picture(photo, info.width, info.height)),
        }
    }

    /// The model's crop of the photograph, as [`Finder::find`] found it.
    ///
    /// # Errors
    /// Those of [`Finder::find`], and landmarks that cannot be aligned.
    pub fn crop(&self, photo: &Photo, info: &ModelInfo) -> Result<Vec<u8>, PhotoError> {
        crop(photo, &self.find(photo, info)?, info)
    }
}

impl Found {
    /// Whether the face is large enough and looks into the camera: what a device that is sent the crop alone cannot see.
    ///
    /// # Errors
    /// [`PhotoError::Quality`].
    pub fn check_pose(&self, photo: &Photo) -> Result<(), PhotoError> {
        match self {
            Found::Face { landmarks, .. } => QualityRules::default()
                .check_pose(landmarks)
                .map_err(|defect| PhotoError::Quality { path: photo.path().into(), defect }),
            Found::Framed => Ok(()),
        }
    }
}

/// The model's crop of a picture that is an aligned face itself, [`face_template`] of its size; of the whole picture for a model of
/// framed ones.
///
/// # Errors
/// As for [`crop`].
pub fn crop_aligned(photo: &Photo, info: &ModelInfo) -> Result<Vec<u8>, PhotoError> {
    let landmarks = || face_template(photo.width().into(), photo.height().into()).map(nalgebra::Point2::from);
    let found = match info.template {
        Some(_) => Found::Face { landmarks: landmarks(), others: 0 },
        None => Found::Framed,
    };
    crop(photo, &found, info)
}

/// The model's crop of what was found.
///
/// # Errors
/// When the landmarks cannot be aligned.
pub fn crop(photo: &Photo, found: &Found, info: &ModelInfo) -> Result<Vec<u8>, PhotoError> {
    let mut out = vec![0; info.crop_bytes()];
    let done = match found {
        Found::Face { landmarks, .. } => align::crop(&photo.frame(), landmarks, info, &mut out),
        Found::Framed => align::framed(&photo.frame(), info, &mut out),
    };
    done.map_err(|source| PhotoError::Align { path: photo.path().into(), source })?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use arcgate_firmware::model::ChannelOrder;
    use image::RgbImage;
    use nalgebra::Point2;

    use super::*;
    use crate::onnx::metadata::FACE_TEMPLATE_112;

    fn info(template: bool) -> ModelInfo {
        ModelInfo {
            width: 112,
            height: 112,
            order: ChannelOrder::Rgb,
            template: template.then(|| FACE_TEMPLATE_112.map(Point2::from)),
            dimension: 8,
            embedding_id: [0; 32],
        }
    }

    fn photo(name: &str, width: u32, height: u32) -> Photo {
        let picture = RgbImage::from_fn(width, height, |x, y| image::Rgb([x as u8, y as u8, 7]));
        Photo::from_rgb(name, picture).unwrap()
    }

    fn csv() -> LandmarksCsv {
        let points: Vec<String> =
            FACE_TEMPLATE_112.iter().flatten().map(|v| (v + 20.0).to_string()).collect();
        let text = format!("A/a.jpg,3,0,0,9,9,{},0.9\nA/none.jpg,0{}\n", points.join(","), ",0".repeat(15));
        LandmarksCsv::parse(Path::new("l.csv"), &text).unwrap()
    }

    #[test]
    fn landmarks_from_the_file() {
        let finder = Finder::new(None, Some(csv()));
        let seen = photo("/x/A/a.jpg", 160, 160);
        assert!(matches!(finder.find(&seen, &info(true)).unwrap(), Found::Face { others: 2, .. }));
        // The template moved by 20 pixels: the crop starts at (20, 20).
        let crop = finder.crop(&seen, &info(true)).unwrap();
        assert_eq!(crop[..3], [20, 20, 7]);
        assert_eq!(crop[crop.len() - 3..], [131, 131, 7]);
        let error = finder.find(&photo("A/none.jpg", 112, 112), &info(true)).unwrap_err();
        assert!(matches!(error, PhotoError::NoFace { .. }), "{error}");
        let error = finder.find(&photo("A/b.jpg", 112, 112), &info(true)).unwrap_err();
        assert!(error.to_string().contains("A/b.jpg: not in l.csv"), "{error}");
    }

    #[test]
    fn a_profile_is_refused_by_name_and_a_framed_picture_has_no_pose() {
        let seen = photo("side.jpg", 160, 160);
        let frontal = FACE_TEMPLATE_112.map(Point2::from);
        assert!(Found::Face { landmarks: frontal, others: 0 }.check_pose(&seen).is_ok());
        assert!(Found::Framed.check_pose(&seen).is_ok());
        let mut profile = frontal;
        profile[2].x += 60.0;
        let refused = Found::Face { landmarks: profile, others: 0 }.check_pose(&seen).unwrap_err();
        assert!(refused.to_string().contains("side.jpg: the head is turned by 74 degrees"), "{refused}");
    }

    #[test]
    fn framed_pictures_and_aligned_ones() {
        let finder = Finder::default();
        assert_eq!(finder.find(&photo("a.png", 9, 9), &info(false)).unwrap(), Found::Framed);
        let aligned = photo("a.png", 112, 112);
        assert_eq!(finder.find(&aligned, &info(true)).unwrap(), Found::Framed);
        assert_eq!(finder.crop(&aligned, &info(true)).unwrap(), aligned.frame().data());
        let error = finder.find(&photo("a.png", 113, 112), &info(true)).unwrap_err();
        assert!(error.to_string().contains("a.png has 113x112 pixels"), "{error}");
    }

    #[test]
    fn an_aligned_face_loses_its_columns_and_keeps_its_shape() {
        let aligned = photo("a.png", 112, 112);
        assert_eq!(crop_aligned(&aligned, &info(true)).unwrap(), aligned.frame().data());
        let template = face_template(96, 112).map(Point2::from);
        let narrow = ModelInfo { width: 96, template: Some(template), ..info(true) };
        let crop = crop_aligned(&aligned, &narrow).unwrap();
        // Eight columns fall away on each side.
        assert_eq!((crop[..3].to_vec(), crop[95 * 3..][..3].to_vec()), (vec![8, 0, 7], vec![103, 0, 7]));
    }
}
