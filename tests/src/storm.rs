//! A device and its hosts over a wire that changes, loses, repeats, delays and forges packets, against a model that says which
//! commands may take effect.
//!
//! The device is the firmware's and the client is the program's; only the wire ([`wire`]) and the commands are ours. Each command
//! differs from every other, and after each step of the device its gallery must be as the model has it: as before the command that
//! is being asked, or as after it. A host paired as operator asks for commands too, and so does one with a wrong key; none of these
//! may take effect, nor may what is recorded of sessions that are over, in the storm or whole after the device has started anew.
//! Somebody who types another code than the device shows is not paired.

pub mod wire;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arcgate::link::{Client, LinkError, pair_over};
use arcgate_firmware::gallery::PersonId;
use arcgate_firmware::link::Fault;
use arcgate_firmware::link::pairing::Code;
use arcgate_firmware::pairings::{Label, Pairing, Role};
use arcgate_firmware::time::Validity;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use wire::{Ends, Yard};

/// How often a session or a pairing is tried anew until it counts as lost: what opens it can be forged by anybody.
const TRIES: u32 = 100;

/// Sessions until another pairing.
const PAIR_EVERY: u32 = 40;

/// What came of a storm.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Packets sent, in both directions.
    pub frames: u64,
    /// Those that were tampered with.
    pub tampered: u64,
    /// Recorded or forged packets put in.
    pub inserted: u64,
    /// Commands that were asked and allowed.
    pub commands: u64,
    /// Commands that were asked and not allowed.
    pub refused: u64,
    /// Sessions opened.
    pub sessions: u64,
    /// Pairings made in the storm.
    pub pairings: u64,
    /// Recorded packets that were sent once more to a device that had started anew.
    pub replayed: u64,
    /// Pairings for which another code was typed than the device showed.
    pub mistyped: u64,
    /// Packets that the device told to be forged.
    pub forged: u64,
    /// Packets that the device told to be noise.
    pub noise: u64,
    /// Effects that the model does not have.
    pub wrong_commands: u64,
    /// Requests, sessions and pairings that did not come through within their bound.
    pub unrecovered: u64,
}

/// Asks until `frames` packets have been sent.
///
/// # Panics
/// When device and host cannot be paired over a calm wire.
pub fn storm(frames: u64, seed: u64) -> Tally {
    let yard = Arc::new(Mutex::new(Yard::new(seed)));
    let mut hosts = Hosts { dice: ChaCha8Rng::seed_from_u64(seed ^ 0x5eed), yard, next: 1 };
    let [administrator, operator] = [Role::Administrator, Role::Operator]
        .map(|role| hosts.pair(role).expect("over a calm wire a host is paired"));
    let wrong = Pairing { key: [0x55; 32], ..administrator.clone() };
    hosts.yard().calm = false;
    let mut sessions = 0;
    while hosts.yard().tally.frames < frames {
        sessions += 1;
        match hosts.dice.random_range(0..10) {
            0 => hosts.impostor(&wrong),
            1..3 => hosts.operate(&operator),
            _ => hosts.administer(&administrator),
        }
        if sessions % PAIR_EVERY == 0 {
            hosts.pair_and_part(&administrator, &operator);
            hosts.mistype();
            hosts.yard().restart();
        }
    }
    hosts.yard().tally
}

struct Hosts {
    dice: ChaCha8Rng,
    yard: Arc<Mutex<Yard>>,
    /// Of the next command.
    next: u64,
}

impl Hosts {
    fn yard(&self) -> MutexGuard<'_, Yard> {
        self.yard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ends(&self) -> Box<Ends> {
        self.yard().begin();
        Box::new(Ends::new(self.yard.clone()))
    }

    /// Opens a session, again if somebody forged what opens it.
    fn session(&mut self, pairing: &Pairing) -> Option<Client> {
        for _ in 0..TRIES {
            if let Ok((client, info)) = Client::over(self.ends(), Some(pairing)) {
                // What it says is sealed: nobody forged it.
                assert!(!info.open_link);
                self.yard().tally.sessions += 1;
                return Some(client);
            }
        }
        self.yard().tally.unrecovered += 1;
        None
    }

