//! The devices that this computer is paired with: a file that its owner alone can read.
//!
//! ```toml
//! [[device]]
//! identity = "..."        # 64 hexadecimal digits: the device's public key, whatever port it is on
//! host = 21077            # this computer's number there
//! role = "administrator"
//! key = "..."             # 64 hexadecimal digits: what both know and nobody else
//! label = "ada@desk"      # what this computer called itself
//! target = "tcp:gate:1"   # where it was paired: nobody there is believed who says that the link is open
//! ```

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use arcgate_firmware::bundle::PublicKey;
use arcgate_firmware::pairings::{Label, Pairing, Role};
use serde::{Deserialize, Serialize};

use super::Target;
use crate::disk;
use crate::keys::digits;
use crate::onnx::metadata::hex;

/// The environment variable that names the file.
pub const VARIABLE: &str = "ARCGATE_KEYS";

/// Why the keys of devices cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DevicesError {
    /// The file as a file.
    #[error("cannot {verb} {}", path.display())]
    Io {
        /// What was tried.
        verb: &'static str,
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is not what this program writes.
    #[error("{} does not hold keys of devices: {why}\n  accepted: what `arcgate device pair` writes", path.display())]
    Malformed {
        /// Which.
        path: PathBuf,
        /// Where and what.
        why: String,
    },
    /// Others may read it.
    #[error("{} can be read by others, and whoever has its keys has the devices\n  accepted: chmod 600", .0.display())]
    Readable(PathBuf),
    /// There is no place for it.
    #[error(
        "no place for the keys of devices\n  accepted: --keys FILE, {VARIABLE}, or a home directory (HOME)"
    )]
    NoPlace,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    device: Vec<Entry>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    identity: String,
    host: u16,
    role: Role,
    key: String,
    label: Label,
    /// None in files of before it was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    target: Option<String>,
}

/// The keys, and the file that they are in.
#[derive(Debug)]
pub struct Devices {
    path: PathBuf,
    entries: Vec<Entry>,
}

static CHOSEN: OnceLock<PathBuf> = OnceLock::new();

impl Devices {
    /// Chooses the file of this process (`--keys`); the first choice stays.
    pub fn choose(path: PathBuf) {
        // A second choice in one process is another program's test.
        let _ = CHOSEN.set(path);
    }

    /// Opens the file that was chosen; else the one that [`VARIABLE`] names; else `arcgate/devices.toml` where configuration lies
    /// (`XDG_CONFIG_HOME`, by default `~/.config`). Without a file, no device is known.
    ///
    /// # Errors
    /// When there is no place for one, or what is there cannot be used.
    pub fn open() -> Result<Self, DevicesError> {
        let path = match CHOSEN.get() {
            Some(path) => path.clone(),
            None => place(|name| std::env::var_os(name)).ok_or(DevicesError::NoPlace)?,
        };
        Self::read(&path)
    }

    /// Opens this file.
    ///
    /// # Errors
    /// When it is there and cannot be used.
    pub fn read(path: &Path) -> Result<Self, DevicesError> {
        let io = |source| DevicesError::Io { verb: "read", path: path.into(), source };
        let text = match std::fs::read_to_string(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return Ok(Devices { path: path.into(), entries: Vec::new() });
            }
            read => read.map_err(io)?,
        };
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            if std::fs::metadata(path).map_err(io)?.permissions().mode() & 0o077 != 0 {
                return Err(DevicesError::Readable(path.into()));
            }
        }
        let malformed = |why: String| DevicesError::Malformed { path: path.into(), why };
        // Not its message, which quotes the line: a key may be on it.
        let at = |e: toml::de::Error| {
            let line = e.span().map_or(0, |span| text[..span.start].matches('\n').count() + 1);
            malformed(format!("line {line}"))
        };
        let File { device: entries } = toml::from_str(&text).map_err(at)?;
        let bad = |entry: &&Entry| digits(&entry.identity).is_none() || digits(&entry.key).is_none();
        match entries.iter().position(|entry| bad(&entry)) {
            Some(at) => {
                Err(malformed(format!("device {} has a key that is not 64 hexadecimal digits", at + 1)))
            }
            None => Ok(Devices { path: path.into(), entries }),
        }
    }

    /// What this computer shares with the device.
    pub fn get(&self, identity: &PublicKey) -> Option<Pairing> {
        let entry = self.entries.iter().find(|entry| digits(&entry.identity).as_ref() == Some(identity))?;
        let Entry { host, role, ref label, ref key, .. } = *entry;
        Some(Pairing { host, role, key: digits(key)?, label: label.clone() })
    }

    /// The first digits of the identity of a device that was paired there.
    pub fn paired_at(&self, target: &Target) -> Option<String> {
        let target = Some(target.to_string());
        let entry = self.entries.iter().find(|entry| entry.target == target)?;
        digits(&entry.identity).as_ref().map(short)
    }

    /// Keeps what was agreed on with a device, in place of what was before. What other programs have kept since this was opened stays.
    ///
    /// # Errors
    /// When the file cannot be used; then it is as it was.
    pub fn keep(
        &mut self,
        identity: &PublicKey,
        pairing: &Pairing,
        target: &Target,
    ) -> Result<(), DevicesError> {
        let Pairing { host, role, key, label } = pairing;
        let identity = hex(identity);
        self.entries = Self::read(&self.path)?.entries;
        self.entries.retain(|entry| entry.identity != identity);
        let (key, label, target) = (hex(key), label.clone(), Some(target.to_string()));
        // Another device is there now.
        self.entries.iter_mut().filter(|entry| entry.target == target).for_each(|entry| entry.target = None);
        self.entries.push(Entry { identity, host: *host, role: *role, key, label, target });
        self.write()
    }

    /// Forgets a device.
    ///
    /// # Errors
    /// As [`Devices::keep`].
    pub fn forget(&mut self, identity: &PublicKey) -> Result<(), DevicesError> {
        let identity = hex(identity);
        self.entries = Self::read(&self.path)?.entries;
        self.entries.retain(|entry| entry.identity != identity);
        self.write()
    }

    /// Where they are kept.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn write(&self) -> Result<(), DevicesError> {
        let io = |verb| move |source| DevicesError::Io { verb, path: self.path.clone(), source };
        let file = File { device: self.entries.clone() };
        let text = toml::to_string(&file).map_err(|e| io("write")(io::Error::other(e)))?;
        if let Some(folder) = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(io("make the folder of"))?;
        }
        disk::replace_private(&self.path, text.as_bytes()).map_err(io("write"))
    }
}

