//! Which key signs: model images, and people to enrol.

use std::path::PathBuf;

use arcgate_firmware::update::SigningKey;

use crate::keys::update;

/// Which key signs.
#[derive(clap::Args, Debug)]
#[group(id = "signer", multiple = false)]
pub struct SignerArg {
    /// The private half of the key that signs it (`arcgate keys update`).
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// Sign with the development key, which everybody has: for boards that are built to take it.
    #[arg(long)]
    development: bool,
}

impl SignerArg {
    /// The key.
    ///
    /// # Errors
    /// When neither was named, or the file cannot be read or is no private half.
    pub fn read(&self) -> anyhow::Result<SigningKey> {
        match &self.key {
            Some(path) => Ok(update::read(path)?),
            None if self.development => Ok(update::development()),
            None => anyhow::bail!(
                "no key signs it\n  accepted: --key FILE (`arcgate keys update`), or --development"
            ),
        }
    }
}
