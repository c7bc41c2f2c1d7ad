//! A float YuNet through tract.
//!
//! The model takes `[1, 3, height, width]`, blue, green, red, values 0..=255 as they are, both sides multiples of 32, and
//! gives `cls_S`, `obj_S`, `bbox_S` and `kps_S` for the strides S = 8, 16 and 32.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use arcgate_firmware::detect::{self, Face, Map, STRIDES, Settings, Values};
use image::RgbImage;
use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::*;

use crate::onnx::float::map_names;

/// The most faces in one picture.
pub const MOST_FACES: usize = 128;

/// Prepared sizes that are kept; photographs of one camera need one or two.
const MOST_SIZES: usize = 16;

type Runnable = Arc<TypedRunnableModel>;

/// The model, and what was made of it for each size of pictures.
#[derive(Debug)]
pub(super) struct FloatYunet {
    model: ModelProto,
    /// For each stride the places of cls, obj, bbox and kps among the model's outputs.
    outputs: Vec<usize>,
    settings: Settings,
    prepared: Mutex<HashMap<(u32, u32), Runnable>>,
}

impl FloatYunet {
    /// Takes `model`, if it has the outputs; otherwise says which it lacks.
    pub fn new(model: ModelProto) -> Result<Self, String> {
        let names: Vec<&str> =
            model.graph.iter().flat_map(|g| &g.output).map(|output| output.name.as_str()).collect();
        let place = |name: String| {
            names.iter().position(|n| *n == name).ok_or_else(|| {
                format!("it has no output {name:?}\n  accepted: a YuNet with outputs cls_S, obj_S, bbox_S and kps_S for the strides 8, 16 and 32")
            })
        };
        let outputs = map_names().map(place).collect::<Result<_, _>>()?;
        Ok(FloatYunet { model, outputs, settings: Settings::default(), prepared: Mutex::default() })
    }

    /// The faces of a picture as it is, padded with black to multiples of 32 at its right and lower edges.
    pub fn look(&self, picture: &RgbImage) -> Result<Vec<Face>, String> {
        let width = picture.width().next_multiple_of(STRIDES[2] as u32);
        let height = picture.height().next_multiple_of(STRIDES[2] as u32);
        let plane = width as usize * height as usize;
        let mut planes = vec![0f32; 3 * plane];
        for (y, row) in picture.rows().enumerate() {
            for (x, pixel) in row.enumerate() {
                for (channel, value) in pixel.0.iter().rev().enumerate() {
                    planes[channel * plane + y * width as usize + x] = *value as f32;
                }
            }
        }
        let run = || -> TractResult<TVec<TValue>> {
            let input = Tensor::from_shape(&[1, 3, height as usize, width as usize], &planes)?;
            self.prepare(width, height)?.run(tvec![input.into()])
        };
        let wrong = |e: TractError| format!("{e:#}");
        let outputs = run().map_err(wrong)?;
        let plain: Vec<_> =
            outputs.iter().map(|t| t.try_as_plain_ram()).collect::<TractResult<_>>().map_err(wrong)?;
        let values = |map: usize| -> TractResult<Values<'_>> {
            let tensor = self.outputs.get(map).and_then(|&at| plain.get(at));
            Ok(Values::Float(tensor.map_or(Ok(&[][..]), |t| t.as_slice::<f32>())?))
        };
        let map = |first: usize| -> TractResult<Map<'_>> {
            let [cls, obj, bbox, kps] = [0, 1, 2, 3].map(|k| values(first + k));
            Ok(Map { cls: cls?, obj: obj?, bbox: bbox?, kps: kps? })
        };
        let maps = [map(0).map_err(wrong)?, map(4).map_err(wrong)?, map(8).map_err(wrong)?];
        let faces = detect::decode::<MOST_FACES>(&maps, width as u16, height as u16, &self.settings);
        Ok(faces.map_err(|e| e.to_string())?.into_iter().collect())
    }

    /// The model for pictures of one size; optimizing it takes longer than running it, so it is kept.
    fn prepare(&self, width: u32, height: u32) -> TractResult<Runnable> {
        let lock = || self.prepared.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(ready) = lock().get(&(width, height)) {
            return Ok(ready.clone());
        }
        let shape = [1, 3, height as usize, width as usize];
        let mut model = tract_onnx::onnx()
            .model_for_proto_model(&self.model)?
            .with_input_fact(0, f32::fact(shape).into())?;
        for output in 0..model.outputs.len() {
            model.set_output_fact(output, Default::default())?;
        }
        let ready = model.into_optimized()?.into_runnable()?;
        let mut prepared = lock();
        if prepared.len() >= MOST_SIZES {
            prepared.clear();
        }
        prepared.insert((width, height), ready.clone());
        Ok(ready)
    }
}
