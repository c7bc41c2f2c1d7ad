//! The proof that a plan and tract's optimized graph are the same function, on crops.

use arcgate_firmware::engine::Embedder;
use arcgate_firmware::engine::plan::{Plan, PlanDetector, PlanEngine};
use arcgate_firmware::engine::tract::{TractDetector, TractEngine};
use arcgate_firmware::model::{ModelInfo, Task};
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
    let (info, arena) = (parsed.info().clone(), vec![0u8; parsed.arena_bytes()]);
    let bytes: usize = match parsed.task() {
        Task::Embedding => {
            let engines = (TractEngine::from_model(model, info)?, PlanEngine::new(plan, arena)?);
            prove_each(crops, &engines, |(tract, plan), crop, pixels| {
                let bytes = embeddings(tract, plan, crop, pixels)?;
                done();
                Ok(bytes)
            })?
        }
        Task::Detection => {
            let engines = (TractDetector::from_model(model, info)?, PlanDetector::new(plan, arena)?);
            prove_each(crops, &engines, |(tract, plan), crop, pixels| {
                let bytes = maps(tract, plan, crop, pixels)?;
                done();
                Ok(bytes)
            })?
        }
    };
    Ok(ProofReport { crops: crops.len(), bytes })
}

/// The bytes that `compare` found equal on all crops, each thread with its own `engines`.
fn prove_each<E: Clone + Sync + Send>(
    crops: &[Vec<u8>],
    engines: &E,
    compare: impl Fn(&mut E, usize, &[u8]) -> Result<usize, LowerError> + Sync,
) -> Result<usize, LowerError> {
    let each = |engines: &mut E, (crop, pixels): (usize, &Vec<u8>)| compare(engines, crop, pixels);
    let counts: Result<Vec<usize>, _> =
        crops.par_iter().enumerate().map_init(|| engines.clone(), each).collect();
    Ok(counts?.iter().sum())
}

fn embeddings<B: AsRef<[u8]>, A: AsMut<[u8]>>(
    tract: &mut TractEngine,
    plan: &mut PlanEngine<B, A>,
    crop: usize,
    pixels: &[u8],
) -> Result<usize, LowerError> {
    let run = |source| LowerError::Run { crop, source };
    let dimension = plan.info().dimension as usize;
    let (mut expected, mut found) = (vec![0i8; dimension], vec![0i8; dimension]);
    tract.embed(pixels, &mut expected).map_err(run)?;
    plan.embed(pixels, &mut found).map_err(run)?;
    compare(crop, &expected, &found)
}

/// All maps of a detector one after the other. tract gives real values, which are whole steps.
fn maps<B: AsRef<[u8]>, A: AsRef<[u8]> + AsMut<[u8]>>(
    tract: &mut TractDetector,
    plan: &mut PlanDetector<B, A>,
    crop: usize,
    pixels: &[u8],
) -> Result<usize, LowerError> {
    let by_tract = tract.maps(pixels).map_err(|source| LowerError::Run { crop, source })?;
    let by_plan = plan.maps(pixels).map_err(|source| LowerError::Look { crop, source })?;
    let mut bytes = 0;
    for (reals, (map, steps)) in by_tract.iter().zip(by_plan) {
        let step = |&real: &f32| (real / map.scale).round() as i32 + i32::from(map.zero_point);
        let expected: Vec<i8> = reals.iter().map(|real| step(real) as i8).collect();
        bytes += compare(crop, &expected, steps)?;
    }
    Ok(bytes)
}

/// [`prove_with`] without news of its progress.
///
/// # Errors
/// As there.
pub fn prove(model: &ModelProto, plan: &[u8], crops: &[Vec<u8>]) -> Result<ProofReport, LowerError> {
    prove_with(model, plan, crops, || ())
}

/// How many bytes are equal, if all are.
fn compare(crop: usize, tract: &[i8], plan: &[i8]) -> Result<usize, LowerError> {
    let differs = |byte: &usize| tract[*byte] != plan[*byte];
    let differing = (0..tract.len()).filter(differs).count();
    match (0..tract.len()).find(differs) {
        None => Ok(tract.len()),
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
