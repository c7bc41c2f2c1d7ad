//! Whole pictures for devices that find faces themselves: photographs and a YuNet where the data folder is, drawn portraits and a small
//! network of random weights elsewhere.

use std::path::Path;
use std::sync::Arc;

use arcgate::data::ImageSet;
use arcgate::engine::Model;
use arcgate::link::{Client, LinkError};
use arcgate::onnx::file;
use arcgate::onnx::metadata::{FloatInput, face_template};
use arcgate::photo::{Detector, Photo, PhotoError};
use arcgate::quantize::{self, ImportOptions};
use arcgate::synth::Portraits;
use arcgate_firmware::align;
use arcgate_firmware::decide::Rejection;
use arcgate_firmware::detect::Face;
use arcgate_firmware::engine::plan::{MAPS, checksum};
use arcgate_firmware::frame::{Frame, PixelFormat};
use arcgate_firmware::link::Fault;

use crate::program::arcgate;
use crate::{data, nets, people};

/// A detector, and pictures to show it.
#[derive(Debug)]
pub struct Pictures {
    /// The detector.
    pub detector: Detector,
    /// Of several people, none with landmarks.
    pub photos: Vec<Photo>,
    /// Whether they are photographs of people.
    pub real: bool,
}

impl Pictures {
    /// `count` pictures; files that are made on the way lie in `folder`.
    ///
    /// # Panics
    /// When a detector cannot be imported, or a photograph cannot be read.
    pub fn new(count: usize, folder: &Path) -> Self {
        let onnx = folder.join("detector.onnx");
        let (Some(float), Some(lfw)) = (data::find("models/yunet_2026may.onnx"), data::find("lfw")) else {
            println!("pictures: drawn portraits, a detector of random weights");
            return Self::drawn(count, &onnx);
        };
        println!("pictures: photographs of LFW, YuNet in int8");
        let [float, lfw, out] = [&float, &lfw, &onnx].map(|p| p.to_string_lossy().into_owned());
        let how = ["--input", "1x3x256x256", "--images", "48", "-q"];
        arcgate(["import", &float, "--calibrate", &lfw, "-o", &out].into_iter().chain(how)).done();
        let set = ImageSet::open(&lfw).expect("a folder of photographs");
        let photos = (0..count).map(|k| set.path(k * set.images.len() / count));
        Pictures {
            detector: Detector::open(&onnx).expect("a detector"),
            photos: photos.map(|path| Photo::open(path).expect("a photograph")).collect(),
            real: true,
        }
    }

    fn drawn(count: usize, onnx: &Path) -> Self {
        let (mean, std) = (vec![0.4, 0.5, 0.6], vec![0.25, 0.3, 0.35]);
        let input = FloatInput { order: "bgr".into(), mean, std, template: None };
        let crops = nets::crops([3, 64, 96], 24);
        let options = ImportOptions::new(input, "detector");
        let imported = quantize::import(&nets::detector_net(), &crops, &options, &|_| ());
        file::write(onnx, &imported.expect("an int8 detector").model).expect("a file");
        let drawn = Portraits::new(0xeee5);
        let portrait = |k: u64| {
            let size = (90 + 13 * (k % 9) as u32, 160 - 17 * (k % 7) as u32);
            Photo::from_rgb(format!("portrait-{k}.png"), drawn.portrait(k, 0, size)).expect("a portrait")
        };
        let photos = (0..count as u64).map(portrait).collect();
        let unsure = Detector::open(onnx).expect("a detector");
        let detector = Detector::from_plan(onnx, surer(unsure.plan().expect("an int8 detector")));
        Pictures { detector: detector.expect("a detector"), photos, real: false }
    }

    /// The detector's plan.
    ///
    /// # Panics
    /// Never: it is no float one.
    pub fn plan(&self) -> &Arc<[u8]> {
        self.detector.plan().expect("an int8 detector")
    }

    /// The crop for `model` that the desktop makes of a picture; `None` where the detector sees nobody, or points that span no face.
    ///
    /// # Panics
    /// When the detector does not run.
    pub fn crop(&self, photo: &Photo, model: &Model) -> Option<Vec<u8>> {
        let faces: Result<Vec<Face>, PhotoError> = self.detector.faces(photo);
        let faces = faces.expect("the detector runs");
        let main = &faces[Face::main(&faces, photo.width(), photo.height())?];
        let mut crop = vec![0; model.info().crop_bytes()];
        align::crop(&photo.frame(), &main.landmarks, model.info(), &mut crop).is_ok().then_some(crop)
    }
}

/// The crop that a device which finds faces makes of a picture; `None` where it sees nobody, or points that span no face.
///
/// # Panics
/// When the link breaks, or the device refuses the picture for another reason.
pub fn crop(client: &mut Client, frame: &Frame<'_>) -> Option<Vec<u8>> {
    client.send_frame(frame, None, &mut |_| ()).expect("the picture arrives");
    match client.read_crop() {
        Ok(crop) => Some(crop),
        Err(LinkError::Fault(Fault::Rejected(Rejection::NoFace | Rejection::Landmarks))) => None,
        Err(error) => panic!("{error}"),
    }
}

/// The values of a picture in three colours as a camera of this format would send them.
pub fn pixels(rgb: &[u8], format: PixelFormat) -> Vec<u8> {
    let pixels = rgb.as_chunks::<3>().0.iter();
    match format {
        PixelFormat::Rgb8 => rgb.to_vec(),
        PixelFormat::Grey8 => {
            pixels.map(|&[r, g, b]| ((r as u16 + 2 * g as u16 + b as u16) / 4) as u8).collect()
        }
        PixelFormat::Rgb565 => pixels
            .flat_map(|&[r, g, b]| {
                ((r as u16 >> 3) << 11 | (g as u16 >> 2) << 5 | b as u16 >> 3).to_be_bytes()
            })
            .collect(),
    }
}

/// A detector's plan whose class scores and objectness are larger by three tenths: at random weights both are about a half, too little for
/// a face.
fn surer(plan: &[u8]) -> Vec<u8> {
    let mut plan = plan.to_vec();
    let word = |plan: &[u8], at: usize| [plan[at], plan[at + 1], plan[at + 2], plan[at + 3]];
    let maps = u32::from_le_bytes(word(&plan, 124)) as usize;
    for map in (0..MAPS).filter(|map| map % 4 < 2) {
        let at = maps + 12 * map + 4;
        let scale = 1.3 * f32::from_le_bytes(word(&plan, at));
        plan[at..at + 4].copy_from_slice(&scale.to_le_bytes());
    }
    let sum = checksum(&plan);
    plan[16..20].copy_from_slice(&sum.to_le_bytes());
    plan
}

/// The model that devices run, which aligns: that of [`people::model`] if it does, else the shipped one made to, with the face template of
/// its size.
///
/// # Errors
/// When there is no model: why, in words.
pub fn aligning_model() -> Result<Model, String> {
    let model = people::model()?;
    if model.info().template.is_some() {
        return Ok(model);
    }
    let (info, mut plan) = (model.info(), model.plan_bytes().to_vec());
    let template = face_template(info.width.into(), info.height.into());
    plan[31] = 1;
    for (place, value) in plan[68..108].as_chunks_mut().0.iter_mut().zip(template.as_flattened()) {
        *place = value.to_le_bytes();
    }
    let sum = checksum(&plan);
    plan[16..20].copy_from_slice(&sum.to_le_bytes());
    Model::from_plan("aligning.plan".as_ref(), plan).map_err(|e| e.to_string())
}
