//! Instructions of a gallery's search on an emulated core.

use super::Machine;

/// Searches in one gallery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Searches {
    /// Templates in the gallery.
    pub templates: u64,
    /// Values of a template.
    pub dimension: u64,
    /// Instructions of each search, from the probe's values to the angles of the two nearest people.
    pub instructions: Vec<u64>,
}

impl Searches {
    /// Instructions of a template, on average, with the searches' beginnings and ends.
    pub fn of_a_template(&self) -> f64 {
        let all: u64 = self.instructions.iter().sum();
        all as f64 / self.instructions.len() as f64 / self.templates as f64
    }
}

/// What the firmware `qemu-search` found: the kernels that it held to the definition, and its searches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Their names.
    pub kernels: Vec<String>,
    /// What was counted.
    pub searches: Searches,
    /// People of galleries in flash, with a template each, and instructions to mount them.
    pub mounts: Vec<(u64, u64)>,
    /// Templates of a gallery in flash, and instructions of a search that opens all of them.
    pub sealed: Option<(u64, u64)>,
}

/// Runs the firmware `qemu-search` on `machine`.
///
/// # Errors
/// What is missing: the emulator or the firmware.
///
/// # Panics
/// When the firmware fails, with what it said: a kernel found something else than the definition.
pub fn run(machine: Machine) -> Result<Found, String> {
    let said = machine.run("qemu-search")?;
    Ok(parse(&said).unwrap_or_else(|| panic!("{} said:\n{said}", machine.name())))
}

/// `equal KERNEL CASES`, `search TEMPLATES DIMENSION INSTRUCTIONS`, `mount PEOPLE INSTRUCTIONS` and
/// `sealed TEMPLATES DIMENSION INSTRUCTIONS`, a line each.
fn parse(said: &str) -> Option<Found> {
    let searches = Searches { templates: 0, dimension: 0, instructions: Vec::new() };
    let mut found = Found { kernels: Vec::new(), searches, mounts: Vec::new(), sealed: None };
    for line in said.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["equal", kernel, _] => found.kernels.push(kernel.into()),
            ["search", templates, dimension, instructions] => {
                found.searches.templates = templates.parse().ok()?;
                found.searches.dimension = dimension.parse().ok()?;
                found.searches.instructions.push(instructions.parse().ok()?);
            }
            ["mount", people, instructions] => {
                found.mounts.push((people.parse().ok()?, instructions.parse().ok()?));
            }
            ["sealed", templates, _, instructions] => {
                found.sealed = Some((templates.parse().ok()?, instructions.parse().ok()?));
            }
            _ => return None,
        }
    }
    (!found.searches.instructions.is_empty()).then_some(found)
}
