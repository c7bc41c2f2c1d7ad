//! The interpreter: a plan's operations, one after the other.

use core::ops::Range;

use super::native::Native;
use super::step::{Op, Step};
use super::{Header, Plan, PlanError, Target};
use crate::bytes::copy;
use crate::kernels::{as_i8, as_i8_mut, dsp, mve, portable, scalar};
use crate::model::{ChannelOrder, ModelInfo, Task};

/// The header of a plan for `task` that can run in `arena`.
pub(super) fn admit(bytes: &[u8], arena: &[u8], task: Task) -> Result<Header, PlanError> {
    let header = Plan::parse(bytes)?.header;
    header.expect(task)?;
    let target = header.target;
    if !target.runs_here() {
        return Err(PlanError::Target { needed: target });
    }
    if target == Target::Dsp {
        for (what, memory) in [("plan", bytes), ("arena", arena)] {
            if memory.as_ptr().align_offset(dsp::ALIGN) != 0 {
                return Err(PlanError::Alignment { what, wanted: dsp::ALIGN });
            }
        }
    }
    let (needed, found) = (header.arena_bytes, arena.len());
    if found < needed {
        return Err(PlanError::Arena { needed, found });
    }
    Ok(header)
}

/// Runs every operation, calls `after` with the index of each, and gives the place of the last one's output. `None` if the plan's
/// bytes changed since they were validated.
pub(super) fn run_all(
    plan: &Plan<'_>,
    native: &mut Native,
    crop: &[u8],
    arena: &mut [u8],
    mut after: impl FnMut(usize),
) -> Option<Range<usize>> {
    for index in 0..plan.len() {
        if !native.run(index, arena)? {
            // Looked at where it lies: a step is large.
            let Ok(ref step) = plan.known_step(index) else { return None };
            run(step, plan.info(), crop, arena)?;
        }
        after(index);
    }
    Some(plan.known_step(plan.len().checked_sub(1)?).ok()?.output.range())
}

/// Runs one step; `None` if a tensor lies outside the arena or overlaps another, which validation excludes.
fn run(step: &Step<'_>, info: &ModelInfo, crop: &[u8], arena: &mut [u8]) -> Option<()> {
    if !step.target.is_built() {
        return None;
    }
    let (input, output) = (step.input.range(), step.output.range());
    match &step.op {
        Op::Input { tables } => {
            let blue_first = info.order == ChannelOrder::Bgr;
            scalar::pixels(blue_first, tables, crop, as_i8_mut(arena.get_mut(output)?));
        }
        Op::Conv(conv) => {
            let [x, scratch, y] = with_scratch(step, arena)?;
            match step.target {
                Target::Portable => portable::conv(conv, x, scratch, y)?,
                Target::Dsp => dsp::conv(conv, x, scratch, y)?,
                Target::Mve => mve::conv(conv, x, scratch, y)?,
            }
        }
        Op::Depthwise(depthwise) => {
            let [x, scratch, y] = with_scratch(step, arena)?;
            match step.target {
                Target::Portable => portable::depthwise(depthwise, x, y)?,
                Target::Dsp => dsp::depthwise(depthwise, x, scratch, y)?,
                Target::Mve => mve::depthwise(depthwise, x, scratch, y)?,
            }
        }
        Op::Sum(sum) => combine(step, arena, |x, y, order| {
            let sum = match order {
                Order::FirstInto => *sum,
                Order::SecondInto => sum.turned(),
            };
            match step.target {
                Target::Portable => portable::sum(&sum, x, y),
                Target::Dsp => dsp::sum(&sum, x, y),
                Target::Mve => mve::sum(&sum, x, y),
            }
        })?,
        Op::FloatSum(sum) => combine(step, arena, each(|a, b| sum.value(a, b)))?,
        Op::Lookup { table } => scalar::lookup(table, moved(step, arena)?),
        Op::LookupChannels { tables } => {
            scalar::lookup_channels(step.input.shape.channels, tables, moved(step, arena)?);
        }
        Op::Slope(slope) => {
            let y = moved(step, arena)?;
            match step.target {
                Target::Portable => portable::slope(slope, y),
                Target::Dsp => dsp::slope(slope, y),
                Target::Mve => mve::slope(slope, y),
            }
        }
        Op::Planes => {
            let [x, y] = arena.get_disjoint_mut([input, output]).ok()?;
            scalar::planes(step.input.shape, as_i8(x), as_i8_mut(y));
        }
        Op::MaxPool(pool) => {
            let [x, y] = arena.get_disjoint_mut([input, output]).ok()?;
            pool.run(as_i8(x), as_i8_mut(y))?;
        }
        Op::Upsample => {
            let [x, y] = arena.get_disjoint_mut([input, output]).ok()?;
            scalar::upsample(step.input.shape, step.output.shape, as_i8(x), as_i8_mut(y))?;
        }
        Op::Place { table, first } => {
            let (channels, of) = (step.input.shape.channels, step.output.shape.channels);
            let [x, y] = arena.get_disjoint_mut([input, output]).ok()?;
            scalar::place(table, *first, channels, of, as_i8(x), as_i8_mut(y));
        }
        Op::Product(product) if step.second?.shape == step.output.shape => {
            combine(step, arena, each(|a, b| product.value(a, b)))?;
        }
        Op::Product(product) => {
            let second = step.second?.range();
            moved(step, arena)?;
            let [factors, y] = arena.get_disjoint_mut([second, output]).ok()?;
            product.by_channel(as_i8(factors), as_i8_mut(y));
        }
    }
    Some(())
}

