//! `arcgate detect`: the faces that the device would see, printed and drawn.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use arcgate_firmware::detect::Face;
use image::{Rgb, RgbImage};
use serde_json::{Value, json};

use super::shared;
use crate::photo::{Detector, Photo};
use crate::ui::{Ui, table};

/// The face that the photograph is about: orange of the Okabe-Ito palette, which colour-blind people can tell from the other.
const MAIN: Rgb<u8> = Rgb([230, 159, 0]);
/// The other faces: sky blue of the same palette.
const OTHER: Rgb<u8> = Rgb([86, 180, 233]);

/// The faces that the device would see, drawn into the picture.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Photographs: JPEG, PNG, PNM or BMP; EXIF orientation is honoured.
    #[arg(required = true, value_name = "PHOTO")]
    photos: Vec<PathBuf>,
    /// A face detector (YuNet ONNX).
    #[arg(long, value_name = "ONNX")]
    detector: PathBuf,
    /// Draws boxes and landmarks into a copy: a file for one photograph, a folder for several.
    #[arg(long, short, value_name = "PATH")]
    output: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// Whatever stopped it, in words for people; photographs without a face are named and make the exit code 1.
pub fn run(args: Args, ui: &Ui) -> anyhow::Result<ExitCode> {
    let detector = Detector::open(&args.detector)?;
    if let (Some(folder), true) = (&args.output, args.photos.len() > 1) {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    }
    let mut found = Vec::new();
    let mut targets: BTreeMap<PathBuf, &PathBuf> = BTreeMap::new();
    let mut failed = false;
    for path in &args.photos {
        let seen = Photo::open(path).and_then(|photo| Ok((detector.faces(&photo)?, photo)));
        let (faces, photo) = match seen {
            Ok(seen) => seen,
            Err(why) if args.photos.len() > 1 => {
                ui.note(format!("left out: {why}"));
                failed = true;
                continue;
            }
            Err(why) => return Err(why.into()),
        };
        let main = Face::main(&faces, photo.width(), photo.height());
        failed |= main.is_none();
        print(path, &faces, main, ui);
        if let Some(output) = &args.output {
            let target = target(output, path, args.photos.len())?;
            shared::claim(&mut targets, &target, path, &args.photos)?;
            draw(&photo, &faces, main)
                .save(&target)
                .with_context(|| format!("cannot write {}\n  accepted: a .png or .jpg", target.display()))?;
        }
        let list: Vec<Value> = faces.iter().enumerate().map(|(i, f)| as_json(f, Some(i) == main)).collect();
        found.push(json!({ "photo": path, "width": photo.width(), "height": photo.height(), "faces": list }));
    }
    ui.json(&json!({ "photos": found }));
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Where the drawn copy of one of `count` photographs goes.
fn target(output: &Path, photo: &Path, count: usize) -> anyhow::Result<PathBuf> {
    if count > 1 || output.is_dir() { shared::png_in(output, photo) } else { Ok(output.into()) }
}

fn print(path: &Path, faces: &[Face], main: Option<usize>, ui: &Ui) {
    if faces.is_empty() {
        ui.say(format!("{}: no face found", path.display()));
        return;
    }
    ui.say(format!("{}: {} face{}", path.display(), faces.len(), if faces.len() == 1 { "" } else { "s" }));
    let header = ["", "x", "y", "width", "height", "score", "eye", "eye", "nose", "mouth", "mouth"];
    let mut rows = vec![header.map(String::from).to_vec()];
    for (i, face) in faces.iter().enumerate() {
        let mut row = vec![if Some(i) == main { "  meant" } else { "  other" }.to_owned()];
        row.extend([face.x, face.y, face.width, face.height].map(|v| format!("{v:.1}")));
        row.push(format!("{:.3}", face.score));
        row.extend(face.landmarks.iter().map(|p| format!("{:.1},{:.1}", p.x, p.y)));
        rows.push(row);
    }
    ui.say(table(&rows).trim_end());
}

fn as_json(face: &Face, meant: bool) -> Value {
    let points: Vec<[f32; 2]> = face.landmarks.iter().map(|p| [p.x, p.y]).collect();
    json!({
        "meant": meant, "box": [face.x, face.y, face.width, face.height], "landmarks": points, "score": face.score,
    })
}

/// A copy of the photograph with a frame around each face and a dot on each landmark.
fn draw(photo: &Photo, faces: &[Face], main: Option<usize>) -> RgbImage {
    let mut picture = photo.to_rgb();
    // Lines that can be seen in a picture of any size.
    let thick = (picture.width().max(picture.height()) as i32 / 300).max(1);
    for (i, face) in faces.iter().enumerate() {
        let colour = if Some(i) == main { MAIN } else { OTHER };
        let (left, top) = (face.x as i32, face.y as i32);
        let (right, bottom) = ((face.x + face.width) as i32, (face.y + face.height) as i32);
        fill(&mut picture, (left, top), (right, top + thick), colour);
        fill(&mut picture, (left, bottom - thick), (right, bottom), colour);
        fill(&mut picture, (left, top), (left + thick, bottom), colour);
        fill(&mut picture, (right - thick, top), (right, bottom), colour);
        for p in &face.landmarks {
            let (x, y) = (p.x.round() as i32, p.y.round() as i32);
            fill(&mut picture, (x - thick, y - thick), (x + thick + 1, y + thick + 1), colour);
        }
    }
    picture
}

/// Fills the pixels from `from` up to but not including `to`, as far as they lie in the picture.
fn fill(picture: &mut RgbImage, from: (i32, i32), to: (i32, i32), colour: Rgb<u8>) {
    let (width, height) = (picture.width() as i32, picture.height() as i32);
    for y in from.1.clamp(0, height)..to.1.clamp(0, height) {
        for x in from.0.clamp(0, width)..to.0.clamp(0, width) {
            picture.put_pixel(x as u32, y as u32, colour);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_stay_in_the_picture() {
        let photo = Photo::from_rgb("a.png", RgbImage::new(20, 10)).unwrap();
        let face = Face {
            x: -5.0,
            y: 2.0,
            width: 15.0,
            height: 50.0,
            landmarks: [nalgebra::Point2::new(-100.0, 1e9); 5],
            score: 0.9,
        };
        let drawn = draw(&photo, &[face], Some(0));
        assert_eq!((drawn[(0, 2)], drawn[(9, 9)], drawn[(0, 5)]), (MAIN, MAIN, Rgb([0; 3])));
        assert_eq!(draw(&photo, &[face], None)[(0, 2)], OTHER);
    }

    #[test]
    fn one_file_or_a_folder() {
        let place =
            |output: &str, photo: &str, count| target(output.as_ref(), photo.as_ref(), count).unwrap();
        assert_eq!(place("o.png", "a/b.jpg", 1), Path::new("o.png"));
        assert_eq!(place("o", "a/b.jpg", 2), Path::new("o/b.png"));
        assert_eq!(place("o", "a/b.1.jpg", 2), Path::new("o/b.1.png"));
    }
}
