//! What the plans of an image give on the machine that asks: on the host for its header, on a device before it is taken.

use arcgate_crypto::Sha256;

use super::{Part, Payload, UpdateError};
use crate::engine::Embedder;
use crate::engine::plan::{PlanDetector, PlanEngine};
use crate::engine::vectors;

/// What a device lends for trying a model: what the models themselves run in.
#[derive(Debug)]
pub struct Room<'r> {
    /// For running them.
    pub arena: &'r mut [u8],
    /// For the embedder's input and, before that, the detector's.
    pub crop: &'r mut [u8],
}

/// What came of a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tried {
    /// The embedder's embedding id.
    pub embedding_id: [u8; 32],
    /// SHA-256 of the detector's output maps, if there is one, and the embeddings, one after the other.
    pub digest: [u8; 32],
}

/// Opens the plans of an image and runs each on the first `count` of its drawn pictures; `alive` is called before each run.
///
/// # Errors
/// When a plan is no valid one or has too little room, or a run fails.
pub fn try_plans(
    plans: &Payload<'_>,
    count: u32,
    room: &mut Room<'_>,
    alive: impl Fn(),
) -> Result<Tried, UpdateError> {
    let mut digest = Sha256::new(&[]);
    if let Some(detector) = plans.detector {
        look(detector, count, room, &alive, &mut digest)?;
    }
    let embedding_id = embed(plans.embedder, count, room, &alive, &mut digest)?;
    Ok(Tried { embedding_id, digest: digest.finish() })
}

fn look(
    plan: &[u8],
    count: u32,
    room: &mut Room<'_>,
    alive: &impl Fn(),
    digest: &mut Sha256,
) -> Result<(), UpdateError> {
    let part = Part::Detector;
    let mut detector =
        PlanDetector::new(plan, &mut *room.arena).map_err(|error| UpdateError::of_plan(part, error))?;
    fits(part, detector.info().crop_bytes(), room.crop)?;
    vectors::maps(&mut detector, count, room.crop, alive, digest)
        .map_err(|_| UpdateError::SelfTest { vectors: count })
}

fn embed(
    plan: &[u8],
    count: u32,
    room: &mut Room<'_>,
    alive: &impl Fn(),
    digest: &mut Sha256,
) -> Result<[u8; 32], UpdateError> {
    let part = Part::Embedder;
    let mut engine =
        PlanEngine::new(plan, &mut *room.arena).map_err(|error| UpdateError::of_plan(part, error))?;
    fits(part, engine.info().crop_bytes(), room.crop)?;
    vectors::embeddings(&mut engine, count, room.crop, alive, digest)
        .map_err(|_| UpdateError::SelfTest { vectors: count })?;
    Ok(engine.info().embedding_id)
}

fn fits(part: Part, needed: usize, room: &[u8]) -> Result<(), UpdateError> {
    match needed <= room.len() {
        true => Ok(()),
        false => Err(UpdateError::Picture { part, needed: needed as u32, found: room.len() as u32 }),
    }
}
