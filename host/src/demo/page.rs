//! The report: one page to look at.

use arcgate_firmware::model::thresholds::Bar;

use super::gate::{Gate, Mistake, TARGET_FPIR, TEMPLATES};
use super::people::{Shots, TEST};
use super::verification::Verification;
use super::{DemoError, Outcome};
use crate::eval::interval::wilson95;
use crate::report::page::{Page, Picture};
use crate::report::plot;
use crate::ui::thousands;

/// Sample people at the top, and photographs of each.
const SAMPLES: (usize, u64) = (2, 6);

/// The rows of the table that the demo ends with, head first; the report shows the same.
pub fn table(outcome: &Outcome) -> Vec<Vec<String>> {
    let percent = |share: f64| format!("{:.1} %", share * 100.0);
    let rate = |share: f64, trials: u64| {
        let (low, high) = wilson95((share * trials as f64).round() as u64, trials);
        format!("{} [{:.1}, {:.1}]", percent(share), low * 100.0, high * 100.0)
    };
    let row = |cells: [&str; 5]| cells.map(String::from).to_vec();
    vec![
        row(["", "float", "int8", "raw pixels", "mean colour"]),
        row([
            "verification",
            &percent(outcome.float_accuracy),
            &percent(outcome.int8_accuracy),
            &percent(outcome.raw_pixels_accuracy),
            &percent(outcome.mean_colour_accuracy),
        ]),
        row(["mated found", "", &rate(outcome.mated_found, outcome.mated_probes), "", ""]),
        row(["strangers accepted", "", &rate(outcome.strangers_accepted, outcome.stranger_probes), "", ""]),
    ]
}

/// The page.
pub fn page(
    outcome: &Outcome,
    verification: &Verification,
    gate: &Gate,
    shots: &Shots,
    threshold: &Bar,
) -> Result<String, DemoError> {
    let mut page = Page::new("arcgate demo");
    page.paragraph(&format!(
        "A small embedder was trained from nothing on drawn people, quantized to int8, lowered to a plan of {} KB that \
         runs in {} KB of memory, and put on a simulated device. Everything below was measured on {} people whom \
         nothing was trained or chosen on.",
        outcome.plan_bytes.div_ceil(1024),
        outcome.arena_bytes.div_ceil(1024),
        outcome.identities
    ));
    let samples = (0..SAMPLES.0).flat_map(|owner| (0..SAMPLES.1).map(move |view| (owner, view)));
    let samples: Vec<Picture> = samples
        .map(|(owner, view)| Picture {
            image: shots.picture(&TEST, owner, view),
            caption: format!("person {owner}, photograph {view}"),
        })
        .collect();
    page.heading("Who they are").pictures(&samples);

    page.heading("How well it works").table(&table(outcome)).paragraph(&format!(
        "Verification: {} pairs, half of them of one person, ten folds. Mated found: {} probes of people enrolled, {} at \
         a time with {} photographs each. Strangers accepted: {} probes of people not enrolled. In brackets the 95 % \
         interval.",
        thousands(outcome.pairs as u64),
        thousands(outcome.mated_probes),
        outcome.enrolled,
        TEMPLATES,
        thousands(outcome.stranger_probes)
    ));
    page.heading("Angles").svg(&plot::angles(
        &verification.mated,
        &verification.non_mated,
        Some(threshold.angle.degrees()),
    )?);
    page.paragraph(&format!(
        "The threshold comes from other strangers, not from these: with {} people enrolled, {:.1} % of them would be let in. The \
         mean angle between a float embedding and its int8 form is {:.1} degrees. tract and the plan gave the same bytes \
         on all of {} images.",
        outcome.enrolled,
        100.0 * TARGET_FPIR,
        outcome.quantization_degrees,
        outcome.proved_on
    ));
    let strips = [
        ("Recognised", &gate.hits, "None."),
        ("Enrolled and not recognised", &gate.missed, "None: everybody enrolled was recognised."),
        ("Strangers let in", &gate.let_in, "None: every stranger was refused."),
    ];
    for (heading, cases, none) in strips {
        page.heading(heading);
        if cases.is_empty() {
            page.paragraph(none);
        } else {
            page.pictures(&cases.iter().flat_map(|case| side_by_side(case, shots)).collect::<Vec<_>>());
        }
    }
    Ok(page.html())
}

/// A probe, and the first template of the person nearest to it.
fn side_by_side(case: &Mistake, shots: &Shots) -> Vec<Picture> {
    let probe = Picture {
        image: shots.picture(&TEST, case.owner, case.view),
        caption: format!("probe: person {}", case.owner),
    };
    let nearest =
        case.nearest.filter(|(owner, _)| *owner < TEST.people as usize).map(|(owner, angle)| Picture {
            image: shots.picture(&TEST, owner, 0),
            caption: format!("nearest: person {owner}, {angle} degrees"),
        });
    std::iter::once(probe).chain(nearest).collect()
}
