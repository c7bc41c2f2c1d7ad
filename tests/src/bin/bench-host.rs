//! Times one network on this machine in several engines, in turns; see `tests/bench-host`.
//!
//!     bench-host FLOAT.onnx INT8.onnx PYTHON FOLDER [--json] [--rounds N]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use arcgate::engine::{Kind, Model};
use arcgate_firmware::engine::Embedder;
use arcgate_firmware::engine::plan::PlanEngine;
use arcgate_firmware::kernels::Isa;
use arcgate_tests::bench::search;
use arcgate_tests::data::workspace;
use serde_json::{Value, json};
use tract_onnx::prelude::*;

/// Runs of each engine in a turn, after one that does not count.
const RUNS: usize = 3;

/// Milliseconds of the runs of each engine, by its name.
type Times = BTreeMap<String, Vec<f64>>;

fn main() -> Result<()> {
    let (mut paths, mut as_json, mut rounds) = (Vec::new(), false, 30);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--json" => as_json = true,
            "--rounds" => rounds = arguments.next().context("--rounds needs a number")?.parse()?,
            _ => paths.push(argument),
        }
    }
    let [float, int8, python, folder] = &paths[..] else {
        bail!("accepted: FLOAT.onnx INT8.onnx PYTHON FOLDER [--json] [--rounds N]");
    };

    let model = Model::open(Path::new(int8))?;
    let (width, height) = (model.info().width, model.info().height);
    let mut out = vec![0; model.info().dimension as usize];
    let crop: Vec<u8> = (0..model.info().crop_bytes()).map(|i| (i * i / 7) as u8).collect();
    let arena = arcgate_firmware::engine::plan::Plan::parse(model.plan_bytes())?.arena_bytes();
    let mut plan = PlanEngine::new(model.plan_bytes(), vec![0; arena])?;
    let mut tract_int8 = model.embedder(Kind::Tract)?;
    agree(&plan, tract_int8.as_mut(), &crop)?;
    let tract_float = TractFloat::open(float, [height as usize, width as usize])?;
    let mut theirs = Onnxruntime::start(python, [float, int8, folder], [width, height])?;

    // Faster than the processor at rest: the first turn does not count.
    let mut times = Times::new();
    for round in 0..=rounds {
        let mut turn = theirs.turn()?;
        turn.insert("plan".into(), runs(|| Ok(plan.embed(&crop, &mut out)?))?);
        turn.insert("tract_int8".into(), runs(|| Ok(tract_int8.embed(&crop, &mut out)?))?);
        turn.insert("tract_float".into(), runs(|| tract_float.run())?);
        for (engine, runs) in turn.into_iter().filter(|_| round > 0) {
            times.entry(engine).or_default().extend(runs);
        }
    }
    let version = theirs.version.clone();
    theirs.stop()?;
    report(&times, plan.isa(), &version, as_json)
}

/// Makes sure that what is timed gives the same bytes, on every instruction set.
fn agree(plan: &PlanEngine<&[u8], Vec<u8>>, tract: &mut dyn Embedder, crop: &[u8]) -> Result<()> {
    let mut wanted = vec![0; tract.info().dimension as usize];
    tract.embed(crop, &mut wanted)?;
    for isa in Isa::available() {
        let mut engine = plan.clone().on(isa).context("it is available")?;
        let mut found = vec![0; wanted.len()];
        engine.embed(crop, &mut found)?;
        if found != wanted {
            bail!("the plan on {} and tract give different embeddings", isa.name());
        }
    }
    Ok(())
}

/// Milliseconds of [`RUNS`] runs, after one that does not count.
fn runs(mut run: impl FnMut() -> Result<()>) -> Result<Vec<f64>> {
    run()?;
    let mut timed = || -> Result<f64> {
        let start = Instant::now();
        run()?;
        Ok(start.elapsed().as_secs_f64() * 1e3)
    };
    (0..RUNS).map(|_| timed()).collect()
}

