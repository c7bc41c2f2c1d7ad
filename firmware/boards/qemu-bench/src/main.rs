//! Counts the instructions that a plan's operations take on an emulated core.
//!
//! QEMU runs with `-icount shift=0`, where each instruction takes one nanosecond of its clock, and hands the paths of plans
//! over by semihosting (`-semihosting-config enable=on,target=native,arg=bench,arg=A.plan,arg=B.plan`). Each plan runs once
//! on a picture of noise; standard output has `plan PATH`, then `step INDEX INSTRUCTIONS` for each operation, then
//! `whole INSTRUCTIONS` for the run from crop to embedding, `stack BYTES` for what the run took of the stack at most, and
//! `embedding HEX`.
#![no_std]
#![no_main]

#[cfg_attr(target_arch = "arm", path = "cortex_m.rs")]
#[cfg_attr(target_arch = "riscv32", path = "riscv.rs")]
mod core_clock;

use arcgate_firmware::device::stack;
use arcgate_firmware::engine::Embedder;
use arcgate_firmware::engine::plan::{MAX_STEPS, PlanEngine};
use core_clock::Clock;
use semihosting::experimental::env;
use semihosting::fs::File;
use semihosting::io::Read;
use semihosting::{print, println, process};

/// Bytes of the largest plan.
const PLAN: usize = 3 << 19;

/// Bytes of the largest arena.
const ARENA: usize = 1 << 20;

/// Bytes of the largest crop: 128 x 128 in three colours.
const CROP: usize = 128 * 128 * 3;

/// Bytes of stack that are watched.
const PAINTED: usize = 32 << 10;

/// Values of the longest embedding.
const EMBEDDING: usize = arcgate_firmware::embedding::MAX_DIMENSION;

#[cfg_attr(target_arch = "arm", cortex_m_rt::entry)]
#[cfg_attr(target_arch = "riscv32", riscv_rt::entry)]
fn main() -> ! {
    #[cfg(feature = "rvv")]
    core_clock::switch_vectors_on();
    let mut clock = Clock::start();
    // On the stack, which has all of the RAM: nothing else does.
    let (mut plan, mut arena, mut crop) = ([0u8; PLAN], [0u8; ARENA], [0u8; CROP]);
    noise(&mut crop);
    let Ok(arguments) = env::args::<4096>() else { fail("no arguments") };
    for path in &arguments {
        // The first is the program's own name.
        let Ok(path) = path else { fail("an argument is not UTF-8") };
        if !path.ends_with(".plan") {
            continue;
        }
        let Some(length) = read(path, &mut plan) else { fail(path) };
        match PlanEngine::new(&plan[..length], &mut arena[..]) {
            Ok(mut engine) => count(&mut engine, &crop, &mut clock, path),
            Err(error) => {
                println!("{error}");
                fail(path)
            }
        }
    }
    process::exit(0)
}

/// Runs a plan, and looks at the clock after each operation.
fn count<B: AsRef<[u8]>, A: AsMut<[u8]>>(
    engine: &mut PlanEngine<B, A>,
    crop: &[u8],
    clock: &mut Clock,
    path: &str,
) {
    let (bytes, dimension) = (engine.info().crop_bytes(), engine.info().dimension as usize);
    let (Some(crop), mut embedding) = (crop.get(..bytes), [0i8; EMBEDDING]) else { fail(path) };
    let mut counts = [0u64; MAX_STEPS];
    let steps = engine.steps();
    // SAFETY: the stack has all of the RAM, and its megabytes end far below.
    let painted = unsafe { stack::paint(PAINTED) };
    clock.lap();
    let mut after = |step: usize| counts[step] = clock.lap();
    let run = engine.embed_watched(crop, &mut embedding[..dimension], &mut after);
    let rest = clock.lap();
    let stack = painted.used();
    if run.is_err() {
        fail(path)
    }
    println!("plan {path}");
    for (step, instructions) in counts[..steps].iter().enumerate() {
        println!("step {step} {instructions}");
    }
    println!("whole {}", counts[..steps].iter().sum::<u64>() + rest);
    println!("stack {stack}");
    print!("embedding ");
    embedding[..dimension].iter().for_each(|value| print!("{value:02x}"));
    println!();
}

/// A file into `room`; its length, unless it cannot be read or fills all of it.
fn read(path: &str, room: &mut [u8]) -> Option<usize> {
    let mut name = [0u8; 1024];
    name.get_mut(..path.len())?.copy_from_slice(path.as_bytes());
    let name = core::ffi::CStr::from_bytes_until_nul(&name).ok()?;
    let mut file = File::open(name).ok()?;
    let mut length = 0;
    loop {
        match file.read(room.get_mut(length..)?).ok()? {
            0 => break,
            more => length += more,
        }
    }
    (length < room.len()).then_some(length)
}

/// Bytes that look like none in particular.
fn noise(bytes: &mut [u8]) {
    let mut state = 1u32;
    for byte in bytes {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *byte = (state >> 24) as u8;
    }
}

fn fail(what: &str) -> ! {
    println!("failed: {what}");
    process::exit(1)
}
