//! Keys that sign model images and people to enrol.
//!
//! ```text
//! arcgate update key 1: 64 hexadecimal digits             the private half, an Ed25519 seed: signs them
//! arcgate update public key 1: 64 hexadecimal digits      the public half, beside it in KEY.pub: what a board is built with
//! ```

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};

use arcgate_firmware::update::{DEVELOPMENT_SEED, SigningKey, UpdateKey};

use super::{KeyError, digits, drawn, read_line, write_new};
use crate::disk;
use crate::onnx::metadata::hex;

const PRIVATE: &str = "arcgate update key 1: ";
const PUBLIC: &str = "arcgate update public key 1: ";

/// Where the public half of the key in `path` lies.
pub fn public_path(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".pub");
    path.with_file_name(name)
}

/// Draws a key pair and writes its private half to `path`, its public half beside it.
///
/// # Errors
/// When one of the files is there already, the system says no or has no random bytes.
pub fn make(path: &Path) -> Result<UpdateKey, KeyError> {
    let (public_path, private) = (public_path(path), drawn()?);
    if public_path.exists() {
        return Err(KeyError::Exists(public_path));
    }
    let public = SigningKey::new(&private).public();
    write_new(&mut disk::private(), path, &format!("{PRIVATE}{}", hex(&private)))?;
    write_new(&mut OpenOptions::new(), &public_path, &format!("{PUBLIC}{}", hex(&public.0)))?;
    Ok(public)
}

/// The development key, which everybody has.
pub fn development() -> SigningKey {
    SigningKey::new(&DEVELOPMENT_SEED)
}

/// Reads the private half of a key.
///
/// # Errors
/// When it cannot be read or is none.
pub fn read(path: &Path) -> Result<SigningKey, KeyError> {
    let line = read_line(path)?;
    match line.strip_prefix(PRIVATE).and_then(digits) {
        Some(private) => Ok(SigningKey::new(&private)),
        None if line.starts_with(PUBLIC) => Err(KeyError::PublicOnly(path.into())),
        None => Err(KeyError::NoUpdateKey(path.into())),
    }
}

/// Reads the public half of a key.
///
/// # Errors
/// When it cannot be read or is none.
pub fn read_public(path: &Path) -> Result<UpdateKey, KeyError> {
    let line = read_line(path)?;
    let public = line.strip_prefix(PUBLIC).and_then(digits);
    public.map(UpdateKey).ok_or_else(|| KeyError::NoPublicKey(path.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_made_once_and_its_halves_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("update.key");
        let public = make(&path).unwrap();
        assert_eq!(read(&path).unwrap().public(), public);
        assert_eq!(read_public(&public_path(&path)).unwrap(), public);
        assert!(matches!(read_public(&path), Err(KeyError::NoPublicKey(_))));
        let beside = std::fs::read_to_string(folder.path().join("update.key.pub")).unwrap();
        assert_eq!(beside, format!("{PUBLIC}{}\n", hex(&public.0)));
        assert!(matches!(read(&public_path(&path)), Err(KeyError::PublicOnly(_))));
        assert!(matches!(make(&path), Err(KeyError::Exists(_))));
        let other = folder.path().join("other");
        std::fs::write(public_path(&other), "").unwrap();
        assert!(matches!(make(&other), Err(KeyError::Exists(path)) if path == public_path(&other)));
        assert!(!other.exists(), "half a pair");
        std::fs::write(&other, format!("{PRIVATE}12")).unwrap();
        assert!(matches!(read(&other), Err(KeyError::NoUpdateKey(_))));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
}
