//! Files that must not be lost: written beside their place first, never over what a command reads.

use std::io::Write;
use std::path::{Path, PathBuf};

/// Writes `bytes` to `path` so that a cut, of the program or of the power, leaves the old file or the new one.
///
/// # Errors
/// When the file system says no.
pub fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    replace_with(path, bytes, std::fs::OpenOptions::new())
}

/// As [`replace`], a file that its owner alone can read.
///
/// # Errors
/// As [`replace`].
pub fn replace_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    replace_with(path, bytes, private())
}

/// Options that make a file for its owner alone.
pub fn private() -> std::fs::OpenOptions {
    let options = std::fs::OpenOptions::new();
    #[cfg(unix)]
    let options = {
        let mut options = options;
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options
    };
    options
}

fn replace_with(path: &Path, bytes: &[u8], mut options: std::fs::OpenOptions) -> std::io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".tmp");
    let part = path.with_file_name(name);
    // One that a cut has left may be for others to read.
    match std::fs::remove_file(&part) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let mut file = options.write(true).create_new(true).open(&part)?;
    file.write_all(bytes)?;
    // Renamed before its bytes are down, a file can come back empty after a power cut.
    file.sync_all()?;
    std::fs::rename(&part, path)
}

/// The first of `inputs` that is the same file as `output`, whatever way its path takes.
pub fn same_file<'a>(output: &Path, inputs: impl IntoIterator<Item = &'a PathBuf>) -> Option<&'a PathBuf> {
    let place = |path: &Path| path.canonicalize().ok();
    let output = place(output)?;
    inputs.into_iter().find(|input| place(input).is_some_and(|input| input == output))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_new_bytes_take_the_place_and_leave_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.plan");
        replace(&path, b"old").unwrap();
        replace(&path, b"new").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(replace(&folder.path().join("no/such/folder.plan"), b"").is_err());
    }

    #[cfg(unix)]
    #[test]
    fn a_private_file_is_its_owners_whatever_was_left_beside_it() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let [path, part] = ["a.key", "a.key.tmp"].map(|name| folder.path().join(name));
        std::fs::write(&part, b"of before").unwrap();
        std::fs::set_permissions(&part, std::fs::Permissions::from_mode(0o644)).unwrap();
        replace_private(&path, b"key").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"key");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        // A link leads nowhere.
        std::os::unix::fs::symlink(folder.path().join("elsewhere"), &part).unwrap();
        replace_private(&path, b"next").unwrap();
        assert!(!folder.path().join("elsewhere").exists());
    }

    #[test]
    fn the_same_file_by_another_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        std::fs::write(&path, b"").unwrap();
        std::fs::create_dir(folder.path().join("sub")).unwrap();
        let other = folder.path().join("sub").join("..").join("a.png");
        assert_eq!(same_file(&other, [&path]), Some(&path));
        assert_eq!(same_file(&folder.path().join("b.png"), [&path]), None);
    }
}
