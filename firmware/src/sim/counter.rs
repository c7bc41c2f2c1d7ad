//! A counter in a file of its own, beside the flash's: what is put back with the flash alone is noticed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::gallery::Monotonic;

/// A counter whose count is a file of four bytes, little-endian.
#[derive(Debug)]
pub struct FileCounter {
    path: PathBuf,
    count: u32,
}

impl FileCounter {
    /// The counter in `path`; at 0 when there is no such file.
    ///
    /// # Errors
    /// When the file cannot be read or is no counter.
    pub fn open(path: &Path) -> io::Result<Self> {
        let count = match fs::read(path) {
            Ok(bytes) => {
                let count = bytes.as_slice().try_into().map_err(|_| {
                    let why = format!("a counter has 4 bytes, this file has {}", bytes.len());
                    io::Error::new(io::ErrorKind::InvalidData, why)
                })?;
                u32::from_le_bytes(count)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(error),
        };
        Ok(FileCounter { path: path.into(), count })
    }
}

impl Monotonic for FileCounter {
    const PRESENT: bool = true;

    fn read(&mut self) -> Option<u32> {
        Some(self.count)
    }

    fn advance(&mut self, to: u32) -> bool {
        if to <= self.count {
            return to == self.count;
        }
        // Whole or not at all.
        let new = self.path.with_extension("new");
        let written = fs::write(&new, to.to_le_bytes()).and_then(|()| fs::rename(&new, &self.path));
        if written.is_ok() {
            self.count = to;
        }
        written.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gallery::{Binding, Gallery, GalleryError, Owned};
    use crate::secret::SoftwareSecret;
    use crate::sim::FileFlash;

    #[test]
    fn a_file_that_is_put_back_without_its_counter_is_refused() {
        let folder = std::env::temp_dir().join(format!("arcgate-counter-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let (flash, counter, old) = (folder.join("flash"), folder.join("counter"), folder.join("old"));
        let open = || -> Gallery<FileFlash, Owned, FileCounter> {
            let model = Binding { embedding_id: [7; 32], dimension: 4 };
            let secret = SoftwareSecret::default();
            let nor = FileFlash::open_or_create(&flash, 4).unwrap();
            Gallery::open_with(nor, model, Owned::new(64, 0), &secret, FileCounter::open(&counter).unwrap())
        };
        let mut gallery = open();
        gallery.format().unwrap();
        let ada = gallery.enroll("Ada", &[&[1, 2, 3, 4]]).unwrap();
        drop(gallery);
        fs::copy(&flash, &old).unwrap();
        let mut gallery = open();
        assert_eq!(gallery.state(), Ok(()));
        gallery.remove(ada).unwrap();
        drop(gallery);
        assert_eq!(open().state(), Ok(()));
        fs::copy(&old, &flash).unwrap();
        assert_eq!(open().state(), Err(GalleryError::Rollback { gallery: 2, counter: 3 }));
        fs::remove_dir_all(&folder).unwrap();
    }
}
