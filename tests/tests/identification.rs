//! Open-set identification through the program: int8 beside float on the same galleries, and predicted FPIR against measured.

use arcgate_tests::data;
use arcgate_tests::or_skip;
use arcgate_tests::program::arcgate;
use serde_json::Value;

const INT8: &str = "models/synth-s/synth-s.onnx";
const PLAN: &str = "models/synth-s/synth-s.plan";
const FLOAT: &str = "models/synth-s/synth-s-float.onnx";

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("no number: {value}"))
}

/// The rows of a JSON object have all that is promised of them, in its order.
fn check_rows(rows: &Value) {
    for row in rows.as_array().expect("rows") {
        assert!(row["n"].as_u64() > Some(0) && row["k"].as_u64() > Some(0), "{row}");
        for rate in ["fpir", "fnir"] {
            let [low, value, high] =
                [format!("{rate}_low"), rate.into(), format!("{rate}_high")].map(|key| number(&row[key]));
            assert!(0.0 <= low && low <= value && value <= high && high <= 1.0, "{row}");
        }
        assert!(number(&row["fpir"]) <= number(&row["fpir_target"]) + 1e-12, "{row}");
    }
}

#[test]
fn int8_finds_whom_the_float_model_finds() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let at = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let (people, out) = (drawn(folder.path(), "90", "9"), at("out"));
    let eval = |more: &[&str]| {
        let words = ["eval", "identification", &people, "--model", INT8, "--float", FLOAT, "--json", "-q"];
        arcgate(words.into_iter().chain(more.iter().copied()))
    };
    let more = [
        "--enrolled",
        "30,400",
        "--templates",
        "3",
        "--galleries",
        "4",
        "--probes",
        "99",
        "--fpir",
        ".05,.1",
    ];
    let json = eval(&[&more[..], &["--transform", "both", "-o", &out]].concat()).done().json();
    println!("{json}");
    assert_eq!((json["identities"].as_u64(), json["images"].as_u64()), (Some(90), Some(810)));
    assert_eq!((json["template_bytes"].as_u64(), json["failure_to_enrol"].as_f64()), (Some(64), Some(0.0)));
    // Nobody has 400 people.
    let galleries = json["galleries"].as_array().unwrap();
    assert_eq!(galleries.len(), 1);
    assert_eq!(galleries[0]["mated"].as_u64(), Some(4 * 30 * (9 - 3)));
    assert_eq!(galleries[0]["non_mated"].as_u64(), Some(4 * 60 * 9));
    assert!(number(&galleries[0]["rank1"]) > 0.8 && number(&galleries[0]["microseconds_per_search"]) > 0.0);
    check_rows(&json["rows"]);
    let rows = json["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 2);
    assert!(number(&rows[0]["fnir"]) >= number(&rows[1]["fnir"]));
    // Three images of a drawn person say who it is more often than not, and not always.
    let (int8, float) = (number(&rows[0]["fnir"]), number(&rows[0]["float_fnir"]));
    assert!((0.001..0.5).contains(&float), "{json}");
    let [low, less, high] =
        ["_low", "", "_high"].map(|end| number(&rows[0][format!("fnir_less_float{end}")]));
    assert!(
        (less - (int8 - float)).abs() < 1e-12 && less.abs() < 0.03 && low <= less && less <= high,
        "{json}"
    );
    // Both models saw the same people: how they differ is known far better than what each one is.
    assert!(high - low < 0.5 * (number(&rows[0]["fnir_high"]) - number(&rows[0]["fnir_low"])), "{json}");
    // Under any transform the same people are found, but for some of 720 searches.
    for row in rows {
        let [fnir, plain, by, most] =
            ["fnir", "untransformed_fnir", "fnir_by_transform", "fnir_by_transform_most"]
                .map(|name| number(&row[name]));
        assert!((fnir - plain - by).abs() < 1e-12 && by.abs() <= most && most <= 5.0 / 720.0, "{row}");
    }
    // The shipped model's own table was measured on other people of the same kind.
    assert!((0.01..0.25).contains(&number(&rows[1]["table"]["fpir"])), "{json}");
    for name in ["identification.csv", "det.csv", "det.svg", "det.png", "cmc.csv", "cmc.svg", "cmc.png"] {
        assert!(std::fs::metadata(folder.path().join("out").join(name)).unwrap().len() > 50, "{name}");
    }

    let all = eval(&["--enrolled", "90"]);
    assert!(all.code != 0 && all.stderr.contains("90 of 90 identities"), "{}", all.stderr);
    let alone = eval(&["--templates", "9"]);
    assert!(alone.code != 0 && alone.stderr.contains("0 of which have one more"), "{}", alone.stderr);
}

