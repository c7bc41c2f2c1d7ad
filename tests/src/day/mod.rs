//! A whole day of a device, the same script on every machine: fresh from the factory, paired, given a model, people enrolled and
//! looked for, the power cut in the middle, other models, and models that are refused.
//!
//! Everything goes over the device's link and its flash is kept over each cut. The script asks for no number that a device may draw:
//! what a step [answers](Step::answers), and the bytes of every embedding that the device gives, are equal on all machines.

mod bench;
mod cast;
mod models;
mod script;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use arcgate::onnx::metadata::hex;
use serde::Serialize;

use bench::Bench;
pub use bench::On;
use cast::Cast;
use models::Models;
use script::Script;

/// One step of the day.
#[derive(Debug, Serialize)]
pub struct Step {
    /// What is done.
    pub name: &'static str,
    /// Whether everything was as it must be.
    pub ok: bool,
    /// What the device answered, which no machine may change.
    pub answers: Vec<String>,
    /// What was seen besides: angles, times, what the power left. Why not, of a step that failed.
    pub detail: String,
    /// How long it took.
    pub seconds: f64,
}

/// How the day went.
#[derive(Debug, Serialize)]
pub struct Day {
    /// The machine.
    pub on: &'static str,
    /// Whether the pictures are photographs of LFW and the models real ones; drawn portraits and the shipped model otherwise.
    pub photographs: bool,
    /// All steps, in order. After one that failed the others are not reached.
    pub steps: Vec<Step>,
    /// Whether all went as they must.
    pub passed: bool,
    /// Embeddings that the device gave.
    pub embeddings: usize,
    /// SHA-256 over their bytes, in order.
    pub embeddings_sha256: String,
}

/// Runs the day on a machine; `tell` hears of each step as it ends.
///
/// # Errors
/// When the pictures or the models cannot be made, or the machine is not built: why, in words.
pub fn run(on: On, tell: &mut dyn FnMut(&Step)) -> anyhow::Result<Day> {
    let bench = Bench::new(on)?;
    let models = Models::make(on)?;
    let cast = Cast::gather(&models)?;
    let photographs = models.are_real;
    let mut script = Script::new(bench, cast, models);
    let mut steps: Vec<Step> = Vec::new();
    for (name, run) in script::STEPS {
        let begin = Instant::now();
        let reached = steps.iter().all(|step| step.ok);
        // What a machine does not say in time ends in a panic of the code that waits for it.
        let ended = match reached {
            true => catch_unwind(AssertUnwindSafe(|| run(&mut script))).unwrap_or_else(|panic| {
                let said = panic.downcast_ref::<String>().map_or("it panicked", String::as_str);
                Err(anyhow::anyhow!("{said}"))
            }),
            false => Err(anyhow::anyhow!("not reached")),
        };
        let (answers, noted) = script.take_said();
        let (ok, detail) = match ended {
            Ok(()) => (true, noted.join("; ")),
            Err(why) => (false, format!("{why:#}")),
        };
        let step = Step { name, ok, answers, detail, seconds: begin.elapsed().as_secs_f64() };
        tell(&step);
        steps.push(step);
    }
    let (embeddings, hash) = script.embeddings();
    let passed = steps.iter().all(|step| step.ok);
    Ok(Day { on: on.name(), photographs, steps, passed, embeddings, embeddings_sha256: hex(&hash) })
}
