//! The device's secret, and other keys, from files that `arcgate keys` writes.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::{Context, bail};
use arcgate_firmware::secret::DeviceSecret;

const DEVICE_KEY: &str = "arcgate device key 1: ";
/// What the line of an update key's public half begins with.
pub const UPDATE_KEY: &str = "arcgate update public key 1: ";

/// A secret that lies in a file: whoever can read the board's disk has it.
pub struct KeyFile([u8; 32]);

impl KeyFile {
    /// Reads the file.
    ///
    /// # Errors
    /// When it is no device key, or others than its owner may read or change it.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let mode = File::open(path)
            .and_then(|file| file.metadata())
            .with_context(|| path.display().to_string())?
            .mode();
        if mode & 0o077 != 0 {
            let mode = mode & 0o777;
            bail!(
                "{}: its mode is {mode:03o}\n  accepted: a key for its owner alone (chmod 600)",
                path.display()
            );
        }
        read_key(path, DEVICE_KEY).map(KeyFile)
    }
}

impl DeviceSecret for KeyFile {
    fn is_software(&self) -> bool {
        true
    }

    fn secret(&self) -> [u8; 32] {
        self.0
    }

    fn random(&self) -> Option<[u8; 32]> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).ok().map(|()| bytes)
    }
}

/// The 32 bytes of a key's file, one line: `prefix` and 64 hexadecimal digits.
///
/// # Errors
/// When it cannot be read, or is something else.
pub fn read_key(path: &Path, prefix: &str) -> anyhow::Result<[u8; 32]> {
    let mut text = String::new();
    let read = File::open(path).and_then(|mut file| file.read_to_string(&mut text));
    read.with_context(|| path.display().to_string())?;
    let digits = text.trim().strip_prefix(prefix).filter(|digits| digits.len() == 64);
    // A sign is no digit.
    let digits = digits.filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
    let byte = |i: usize| u8::from_str_radix(digits?.get(2 * i..2 * i + 2)?, 16).ok();
    let mut bytes = [0; 32];
    for (i, place) in bytes.iter_mut().enumerate() {
        *place = byte(i).with_context(|| {
            format!("{} is no key\n  accepted: a line \"{prefix}\" and 64 hexadecimal digits", path.display())
        })?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_key_is_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gate.key");
        fs::write(&path, format!("{DEVICE_KEY}{}\n", "0a".repeat(32))).unwrap();
        for (mode, accepted) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false), (0o620, false)]
        {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let opened = KeyFile::open(&path);
            assert_eq!(opened.is_ok(), accepted, "{mode:o}");
            match opened {
                Ok(key) => assert_eq!(key.secret(), [10; 32]),
                Err(why) => assert!(why.to_string().contains(&format!("{mode:o}")), "{why}"),
            }
        }
    }

    #[test]
    fn other_lines_are_no_keys() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("k");
        let texts = [
            "".to_owned(),
            format!("{DEVICE_KEY}12"),
            format!("{DEVICE_KEY}{}", "+1".repeat(32)),
            "\u{fffd}".repeat(40),
        ];
        for text in texts {
            fs::write(&path, &text).unwrap();
            assert!(read_key(&path, DEVICE_KEY).is_err(), "{text:?}");
        }
        fs::write(&path, format!("{UPDATE_KEY}{}", "ff".repeat(32))).unwrap();
        assert_eq!(read_key(&path, UPDATE_KEY).unwrap(), [255; 32]);
        assert!(read_key(&path, DEVICE_KEY).is_err());
    }
}
