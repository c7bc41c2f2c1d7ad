//! `arcgate study --quick`: every loss learns, and the page, the table and the figures are there.

use std::path::Path;
use std::time::{Duration, Instant};

use arcgate_tests::program::arcgate;

/// Twice what two cores take when nothing else runs.
const PATIENCE: Duration = Duration::from_secs(3 * 60);

const LOSSES: [&str; 9] = [
    "contrastive",
    "triplet",
    "center",
    "softmax",
    "normface",
    "sphereface",
    "cosface",
    "arcface",
    "curricularface",
];

const FIGURES: [&str; 7] =
    ["plane", "plane-angles", "borders-cosine", "borders-angle", "targets", "angles", "progress"];

fn study(folder: &Path, more: &[&str]) -> arcgate_tests::program::Run {
    let folder = folder.to_string_lossy();
    arcgate([&["study", "--quick", "-o", &folder, "--json"], more].concat())
}

#[test]
fn every_loss_learns_and_the_page_shows_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let started = Instant::now();
    let run = study(folder.path(), &[]).done();
    let took = started.elapsed();
    let json = run.json();
    println!("{}\n{:.0} s", run.stdout, took.as_secs_f32());
    assert!(took < PATIENCE, "{took:?}");

    let losses = json["losses"].as_array().expect("a list");
    let names: Vec<&str> = losses.iter().filter_map(|row| row["loss"].as_str()).collect();
    assert_eq!(names, LOSSES);
    let figure = |row: &serde_json::Value, name: &str| {
        row[name].as_f64().unwrap_or_else(|| panic!("no {name} in {row}"))
    };
    let baselines = json["baselines"].as_array().expect("a list");
    let best = |name| baselines.iter().map(|row| figure(row, name)).fold(0.0, f64::max);
    let least = baselines.iter().map(|row| figure(row, "fnir_at_fpir")).fold(1.0, f64::min);
    for row in losses {
        assert_eq!(row["diverged"], false, "{row}");
        assert!(figure(row, "accuracy") > best("accuracy"), "{row} learns nothing");
        assert!(figure(row, "fnir_at_fpir") < least, "{row} finds nobody more than pixels do");
        assert!(figure(row, "intra_degrees") < figure(row, "inter_degrees"), "{row}");
    }

    for name in FIGURES {
        let pixels = image::open(folder.path().join(format!("{name}.png"))).expect(name).to_rgb8();
        let drawn = pixels.pixels().filter(|p| p.0 != [255; 3]).count();
        assert!(drawn > 5_000, "{name} shows nothing");
        let svg = std::fs::read_to_string(folder.path().join(format!("{name}.svg"))).expect(name);
        assert!(svg.contains("softmax"), "{name} names no loss");
    }
    let page = std::fs::read_to_string(json["report"].as_str().expect("a path")).expect("the page");
    assert_eq!(page.matches("<svg").count(), FIGURES.len());
    assert!(LOSSES.iter().all(|name| page.contains(name)) && !page.contains("<script"));
    let csv = std::fs::read_to_string(folder.path().join("study.csv")).expect("the table");
    assert_eq!(csv.lines().count(), 1 + 2 + LOSSES.len());

    // The trainings are there: the same answer, at once.
    let again = Instant::now();
    let second = study(folder.path(), &[]).done().json();
    assert_eq!(second, json);
    assert!(again.elapsed() < took / 4, "{:?}: it trained again", again.elapsed());
}

#[test]
fn what_cannot_be_studied_is_said() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let unknown = study(folder.path(), &["--losses", "softmax,magic"]);
    assert_eq!(unknown.code, 1);
    assert!(
        unknown.stderr.contains("magic") && unknown.stderr.contains("accepted: contrastive"),
        "{unknown:?}"
    );
    let none = study(folder.path(), &["--seeds", "0"]);
    assert!(none.code == 1 && none.stderr.contains("seeds = 0"), "{none:?}");
    let both = arcgate(["study", "a.toml", "--quick"]);
    assert_eq!(both.code, 2, "{both:?}");
}
