//! `arcgate align`: the crops that the device would embed, as PNG files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use arcgate_firmware::model::{ChannelOrder, ModelInfo};
use image::{GrayImage, RgbImage};
use nalgebra::Point2;
use rayon::prelude::*;
use serde_json::json;

use super::shared;
use crate::data::LeftOut;
use crate::disk;
use crate::engine::{Kind, Model};
use crate::eval::embed::{Engine, embed_crops};
use crate::onnx::metadata::{FACE_TEMPLATE_112, hex};
use crate::photo::{self, Found, Photo, PhotoError};
use crate::ui::Ui;

/// The crops that the device would embed.
///
/// One PNG a photograph, of the same name, in the folder -o. Of several faces the largest is taken.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Photographs: JPEG, PNG, PNM or BMP; EXIF orientation is honoured.
    #[arg(required = true, value_name = "PHOTO")]
    photos: Vec<PathBuf>,
    /// The model (.onnx int8 or .plan) whose input the crops are [default: RGB 112x112 and the common face template].
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// Where the crops go; made if it is not there.
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,
    /// Also write the model's int8 embeddings of the crops as JSON, for comparison with a runtime of your own: `embeddings` has a
    /// list of integers for each crop's file name.
    #[arg(long, value_name = "FILE.json", requires = "model")]
    embeddings: Option<PathBuf>,
    #[command(flatten)]
    faces: shared::FaceArgs,
}

/// RGB 112x112 with the common face template.
fn common_input() -> ModelInfo {
    ModelInfo {
        width: 112,
        height: 112,
        order: ChannelOrder::Rgb,
        template: Some(FACE_TEMPLATE_112.map(Point2::from)),
        dimension: 1,
        embedding_id: [0; 32],
    }
}

/// Runs the command.
///
/// # Errors
/// Whatever stopped it, in words for people; photographs without a crop are named and make the exit code 1.
pub fn run(args: Args, ui: &Ui) -> anyhow::Result<ExitCode> {
    let model = args.model.as_ref().map(|path| Model::open(path)).transpose()?;
    if let Some(path) = &args.embeddings {
        shared::keep(path, args.photos.iter().chain(&args.model))?;
    }
    let info = model.as_ref().map_or_else(common_input, |model| model.info().clone());
    let finder = args.faces.finder(None)?;
    let mut targets: BTreeMap<PathBuf, &PathBuf> = BTreeMap::new();
    for path in &args.photos {
        let target = shared::png_in(&args.output, path)?;
        shared::claim(&mut targets, &target, path, &args.photos)?;
    }
    std::fs::create_dir_all(&args.output)
        .with_context(|| format!("cannot make {}", args.output.display()))?;

    let bar = ui.progress("aligning", "photographs", targets.len() as u64);
    let one = |path: &PathBuf| -> Result<(Vec<u8>, Found), PhotoError> {
        let photo = Photo::open(path)?;
        let found = finder.find(&photo, &info)?;
        Ok((photo::crop(&photo, &found, &info)?, found))
    };
    let results: Vec<_> = targets
        .par_iter()
        .map(|(target, path)| {
            let result = one(path);
            bar.inc(1);
            (target, *path, result)
        })
        .collect();
    bar.finish_and_clear();

    let (mut rows, mut left_out, mut crops) = (Vec::new(), Vec::new(), Vec::new());
    for (target, path, result) in results {
        match result {
            Ok((crop, found)) => {
                save(&crop, &info, target)?;
                let others = match found {
                    Found::Face { others, .. } => others,
                    Found::Framed => 0,
                };
                let besides = if others == 0 { String::new() } else { format!("  ({others} other faces)") };
                ui.say(format!("{} -> {}{besides}", path.display(), target.display()));
                rows.push(json!({ "photo": path, "crop": target, "others": others }));
                crops.push((shared::file_name(target), crop));
            }
            Err(why) => left_out.push(LeftOut { image: path.clone(), why }),
        }
    }
    shared::name_left_out(ui, &left_out);
    if let (Some(path), Some(model)) = (&args.embeddings, model) {
        write_embeddings(path, crops, model, ui)?;
    }
    let names: Vec<&PathBuf> = left_out.iter().map(|l| &l.image).collect();
    ui.json(&json!({ "crops": rows, "embeddings": args.embeddings, "left_out": names, "width": info.width, "height": info.height }));
    Ok(if left_out.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The plan's int8 embeddings of `crops`, by file name.
fn write_embeddings(path: &Path, crops: Vec<(String, Vec<u8>)>, model: Model, ui: &Ui) -> anyhow::Result<()> {
    let (id, dimension) = (hex(&model.info().embedding_id), model.info().dimension);
    let (names, crops): (Vec<String>, Vec<Vec<u8>>) = crops.into_iter().unzip();
    let bar = ui.progress("embedding", "crops", crops.len() as u64);
    let found = embed_crops(&crops, &[&Engine::Int8(Box::new(model), Kind::Plan)], || bar.inc(1));
    bar.finish_and_clear();
    // Every value is a whole number of int8.
    let lists = found?.into_iter().map(|of| of[0].iter().map(|&v| v as i8).collect::<Vec<i8>>());
    let embeddings: BTreeMap<String, Vec<i8>> = names.into_iter().zip(lists).collect();
    let told = json!({ "embedding_id": id, "dimension": dimension, "embeddings": embeddings });
    disk::replace(path, told.to_string().as_bytes())
        .with_context(|| format!("cannot write {}", path.display()))?;
    ui.note(format!("{} int8 embeddings of {dimension} values: {}", embeddings.len(), path.display()));
    Ok(())
}

fn save(crop: &[u8], info: &ModelInfo, path: &PathBuf) -> anyhow::Result<()> {
    let (width, height) = (info.width as u32, info.height as u32);
    let bytes = crop.to_vec();
    let sized = "a crop has the model's size";
    let saved = match info.order {
        ChannelOrder::Grey => GrayImage::from_raw(width, height, bytes).context(sized)?.save(path),
        ChannelOrder::Rgb | ChannelOrder::Bgr => {
            RgbImage::from_raw(width, height, bytes).context(sized)?.save(path)
        }
    };
    saved.with_context(|| format!("cannot write {}", path.display()))
}
