//! What can only be checked with the whole plan in view.

use core::ops::Range;

use super::step::{Op, Step, Tensor};
use super::{HEADER_BYTES, MAX_MACS, Plan, PlanError, RECORD_BYTES, Task};
use crate::kernels::requant::{Output, Requant};
use crate::kernels::{Words, requant};

/// Validates every operation and how they hang together.
///
/// Takes time in proportion to the plan's bytes and to the square of its operations, which [`super::MAX_STEPS`] bounds.
pub(super) fn check(plan: &Plan<'_>) -> Result<(), PlanError> {
    let mut macs = 0u64;
    for index in 0..plan.len() {
        let step = plan.step(index)?;
        let wrong = |field, value, accepted| Err(PlanError::step(index, field, value, accepted));
        if matches!(step.op, Op::Input { .. }) != (index == 0) {
            let kind = plan.bytes.get(HEADER_BYTES + index * RECORD_BYTES).map_or(0, |&k| k as usize);
            return wrong("kind", kind, "the input table as first operation and nowhere else");
        }
        if index > 0 && !is_written(plan, index, &step.input)? {
            return wrong("input", step.input.offset, "what earlier operations wrote, in whole rows");
        }
        if let Some(second) = step.second
            && !is_written(plan, index, &second)?
        {
            return wrong("second operand", second.offset, "what earlier operations wrote, in whole rows");
        }
        if let Op::Place { first, .. } = step.op
            && first != filled(plan, index, &step.output.range())?
        {
            return wrong("first channel", first, "the one behind those that the operation before it filled");
        }
        if let Some(at) = filled_gap(&step) {
            return wrong("packed weight", at, "0 where a block of weights is filled up");
        }
        if let Some(channel) = overflowing_channel(&step) {
            return wrong("weights of channel", channel, "sums that stay inside 32 bits");
        }
        let compared = if let Op::MaxPool(pool) = step.op { pool.comparisons() } else { 0 };
        macs = macs.saturating_add(step.macs()).saturating_add(compared);
        if macs > MAX_MACS {
            return wrong("multiply-accumulates", usize::MAX, "2^36 in the whole plan");
        }
    }
    if plan.task() == Task::Detection {
        return maps(plan);
    }
    let last = plan.len() - 1;
    let output = plan.known_step(last)?.output;
    if output.shape.bytes() != plan.info().dimension as usize {
        let accepted = "the dimension of the embedding";
        return Err(PlanError::step(last, "output", output.shape.bytes(), accepted));
    }
    Ok(())
}

/// Checks that a detector's maps hold what operations wrote when the last one is done.
fn maps(plan: &Plan<'_>) -> Result<(), PlanError> {
    for (index, map) in plan.maps().enumerate() {
        let tensor = map?.tensor;
        if !is_written(plan, plan.len(), &tensor)? {
            let accepted = "what operations wrote, in whole rows, and none wrote over";
            return Err(PlanError::map(index, "offset", tensor.offset, accepted));
        }
    }
    Ok(())
}

/// How many channels of the output at `range` the operations just before `index` have filled.
fn filled(plan: &Plan<'_>, index: usize, range: &Range<usize>) -> Result<usize, PlanError> {
    let Some(before) = index.checked_sub(1) else { return Ok(0) };
    let step = plan.known_step(before)?;
    match step.op {
        Op::Place { first, .. } if step.output.range() == *range => {
            let end = first + step.input.shape.channels;
            Ok(if end == step.output.shape.channels { 0 } else { end })
        }
        _ => Ok(0),
    }
}

