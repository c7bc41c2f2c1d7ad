//! Random operations of every kind.

use core::ops::RangeInclusive;

use arcgate_firmware::kernels::{Shape, Window};
use semihosting::println;

use crate::room::{Finish, Geometry, Numbers, Room};

/// Cases of each kind.
const CASES: usize = 600;

/// Runs every kind.
pub fn all(room: &mut Room) {
    for (kind, [groups, inner, outer], side, kernel, stride) in [
        // Groups, input and output channels of a group, side of the input: at most. Kernel and stride: at least and at most.
        ("convolution", [3, 20, 40], 8, 1..=5, 1..=3),
        ("pointwise", [1, 70, 40], 8, 1..=1, 1..=1),
        ("fully_connected", [2, 600, 40], 1, 1..=1, 1..=1),
        ("depthwise", [70, 1, 1], 12, 1..=9, 1..=4),
        ("depthwise3x3", [70, 1, 1], 12, 3..=3, 1..=2),
        ("long_windows", [1, 400, 20], 3, 1..=3, 1..=3),
        ("stem", [1, 3, 20], 20, 3..=3, 1..=2),
    ] {
        let mut done = 0;
        while done < CASES {
            let numbers = &mut room.numbers;
            let Some(geometry) = geometry(numbers, [groups, inner, outer], side, &kernel, &stride) else {
                continue;
            };
            let (finish, off) = (finish(numbers), numbers.within(0..=3));
            let mut ran = |kernel: &mut dyn FnMut()| kernel();
            let found = if kind.starts_with("depthwise") {
                room.depthwise(&geometry, finish, off, &mut ran)
            } else {
                room.conv(&geometry, finish, off, &mut ran)
            };
            done += found.is_some() as usize;
        }
        println!("equal {kind} {CASES}");
    }
    let mut slopes = 0;
    while slopes < CASES {
        let [channels, pixels, bits, off] =
            [1..=40, 1..=50, 8..=24, 0..=3].map(|range| room.numbers.within(range));
        slopes += room.slope(channels, pixels, bits as u8, off, |kernel| kernel()).is_some() as usize;
    }
    println!("equal slope {CASES}");
    let mut sums = 0;
    while sums < CASES {
        let [bytes, bits, off] = [1..=500, 1..=24, 0..=3].map(|range| room.numbers.within(range));
        let finish = finish(&mut room.numbers);
        sums += room.sum(bytes, finish, bits as u8, off, |kernel| kernel()).is_some() as usize;
    }
    println!("equal sum {CASES}");
}

/// A shape whose windows touch the input.
fn geometry(
    numbers: &mut Numbers,
    [groups, inner, outer]: [usize; 3],
    side: usize,
    kernel: &RangeInclusive<usize>,
    stride: &RangeInclusive<usize>,
) -> Option<Geometry> {
    let groups = numbers.within(1..=groups);
    let [kernel, stride] = [kernel, stride].map(|sides| [0; 2].map(|_| numbers.within(sides.clone())));
    let pad = kernel.map(|kernel| numbers.within(0..=kernel - 1));
    let input = Shape {
        height: numbers.within(1..=side),
        width: numbers.within(1..=side),
        channels: groups * numbers.within(1..=inner),
    };
    let mut across = |axis: usize, size: usize| {
        let end = numbers.within(0..=kernel[axis] - 1);
        let most = (size + pad[axis] + end).checked_sub(kernel[axis])? / stride[axis] + 1;
        // An output may also leave rows and columns out at the end.
        Some(most.saturating_sub(numbers.within(0..=2)).max(1))
    };
    let (height, width) = (across(0, input.height)?, across(1, input.width)?);
    let output = Shape { height, width, channels: groups * numbers.within(1..=outer) };
    let touches =
        (height - 1) * stride[0] < input.height + pad[0] && (width - 1) * stride[1] < input.width + pad[1];
    let zero = numbers.byte();
    touches.then_some(Geometry { input, output, window: Window { kernel, stride, pad }, groups, zero })
}

/// How the sums become steps.
fn finish(numbers: &mut Numbers) -> Finish {
    let [a, b] = [numbers.byte(), numbers.byte()];
    let clamp = if numbers.next() & 0x300 == 0 { [a.min(b), a.max(b)] } else { [i8::MIN, i8::MAX] };
    // The fast rule most of the time.
    let rule = (numbers.next() >> 9 & 7).saturating_sub(4);
    Finish { rule, zero: numbers.byte(), clamp }
}
