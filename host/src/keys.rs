//! Key files: what a device and its administrator keep secret.
//!
//! ```text
//! arcgate device key 1: 64 hexadecimal digits      a device's secret: opens and makes its flash image and its bundles
//! arcgate bundle key 1: 64 hexadecimal digits      follows from it: opens and makes its bundles alone
//! ```
//!
//! One line of text, readable by its owner alone. Keys that sign model images and enrolments are in [`update`].

pub mod update;

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use arcgate_firmware::bundle::BundleKey;
use arcgate_firmware::secret::SoftwareSecret;
use arcgate_firmware::sim::SimSecret;

use crate::disk;
use crate::onnx::metadata::hex;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file as a file.
    #[error("cannot {verb} {}", path.display())]
    Io {
        /// What was tried.
        verb: &'static str,
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// No key is in it.
    #[error("{} is no key file\n  accepted: what `arcgate keys` makes, a line \"arcgate device key 1: ...\" of 64 hexadecimal digits", .0.display())]
    NoKey(PathBuf),
    /// A bundle key where a device key is needed.
    #[error("{} holds a bundle key, which opens no flash image\n  accepted: the device key, or a device as the target", .0.display())]
    BundleOnly(PathBuf),
    /// No key that signs is in it.
    #[error("{} is no update key\n  accepted: what `arcgate keys update` makes, a line \"arcgate update key 1: ...\" of 64 hexadecimal digits", .0.display())]
    NoUpdateKey(PathBuf),
    /// The public half where the private one is needed.
    #[error("{} holds the public half of an update key, which signs nothing\n  accepted: the private half", .0.display())]
    PublicOnly(PathBuf),
    /// No public half of an update key is in it.
    #[error("{} is no public update key\n  accepted: what `arcgate keys update` writes beside a key, a line \"arcgate update public key 1: ...\"", .0.display())]
    NoPublicKey(PathBuf),
    /// The file is there already.
    #[error("{} exists, and a key that is written over is lost\n  accepted: another place (-o)", .0.display())]
    Exists(PathBuf),
    /// The system has no random bytes.
    #[error("this system gives no random bytes: {0}")]
    Random(String),
}

/// What a key file holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// A device's secret.
    Device([u8; 32]),
    /// Its bundle key alone.
    Bundle(BundleKey),
    /// The secret that is in the software, for everybody to read.
    Software,
}

const DEVICE: &str = "arcgate device key 1: ";
const BUNDLE: &str = "arcgate bundle key 1: ";

impl Key {
    /// A device key that nobody has.
    ///
    /// # Errors
    /// When the system has no random bytes.
    pub fn draw() -> Result<Self, KeyError> {
        drawn().map(Key::Device)
    }

    /// Reads a key file; without one, the key in the software.
    ///
    /// # Errors
    /// When it cannot be read or is no key.
    pub fn read(path: Option<&Path>) -> Result<Self, KeyError> {
        let Some(path) = path else { return Ok(Key::Software) };
        let text = read_line(path)?;
        let key = |prefix: &str| text.strip_prefix(prefix).and_then(digits);
        match (key(DEVICE), key(BUNDLE)) {
            (Some(secret), _) => Ok(Key::Device(secret)),
            (_, Some(bytes)) => Ok(Key::Bundle(BundleKey(bytes))),
            _ => Err(KeyError::NoKey(path.into())),
        }
    }

    /// Writes a key file that its owner alone can read.
    ///
    /// # Errors
    /// When there is one already, or the system says no.
    pub fn write(&self, path: &Path) -> Result<(), KeyError> {
        let (prefix, bytes) = match self {
            Key::Device(secret) => (DEVICE, *secret),
            Key::Bundle(key) => (BUNDLE, key.0),
            Key::Software => (DEVICE, SoftwareSecret::default().0),
        };
        write_new(&mut disk::private(), path, &format!("{prefix}{}", hex(&bytes)))
    }

    /// What opens and makes bundles.
    pub fn bundle(&self) -> BundleKey {
        match self {
            Key::Device(secret) => BundleKey::of_device(secret),
            Key::Bundle(key) => *key,
            Key::Software => BundleKey::of_device(&SoftwareSecret::default().0),
        }
    }

    /// The secret of a simulated device or a gallery file; `path` is where the key is from.
    ///
    /// # Errors
    /// When it is a bundle key.
    pub fn secret(&self, path: Option<&Path>) -> Result<SimSecret, KeyError> {
        match self {
            Key::Device(secret) => Ok(SimSecret::own(*secret)),
            Key::Software => Ok(SimSecret::software()),
            Key::Bundle(_) => Err(KeyError::BundleOnly(path.unwrap_or(Path::new("the key")).into())),
        }
    }
}

impl std::fmt::Debug for Key {
    /// Its kind alone: it is secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Key::Device(_) => "Device",
            Key::Bundle(_) => "Bundle",
            Key::Software => "Software",
        })
    }
}

/// Writes a file of one line that was not there before.
fn write_new(options: &mut OpenOptions, path: &Path, line: &str) -> Result<(), KeyError> {
    let mut file = match options.write(true).create_new(true).open(path) {
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {
            return Err(KeyError::Exists(path.into()));
        }
        opened => opened.map_err(|source| KeyError::Io { verb: "make", path: path.into(), source })?,
    };
    let written = writeln!(file, "{line}").and_then(|()| file.sync_all());
    written.map_err(|source| KeyError::Io { verb: "write", path: path.into(), source })
}

/// The line in a key file; nothing if it is no text.
fn read_line(path: &Path) -> Result<String, KeyError> {
    let io = |source| KeyError::Io { verb: "read", path: path.into(), source };
    let text = std::fs::read(path).map_err(io)?;
    Ok(str::from_utf8(&text).map(str::trim).unwrap_or("").to_owned())
}

/// 32 bytes that nobody can foretell.
fn drawn() -> Result<[u8; 32], KeyError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|why| KeyError::Random(why.to_string()))?;
    Ok(bytes)
}

/// The bytes that 64 hexadecimal digits say.
pub(crate) fn digits(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    // A sign is no digit.
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (i, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * i..2 * i + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_never_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let (device, bundle) = (folder.path().join("a.key"), folder.path().join("b.key"));
        let key = Key::draw().unwrap();
        assert_ne!(key, Key::draw().unwrap());
        key.write(&device).unwrap();
        assert_eq!(Key::read(Some(&device)).unwrap(), key);
        Key::Bundle(key.bundle()).write(&bundle).unwrap();
        assert_eq!(Key::read(Some(&bundle)).unwrap(), Key::Bundle(key.bundle()));
        assert!(matches!(key.write(&device), Err(KeyError::Exists(_))));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&device).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(Key::read(None).unwrap(), Key::Software);
        assert!(matches!(Key::Bundle(key.bundle()).secret(Some(&bundle)), Err(KeyError::BundleOnly(_))));
    }

    #[test]
    fn other_files_are_no_keys() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("k");
        for text in ["", "arcgate device key 1: 12", "arcgate device key 2: ", "\u{fffd}"] {
            std::fs::write(&path, text).unwrap();
            assert!(matches!(Key::read(Some(&path)), Err(KeyError::NoKey(_))), "{text:?}");
        }
        for digits in ["é", "+1"] {
            std::fs::write(&path, format!("{DEVICE}{}", digits.repeat(32))).unwrap();
            assert!(matches!(Key::read(Some(&path)), Err(KeyError::NoKey(_))), "{digits}");
        }
        assert!(matches!(Key::read(Some(&folder.path().join("no"))), Err(KeyError::Io { .. })));
    }
}
