//! A short storm on the link; `tests/link-noise` makes one for as long as somebody likes.

use arcgate_tests::storm::storm;

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
