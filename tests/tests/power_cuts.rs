//! The program `power-cuts` for a few seconds; `tests/power-cuts` runs it for as long as somebody likes.

use std::process::Command;

use serde_json::Value;

const CUTS: u64 = 4_000;

#[test]
fn thousands_of_power_cuts_on_four_flash_parts_lose_nothing() {
    let output = Command::new(env!("CARGO_BIN_EXE_power-cuts"))
        .args(["--cuts", &CUTS.to_string(), "--seed", "20261128", "--json"])
        .output()
        .expect("the program runs");
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}\n{complained}");
    println!("{said}");
    let last = said.trim_end().lines().last().expect("a last line");
    let told: Value = serde_json::from_str(last).expect("the last line is JSON");
    let count = |name: &str| told[name].as_u64().unwrap_or_else(|| panic!("no {name} in {told}"));
    assert_eq!([count("lost"), count("phantom"), count("failed_mounts")], [0; 3], "{told}");
    // It went where it hurts: into erases, into replacements, on galleries without room.
    assert!(count("cuts") >= CUTS && count("operations") > 4 * count("cuts"), "{told}");
    assert!(4 * count("in_erases") >= CUTS && 4 * count("in_compaction") >= CUTS, "{told}");
    assert!(4 * count("nearly_full") > 3 * count("operations"), "{told}");
}
