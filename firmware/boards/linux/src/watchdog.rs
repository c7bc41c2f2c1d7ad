//! The kernel's watchdog.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use arcgate_firmware::board::Watchdog;

/// The least time between two feedings; the kernel's drivers wait for a minute or so.
const EVERY: Duration = Duration::from_secs(1);

/// A watchdog device, or none. Only [`Dog::disarm`] disarms it: a program that ends otherwise leaves it to restart the board.
pub struct Dog {
    device: Option<File>,
    fed: Option<Instant>,
}

impl Dog {
    /// Opens it, which arms it.
    ///
    /// # Errors
    /// When it cannot be written to.
    pub fn open(path: Option<&Path>) -> anyhow::Result<Self> {
        let open = |path: &Path| {
            OpenOptions::new()
                .write(true)
                .open(path)
                .with_context(|| format!("the watchdog {}", path.display()))
        };
        Ok(Dog { device: path.map(open).transpose()?, fed: None })
    }

    /// The program is to end.
    pub fn disarm(mut self) {
        // Documentation/watchdog/watchdog-api.rst, "magic close".
        self.write(b'V');
    }

    fn write(&mut self, byte: u8) {
        // Not fed, it restarts the board.
        let _ = self.device.as_mut().map(|device| device.write_all(&[byte]));
    }
}

impl Watchdog for Dog {
    fn feed(&mut self) {
        let now = Instant::now();
        if self.fed.is_none_or(|fed| now.duration_since(fed) >= EVERY) {
            self.fed = Some(now);
            self.write(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_fed_once_a_second_and_disarmed_at_the_end_in_order_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("watchdog");
        std::fs::write(&path, []).unwrap();
        let mut dog = Dog::open(Some(&path)).unwrap();
        (0..1000).for_each(|_| dog.feed());
        assert_eq!(std::fs::read(&path).unwrap(), [0]);
        dog.disarm();
        assert_eq!(std::fs::read(&path).unwrap(), [0, b'V']);
        std::fs::write(&path, []).unwrap();
        drop(Dog::open(Some(&path)).unwrap());
        assert!(std::fs::read(&path).unwrap().is_empty());
        assert!(Dog::open(Some(&folder.path().join("none"))).is_err());
    }
}
