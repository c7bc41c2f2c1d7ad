//! Images of a file of records, the broken ones passed over.

use std::collections::BTreeSet;
use std::sync::Mutex;

use arcgate_firmware::align::luma;
use image::imageops;

use crate::data::recordio::{RecordError, Records};
use crate::train::augment::Picture;
use crate::train::recipe::Recipe;

/// The images of a class that can be read, in the given order; those that are broken go to `broken`. What else stops is an error:
/// a disk that fails is no broken image.
pub(super) fn readable<'a>(
    records: &'a Records,
    class: usize,
    order: impl Iterator<Item = usize> + 'a,
    recipe: &'a Recipe,
    broken: &'a Mutex<BTreeSet<String>>,
) -> impl Iterator<Item = Result<Picture, RecordError>> + 'a {
    order.filter_map(move |which| match decoded(records, class, which, recipe) {
        Err(why @ RecordError::Record { .. }) => {
            broken.lock().expect("no thread panics while it adds one").insert(why.to_string());
            None
        }
        other => Some(other),
    })
}

/// An image of a record as the network sees it. Records hold faces aligned to 112x112; for a narrower input the columns at both
/// sides fall away, as [`crate::onnx::metadata::face_template`] has it.
fn decoded(records: &Records, class: usize, which: usize, recipe: &Recipe) -> Result<Picture, RecordError> {
    let picture = records.image(class, which)?;
    let [columns, rows] = recipe.net.input;
    let (whole, height) = (picture.width(), picture.height());
    let width = (height as usize * columns / rows).clamp(1, whole as usize) as u32;
    let picture = imageops::crop_imm(&picture, (whole - width) / 2, 0, width, height).to_image();
    let channels = recipe.net.planes();
    let data = if channels == 1 { picture.pixels().map(|p| luma(p.0)).collect() } else { picture.into_raw() };
    Ok(Picture { width: width as usize, height: height as usize, channels, data })
}
