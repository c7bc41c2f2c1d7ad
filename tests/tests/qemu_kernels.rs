//! The kernels for Arm cores with the DSP instructions and with MVE, on emulated ones: equal to the scalar kernels on random shapes, and as few
//! instructions per multiply-accumulate as is promised.

use std::collections::BTreeMap;
use std::process::Command;

use arcgate_tests::data::workspace;
use arcgate_tests::or_skip;

/// Instructions for each multiply-accumulate at most: the whole kernel, with its copies and its requantization.
type Bounds = [(&'static str, f64); 4];

/// Those of cores with the DSP instructions.
const DSP: Bounds = [("conv3x3s2", 2.5), ("depthwise3x3", 2.9), ("pointwise", 1.2), ("fully_connected", 1.2)];

/// Those of cores with MVE.
const MVE: Bounds =
    [("conv3x3s2", 1.0), ("depthwise3x3", 1.6), ("pointwise", 0.35), ("fully_connected", 0.4)];

/// Machines of QEMU's, the folder of what is built for them, and the bounds: a Cortex-M4, an M7, an M33 and an M55.
const MACHINES: [(&str, &str, Bounds); 4] = [
    ("mps2-an386", "thumbv7em-none-eabihf", DSP),
    ("mps2-an500", "thumbv7em-none-eabihf", DSP),
    ("mps2-an505", "thumbv8m.main-none-eabihf", DSP),
    ("mps3-an547", "mve/thumbv8m.main-none-eabihf", MVE),
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

/// What the firmware `qemu-kernels` prints on a machine.
fn run(machine: &str, folder: &str) -> Result<String, String> {
    let file = format!("firmware/boards/qemu-kernels/target/{folder}/release/arcgate-qemu-kernels");
    let elf = workspace().join(&file);
    if !elf.is_file() {
        return Err(format!("{file} is not built (tests/bare-metal.sh)"));
    }
    let output = Command::new("qemu-system-arm")
        .args(["-machine", machine, "-icount", "shift=0", "-display", "none", "-monitor", "none"])
        .args(["-serial", "none", "-semihosting-config", "enable=on,target=native", "-kernel"])
        .arg(elf)
        .output()
        .map_err(|_| "qemu-system-arm is not installed")?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{machine} said:\n{said}{complaint}");
    Ok(said)
}

/// Runs the firmware on one machine and holds what it prints to what is promised.
fn hold(machine: &str, folder: &str, bounds: Bounds) {
    let said = or_skip!(run(machine, folder));
    let (mut equal, mut rates) = (BTreeMap::new(), BTreeMap::new());
    for line in said.lines() {
        let number = |word: &str| word.parse::<u64>().expect("a number");
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["equal", kind, cases] => _ = equal.insert(kind, number(cases)),
            ["kernel", name, instructions, macs] => {
                rates.insert(name, number(instructions) as f64 / number(macs) as f64);
            }
            _ => panic!("{machine} said: {line}"),
        }
    }
    for kind in KINDS {
        assert!(equal.get(kind).is_some_and(|&cases| cases >= 100), "{machine}: {kind} did not run: {said}");
    }
    for (name, bound) in bounds {
        let rate = rates[name];
        println!("{machine:<11} {name:<16} {rate:.3} instructions for each multiply-accumulate");
        assert!(rate <= bound, "{machine}: {name} takes {rate:.3}, more than {bound}");
    }
}

#[test]
fn kernels_on_emulated_cores_equal_scalar_in_the_instructions_promised() {
    for (machine, folder, bounds) in MACHINES {
        hold(machine, folder, bounds);
    }
}
