//! What a plan would take on named chips, in lines for people.

use crate::chips::{Estimate, FIRMWARE_RAM};
use crate::ui::table;

/// A table with a row a chip, and what is assumed.
pub fn lines(estimates: &[Estimate]) -> Vec<String> {
    let header = ["chip", "core", "MHz", "flash", "RAM", "instructions", "ms, about"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    rows.extend(estimates.iter().map(row));
    let mut lines = vec![format!("\n{}", table(&rows).trim_end())];
    let allowed = |e: &Estimate| format!("{} {}", e.chip, e.flash_firmware >> 10);
    lines.push(format!(
        "  with KB of flash for the firmware and a gallery: {}; and {} KB of RAM. One run of the model, without camera, alignment and \
         search.\n  Instructions are counted on an emulated core; no chip was measured: cycles for an instruction are assumed",
        estimates.iter().map(allowed).collect::<Vec<_>>().join(", "),
        FIRMWARE_RAM >> 10
    ));
    lines.extend(estimates.iter().map(|e| {
        let [least, most] = e.cycles_per_instruction;
        format!("    {} {least} to {most}: {}", e.chip, e.assumed_because)
    }));
    lines
}

fn row(estimate: &Estimate) -> Vec<String> {
    let share = |fits: bool, needed: usize, of: usize| {
        format!("{} of {} KB{}", needed.div_ceil(1 << 10), of >> 10, if fits { "" } else { ": no" })
    };
    let time = match (estimate.instructions, estimate.milliseconds) {
        (Some(instructions), Some([least, most])) => [
            format!("{:.1} M", instructions as f64 / 1e6),
            format!("{} to {}", rounded(least), rounded(most)),
        ],
        _ => ["packed for others".into(), String::new()],
    };
    let [instructions, milliseconds] = time;
    vec![
        estimate.chip.into(),
        estimate.core.into(),
        estimate.megahertz.to_string(),
        share(estimate.flash_fits, estimate.flash_needed, estimate.flash),
        share(estimate.ram_fits, estimate.ram_needed, estimate.ram),
        instructions,
        milliseconds,
    ]
}

/// Two digits that count: more would say more than is known.
fn rounded(milliseconds: f64) -> String {
    let unit = 10f64.powf(milliseconds.max(1e-9).log10().floor() - 1.0);
    let value = (milliseconds / unit).round() * unit;
    if value < 9.95 { format!("{value:.1}") } else { format!("{value:.0}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_digits_count() {
        let told = [0.042, 0.96, 9.44, 9.97, 11.2, 124.9, 995.0, 1234.0].map(rounded);
        assert_eq!(told, ["0.0", "1.0", "9.4", "10", "11", "120", "1000", "1200"]);
    }
}
