//! The scenarios of `tests/scenarios` on a simulated board, in its own time; and what is said of scripts that fail or say nothing.

use std::path::{Path, PathBuf};

use arcgate_tests::data::workspace;
use arcgate_tests::program::{Run, arcgate};

const FAILED: i32 = 1;
const MODEL: &str = "models/synth-s/synth-s.onnx";

/// A folder with pictures of two people, `ada` and `stranger`.
fn pictures() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let drawn = folder.path().join("drawn");
    let words = ["--identities", "2", "--views", "6", "--first", "70000", "--size", "48x48"];
    arcgate([&["synth", "-o", &drawn.to_string_lossy()], &words[..]].concat()).done();
    let mut people: Vec<PathBuf> = std::fs::read_dir(&drawn)
        .expect("people")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.is_dir())
        .collect();
    people.sort();
    for (person, name) in people.iter().zip(["ada", "stranger"]) {
        std::fs::rename(person, folder.path().join(name)).expect("another name");
    }
    folder
}

/// Plays a script on a new board.
fn play(script: &Path, pictures: &Path) -> Run {
    let [script, pictures] = [script, pictures].map(|path| path.to_string_lossy().into_owned());
    arcgate(["simulate", "--json", "--model", MODEL, "--script", &script, "--camera", &pictures])
}

#[test]
fn every_scenario_goes_as_it_says() {
    let pictures = pictures();
    let folder = workspace().join("tests/scenarios");
    let mut scripts: Vec<PathBuf> =
        std::fs::read_dir(&folder).expect("scenarios").map(|entry| entry.expect("an entry").path()).collect();
    scripts.sort();
    assert!(scripts.len() >= 6, "{scripts:?}");
    for script in scripts {
        let report = play(&script, pictures.path()).done().json();
        let steps = report["steps"].as_array().expect("steps");
        let lines = std::fs::read_to_string(&script).expect("a script");
        let instructions = lines.lines().filter(|line| !line.trim_start().starts_with('#')).count();
        assert_eq!((steps.len(), &report["passed"]), (instructions, &true.into()), "{report:#}");
        println!("{}: {} steps, {} ms", script.display(), steps.len(), steps[steps.len() - 1]["at_ms"]);
    }
}

#[test]
fn what_does_not_come_is_named_with_its_line_and_what_was_seen() {
    let pictures = pictures();
    let script = pictures.path().join("hopeful.txt");
    std::fs::write(&script, "# Nobody is enrolled.\nshow ada\nexpect known Ada within 5s\nnobody\n")
        .expect("written");
    let failed = play(&script, pictures.path());
    let report = failed.json();
    assert_eq!((failed.code, &report["passed"]), (FAILED, &false.into()));
    assert_eq!(
        report["steps"].as_array().map(Vec::len),
        Some(2),
        "the first that fails is the last: {report:#}"
    );
    let said = &failed.stderr;
    for words in ["hopeful.txt:3: expect known Ada within 5s", "failed: it did not come", "seen: ", "unknown"]
    {
        assert!(said.contains(words), "{words:?} is not in {said}");
    }
}

#[test]
fn a_line_that_says_nothing_is_refused_before_anything_moves() {
    let pictures = pictures();
    let script = pictures.path().join("typo.txt");
    for (line, words) in [
        ("expect lock ajar", ["line 2", "ajar", "accepted: "]),
        ("press 4 seconds", ["line 2", "4", "accepted: "]),
        ("dance", ["line 2", "dance", "accepted: "]),
        ("show nobody-of-this-name", ["line 2", "nobody-of-this-name", "typo.txt"]),
    ] {
        std::fs::write(&script, format!("nobody\n{line}\n")).expect("written");
        let refused = play(&script, pictures.path());
        assert_eq!(refused.code, FAILED, "{line}: {}", refused.stdout);
        for words in words {
            assert!(refused.stderr.contains(words), "{words:?} is not in {}", refused.stderr);
        }
    }
}
