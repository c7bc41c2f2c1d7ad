//! The gallery's search on emulated cores: every kernel finds what the definition finds, in as few instructions as are promised.

use arcgate_tests::mcu::{Machine, search};
use arcgate_tests::or_skip;

/// Instructions of a template of 128 values on cores with the DSP instructions, with the search's beginning and end.
const MOST: f64 = 170.0;

#[test]
fn a_search_takes_the_instructions_that_are_promised() {
    for machine in Machine::ALL {
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
        if machine != Machine::Virt {
            assert!(found.kernels.iter().any(|kernel| kernel == "Dsp"), "{:?}", found.kernels);
            assert!(of_a_template <= MOST, "{}: {of_a_template:.1}, promised are {MOST}", machine.name());
        }
    }
}
