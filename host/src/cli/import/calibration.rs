//! The images that `arcgate import` calibrates on.

use std::path::Path;

use anyhow::bail;
use arcgate_firmware::model::{ModelInfo, Task};
use image::RgbImage;
use rand::SeedableRng;
use rand::seq::SliceRandom;

use super::shared;
use crate::data::{self, ImageSet};
use crate::photo::Photo;
use crate::ui::Ui;

/// Images that the embeddings are compared on, besides those that ranges are measured on.
pub const HELD_BACK: usize = 32;

/// Images that are tried at a time, at least.
const LEAST_BATCH: usize = 32;

/// Images without a crop, when there is none with one, after which the search ends.
const HOPELESS: usize = 300;

/// Crops to calibrate and to measure on.
pub struct Calibration {
    pub crops: Vec<Vec<u8>>,
    /// Images in the folder.
    pub images: usize,
    /// Of these, images of the test protocol, which are not calibrated on.
    pub protocol: usize,
    /// Images tried that gave no crop.
    pub broken: usize,
}

/// What to gather.
pub struct Asked<'a> {
    /// A folder of images.
    pub folder: &'a Path,
    /// What tells where the faces are.
    pub faces: &'a shared::FaceArgs,
    /// Images to calibrate on.
    pub images: u32,
    /// Seed of their choice.
    pub seed: u64,
}

impl Calibration {
    /// Crops of images drawn from the folder; of a detector, whole pictures.
    pub fn gather(asked: &Asked<'_>, info: &ModelInfo, task: Task, ui: &Ui) -> anyhow::Result<Self> {
        let mut set = ImageSet::open(asked.folder)?;
        asked.faces.hold_out(&mut set)?;
        let finder = asked.faces.finder(set.landmarks.clone())?;
        let picture = |photo: &Photo| finder.picture(photo, info, task);
        let mut indices: Vec<usize> =
            (0..set.images.len()).filter(|&i| !set.held_out.contains(&set.images[i])).collect();
        let protocol = set.images.len() - indices.len();
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(asked.seed);
        indices.shuffle(&mut rng);

        let wanted = asked.images as usize + HELD_BACK.min(asked.images as usize / 3);
        let mut found = Calibration { crops: Vec::new(), images: set.images.len(), protocol, broken: 0 };
        let mut first_reason = None;
        let bar = ui.progress("aligning", "images", wanted.min(indices.len()) as u64);
        let mut rest = indices.as_slice();
        while found.crops.len() < wanted && !rest.is_empty() {
            let missing = (wanted - found.crops.len()).max(LEAST_BATCH);
            let (batch, later) = rest.split_at(rest.len().min(missing));
            let cropped = data::crops_by(&set, batch, picture, || bar.inc(1));
            found.broken += cropped.left_out.len();
            first_reason = first_reason.or(cropped.left_out.into_iter().next().map(|l| l.why));
            // A folder whose first hundreds give nothing gives nothing.
            rest = if found.crops.is_empty() && cropped.crops.is_empty() && found.broken >= HOPELESS {
                &[]
            } else {
                later
            };
            found.crops.extend(cropped.crops.into_iter().map(|(_, crop)| crop));
        }
        bar.finish_and_clear();
        found.crops.truncate(wanted);
        if let Some(why) = &first_reason {
            ui.note(format!("{} of the images tried gave no crop; the first: {why}", found.broken));
        }
        if found.crops.is_empty() {
            let why = first_reason
                .map_or("all its images belong to the test protocol".into(), |why| why.to_string());
            bail!("no image in {} can be calibrated on: {why}", asked.folder.display());
        }
        Ok(found)
    }

    /// A detector's pictures that were held back from calibration, or all when too few were found.
    pub fn pictures(&self, info: &ModelInfo) -> Vec<RgbImage> {
        let held_back = HELD_BACK.min(self.crops.len() / 4);
        let measured =
            if held_back == 0 { &self.crops[..] } else { &self.crops[self.crops.len() - held_back..] };
        let picture =
            |bytes: &Vec<u8>| RgbImage::from_raw(info.width.into(), info.height.into(), bytes.clone());
        measured.iter().filter_map(picture).collect()
    }
}