/// Prints the medians.
fn report(times: &Times, isa: Isa, version: &str, as_json: bool) -> Result<()> {
    let medians: BTreeMap<&str, f64> =
        times.iter().map(|(name, times)| (name.as_str(), median(times))).collect();
    let forms: Vec<(&str, f64)> =
        medians.iter().filter_map(|(name, ms)| Some((name.strip_prefix("int8 ")?, *ms))).collect();
    let (form, best) = forms.iter().copied().min_by(|a, b| a.1.total_cmp(&b.1)).context("no int8 session")?;
    let of = |name: &str| medians.get(name).copied().with_context(|| format!("no times of {name}"));
    let vnni = has_vnni();
    let slow = if vnni { "" } else { "; this processor has no VNNI" };
    let rows = [
        ("plan", of("plan")?, format!("arcgate, {}", isa.name())),
        ("tract_int8", of("tract_int8")?, "tract, the same int8 model".into()),
        ("tract_float", of("tract_float")?, "tract, float".into()),
        ("onnxruntime_float", of("float")?, format!("onnxruntime {version}, float")),
        (
            "onnxruntime_int8",
            best,
            format!("onnxruntime {version}, int8: {form}, the fastest of {}{slow}", forms.len()),
        ),
    ];
    for (_, ms, what) in &rows {
        println!("{ms:8.3} ms  {:6.2} x the plan  {what}", ms / rows[0].1);
    }
    let times = search::times(search::TEMPLATES, search::RUNS);
    let search_over_read = times.search_over_read();
    println!(
        "{:8.3} ms  {search_over_read:6.2} x reading them  search through {} templates",
        1e3 * times.search.as_secs_f64(),
        search::TEMPLATES
    );
    if as_json {
        let ms: BTreeMap<&str, f64> = rows.iter().map(|(name, ms, _)| (*name, *ms)).collect();
        println!(
            "{}",
            json!({
                "isa": isa.name(), "vnni": vnni, "ms": ms, "search_over_read": search_over_read,
                "onnxruntime_int8": { "form": form, "ms": forms.into_iter().collect::<BTreeMap<_, _>>() },
            })
        );
    }
    Ok(())
}

fn median(times: &[f64]) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// Whether this processor multiplies bytes four at a time.
fn has_vnni() -> bool {
    Isa::AvxVnni.is_available() || Isa::Avx512Vnni.is_available()
}

/// A float model through tract, on one prepared input.
struct TractFloat {
    graph: Arc<TypedRunnableModel>,
    input: Tensor,
}

impl TractFloat {
    fn open(path: &str, [height, width]: [usize; 2]) -> Result<Self> {
        let mut model = tract_onnx::onnx().model_for_path(path)?;
        let shape = [1, 3, height, width];
        model.set_input_fact(0, f32::fact(shape).into())?;
        for slot in 0..model.outputs.len() {
            model.set_output_fact(slot, Default::default())?;
        }
        let values: Vec<f32> = (0..3 * height * width).map(|i| (i % 255) as f32 / 128.0 - 1.0).collect();
        let input = Tensor::from_shape(&shape, &values)?;
        Ok(TractFloat { graph: model.into_optimized()?.into_runnable()?, input })
    }

    fn run(&self) -> Result<()> {
        self.graph.run(tvec!(self.input.clone().into_tvalue()))?;
        Ok(())
    }
}

/// The process that runs onnxruntime.
struct Onnxruntime {
    process: Child,
    answers: BufReader<std::process::ChildStdout>,
    version: String,
}

impl Onnxruntime {
    fn start(python: &str, paths: [&str; 3], sides: [u16; 2]) -> Result<Self> {
        let mut process = Command::new(python)
            .arg(workspace().join("tests/onnxruntime/bench.py"))
            .args(paths)
            .args(sides.map(|side| side.to_string()))
            .env("OMP_NUM_THREADS", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {python}"))?;
        let answers = BufReader::new(process.stdout.take().context("no output")?);
        let mut started = Onnxruntime { process, answers, version: String::new() };
        let ready = started.line()?;
        started.version = ready["onnxruntime"].as_str().context("no version")?.into();
        Ok(started)
    }

    /// The next line that is JSON: its quantizer prints lines of its own.
    fn line(&mut self) -> Result<Value> {
        loop {
            let mut line = String::new();
            if self.answers.read_line(&mut line)? == 0 {
                bail!("onnxruntime's half ended: {}", self.process.wait()?);
            }
            if line.starts_with('{') {
                return Ok(serde_json::from_str(&line)?);
            }
        }
    }

    /// Times of every session.
    fn turn(&mut self) -> Result<Times> {
        let input = self.process.stdin.as_mut().context("no input")?;
        writeln!(input, "{RUNS}")?;
        input.flush()?;
        Ok(serde_json::from_value(self.line()?)?)
    }

    fn stop(mut self) -> Result<()> {
        drop(self.process.stdin.take());
        self.process.wait()?;
        Ok(())
    }
}
