//! Our half of `tests/bench-train`: times training steps of one net, and the machine's matrix product. Prints JSON.
//!
//!     bench-train nets                    the nets, as PyTorch's half needs them
//!     bench-train step NET THREADS SECONDS REPLICAS DEVICE
//!     bench-train matmul THREADS SECONDS

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use arcgate::train::bench::Bench;
use arcgate::train::{Place, Recipe, Source};
use gemm::{Parallelism, gemm};
use serde_json::{Value, json};

/// As in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const RECIPES: [&str; 2] =
    [include_str!("../../bench/net-64.toml"), include_str!("../../bench/mobilefacenet-112.toml")];

/// Steps before those that count.
const WARM_UP: usize = 2;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let printed = match words[..] {
        ["nets"] => nets()?,
        ["step", net, threads, seconds, replicas, device] => {
            let place = match device {
                "cpu" => Place::Cpu,
                "gpu" => Place::Gpu,
                other => bail!("device {other}\n  accepted: cpu, gpu"),
            };
            step(net, threads.parse()?, seconds.parse()?, replicas.parse()?, place)?
        }
        ["matmul", threads, seconds] => matmul(threads.parse()?, seconds.parse()?)?,
        _ => bail!("accepted: nets | step NET THREADS SECONDS REPLICAS DEVICE | matmul THREADS SECONDS"),
    };
    println!("{printed}");
    Ok(())
}

fn recipes() -> Result<Vec<Recipe>> {
    RECIPES.iter().map(|text| Ok(Recipe::parse(text, Path::new("tests/bench"))?)).collect()
}

fn nets() -> Result<Value> {
    let one = |recipe: Recipe| -> Result<Value> {
        let source = Source::open(&recipe)?;
        let t = &recipe.train;
        Ok(json!({
            "name": recipe.name, "net": serde_json::to_value(&recipe.net)?, "classes": source.classes(),
            "scale": recipe.loss.scale(source.classes()), "batch": t.batch, "rate": t.rate, "momentum": t.momentum, "weight_decay": t.weight_decay, "clip": t.clip,
        }))
    };
    recipes()?.into_iter().map(one).collect()
}

fn step(net: &str, threads: usize, seconds: f64, replicas: usize, place: Place) -> Result<Value> {
    let mut recipe = recipes()?.into_iter().find(|r| r.name == net).context("no such net")?;
    recipe.train.replicas = replicas;
    recipe.check().map_err(anyhow::Error::msg)?;
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?;
    let source = Source::open(&recipe)?;
    let opened = place.open()?;
    let mut bench = Bench::new(&recipe, &source, &opened.device);
    for _ in 0..WARM_UP {
        bench.step()?;
    }
    let mut loss = 0.0;
    let median = median(seconds, || {
        loss = bench.step()?;
        Ok(())
    })?;
    Ok(json!({
        "images_per_s": recipe.train.batch as f64 / median, "loss": loss, "adapter": opened.adapter,
        "parameters": bench.parameters(), "macs": bench.macs(),
    }))
}

/// Floating-point operations a second of a product of matrices that are large and square.
fn matmul(threads: usize, seconds: f64) -> Result<Value> {
    const SIDE: usize = 1536;
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?;
    let [a, b] = [0.5f32, 0.25].map(|v| vec![v; SIDE * SIDE]);
    let mut c = vec![0.0f32; SIDE * SIDE];
    let mut product = || {
        let rows = SIDE as isize;
        // SAFETY: the three matrices are SIDE x SIDE, row by row in vectors of that many values, and `c` is borrowed mutably.
        unsafe {
            gemm(
                SIDE,
                SIDE,
                SIDE,
                c.as_mut_ptr(),
                1,
                rows,
                false,
                a.as_ptr(),
                1,
                rows,
                b.as_ptr(),
                1,
                rows,
                0.0,
                1.0,
                false,
                false,
                false,
                Parallelism::Rayon(threads),
            );
        }
        Ok(())
    };
    product()?;
    let median = median(seconds, product)?;
    Ok(json!({ "flops_per_s": 2.0 * (SIDE as f64).powi(3) / median }))
}

/// The median time of `work`, repeated for `seconds` and at least three times.
fn median(seconds: f64, mut work: impl FnMut() -> Result<()>) -> Result<f64> {
    let begun = Instant::now();
    let mut times = Vec::new();
    while times.len() < 3 || begun.elapsed().as_secs_f64() < seconds {
        let start = Instant::now();
        work()?;
        times.push(start.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}
