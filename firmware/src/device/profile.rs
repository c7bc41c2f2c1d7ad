//! How long each operation of the model takes on this device.

use crate::embedding::MAX_DIMENSION;
use crate::engine::Embedder;
use crate::link::message::MAX_LAPS;
use crate::link::status::Unit;
use crate::link::{Fault, Reply};

/// A counter that a board lends its device.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    /// Reads it. It counts up and begins again behind `u32::MAX`, which no operation may take.
    pub now: fn() -> u32,
    /// What it counts.
    pub unit: Unit,
    /// How many of these are one tick.
    pub per_tick: u32,
}

/// Runs the model on `crop`, and measures the operations from `first` on, as many as one reply holds.
pub(super) fn profile<E: Embedder>(
    engine: &mut E,
    clock: Option<Clock>,
    crop: &[u8],
    first: u16,
) -> Result<Reply<'static>, Fault> {
    let Clock { now, unit, per_tick } = clock.ok_or(Fault::NoClock)?;
    let mut embedding = [0; MAX_DIMENSION];
    let dimension = (engine.info().dimension as usize).min(MAX_DIMENSION);
    let (mut ticks, mut total) = (heapless::Vec::<u32, MAX_LAPS>::new(), 0);
    let mut last = now();
    let mut after = |step: usize| {
        if step >= first as usize {
            // Operations beyond those that the reply holds are left for the next one.
            let _ = ticks.push(now().wrapping_sub(last));
        }
        total = step + 1;
        last = now();
    };
    engine.embed_watched(crop, &mut embedding[..dimension], &mut after)?;
    Ok(Reply::Laps { total: total as u16, first, unit, per_tick, ticks })
}
