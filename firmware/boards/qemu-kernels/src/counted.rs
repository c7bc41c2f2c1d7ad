//! The shapes whose instructions are reported.

use arcgate_firmware::kernels::{Shape, Window};
use semihosting::println;

use crate::core_clock::Clock;
use crate::fail;
use crate::room::{Finish, Geometry, Room};

/// As on the lattice: one high multiply, no clamp of its own.
const FINISH: Finish = Finish { rule: 0, zero: -3, clamp: [i8::MIN, i8::MAX] };

/// Runs each shape once.
pub fn all(room: &mut Room, clock: &mut Clock) {
    // Channels of input and output, side, kernel, stride and pad; no outputs: a depthwise one.
    for (name, [inputs, outputs], side, [kernel, stride, pad]) in [
        ("conv3x3s2", [3, 16], 64, [3, 2, 1]),
        ("depthwise3x3", [64, 0], 32, [3, 1, 1]),
        ("pointwise", [64, 64], 32, [1, 1, 0]),
        ("fully_connected", [512, 128], 1, [1, 1, 0]),
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
        let around = |kernel: &mut dyn FnMut()| instructions = counted(clock, kernel);
        let found = if groups > 1 {
            room.depthwise(&geometry, FINISH, 0, around)
        } else {
            room.conv(&geometry, FINISH, 0, around)
        };
        let macs = across * across * outputs * kernel * kernel * (inputs / groups);
        report(name, found, instructions, macs);
    }
    let values = 64 * 28 * 28;
    let mut instructions = 0;
    let found = room.slope(64, 28 * 28, 22, 0, |kernel| instructions = counted(clock, kernel));
    report("slope", found, instructions, values);
    let found = room.sum(values, FINISH, 20, 0, |kernel| instructions = counted(clock, kernel));
    report("sum", found, instructions, values);
}

/// The instructions of `kernel`.
fn counted(clock: &mut Clock, kernel: &mut dyn FnMut()) -> u64 {
    clock.lap();
    kernel();
    clock.lap()
}

fn report(name: &str, found: Option<()>, instructions: u64, macs: usize) {
    if found.is_none() {
        fail(format_args!("{name} does not fit"));
    }
    println!("kernel {name} {instructions} {macs}");
}
