//! The operations that have kernels for x86 or aarch64, their weights packed.

use core::ops::Range;
use std::sync::Arc;
use std::vec::Vec;

use crate::engine::plan::{Op, Plan, Step};
#[cfg(target_arch = "aarch64")]
use crate::kernels::aarch64::{Add, Conv, Depthwise, Slopes};
#[cfg(target_arch = "x86_64")]
use crate::kernels::x86::{Add, Conv, Depthwise, Slopes};
use crate::kernels::{Isa, as_i8, as_i8_mut};

/// One operation of a plan.
#[derive(Debug)]
enum Operation {
    /// It has no kernel of its own.
    Plain,
    /// The operation before it does its work too.
    Done,
    Conv(Conv, [Range<usize>; 2]),
    Depthwise(Depthwise, [Range<usize>; 2]),
    /// In place.
    Slopes(Slopes, Range<usize>),
    /// First operand, second, output.
    Add(Add, [Range<usize>; 3]),
}

/// All operations of a plan, shared by its engines, and the scratch of one engine.
#[derive(Debug, Clone)]
pub(super) struct Prepared {
    operations: Arc<[Operation]>,
    scratch: Vec<[u8; 4]>,
}

impl Prepared {
    pub(super) fn new(plan: &Plan<'_>, isa: Isa) -> Self {
        let steps: Vec<Option<Step<'_>>> = plan.steps().map(Result::ok).collect();
        let mut operations: Vec<Operation> = Vec::with_capacity(steps.len());
        let mut words = 0;
        for (index, step) in steps.iter().enumerate() {
            let Some(step) = step else {
                operations.push(Operation::Plain);
                continue;
            };
            let slope = match steps.get(index + 1) {
                Some(Some(next)) if next.input == step.output && next.output == step.output => match &next.op
                {
                    Op::Slope(slope) => Some(slope),
                    _ => None,
                },
                _ => None,
            };
            let done = index > 0
                && matches!(step.op, Op::Slope(_))
                && step.input == step.output
                && matches!(&operations[index - 1], Operation::Conv(..) | Operation::Depthwise(..))
                && steps[index - 1].as_ref().is_some_and(|before| before.output == step.output);
            let ranges = [step.input.range(), step.output.range()];
            let prepared = match &step.op {
                _ if done => Some(Operation::Done),
                Op::Conv(conv) => Conv::new(isa, conv, slope).map(|conv| {
                    words = words.max(conv.scratch_words());
                    Operation::Conv(conv, ranges)
                }),
                Op::Depthwise(depthwise) => Depthwise::new(isa, depthwise, slope)
                    .map(|depthwise| Operation::Depthwise(depthwise, ranges)),
                Op::Slope(slope) if step.input == step.output => {
                    Slopes::new(isa, slope).map(|slopes| Operation::Slopes(slopes, step.output.range()))
                }
                Op::Sum(sum) => step.second.and_then(|second| {
                    let [first, output] = ranges;
                    Some(Operation::Add(Add::new(isa, *sum)?, [first, second.range(), output]))
                }),
                _ => None,
            };
            operations.push(prepared.unwrap_or(Operation::Plain));
        }
        Prepared { operations: operations.into(), scratch: std::vec![[0; 4]; words] }
    }

    pub(super) fn run(&mut self, index: usize, arena: &mut [u8]) -> Option<bool> {
        match self.operations.get(index)? {
            Operation::Plain => return Some(false),
            Operation::Done => {}
            Operation::Conv(conv, places) => {
                let [x, y] = arena.get_disjoint_mut(places.clone()).ok()?;
                conv.run(as_i8(x), &mut self.scratch, as_i8_mut(y))?;
            }
            Operation::Depthwise(depthwise, places) => {
                let [x, y] = arena.get_disjoint_mut(places.clone()).ok()?;
                depthwise.run(as_i8(x), as_i8_mut(y))?;
            }
            Operation::Slopes(slopes, place) => slopes.run(as_i8_mut(arena.get_mut(place.clone())?)),
            Operation::Add(add, [a, b, y]) if y == b => {
                let [a, y] = arena.get_disjoint_mut([a.clone(), y.clone()]).ok()?;
                add.into_second(as_i8(a), as_i8_mut(y));
            }
            Operation::Add(add, [a, b, y]) => {
                if y != a {
                    let [a, y] = arena.get_disjoint_mut([a.clone(), y.clone()]).ok()?;
                    y.copy_from_slice(a);
                }
                let [b, y] = arena.get_disjoint_mut([b.clone(), y.clone()]).ok()?;
                add.into_first(as_i8_mut(y), as_i8(b));
            }
        }
        Some(true)
    }
}
