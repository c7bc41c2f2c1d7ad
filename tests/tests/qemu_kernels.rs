//! The kernels that emulated cores have of their own: equal to the scalar kernels on random shapes, and as few instructions per
//! multiply-accumulate as is promised. And the floats behind a detector: the same bits there as here.

use std::collections::BTreeMap;

use arcgate_tests::mcu::Machine;
use arcgate_tests::or_skip;

#[path = "../../firmware/boards/qemu-kernels/src/decoded.rs"]
mod decoded;

/// Instructions for each multiply-accumulate at most: the whole kernel, with its copies and its requantization.
type Bounds = [(&'static str, f64); 4];

/// Those of cores with the DSP instructions.
const DSP: Bounds = [("conv3x3s2", 2.5), ("depthwise3x3", 2.9), ("pointwise", 1.2), ("fully_connected", 1.2)];

/// Those of cores with MVE.
const MVE: Bounds =
    [("conv3x3s2", 1.0), ("depthwise3x3", 1.6), ("pointwise", 0.35), ("fully_connected", 0.4)];

/// Those of RV32IMAC.
const RV32: Bounds =
    [("conv3x3s2", 5.5), ("depthwise3x3", 8.0), ("pointwise", 3.3), ("fully_connected", 3.6)];

/// Those of RV32IMAC with vectors of 128 bits.
const RVV128: Bounds =
    [("conv3x3s2", 1.3), ("depthwise3x3", 0.55), ("pointwise", 0.45), ("fully_connected", 0.4)];

/// Those of RV32IMAC with vectors of 256 bits.
const RVV256: Bounds =
    [("conv3x3s2", 1.15), ("depthwise3x3", 0.3), ("pointwise", 0.3), ("fully_connected", 0.25)];

/// The machines and the bounds.
const MACHINES: [(Machine, Bounds); 7] = [
    (Machine::An386, DSP),
    (Machine::An500, DSP),
    (Machine::An505, DSP),
    (Machine::An547, MVE),
    (Machine::Virt, RV32),
    (Machine::Rvv128, RVV128),
    (Machine::Rvv256, RVV256),
];

/// Kinds of operations, each of which is run in some hundred shapes.
const KINDS: [&str; 9] = [
    "convolution",
    "pointwise",
    "fully_connected",
    "depthwise",
    "depthwise3x3",
    "long_windows",
    "stem",
    "slope",
    "sum",
];

/// Runs the firmware on one machine and holds what it prints to what is promised.
fn hold(machine: Machine, bounds: Bounds) {
    let said = or_skip!(machine.run("qemu-kernels"));
    let machine = machine.name();
    let (mut equal, mut rates, mut faces) = (BTreeMap::new(), BTreeMap::new(), None);
    for line in said.lines() {
        let number = |word: &str| word.parse::<u64>().expect("a number");
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["equal", kind, cases] => _ = equal.insert(kind, number(cases)),
            ["kernel", name, instructions, macs] => {
                rates.insert(name, number(instructions) as f64 / number(macs) as f64);
            }
            ["faces", count, hash] => faces = Some((number(count) as u32, number(hash) as u32)),
            _ => panic!("{machine} said: {line}"),
        }
    }
    for kind in KINDS {
        assert!(equal.get(kind).is_some_and(|&cases| cases >= 100), "{machine}: {kind} did not run: {said}");
    }
    let here = decoded::digest();
    assert!(here.0 >= 1000, "{here:?}");
    assert_eq!(faces, Some(here), "{machine}: faces decoded");
    for (name, bound) in bounds {
        let rate = rates[name];
        println!("{machine:<11} {name:<16} {rate:.3} instructions for each multiply-accumulate");
        assert!(rate <= bound, "{machine}: {name} takes {rate:.3}, more than {bound}");
    }
}

#[test]
fn kernels_on_emulated_cores_equal_scalar_in_the_instructions_promised() {
    for (machine, bounds) in MACHINES {
        hold(machine, bounds);
    }
}
