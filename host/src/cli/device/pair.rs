//! `arcgate device pair`, `pairings` and `unpair`.

use std::io::{BufRead, IsTerminal};
use std::process::ExitCode;

use anyhow::Context;
use arcgate_firmware::link::pairing::Code;
use arcgate_firmware::pairings::{LABEL, Label, PairedHost, Role};
use serde_json::json;

use crate::link::devices::short;
use crate::link::{Client, Devices, Target, pair as pair_with};
use crate::ui::{Ui, table};

#[derive(clap::Args, Debug)]
pub struct Args {
    /// tcp:HOST:PORT or a serial port.
    #[arg(long, value_name = "TARGET")]
    port: Target,
    /// What this computer shall be allowed: an operator has pictures looked at, an administrator looks after people.
    #[arg(long, value_parser = role)]
    role: Role,
    /// What this computer calls itself on the device, at most 32 bytes [default: USER@HOSTNAME].
    #[arg(long, value_parser = label)]
    label: Option<Label>,
}

fn role(word: &str) -> Result<Role, &'static str> {
    match word {
        "operator" => Ok(Role::Operator),
        "administrator" => Ok(Role::Administrator),
        _ => Err("accepted: operator, administrator"),
    }
}

fn label(text: &str) -> Result<Label, String> {
    if text.chars().any(char::is_control) {
        return Err("it has a control character; accepted: text".into());
    }
    Label::try_from(text).map_err(|_| format!("{} bytes; accepted: at most {LABEL}", text.len()))
}

/// Pairs this computer with a device.
///
/// # Errors
/// Whatever stopped it, in words for people.
pub fn pair(args: Args, ui: &Ui) -> anyhow::Result<ExitCode> {
    let Args { port, role, label } = args;
    // What cannot be kept is not agreed on.
    let mut devices = Devices::open()?;
    let (identity, pairing) = pair_with(&port, role, label.unwrap_or_else(own_label), || typed_code(ui))?;
    devices.keep(&identity, &pairing, &port).context("the device is paired, but its key is lost")?;
    let device = short(&identity);
    if !ui.json {
        ui.say(format!(
            "{port}: device {device} is paired with this computer, its host {}, {role}",
            pairing.host
        ));
        ui.note(format!("the key is in {}", devices.path().display()));
    }
    ui.json(&json!({"device": device, "host": pairing.host, "role": role, "keys": devices.path()}));
    Ok(ExitCode::SUCCESS)
}

/// The code that somebody reads on the device: a line of standard input.
fn typed_code(ui: &Ui) -> anyhow::Result<Code> {
    if std::io::stdin().is_terminal() {
        eprint!("the code that the device shows: ");
    } else {
        ui.note("the code that the device shows is read from standard input");
    }
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    // Some displays show it in two groups.
    let digits: String = line.chars().filter(|c| !c.is_whitespace()).collect();
    let is_code = digits.len() == 6 && digits.bytes().all(|b| b.is_ascii_digit());
    let code = is_code.then(|| digits.parse().map(Code).ok()).flatten();
    code.context("no code was typed\n  accepted: the six digits that the device shows")
}

/// USER@HOSTNAME, as much of it as fits.
fn own_label() -> Label {
    let user = ["USER", "USERNAME"].iter().find_map(|name| std::env::var(name).ok());
    let name = std::fs::read_to_string("/etc/hostname").ok().or_else(|| std::env::var("COMPUTERNAME").ok());
    let whole: Vec<String> = [user, name].into_iter().flatten().collect();
    let mut label = Label::new();
    for c in whole.join("@").trim().chars().filter(|c| !c.is_control()) {
        if label.push(c).is_err() {
            break;
        }
    }
    label
}

/// Lists the computers that a device is paired with.
///
/// # Errors
/// Whatever stopped it, in words for people.
pub fn list(port: &Target, ui: &Ui) -> anyhow::Result<ExitCode> {
    let (mut client, _) = Client::connect(port)?;
    let pairings = client.pairings()?;
    let own = client.host();
    if !ui.json {
        let row = |p: &PairedHost| {
            let this = if own == Some(p.host) { "this computer" } else { "" };
            vec![p.host.to_string(), p.role.to_string(), p.label.escape_debug().to_string(), this.to_owned()]
        };
        ui.say(table(&pairings.iter().map(row).collect::<Vec<_>>()).trim_end());
    }
    ui.json(&json!({"pairings": pairings, "own": own}));
    Ok(ExitCode::SUCCESS)
}

/// Has a device forget a computer.
///
/// # Errors
/// Whatever stopped it, in words for people.
pub fn unpair(port: &Target, host: u16, ui: &Ui) -> anyhow::Result<ExitCode> {
    let (mut client, _) = Client::connect(port)?;
    client.unpair(host)?;
    if !ui.json {
        ui.say(format!("{port}: host {host} is paired no more"));
    }
    ui.json(&json!({"unpaired": host}));
    Ok(ExitCode::SUCCESS)
}