    /// Has a command carried out, which the model allows from here on.
    fn command<T>(
        &mut self,
        client: &mut Client,
        ask: impl FnOnce(&mut Client) -> Result<T, LinkError>,
    ) -> bool {
        self.yard().begin();
        let done = ask(client);
        let mut yard = self.yard();
        yard.settle(done.is_ok());
        match done {
            Ok(_) => yard.tally.commands += 1,
            Err(_) => yard.tally.unrecovered += 1,
        }
        done.is_ok()
    }

    fn administer(&mut self, pairing: &Pairing) {
        let Some(mut client) = self.session(pairing) else { return };
        for _ in 0..self.dice.random_range(1..40) {
            let done = match self.dice.random_range(0..20) {
                0 => {
                    let person = self.yard().expect_removal();
                    self.command(&mut client, |client| client.remove(person))
                }
                1 => {
                    self.yard().expect_erasure();
                    let done = self.command(&mut client, Client::erase_gallery);
                    self.yard().populate();
                    done
                }
                _ => {
                    let (person, validity) = self.validity();
                    self.yard().expect_validity(validity);
                    self.command(&mut client, |client| client.set_validity(person, validity))
                }
            };
            if !done {
                return;
            }
        }
    }

    /// Asks as an operator for what only administrators may.
    fn operate(&mut self, pairing: &Pairing) {
        let Some(mut client) = self.session(pairing) else { return };
        for _ in 0..self.dice.random_range(1..20) {
            self.yard().begin();
            let (person, validity) = self.validity();
            let refused = match self.dice.random_range(0..4) {
                0 => client.erase_gallery(),
                1 => client.remove(person),
                2 => client.pairings().map(drop),
                _ => client.set_validity(person, validity),
            };
            let needed = Fault::NotAllowed { role: Role::Administrator };
            match refused {
                Err(LinkError::Fault(fault)) if fault == needed => self.yard().tally.refused += 1,
                Ok(()) => self.yard().tally.wrong_commands += 1,
                Err(_) => {
                    self.yard().tally.unrecovered += 1;
                    return;
                }
            }
        }
    }

    /// Tries to open a session with a key that is not the device's.
    fn impostor(&mut self, pairing: &Pairing) {
        if Client::over(self.ends(), Some(pairing)).is_ok() {
            self.yard().tally.wrong_commands += 1;
        }
    }

    /// Pairs a host, presses again when that fails.
    fn pair(&mut self, role: Role) -> Option<Pairing> {
        for _ in 0..TRIES {
            let ends = self.ends();
            self.yard().press(role);
            let code = || Ok::<Code, LinkError>(self.yard().shown());
            let paired = pair_over(ends, role, Label::new(), code);
            self.yard().release();
            if let Ok((_, pairing)) = paired {
                return Some(pairing);
            }
        }
        self.yard().tally.unrecovered += 1;
        None
    }

    /// Has somebody type another code than the device shows.
    fn mistype(&mut self) {
        for _ in 0..TRIES {
            let ends = self.ends();
            self.yard().mistyped = true;
            self.yard().press(Role::Operator);
            let mut was_asked = false;
            let code = || {
                was_asked = true;
                Ok::<Code, LinkError>(Code((self.yard().shown().0 + 1) % 1_000_000))
            };
            let paired = pair_over(ends, Role::Operator, Label::new(), code);
            let mut yard = self.yard();
            yard.release();
            yard.mistyped = false;
            yard.tally.wrong_commands += u64::from(paired.is_ok());
            if was_asked {
                yard.tally.mistyped += 1;
                return;
            }
        }
        self.yard().tally.unrecovered += 1;
    }

    /// Pairs one more host in the storm; then an administrator removes all others.
    fn pair_and_part(&mut self, administrator: &Pairing, operator: &Pairing) {
        if let Some(pairing) = self.pair(Role::Operator) {
            self.yard().tally.pairings += 1;
            self.operate(&pairing);
        }
        let Some(mut client) = self.session(administrator) else { return };
        let Ok(pairings) = client.pairings() else {
            self.yard().tally.unrecovered += 1;
            return;
        };
        for host in pairings.iter().map(|paired| paired.host) {
            if ![administrator.host, operator.host].contains(&host) {
                self.yard().expect_parting(host);
                if !self.command(&mut client, |client| client.unpair(host)) {
                    return;
                }
            }
        }
    }

    /// A validity that nobody had before.
    fn validity(&mut self) -> (PersonId, Validity) {
        self.next += 1;
        (self.yard().keeper(), Validity { from: self.next, until: u64::MAX })
    }
}
