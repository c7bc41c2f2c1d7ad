//! The proof that a plan and tract's optimized graph are the same function, on crops.

use arcgate_firmware::engine::plan::{Plan, PlanEngine};
use arcgate_firmware::engine::tract::TractEngine;
use arcgate_firmware::engine::{Embedder, ModelInfo};
use rand::{RngExt, SeedableRng};
use rayon::prelude::*;
use tract_onnx::pb::ModelProto;

use super::LowerError;

/// What [`prove`] compared.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ProofReport {
    /// Crops that both engines embedded.
    pub crops: usize,
    /// Bytes compared, all equal.
    pub bytes: usize,
}

/// Crops for a proof without photographs: noise, gradients in every direction, stripes and flat fields, the same each time.
pub fn synthetic_crops(info: &ModelInfo, count: usize) -> Vec<Vec<u8>> {
    let (width, height, channels) = (info.width as usize, info.height as usize, info.order.channels());
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(0x61_72_63_67);
    let crop = |k: usize| -> Vec<u8> {
        let colours: [[f32; 2]; 3] =
            core::array::from_fn(|_| core::array::from_fn(|_| rng.random_range(0.0..256.0)));
        let (dx, dy) = (rng.random_range(-1.0..1.0f32), rng.random_range(-1.0..1.0f32));
        let noise = [0.0, 12.0, 40.0, 256.0][k % 4];
        let stripes = rng.random_range(1.0..12.0f32);
        let mut crop = Vec::with_capacity(width * height * channels);
        for y in 0..height {
            for x in 0..width {
                let along =
                    0.5 + dx * (x as f32 / width as f32 - 0.5) + dy * (y as f32 / height as f32 - 0.5);
                let t = if k % 3 == 2 { (along * stripes).fract().abs().round() } else { along };
                for [from, to] in &colours[..channels] {
                    let value = from + (to - from) * t + noise * (rng.random::<f32>() - 0.5);
                    crop.push(value.clamp(0.0, 255.0) as u8);
                }
            }
        }
        crop
    };
    (0..count).map(crop).collect()
}

/// Runs tract's optimized graph and the plan on `crops` and compares every byte. `done` is called after each crop.
///
/// # Errors
/// [`LowerError::Difference`] at the first crop where they differ, or whatever kept either from running.
pub fn prove_with(
    model: &ModelProto,
    plan: &[u8],
    crops: &[Vec<u8>],
    done: impl Fn() + Sync,
) -> Result<ProofReport, LowerError> {
    let parsed = Plan::parse(plan)?;
    let dimension = parsed.info().dimension as usize;
    let tract = TractEngine::from_model(model, parsed.info().clone())?;
    let engine = PlanEngine::new(plan, vec![0u8; parsed.arena_bytes()])?;
    let engines = || (tract.clone(), engine.clone());
    crops.par_iter().enumerate().try_for_each_init(engines, |(tract, plan), (crop, pixels)| {
        let run = |source| LowerError::Run { crop, source };
        let (mut expected, mut found) = (vec![0i8; dimension], vec![0i8; dimension]);
        tract.embed(pixels, &mut expected).map_err(run)?;
        plan.embed(pixels, &mut found).map_err(run)?;
        compare(crop, &expected, &found)?;
        done();
        Ok::<(), LowerError>(())
    })?;
    Ok(ProofReport { crops: crops.len(), bytes: crops.len() * dimension })
}

/// [`prove_with`] without news of its progress.
///
/// # Errors
/// As there.
pub fn prove(model: &ModelProto, plan: &[u8], crops: &[Vec<u8>]) -> Result<ProofReport, LowerError> {
    prove_with(model, plan, crops, || ())
}

fn compare(crop: usize, tract: &[i8], plan: &[i8]) -> Result<(), LowerError> {
    let differs = |byte: &usize| tract[*byte] != plan[*byte];
    let differing = (0..tract.len()).filter(differs).count();
    match (0..tract.len()).find(differs) {
        None => Ok(()),
        Some(byte) => Err(LowerError::Difference {
            crop,
            byte,
            tract: tract[byte],
            plan: plan[byte],
            differing,
            length: tract.len(),
        }),
    }
}
