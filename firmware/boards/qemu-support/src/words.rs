//! What the words of QEMU's semihosting command line ask of a board.
//!
//! | word | |
//! |---|---|
//! | `open` | whoever reaches the UART is trusted, as on a bench; without it paired hosts are |
//! | `button=SECONDS` | somebody presses the button just after the start, and holds it for so long |
//! | `camera=DIR` | the camera shows the pictures of this folder of the host, each once (`camera.rs`); without it it sees nobody |
//! | `entropy=HEX` | 64 digits, random bytes of the host: the emulated boards have no source of their own |
//!
//! The first word is the program's name.

use core::cell::Cell;

use arcgate_firmware::link::LinkTrust;
use arcgate_firmware::secret::{DeviceSecret, SoftwareSecret};
use semihosting::sys::arm_compat::CommandLine;

use crate::camera::Folder;
use crate::say::{Part::Words, fail, say};

/// Bytes of the longest command line.
const LONGEST: usize = 1024;

/// What is asked.
#[derive(Debug)]
pub struct Asked {
    /// Whom the link trusts.
    pub link: LinkTrust,
    /// For how many seconds the button is held.
    pub button: Option<u32>,
    /// What the camera shows.
    pub camera: Option<Folder>,
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
    let secret = BenchSecret::default();
    let mut asked = Asked { link: LinkTrust::Paired, button: None, camera: None, secret };
    let mut room = [0; LONGEST];
    let mut place = CommandLine { ptr: room.as_mut_ptr(), size: LONGEST };
    #[expect(deprecated, reason = "the one that replaces it can panic")]
    // SAFETY: the place is `room`, which is as long as it says.
    let told = unsafe { semihosting::sys::arm_compat::sys_get_cmdline(&mut place) };
    if told.is_err() {
        fail("the command line is too long");
    }
    let line = &room[..];
    let line = line.split(|&byte| byte == 0).next().unwrap_or_default();
    for word in line.split(|&byte| byte == b' ').skip(1).filter(|word| !word.is_empty()) {
        if take(word, &mut asked).is_none() {
            say(&[Words("no word for this board: "), Words(str::from_utf8(word).unwrap_or_default())]);
            fail("  accepted: open, button=SECONDS, camera=DIR, entropy= with 64 hexadecimal digits");
        }
    }
    asked
}

fn take(word: &[u8], asked: &mut Asked) -> Option<()> {
    if word == b"open" {
        asked.link = LinkTrust::Open;
    } else if let Some(seconds) = word.strip_prefix(b"button=") {
        asked.button = Some(str::from_utf8(seconds).ok()?.parse().ok()?);
    } else if let Some(folder) = word.strip_prefix(b"camera=") {
        asked.camera = Some(Folder::from_slice(folder).ok()?);
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
