//! The simulated device: people are enrolled on it, then people come who are enrolled and people who are not.

use std::path::Path;

use arcgate_firmware::decide::MatchRules;
use arcgate_firmware::embedding::Angle;
use arcgate_firmware::link::LinkTrust;
use arcgate_firmware::link::answer::{Answer, Named};
use arcgate_firmware::sim::{Nature, SimSecret, StoredCamera};

use super::DemoError;
use super::people::Album;
use crate::engine::{Kind, Model};
use crate::enroll;
use crate::link::Target;
use crate::ui::Ui;

/// People enrolled at a time: a household.
pub const ENROLLED: usize = 4;
/// Photographs that each is enrolled with.
pub const TEMPLATES: usize = 5;
/// The share of strangers' searches that the threshold is chosen for. The demo promises that at most one in a hundred is answered,
/// and a threshold for exactly that errs as often above it as below.
pub const TARGET_FPIR: f32 = 0.003;
/// Galleries that are filled, one after the other, each with other people.
const ROUNDS: usize = 12;
/// Photographs of each stranger that come to a gallery.
const STRANGER_VIEWS: usize = 2;
/// Mistakes of each kind that are kept to be looked at.
const KEPT: usize = 6;

/// One answer that was wrong.
#[derive(Debug, Clone)]
pub struct Mistake {
    /// Whose photograph it was, counted from 0 in the group.
    pub owner: usize,
    /// Which photograph.
    pub view: u64,
    /// The nearest person enrolled and the angle to them.
    pub nearest: Option<(usize, Angle)>,
}

/// What the device answered, over all rounds.
#[derive(Debug, Clone, Default)]
pub struct Gate {
    /// Probes of people enrolled.
    pub mated: u64,
    /// Those that got their own name.
    pub found: u64,
    /// Probes of people not enrolled.
    pub strangers: u64,
    /// Those that got anybody's name.
    pub accepted: u64,
    /// Enrolled people who were not recognised, or taken for another.
    pub missed: Vec<Mistake>,
    /// Strangers who were taken for somebody.
    pub let_in: Vec<Mistake>,
    /// Some who were recognised, for the report.
    pub hits: Vec<Mistake>,
}

impl Gate {
    /// Fills galleries on simulated devices and lets everybody come by, over TCP as a real device would be asked.
    ///
    /// # Errors
    /// When the device or its flash fails.
    pub fn measure(album: &Album, model: &Model, folder: &Path, ui: &Ui) -> Result<Self, DemoError> {
        let people = album.group.people as usize;
        let views = album.group.views as usize;
        let probes = ROUNDS * (ENROLLED * (views - TEMPLATES) + (people - ENROLLED) * STRANGER_VIEWS);
        let bar = ui.progress("identifying", "probes", probes as u64);
        let mut gate = Gate::default();
        let matching = MatchRules { target_fpir: TARGET_FPIR, ..MatchRules::default() };
        for round in 0..ROUNDS {
            let enrolled = round * ENROLLED..(round + 1) * ENROLLED;
            let flash = folder.join(format!("gallery-{round}.flash"));
            match std::fs::remove_file(&flash) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    return Err(DemoError::Folder { path: flash, source: e });
                }
                _ => {}
            }
            let device = enroll::simulate(
                model.embedder(Kind::Plan)?,
                &flash,
                "127.0.0.1:0",
                StoredCamera::new([]),
                Nature {
                    matching,
                    secret: SimSecret::software(),
                    counter: None,
                    chip: None,
                    link: LinkTrust::Open,
                    press: None,
                },
                |_| {},
            )?;
            let mut place = enroll::open(&Target::Tcp(device.address().to_string()), Some(model))?;
            for owner in enrolled.clone() {
                for crop in &album.crops[album.range(owner)][..TEMPLATES] {
                    place.enroll_crop(&name(owner), crop)?;
                }
            }
            for owner in 0..people {
                let mated = enrolled.contains(&owner);
                let shown = if mated { TEMPLATES..views } else { 0..STRANGER_VIEWS };
                for view in shown {
                    let answer = place.identify_crop(&album.crops[album.range(owner)][view])?;
                    gate.count(owner, view as u64, mated, &answer);
                    bar.inc(1);
                }
            }
        }
        bar.finish_and_clear();
        Ok(gate)
    }

    fn count(&mut self, owner: usize, view: u64, mated: bool, answer: &Answer) {
        let (known, nearest) = match answer {
            Answer::Known { best, .. } => (Some(number(best)), Some(best)),
            Answer::Unknown { nearest, .. } => (None, nearest.as_ref()),
            Answer::Rejected(_) => (None, None),
        };
        let nearest = nearest.map(|named| (number(named), named.angle));
        let mistake = Mistake { owner, view, nearest };
        let keep = |list: &mut Vec<Mistake>| {
            if list.len() < KEPT {
                list.push(mistake);
            }
        };
        if mated {
            self.mated += 1;
            let right = known == Some(owner);
            self.found += right as u64;
            keep(if right { &mut self.hits } else { &mut self.missed });
        } else {
            self.strangers += 1;
            if known.is_some() {
                self.accepted += 1;
                keep(&mut self.let_in);
            }
        }
    }

    /// Share of enrolled probes that got their own name.
    pub fn mated_found(&self) -> f64 {
        self.found as f64 / self.mated as f64
    }

    /// Share of strangers that got anybody's name.
    pub fn strangers_accepted(&self) -> f64 {
        self.accepted as f64 / self.strangers as f64
    }
}

/// What a synthetic person is enrolled as.
fn name(owner: usize) -> String {
    format!("Person {owner}")
}

/// The number in that name; a name of another form belongs to nobody of the demo.
fn number(named: &Named) -> usize {
    named.name.as_str().rsplit(' ').next().and_then(|n| n.parse().ok()).unwrap_or(usize::MAX)
}
