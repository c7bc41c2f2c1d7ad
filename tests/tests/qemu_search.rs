//! The gallery on emulated cores: every kernel finds what the definition finds, in as few instructions as are promised; so do mounting
//! and searching sealed templates on a Cortex-M4.

use arcgate_tests::mcu::{Machine, search};
use arcgate_tests::or_skip;

/// On each machine, the kernel that it must have, and instructions of a template of 128 values at most, with the search's beginning
/// and end.
const PROMISED: [(Machine, &str, f64); 7] = [
    (Machine::An386, "Dsp", 170.0),
    (Machine::An500, "Dsp", 170.0),
    (Machine::An505, "Dsp", 170.0),
    (Machine::An547, "Mve", 60.0),
    (Machine::Virt, "Rv32", 460.0),
    (Machine::Rvv128, "Rvv", 70.0),
    (Machine::Rvv256, "Rvv", 55.0),
];

#[test]
fn a_search_takes_the_instructions_that_are_promised() {
    for (machine, kernel, most) in PROMISED {
        let found = or_skip!(search::run(machine));
        let of_a_template = found.searches.of_a_template();
        println!(
            "{:<11} {of_a_template:.1} instructions a template of {} values, in a gallery of {}; equal: {}",
            machine.name(),
            found.searches.dimension,
            found.searches.templates,
            found.kernels.join(", ")
        );
        assert_eq!(found.searches.dimension, 128);
        assert!(found.kernels.iter().any(|k| k == kernel), "{}: {:?}", machine.name(), found.kernels);
        assert!(of_a_template <= most, "{}: {of_a_template:.1}, promised are {most}", machine.name());
        println!("{:<11} mounts {:?}, a search of sealed templates {:?}", "", found.mounts, found.sealed);
        if machine == Machine::An386 {
            let mount = found.mounts.iter().find(|(people, _)| *people == 1000);
            assert!(mount.is_some_and(|(_, instructions)| *instructions <= 3_000_000), "{:?}", found.mounts);
            let within = |(templates, instructions)| templates == 420 && instructions <= 5_000_000;
            assert!(found.sealed.is_some_and(within), "{:?}", found.sealed);
        }
    }
}