/// Whether `tensor` holds what operations before `index` wrote: the whole output of the latest that touched it, or whole rows of
/// such outputs, the later ones below the earlier.
fn is_written(plan: &Plan<'_>, index: usize, tensor: &Tensor) -> Result<bool, PlanError> {
    let touch = |a: &Range<usize>, b: &Range<usize>| a.start < b.end && b.start < a.end;
    // What lies above the rows found so far, which go up to the end.
    let mut missing = tensor.range();
    let row = |tensor: &Tensor| (tensor.shape.width, tensor.shape.channels);
    let row_bytes = tensor.shape.width * tensor.shape.channels;
    for earlier in (0..index).rev() {
        let step = plan.known_step(earlier)?;
        let output = step.output.range();
        if touch(&output, &missing) {
            let end = step.output.shape.channels;
            if matches!(step.op, Op::Place { first, .. } if first + step.input.shape.channels != end) {
                return Ok(false);
            }
            if output == missing && missing == tensor.range() {
                return Ok(true);
            }
            // Ranges that differ by whole rows begin and end with whole rows.
            let first = missing.start.max(output.start);
            let in_rows = row(&step.output) == row(tensor)
                && output.start.abs_diff(tensor.offset).is_multiple_of(row_bytes);
            if !in_rows || output.end < missing.end {
                return Ok(false);
            }
            if first == missing.start {
                return Ok(true);
            }
            missing.end = first;
        }
        if touch(&step.scratch, &missing) {
            return Ok(false);
        }
    }
    Ok(false)
}

/// The first byte that is not 0 among those of packed weights that are no weight's.
fn filled_gap(step: &Step<'_>) -> Option<usize> {
    let Op::Conv(conv) = &step.op else { return None };
    let packing = step.target.packing(conv.input, conv.output, conv.window, conv.groups)?;
    packing.gaps().flatten().find(|&at| conv.weights.get(at).is_some_and(|&byte| byte != 0))
}

/// The first output channel whose accumulator or requantized value could leave an i32.
fn overflowing_channel(step: &Step<'_>) -> Option<usize> {
    let magnitude = |w: i8| w.unsigned_abs() as u64;
    match step.op {
        Op::Conv(conv) => {
            let taps = conv.taps();
            let packing = step.target.packing(conv.input, conv.output, conv.window, conv.groups);
            let sum = |piece: Range<usize>| -> u64 {
                conv.weights.get(piece).into_iter().flatten().map(|&w| magnitude(w)).sum()
            };
            // The zero point is folded into the bias: |x| <= 128.
            let reach = |channel: usize| match packing {
                Some(packing) => 128 * packing.pieces(channel).map(sum).sum::<u64>(),
                None => 128 * sum(channel * taps..(channel + 1) * taps),
            };
            first_overflow(reach, conv.bias, &conv.finish)
        }
        Op::Depthwise(depthwise) => {
            let channels = depthwise.output.channels;
            // The zero point is subtracted: |x - zero| <= 255.
            let reach = |channel: usize| {
                let taps = depthwise.weights.iter().skip(channel).step_by(channels.max(1));
                255 * taps.map(|&w| magnitude(w)).sum::<u64>()
            };
            first_overflow(reach, depthwise.bias, &depthwise.finish)
        }
        _ => None,
    }
}

/// The first channel whose largest `|acc|`, `reach(channel) + |bias|`, is more than its requantization takes.
fn first_overflow(reach: impl Fn(usize) -> u64, bias: Words<'_>, finish: &Output<'_>) -> Option<usize> {
    let largest = |(channel, bias): (usize, i32)| reach(channel).saturating_add(bias.unsigned_abs() as u64);
    let bound = |channel: usize| -> u64 {
        match finish.requant {
            Requant::HighMul { .. } | Requant::PerChannelF32 { .. } => i32::MAX as u64,
            Requant::ShiftedHighMul { shifts, .. } => {
                (1u64 << (31 - shifts.get(channel).copied().unwrap_or(requant::MAX_SHIFT))) - 1
            }
            Requant::Uniform(scale) => scale.reach(),
        }
    };
    let mut channels = bias.integers().enumerate();
    channels.find(|&(channel, bias)| largest((channel, bias)) > bound(channel)).map(|(channel, _)| channel)
}
