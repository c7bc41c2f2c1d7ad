//! Instructions per multiply-accumulate of the kernels that are compared with C libraries, each on every core.

use std::path::Path;

use arcgate::lower::{self, Goal};
use arcgate::onnx::file;
use arcgate_firmware::engine::plan::Plan;
use serde::Serialize;

use super::{Machine, count, shapes};

/// One kernel on one machine.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// QEMU's name of the machine.
    pub machine: &'static str,
    /// Which kernel.
    pub kernel: &'static str,
    /// Instructions of the whole operation, copies and requantization with them, for each multiply-accumulate.
    pub instructions_per_mac: f64,
}

/// The kernels on `machine`, with weights packed for it; and `model`, an int8 ONNX, under the name `mobilefacenet`.
///
/// # Errors
/// When there is no firmware, or the emulator fails.
pub fn rows(machine: Machine, model: Option<&Path>) -> Result<Vec<Row>, String> {
    let target = machine.packed();
    let compared = shapes::compared(target);
    let mut plans: Vec<(&str, Vec<u8>, Option<usize>)> =
        compared.into_iter().map(|(kernel, plan, step)| (kernel, plan, Some(step))).collect();
    if let Some(model) = model {
        let model = file::read(model).map_err(|e| e.to_string())?;
        let goal = Goal { target, ..Goal::default() };
        plans.push(("mobilefacenet", lower::lower_for(&model, goal).map_err(|e| e.to_string())?.plan, None));
    }
    let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
    let files: Vec<_> = plans.iter().map(|(name, ..)| folder.path().join(format!("{name}.plan"))).collect();
    for (file, (_, plan, _)) in files.iter().zip(&plans) {
        std::fs::write(file, plan).map_err(|e| e.to_string())?;
    }
    let counts = count(machine, &machine.firmware()?, &files)?;
    let row = |((kernel, plan, step), counts): (&(&'static str, Vec<u8>, Option<usize>), &super::Counts)| {
        let plan = Plan::parse(plan).map_err(|e| e.to_string())?;
        let macs: Result<Vec<u64>, _> = plan.steps().map(|step| step.map(|step| step.macs())).collect();
        let macs = macs.map_err(|e| e.to_string())?;
        let (instructions, macs) = match step {
            Some(step) => (counts.steps[*step], macs[*step]),
            None => (counts.whole, macs.iter().sum()),
        };
        let instructions_per_mac = instructions as f64 / macs as f64;
        Ok(Row { machine: machine.name(), kernel, instructions_per_mac })
    };
    plans.iter().zip(&counts).map(row).collect()
}