/// Input, scratch (none: 0..0, which overlaps nothing) and output of a step.
fn with_scratch<'a>(step: &Step<'_>, arena: &'a mut [u8]) -> Option<[&'a mut [i8]; 3]> {
    let places = [step.input.range(), step.scratch.clone(), step.output.range()];
    Some(arena.get_disjoint_mut(places).ok()?.map(as_i8_mut))
}

/// Copies `from` into `to`, if it is as long.
fn copied<V: Copy>(from: &[V], to: &mut [V]) -> Option<()> {
    if from.len() != to.len() {
        return None;
    }
    copy(from, to);
    Some(())
}

/// The output of an element-wise step, holding its input's values.
fn moved<'a>(step: &Step<'_>, arena: &'a mut [u8]) -> Option<&'a mut [i8]> {
    let (input, output) = (step.input.range(), step.output.range());
    if input != output {
        let [x, y] = arena.get_disjoint_mut([input, output.clone()]).ok()?;
        copied(x, y)?;
    }
    arena.get_mut(output).map(as_i8_mut)
}

/// Which operand is combined into the other one.
#[derive(Debug, Clone, Copy)]
enum Order {
    FirstInto,
    SecondInto,
}

/// What [`combine`] does with every pair of values.
fn each(value: impl Fn(i8, i8) -> i8) -> impl Fn(&[i8], &mut [i8], Order) {
    move |x, y, order| match order {
        Order::FirstInto => scalar::zip(x, y, &value),
        Order::SecondInto => scalar::zip(x, y, |b, a| value(a, b)),
    }
}

/// Combines two tensors of one shape into a third, which may be one of the two: `run` writes over one of them.
fn combine(step: &Step<'_>, arena: &mut [u8], run: impl Fn(&[i8], &mut [i8], Order)) -> Option<()> {
    let (a, b, y) = (step.input.range(), step.second?.range(), step.output.range());
    if y == b {
        let [a, y] = arena.get_disjoint_mut([a, y]).ok()?;
        run(as_i8(a), as_i8_mut(y), Order::FirstInto);
    } else {
        if y != a {
            let [a, y] = arena.get_disjoint_mut([a, y.clone()]).ok()?;
            copied(a, y)?;
        }
        let [b, y] = arena.get_disjoint_mut([b, y]).ok()?;
        run(as_i8(b), as_i8_mut(y), Order::SecondInto);
    }
    Some(())
}