/// Where the file lies by these environment variables.
fn place(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let set = |name| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set(VARIABLE).or_else(|| {
        let folder = set("XDG_CONFIG_HOME").or_else(|| Some(set("HOME")?.join(".config")))?;
        Some(folder.join("arcgate").join("devices.toml"))
    })
}

/// What a person tells a device by: the first digits of its identity.
pub fn short(identity: &PublicKey) -> String {
    hex(&identity[..6])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairing(host: u16) -> Pairing {
        let label = Label::try_from("ada@desk").unwrap();
        Pairing { host, role: Role::Administrator, key: [host as u8; 32], label }
    }

    #[test]
    fn what_is_kept_is_found_by_the_device_and_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/in/devices.toml");
        let [gate, side] = ["tcp:gate:7700", "/dev/ttyACM0"].map(|word| word.parse::<Target>().unwrap());
        let mut devices = Devices::read(&path).unwrap();
        assert!(devices.get(&[1; 32]).is_none() && devices.paired_at(&gate).is_none());
        devices.keep(&[1; 32], &pairing(1), &side).unwrap();
        // Another program, meanwhile.
        Devices::read(&path).unwrap().keep(&[2; 32], &pairing(2), &side).unwrap();
        devices.keep(&[1; 32], &pairing(3), &gate).unwrap();
        let mut again = Devices::read(&path).unwrap();
        assert_eq!(again.paired_at(&gate), Some("010101010101".into()));
        assert_eq!(again.paired_at(&side), Some("020202020202".into()));
        again.keep(&[2; 32], &pairing(2), &gate).unwrap();
        assert_eq!((again.paired_at(&gate), again.paired_at(&side)), (Some("020202020202".into()), None));
        assert_eq!(again.get(&[1; 32]), Some(pairing(3)));
        assert_eq!(again.get(&[2; 32]), Some(pairing(2)));
        again.forget(&[2; 32]).unwrap();
        assert_eq!(Devices::read(&path).unwrap().get(&[2; 32]), None);
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_reads_it() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("devices.toml");
        let port = "COM3".parse().unwrap();
        Devices::read(&path).unwrap().keep(&[1; 32], &pairing(1), &port).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(Devices::read(&path), Err(DevicesError::Readable(_))));
    }

    #[test]
    fn what_is_wrong_is_said_without_a_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("devices.toml");
        let good = format!(
            "[[device]]\nidentity = \"{0}\"\nhost = 1\nrole = \"operator\"\nkey = \"{0}\"\nlabel = \"\"\n",
            "5a".repeat(32)
        );
        let read = |text: &str| {
            disk::replace_private(&path, text.as_bytes()).unwrap();
            Devices::read(&path).map(|_| ()).map_err(|e| e.to_string())
        };
        assert_eq!(read(&good), Ok(()));
        assert_eq!(read(""), Ok(()));
        for (what, by) in
            [("host = 1", "host = 65536"), ("\"operator\"", "\"owner\""), ("key = \"5a", "key = \"5")]
        {
            let said = read(&good.replace(what, by)).unwrap_err();
            assert!(said.contains("devices.toml") && !said.contains("5a5a"), "{said}");
        }
    }

    #[test]
    fn the_place_is_the_first_that_is_named() {
        let of = |set: &[(&str, &str)]| {
            place(|name| set.iter().find(|(n, _)| *n == name).map(|(_, value)| value.into()))
        };
        let (keys, home) = (("ARCGATE_KEYS", "/k"), ("HOME", "/h"));
        let [folder, nowhere] = ["/x", ""].map(|value| ("XDG_CONFIG_HOME", value));
        let cases = [
            (&[keys, folder, home][..], Some("/k")),
            (&[folder, home], Some("/x/arcgate/devices.toml")),
            (&[home], Some("/h/.config/arcgate/devices.toml")),
            (&[nowhere, home], Some("/h/.config/arcgate/devices.toml")),
            (&[], None),
        ];
        for (set, expected) in cases {
            assert_eq!(of(set).as_deref(), expected.map(Path::new), "{set:?}");
        }
    }
}
