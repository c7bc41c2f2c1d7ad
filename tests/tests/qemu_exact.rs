//! Plans on emulated cores give the desktop's embeddings, byte for byte: every kind of operation in several shapes and by every
//! rule of requantization, and the shipped model in bands of rows.

use std::path::PathBuf;

use arcgate::lower::{self, Goal};
use arcgate::onnx::file;
use arcgate_firmware::engine::Embedder;
use arcgate_firmware::engine::plan::{PlanEngine, Target};
use arcgate_tests::data::workspace;
use arcgate_tests::mcu::{Counts, Machine, count, crop, shapes};
use arcgate_tests::or_skip;
use tempfile::TempDir;

/// The embedding of the picture that the emulated cores embed.
fn desktops(plan: &[u8]) -> Vec<i8> {
    let mut engine = PlanEngine::new(plan, vec![0; 2 << 20]).expect("a plan");
    let mut embedding = vec![0; engine.info().dimension as usize];
    engine.embed(&crop(engine.info().crop_bytes()), &mut embedding).expect("lengths that fit");
    embedding
}

/// The plans in files of a folder of their own.
fn written(plans: &[Vec<u8>]) -> Result<(TempDir, Vec<PathBuf>), String> {
    let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
    let files: Vec<_> = (0..plans.len()).map(|i| folder.path().join(format!("{i}.plan"))).collect();
    for (file, plan) in files.iter().zip(plans) {
        std::fs::write(file, plan).map_err(|e| e.to_string())?;
    }
    Ok((folder, files))
}

/// Runs all plans on every machine, with what the desktop says to each.
fn on_all_machines(plans: &[Vec<u8>], look: impl Fn(Machine, &[Counts])) -> Result<(), String> {
    let (_folder, files) = written(plans)?;
    let expected: Vec<Vec<i8>> = plans.iter().map(|plan| desktops(plan)).collect();
    for machine in Machine::ALL {
        let counts = count(machine, &machine.firmware()?, &files).expect("the emulator runs them");
        for (at, (counts, expected)) in counts.iter().zip(&expected).enumerate() {
            assert_eq!(counts.embedding, *expected, "plan {at} on {}", machine.name());
        }
        look(machine, &counts);
    }
    Ok(())
}

#[test]
fn every_kind_of_operation_gives_the_desktops_bytes() {
    let plans = shapes::plans(Target::Portable);
    let told = |machine: Machine, counts: &[Counts]| {
        let values: usize = counts.iter().map(|c| c.embedding.len()).sum();
        println!("{:<11} {} plans, {values} values equal", machine.name(), counts.len());
    };
    or_skip!(on_all_machines(&plans, told));
}

#[test]
fn packed_weights_give_the_desktops_bytes_where_they_run_and_are_refused_elsewhere() {
    for (target, elsewhere) in [
        (Target::Dsp, &[Machine::Virt, Machine::Rvv128, Machine::Rvv256][..]),
        (
            Target::Mve,
            &[
                Machine::An386,
                Machine::An500,
                Machine::An505,
                Machine::Virt,
                Machine::Rvv128,
                Machine::Rvv256,
            ],
        ),
    ] {
        let plans = shapes::plans(target);
        let (_folder, files) = or_skip!(written(&plans));
        let expected: Vec<Vec<i8>> = plans.iter().map(|plan| desktops(plan)).collect();
        for machine in Machine::ALL {
            let firmware = or_skip!(machine.firmware());
            let (name, machine_name) = (target.name(), machine.name());
            match count(machine, &firmware, &files) {
                Ok(counts) => {
                    assert!(!elsewhere.contains(&machine), "{machine_name} runs what is packed for {name}");
                    for (at, (counts, expected)) in counts.iter().zip(&expected).enumerate() {
                        assert_eq!(counts.embedding, *expected, "plan {at} for {name} on {machine_name}");
                    }
                }
                Err(said) => {
                    assert!(elsewhere.contains(&machine), "{said}");
                    let refusal = format!("the plan is compiled for target {name}, which this core is not");
                    assert!(said.contains(&refusal), "{said}");
                }
            }
        }
    }
}

#[test]
fn bands_take_less_ram_and_give_the_same_bytes() {
    let model = file::read(&workspace().join("models/synth-s/synth-s.onnx")).expect("the shipped model");
    let plain = lower::lower_named(&model).expect("it lowers");
    let mut plans = vec![plain.plan];
    let mut arenas = vec![plain.memory.arena_bytes];
    // Every arena that bands reach, down to the least.
    loop {
        match lower::lower_for(
            &model,
            Goal { ram: arenas.last().map_or(0, |bytes| bytes - 1), ..Goal::default() },
        ) {
            Ok(lowered) => {
                assert!(lowered.memory.bands.is_some());
                arenas.push(lowered.memory.arena_bytes);
                plans.push(lowered.plan);
            }
            Err(lower::LowerError::Ram { least, .. }) => {
                assert_eq!(Some(&least), arenas.last());
                break;
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(arenas.len() > 1, "{arenas:?}");
    println!("arenas of {arenas:?} bytes");
    let look = |machine: Machine, counts: &[Counts]| {
        let whole: Vec<u64> = counts.iter().map(|c| c.whole).collect();
        println!("{:<11} {whole:?} instructions", machine.name());
        for banded in &counts[1..] {
            assert_eq!(banded.embedding, counts[0].embedding);
            assert!(banded.whole > counts[0].whole, "rows computed twice cost nothing");
        }
    };
    or_skip!(on_all_machines(&plans, look));
}
