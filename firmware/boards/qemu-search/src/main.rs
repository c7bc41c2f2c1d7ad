//! Searches an index of templates on an emulated core: every kernel against the definition, on templates and probes of all
//! lengths and extremes; then counted.
//!
//! Standard output has `equal KERNEL CASES` for each kernel, then `search TEMPLATES DIMENSION INSTRUCTIONS` for each of some
//! searches, from probe to the two nearest people; `mount PEOPLE INSTRUCTIONS` for galleries in flash, and
//! `sealed TEMPLATES DIMENSION INSTRUCTIONS` for a search that opens all templates. QEMU runs with `-icount shift=0`: an instruction a nanosecond.
#![no_std]
#![no_main]

#[cfg_attr(target_arch = "arm", path = "../../qemu-bench/src/cortex_m.rs")]
#[cfg_attr(target_arch = "riscv32", path = "../../qemu-bench/src/riscv.rs")]
mod core_clock;
mod equal;
mod numbers;
mod stored;

use arcgate_firmware::gallery::{Index, Line, PersonId, index_lines};
use core_clock::Clock;
use numbers::Numbers;
use semihosting::{println, process};

/// Templates of the counted searches, and their values.
const TEMPLATES: usize = 1024;
const DIMENSION: usize = 128;

/// Shots of a person.
const SHOTS: usize = 2;

/// Searches counted: by strangers and by people enrolled.
const SEARCHES: usize = 16;

#[cfg_attr(target_arch = "arm", cortex_m_rt::entry)]
#[cfg_attr(target_arch = "riscv32", riscv_rt::entry)]
fn main() -> ! {
    #[cfg(feature = "rvv")]
    core_clock::switch_vectors_on();
    let mut numbers = Numbers::new();
    equal::all(&mut numbers);
    let mut clock = Clock::start();
    count(&mut numbers, &mut clock);
    stored::count(&mut numbers, &mut clock);
    process::exit(0)
}

/// Counts searches in a gallery of people.
fn count(numbers: &mut Numbers, clock: &mut Clock) {
    // On the stack, which has all of the RAM: nothing else does.
    let lines = [Line::ZERO; index_lines(TEMPLATES, DIMENSION)];
    let mut index = Index::new(lines, DIMENSION);
    let mut enrolled = [[0i8; DIMENSION]; TEMPLATES / SHOTS];
    for (person, face) in enrolled.iter_mut().enumerate() {
        numbers.embedding(face);
        for _ in 0..SHOTS {
            if !index.push(PersonId(person as u32), &numbers.shot(face)) {
                fail(format_args!("the index is full"))
            }
        }
    }
    for search in 0..SEARCHES {
        let mut probe = [0; DIMENSION];
        match search % 2 {
            0 => numbers.embedding(&mut probe),
            _ => probe = numbers.shot(&enrolled[search * (TEMPLATES / SHOTS - 1) / SEARCHES]),
        }
        clock.lap();
        let nearest = index.nearest(&probe);
        let instructions = clock.lap();
        if nearest != index.nearest(&probe) || nearest.second.is_none() {
            fail(format_args!("two searches differ, or find nobody"))
        }
        println!("search {TEMPLATES} {DIMENSION} {instructions}");
    }
}

/// Says what went wrong and ends the run.
fn fail(what: core::fmt::Arguments<'_>) -> ! {
    println!("failed: {what}");
    process::exit(1)
}
