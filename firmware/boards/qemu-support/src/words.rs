//! What the words of QEMU's semihosting command line ask of a board.
//!
//! | word | |
//! |---|---|
//! | `open` | whoever reaches the UART is trusted, as on a bench; without it paired hosts are |
//! | `button=SECONDS` | somebody holds the button for so long as the board starts: below 3 for an operator, from 3 on for an administrator |
//! | `entropy=HEX` | 64 digits, random bytes of the host: the emulated boards have no source of their own |
//!
//! The first word is the program's name.

use core::cell::Cell;

use arcgate_firmware::gallery::{DeviceSecret, SoftwareSecret};
use arcgate_firmware::link::{LinkTrust, Role};
use semihosting::sys::arm_compat::{CommandLine, sys_get_cmdline};

use crate::run::fail;
use crate::say::{Part::Words, say};

/// Bytes of the longest command line.
const LONGEST: usize = 1024;

/// Seconds from which a press is for an administrator.
const LONG: u32 = 3;

/// What is asked.
#[derive(Debug)]
pub struct Asked {
    /// Whom the link trusts.
    pub link: LinkTrust,
    /// For whom the button is held.
    pub press: Option<Role>,
    /// What the device draws from.
    pub secret: BenchSecret,
}

/// The secret in the software, and random bytes that the host gave.
#[derive(Debug, Default)]
pub struct BenchSecret {
    given: Option<[u8; 32]>,
    /// How often they were asked for.
    calls: Cell<u32>,
}

impl DeviceSecret for BenchSecret {
    fn is_software(&self) -> bool {
        true
    }

    fn secret(&self) -> [u8; 32] {
        SoftwareSecret::default().0
    }

    /// Without the host's bytes there are none: what the device draws then differs by its count of boots alone, and whoever has the
    /// source foretells it.
    fn random(&self) -> Option<[u8; 32]> {
        let (mut bytes, call) = (self.given?, self.calls.get());
        self.calls.set(call.wrapping_add(1));
        bytes.iter_mut().zip(call.to_le_bytes()).for_each(|(byte, count)| *byte ^= count);
        Some(bytes)
    }
}

/// Reads the command line; a word that is none ends QEMU.
pub fn read() -> Asked {
    let mut asked = Asked { link: LinkTrust::Paired, press: None, secret: BenchSecret::default() };
    let mut room = [0; LONGEST];
    let mut place = CommandLine { ptr: room.as_mut_ptr(), size: LONGEST };
    // SAFETY: the place is `room`, which is as long as it says.
    if unsafe { sys_get_cmdline(&mut place) }.is_err() {
        fail("the command line is too long");
    }
    let line = &room[..];
    let line = line.split(|&byte| byte == 0).next().unwrap_or_default();
    for word in line.split(|&byte| byte == b' ').skip(1).filter(|word| !word.is_empty()) {
        if take(word, &mut asked).is_none() {
            say(&[Words("no word for this board: "), Words(str::from_utf8(word).unwrap_or_default())]);
            fail("  accepted: open, button=SECONDS, entropy= with 64 hexadecimal digits");
        }
    }
    asked
}

fn take(word: &[u8], asked: &mut Asked) -> Option<()> {
    if word == b"open" {
        asked.link = LinkTrust::Open;
    } else if let Some(seconds) = word.strip_prefix(b"button=") {
        let seconds: u32 = str::from_utf8(seconds).ok()?.parse().ok()?;
        asked.press = Some(if seconds < LONG { Role::Operator } else { Role::Administrator });
    } else {
        asked.secret.given = Some(seed(word.strip_prefix(b"entropy=")?)?);
    }
    Some(())
}

/// Bytes of 64 hexadecimal digits.
fn seed(digits: &[u8]) -> Option<[u8; 32]> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let (pairs, rest) = digits.as_chunks::<2>();
    let mut seed = [0; 32];
    if pairs.len() != seed.len() || !rest.is_empty() {
        return None;
    }
    for (byte, &[high, low]) in seed.iter_mut().zip(pairs) {
        *byte = digit(high)? << 4 | digit(low)?;
    }
    Some(seed)
}
