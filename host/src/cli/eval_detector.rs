//! `arcgate eval detector`.

use std::path::PathBuf;

use image::RgbImage;
use rayon::prelude::*;
use serde_json::json;

use super::shared;
use crate::data::{ImageSet, LeftOut};
use crate::eval::detection;
use crate::photo::{Detector, Photo, PhotoError, detector_picture};
use crate::ui::Ui;

/// A face detector beside another on the same pictures: the faces it misses, and how far its landmarks lie from the other's.
///
/// Photographs are scaled down until they fit the detector's picture, never up, and padded with black at the right and lower edges;
/// both detectors see the same pictures, and the face that a picture is about counts. In the JSON object: pictures, faces (seen by
/// --beside), missed, missed_share, added, median_pixels and p95_pixels.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The detector: a plan or an int8 ONNX.
    detector: PathBuf,
    /// Photographs, in folders or not.
    dir: PathBuf,
    /// The detector that it is held against, usually the float ONNX it was made of.
    #[arg(long, value_name = "ONNX")]
    beside: PathBuf,
    /// Photographs used, at most; they are spread evenly over the folder.
    #[arg(long, value_name = "N", default_value_t = 500)]
    count: usize,
}

/// Runs the command.
///
/// # Errors
/// When a detector or the folder cannot be used.
pub fn run(args: &Args, ui: &Ui) -> anyhow::Result<()> {
    let (detector, beside) = (Detector::open(&args.detector)?, Detector::open(&args.beside)?);
    let Some((width, height)) = detector.picture() else {
        anyhow::bail!(
            "{} takes pictures of any size\n  accepted: a plan or an int8 ONNX; the float one goes to --beside",
            args.detector.display()
        );
    };
    let set = ImageSet::open(&args.dir)?;
    let count = args.count.min(set.images.len());
    let bar = ui.progress("looking", "pictures", count as u64);
    let open = |k: usize| -> Result<RgbImage, (usize, PhotoError)> {
        let index = k * set.images.len() / count;
        let photo = Photo::open(set.path(index)).map_err(|why| (index, why))?;
        let pixels = detector_picture(&photo, width, height);
        // As many bytes as the size asks for.
        Ok(RgbImage::from_raw(width.into(), height.into(), pixels).unwrap_or_default())
    };
    let (mut pictures, mut left_out) = (Vec::new(), Vec::new());
    for opened in (0..count).into_par_iter().map(open).collect::<Vec<_>>() {
        match opened {
            Ok(picture) => pictures.push(picture),
            Err((index, why)) => left_out.push(LeftOut { image: set.images[index].clone(), why }),
        }
    }
    bar.inc(left_out.len() as u64);
    let found = detection::compare(&beside, &detector, &pictures, || bar.inc(1))?;
    bar.finish_and_clear();
    shared::name_left_out(ui, &left_out);
    anyhow::ensure!(!pictures.is_empty(), "no image under {} can be read", args.dir.display());
    ui.say(format!("{} at {width}x{height} beside {}", args.detector.display(), args.beside.display()));
    ui.say(format!("  {found}"));
    let share = (found.faces > 0).then(|| found.missed as f64 / found.faces as f64);
    ui.json(&json!({
        "detector": args.detector,
        "beside": args.beside,
        "width": width,
        "height": height,
        "pictures": found.pictures,
        "faces": found.faces,
        "missed": found.missed,
        "missed_share": share,
        "added": found.added,
        "median_pixels": found.median_pixels,
        "p95_pixels": found.p95_pixels,
        "left_out": left_out.len(),
    }));
    Ok(())
}
