//! `arcgate profile`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, bail, ensure};
use arcgate_firmware::engine::Embedder;
use arcgate_firmware::engine::plan::{MAGIC, Plan, PlanDetector, PlanEngine};
use arcgate_firmware::link::status::Unit;
use arcgate_firmware::model::Task;
use serde_json::json;

use crate::link::{Client, Laps, Target};
use crate::lower::{self, LayerSummary, Summary};
use crate::onnx::file;
use crate::ui::{Ui, table, thousands};

/// Where the time goes: every layer of a model, on this computer or on a device.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// A plan or an int8 ONNX. With --port it names the layers of the device's model, and can be left out.
    #[arg(required_unless_present = "port")]
    model: Option<PathBuf>,
    /// Measure the device behind tcp:HOST:PORT or a serial port, with its own clock.
    #[arg(long, value_name = "TARGET")]
    pub(super) port: Option<Target>,
    /// Runs on this computer; the median of each layer counts.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000), conflicts_with = "port")]
    runs: u32,
}

/// Runs the command.
///
/// # Errors
/// Whatever stopped it, in words for people.
pub fn run(args: Args, ui: &Ui) -> anyhow::Result<ExitCode> {
    let opened = args.model.as_deref().map(open).transpose()?;
    let (laps, place) = match (&args.port, &opened) {
        (Some(port), _) => (on_device(port, opened.as_ref(), ui)?, port.to_string()),
        (None, Some(opened)) => (here(opened, args.runs, ui)?, "this computer".into()),
        (None, None) => bail!("a model or --port is needed"),
    };
    ensure!(!laps.laps.is_empty(), "{place} does not tell its operations apart");
    let layers = opened.map(|opened| opened.summary.layers).unwrap_or_default();
    let total: u64 = laps.laps.iter().sum();
    let unit = word(laps.unit);
    ui.say(layer_table(&laps, &layers, total).trim_end());
    ui.say(format!("\n{}", kind_table(&laps, &layers, total).trim_end()));
    let macs: u64 = layers.iter().map(|layer| layer.macs).sum();
    let each =
        if macs > 0 { format!(", {} a multiply-accumulate", ratio(total, macs)) } else { String::new() };
    ui.say(format!("\n{place}: {} {unit} for one run{each}", thousands(total)));
    let row = |(at, &lap): (usize, &u64)| {
        let layer = layers.get(at);
        json!({
            "layer": layer.map(|l| &l.name),
            "operation": layer.map(|l| &l.operation),
            "macs": layer.map(|l| l.macs),
            unit: lap,
        })
    };
    ui.json(&json!({
        "place": place,
        "unit": unit,
        "layers": laps.laps.iter().enumerate().map(row).collect::<Vec<_>>(),
        "total": total,
        "macs": (macs > 0).then_some(macs),
    }));
    Ok(ExitCode::SUCCESS)
}

/// A model that can be measured.
struct Opened {
    path: PathBuf,
    plan: Vec<u8>,
    summary: Summary,
}

fn open(path: &Path) -> anyhow::Result<Opened> {
    let named = || path.display().to_string();
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let (plan, names) = if bytes.starts_with(&MAGIC) {
        (bytes, None)
    } else {
        let model = file::decode(&bytes).map_err(|why| file::neither(path, &why))?;
        let lowered = lower::lower_named(&model).with_context(named)?;
        (lowered.plan, Some(lowered.names))
    };
    let summary = Summary::of(&plan, names.as_deref()).with_context(named)?;
    Ok(Opened { path: path.into(), plan, summary })
}

/// Runs the plan here and takes the median of each layer.
fn here(opened: &Opened, runs: u32, ui: &Ui) -> anyhow::Result<Laps> {
    let plan = Plan::parse(&opened.plan)?;
    let picture = lower::synthetic_crops(plan.info(), 1).remove(0);
    let arena = vec![0u8; plan.arena_bytes()];
    let named = || opened.path.display().to_string();
    match opened.summary.task {
        Task::Embedding => {
            let mut embedding = vec![0; plan.info().dimension as usize];
            let mut engine = PlanEngine::new(&*opened.plan, arena).with_context(named)?;
            median_laps(plan.len(), runs, ui, |after| {
                Ok(engine.embed_watched(&picture, &mut embedding, after)?)
            })
        }
        Task::Detection => {
            let mut detector = PlanDetector::new(&*opened.plan, arena).with_context(named)?;
            median_laps(plan.len(), runs, ui, |after| Ok(detector.look(&picture, after)?))
        }
    }
}

