//! The shapes whose instructions are reported.

use arcgate_firmware::engine::kernels::{Shape, Window};
use semihosting::println;

use crate::core_clock::Clock;
use crate::fail;
use crate::room::{Finish, Geometry, Room};

/// As on the lattice: one high multiply, no clamp of its own.
const FINISH: Finish = Finish { rule: 0, zero: -3, clamp: [i8::MIN, i8::MAX] };

/// Runs each shape once.
pub fn all(room: &mut Room, clock: &mut Clock) {
    // Outputs of 0: a depthwise one.
    for (name, [inputs, outputs], side, [kernel, stride, pad]) in [
        ("conv3x3s2", [3, 16], 64, [3, 2, 1]),
        ("depthwise3x3", [64, 0], 32, [3, 1, 1]),
        ("depthwise3x3s2", [64, 0], 32, [3, 2, 1]),
        ("depthwise3x3_14", [256, 0], 14, [3, 1, 1]),
        ("depthwise3x3_7", [256, 0], 7, [3, 1, 1]),
        ("depthwise7x7", [512, 0], 7, [7, 1, 0]),
        ("pointwise", [64, 64], 32, [1, 1, 0]),
        ("fully_connected", [512, 128], 1, [1, 1, 0]),
        ("pointwise_16", [16, 16], 32, [1, 1, 0]),
        ("conv3x3", [32, 32], 16, [3, 1, 1]),
    ] {
        let across = (side + 2 * pad - kernel) / stride + 1;
        let (groups, outputs) = if outputs == 0 { (inputs, inputs) } else { (1, outputs) };
        let geometry = Geometry {
            input: Shape { height: side, width: side, channels: inputs },
            output: Shape { height: across, width: across, channels: outputs },
            window: Window { kernel: [kernel; 2], stride: [stride; 2], pad: [pad; 2] },
            groups,
            zero: 5,
        };
        let mut instructions = 0;
        let around = |kernel: &mut dyn FnMut()| {
            clock.lap();
            kernel();
            instructions = clock.lap();
        };
        let found = if groups > 1 {
            room.depthwise(&geometry, FINISH, 0, around)
        } else {
            room.conv(&geometry, FINISH, 0, around)
        };
        if found.is_none() {
            fail(format_args!("{name} does not fit"));
        }
        println!(
            "kernel {name} {instructions} {}",
            across * across * outputs * kernel * kernel * (inputs / groups)
        );
    }
    let mut instructions = 0;
    let mut around = |kernel: &mut dyn FnMut()| {
        clock.lap();
        kernel();
        instructions = clock.lap();
    };
    if room.slope(64, 784, 22, 0, &mut around).is_none() {
        fail(format_args!("slope does not fit"));
    }
    println!("kernel slope {instructions} {}", 64 * 784);
    let mut around = |kernel: &mut dyn FnMut()| {
        clock.lap();
        kernel();
        instructions = clock.lap();
    };
    if room.sum(64 * 784, FINISH, 20, 0, &mut around).is_none() {
        fail(format_args!("sum does not fit"));
    }
    println!("kernel sum {instructions} {}", 64 * 784);
}
