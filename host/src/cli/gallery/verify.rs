//! `arcgate gallery verify`: every seal checked, what is damaged, whose it is and what helps.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

use arcgate_firmware::gallery::{Damage, Harm, PersonId};
use serde_json::json;

use super::super::shared::name_some;
use crate::link::Target;
use crate::ui::{Ui, table, thousands};

/// Has the gallery checked. The exit code is 1 when something is lost.
///
/// # Errors
/// When there is no way to it, or it is not mounted: why, and what helps.
pub(super) fn verify(place: &super::Place, ui: &Ui) -> anyhow::Result<ExitCode> {
    let (to, mut place) = (&place.to, place.open()?);
    let names: BTreeMap<PersonId, String> =
        place.people()?.into_iter().map(|p| (p.id, p.name.as_str().to_owned())).collect();
    let damages = place.verify()?;
    let info = place.info();
    let lost = damages.iter().filter(|d| d.harm.is_loss()).count();
    // Empty of who lost the record with it.
    let name = |person: Option<PersonId>| person.and_then(|p| names.get(&p)).filter(|name| !name.is_empty());
    if !ui.json {
        let records = thousands(info.usage.records.into());
        ui.say(match damages.len() {
            0 => format!("{to}: {records} records, every seal is whole"),
            found => format!("{to}: {found} damages among {records} records, {lost} of them for good"),
        });
        if !damages.is_empty() {
            let mut rows = vec![["what", "byte", "person", "name"].map(String::from).to_vec()];
            rows.extend(damages.iter().map(|damage| {
                let person = damage.person.map_or_else(|| "-".into(), |p| p.to_string());
                let name = name(damage.person).map_or("-", |name| name);
                vec![what(damage.harm).into(), damage.offset.to_string(), person, name.into()]
            }));
            ui.say(table(&rows).trim_end());
        }
    }
    // The check that a connection begins with opens such templates anew.
    let mended = info.damaged.saturating_sub(damages.len() as u32);
    if mended > 0 {
        ui.note(format!("{mended} templates differed in RAM from the flash, and were opened anew"));
    }
    advise(to, &damages, &names, ui);
    let rows: Vec<_> = damages
        .iter()
        .map(|d| json!({"harm": d.harm, "offset": d.offset, "person": d.person, "name": name(d.person)}))
        .collect();
    ui.json(&json!({
        "damages": rows, "lost": lost, "records": info.usage.records, "people": info.usage.people, "mended": mended,
    }));
    Ok(if lost == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn what(harm: Harm) -> &'static str {
    match harm {
        Harm::Repaired => "a turned bit, turned back",
        Harm::Memory => "a template in RAM, opened anew",
        Harm::Record => "a record",
        Harm::Sector => "a sector",
    }
}

/// Says what helps: for each person who has lost a record, and for what nobody can be told for.
fn advise(to: &Target, damages: &[Damage], names: &BTreeMap<PersonId, String>, ui: &Ui) {
    let lost = || damages.iter().filter(|d| d.harm.is_loss());
    let people: BTreeSet<PersonId> = lost().filter_map(|d| d.person).collect();
    let advice = people.iter().map(|person| {
        let what = match names.get(person).filter(|name| !name.is_empty()) {
            Some(name) => format!("a template of {name} (number {person})"),
            None => format!("the name of person {person}, who is let in no more"),
        };
        format!("{what}: remove them (arcgate gallery remove {person} --to {to}) and enroll them again")
    });
    name_some(ui, "lost", advice);
    if lost().any(|d| d.person.is_none()) {
        ui.note(format!(
            "whose the rest was cannot be read: see who is missing (arcgate gallery list --to {to}) and enroll them again"
        ));
    }
}
