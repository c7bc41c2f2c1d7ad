//! A short storm on the link; `tests/link-noise` makes one for as long as somebody likes.

use std::process::Command;

use arcgate_tests::program::named;
use arcgate_tests::storm::storm;
use serde_json::Value;

#[test]
fn in_a_storm_nothing_is_done_that_was_not_asked_and_everything_comes_through() {
    const FRAMES: u64 = 12_000;
    let tally = storm(FRAMES, 20_261_129);
    println!("{tally:?}");
    assert_eq!((tally.wrong_commands, tally.unrecovered), (0, 0), "{tally:?}");
    // It was a storm, and work was done in it.
    assert!(
        tally.frames >= FRAMES && 4 * tally.tampered > FRAMES && tally.inserted > FRAMES / 10,
        "{tally:?}"
    );
    assert!(tally.commands > FRAMES / 40 && tally.refused > 100 && tally.sessions > 50, "{tally:?}");
    assert!(tally.forged > 100 && tally.noise > 100 && tally.pairings > 0, "{tally:?}");
    assert!(tally.replayed > 1000 && tally.mistyped > 0, "{tally:?}");
}

#[test]
fn the_program_counts_what_it_found() {
    let mut program = Command::new(named("link-noise"));
    let output = program.args(["--frames", "1500", "--seed", "7", "--json"]).output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).expect("text");
    let found: Value =
        serde_json::from_str(said.trim_end().lines().last().expect("a line")).expect("an object");
    assert!(found["frames"].as_u64() >= Some(1500), "{found}");
    assert_eq!(
        (&found["wrong_commands"], &found["unrecovered"]),
        (&Value::from(0), &Value::from(0)),
        "{found}"
    );
    assert_eq!(found["seed"], 7);
}