/// Drawn people in a folder, none of whom the shipped model has seen.
fn drawn(folder: &std::path::Path, identities: &str, views: &str) -> String {
    let people = folder.join("people").to_string_lossy().into_owned();
    let size = ["--identities", identities, "--views", views, "--first", "70000", "--size", "48x48"];
    arcgate(["synth", "-q", "-o", &people].into_iter().chain(size)).done();
    people
}

#[test]
fn every_engine_searches() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let people = drawn(folder.path(), "40", "3");
    let eval = |model: &str, more: &[&str]| {
        let words = ["eval", "identification", &people, "--model", model, "--json", "-q"];
        let trials = ["--enrolled", "10", "--templates", "1,2", "--galleries", "3", "--fpir", ".1"];
        arcgate(words.into_iter().chain(trials).chain(more.iter().copied()))
    };
    let json = |model: &str, engine: &str| eval(model, &["--engine", engine]).done().json();
    let plan = json(INT8, "plan");
    check_rows(&plan["rows"]);
    assert_eq!((&plan["transform"], plan["rows"].as_array().map(Vec::len)), (&"on".into(), Some(2)));
    for (model, engine) in [(PLAN, "plan"), (INT8, "tract")] {
        let other = json(model, engine);
        assert_eq!(other["engine"], engine);
        assert_eq!(other["rows"], plan["rows"], "{model} through {engine}");
    }
    let float = json(FLOAT, "float");
    check_rows(&float["rows"]);
    assert_eq!((&float["engine"], &float["transform"]), (&"float".into(), &Value::Null));

    for (model, more, wanted) in [
        (FLOAT, &["--engine", "float", "--transform", "both"][..], "accepted: --engine plan or tract"),
        (PLAN, &["--engine", "tract"], "needs the int8 .onnx"),
        (FLOAT, &["--engine", "plan"], "accepted"),
        (INT8, &["--engine", "onnxruntime"], "[possible values: plan, tract, float]"),
        (INT8, &["--fpir", "1"], "accepted: more than 0 and less than 1"),
    ] {
        let refused = eval(model, more);
        assert!(refused.code != 0 && refused.stderr.contains(wanted), "{more:?}: {}", refused.stderr);
    }
}

#[test]
fn on_lfw_a_table_holds_for_people_whom_it_has_not_seen() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let model = or_skip!(data::mobilefacenet(folder.path())).to_string_lossy().into_owned();
    let lfw = data::find("lfw").expect("what it was calibrated on").to_string_lossy().into_owned();
    let words = ["eval", "identification", &lfw, "--model", &model, "--json", "-q"];
    let trials = ["--templates", "1", "--fpir", ".003,.01", "--galleries", "8", "--splits", "4"];
    let json = arcgate(words.into_iter().chain(trials).chain(["--transform", "both"])).done().json();
    println!("{json}");
    check_rows(&json["rows"]);
    check_rows(&json["rows_corrected"]);
    // 50, 100, 420 and 1,600 people; two rates each.
    assert_eq!(json["rows"].as_array().map(Vec::len), Some(8));
    assert_eq!(json["label_errors"].as_array().map(Vec::len), Some(20));
    let row = |rows: &str, n: u64, target: f64| {
        let mut of = json[rows].as_array().unwrap().iter();
        let found = of.find(|r| r["n"].as_u64() == Some(n) && number(&r["fpir_target"]) == target);
        found.unwrap_or_else(|| panic!("no row {n} {target} in {rows}")).clone()
    };
    // Wrong labels are strangers who look like somebody enrolled.
    let fnir = |rows: &str| number(&row(rows, 1600, 0.003)["fnir"]);
    assert!(fnir("rows_corrected") < fnir("rows"), "{json}");
    for n in [50, 100, 420, 1600] {
        // A transform moves FNIR by at most a tenth of a point, or by the one search that is more than that of a few. Among nine
        // draws one may move the threshold of so few galleries as far again.
        let [moved, most] = ["fnir_by_transform", "fnir_by_transform_most"]
            .map(|name| number(&row("rows", n, 0.01)[name]).abs());
        let bound = f64::max(0.001, 1.001 / (8 * n) as f64);
        assert!(moved <= bound && most <= 2.0 * bound, "{n} people: {moved}, {most}");
        for target in [0.003, 0.01] {
            for rows in ["splits", "splits_corrected"] {
                let held = row(rows, n, target);
                assert_eq!(held["splits"], 4);
                assert!(number(&held["fpir_by_target"]) <= 1.5, "{held}");
                assert!(number(&held["fpir_low"]) <= target, "{held}");
            }
            // Where strangers are the same person by another name, a threshold says little about others.
            let held = row("splits_corrected", n, target);
            assert!(number(&held["fnir"]) <= number(&held["fnir_exact"]) + 0.03, "{held}");
        }
    }
}