/// The median time of each of `operations`; `run` runs all of them and says when each is done.
fn median_laps(
    operations: usize,
    runs: u32,
    ui: &Ui,
    mut run: impl FnMut(&mut dyn FnMut(usize)) -> anyhow::Result<()>,
) -> anyhow::Result<Laps> {
    let mut laps = vec![Vec::new(); operations];
    let bar = ui.progress("measuring", "runs", runs.into());
    // The first run warms the caches.
    for turn in 0..=runs {
        let mut last = Instant::now();
        run(&mut |operation| {
            if turn > 0 {
                laps[operation].push(last.elapsed().as_nanos() as u64);
            }
            last = Instant::now();
        })?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    let median = |mut laps: Vec<u64>| {
        laps.sort_unstable();
        laps[laps.len() / 2]
    };
    Ok(Laps { unit: Unit::Nanoseconds, laps: laps.into_iter().map(median).collect() })
}

/// Has the device measure itself.
fn on_device(port: &Target, opened: Option<&Opened>, ui: &Ui) -> anyhow::Result<Laps> {
    let (mut client, info) = Client::connect(port)?;
    if let Some(opened) = opened {
        let same = Plan::parse(&opened.plan)?.info().embedding_id == info.model.embedding_id;
        ensure!(same, "the device runs another model than {}", opened.path.display());
    }
    let bar =
        ui.progress("measuring", "layers", opened.map_or(0, |opened| opened.summary.layers.len() as u64));
    let laps = client.profile(&mut |known| bar.set_position(known));
    bar.finish_and_clear();
    let laps = laps?;
    if let Some(opened) = opened {
        let (ours, theirs) = (opened.summary.layers.len(), laps.laps.len());
        ensure!(
            ours == theirs,
            "{} has {ours} operations, the device's plan {theirs}: it was compiled otherwise; name the plan that the device \
             runs",
            opened.path.display()
        );
    }
    Ok(laps)
}

fn word(unit: Unit) -> &'static str {
    match unit {
        Unit::Nanoseconds => "nanoseconds",
        Unit::Cycles => "cycles",
        Unit::Instructions => "instructions",
    }
}

fn share(part: u64, total: u64) -> String {
    format!("{:.1} %", 100.0 * part as f64 / total.max(1) as f64)
}

fn ratio(lap: u64, macs: u64) -> String {
    format!("{:.3}", lap as f64 / macs as f64)
}

fn layer_table(laps: &Laps, layers: &[LayerSummary], total: u64) -> String {
    let header = ["layer", "operation", "output", "MACs", word(laps.unit), "share", "a MAC"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    for (at, &lap) in laps.laps.iter().enumerate() {
        let mut row = match layers.get(at) {
            Some(LayerSummary { name, operation, output: [height, width, channels], macs, .. }) => {
                vec![
                    name.clone(),
                    operation.clone(),
                    format!("{height}x{width}x{channels}"),
                    thousands(*macs),
                ]
            }
            None => vec![at.to_string(), "?".into(), "?".into(), "?".into()],
        };
        let macs = layers.get(at).map_or(0, |layer| layer.macs);
        let each = if macs > 0 { ratio(lap, macs) } else { String::new() };
        row.extend([thousands(lap), share(lap, total), each]);
        rows.push(row);
    }
    table(&rows)
}

/// The layers of one kind together, the longest first.
fn kind_table(laps: &Laps, layers: &[LayerSummary], total: u64) -> String {
    let mut kinds = BTreeMap::<&str, [u64; 3]>::new();
    for (layer, &lap) in layers.iter().zip(&laps.laps) {
        let [count, sum, macs] = kinds.entry(&layer.operation).or_default();
        *count += 1;
        *sum += lap;
        *macs += layer.macs;
    }
    let mut kinds: Vec<_> = kinds.into_iter().collect();
    kinds.sort_by_key(|&(_, [_, sum, _])| std::cmp::Reverse(sum));
    let header = ["operation", "layers", word(laps.unit), "share", "a MAC"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    rows.extend(kinds.into_iter().map(|(kind, [count, sum, macs])| {
        let each = if macs > 0 { ratio(sum, macs) } else { String::new() };
        vec![kind.to_owned(), count.to_string(), thousands(sum), share(sum, total), each]
    }));
    if rows.len() > 1 { table(&rows) } else { String::new() }
}
