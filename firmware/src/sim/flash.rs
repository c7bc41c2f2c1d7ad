//! A file as NOR flash. The same file is what `--to FILE` means on the host: a gallery file is a flash image.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash};

use crate::flash::nor::{MemoryNor, NorFault};
use crate::flash::{Alive, SlotFlash};

/// Bytes of a sector.
pub const ERASE: usize = 4096;

/// The write unit of the simulated flash.
const WRITE: usize = 4;

/// A flash whose contents are a file, kept in memory and written through; nobody else may open it meanwhile.
#[derive(Debug)]
pub struct FileFlash {
    file: File,
    nor: MemoryNor<Vec<u8>, WRITE, ERASE>,
    durable: bool,
}

/// Why a flash file failed.
#[derive(Debug)]
pub enum FlashError {
    /// The file system said no.
    Io(io::Error),
    /// Another process has it open.
    InUse,
    /// Its length is no whole number of sectors.
    Length {
        /// Its bytes.
        found: u64,
    },
    /// The rules of NOR flash were broken.
    Rule(NorFault),
}

impl std::fmt::Display for FlashError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            FlashError::Io(error) => write!(f, "{error}"),
            FlashError::InUse => write!(f, "another process has it open (a simulator?)"),
            FlashError::Length { found } => {
                write!(f, "{found} bytes are no flash image\n  accepted: a multiple of {ERASE} bytes, not 0")
            }
            FlashError::Rule(fault) => write!(f, "a rule of NOR flash was broken: {fault:?}"),
        }
    }
}

impl std::error::Error for FlashError {}

impl NorFlashError for FlashError {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            FlashError::Rule(fault) => fault.kind(),
            _ => NorFlashErrorKind::Other,
        }
    }
}

impl From<io::Error> for FlashError {
    fn from(error: io::Error) -> Self {
        FlashError::Io(error)
    }
}

impl From<NorFault> for FlashError {
    fn from(fault: NorFault) -> Self {
        FlashError::Rule(fault)
    }
}

impl FileFlash {
    /// Opens `path`.
    ///
    /// # Errors
    /// When it cannot be read and written, is open elsewhere, or has a length that no flash has.
    pub fn open(path: &Path) -> Result<Self, FlashError> {
        let mut file = OpenOptions::new().read(true).write(true).open(path)?;
        lock(&file)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        if bytes.is_empty() || !bytes.len().is_multiple_of(ERASE) {
            return Err(FlashError::Length { found: bytes.len() as u64 });
        }
        Ok(FileFlash { file, nor: MemoryNor::new(bytes), durable: false })
    }

    /// Makes `path`, erased, of `sectors` sectors.
    ///
    /// # Errors
    /// When it exists already or cannot be written.
    pub fn create(path: &Path, sectors: usize) -> Result<Self, FlashError> {
        let mut file = OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
        lock(&file)?;
        let bytes = vec![0xff; sectors.max(1) * ERASE];
        file.write_all(&bytes)?;
        Ok(FileFlash { file, nor: MemoryNor::new(bytes), durable: false })
    }

    /// Opens `path`, or makes it with `sectors` sectors when there is no such file.
    ///
    /// # Errors
    /// As [`FileFlash::open`] and [`FileFlash::create`].
    pub fn open_or_create(path: &Path, sectors: usize) -> Result<Self, FlashError> {
        if path.exists() { Self::open(path) } else { Self::create(path, sectors) }
    }

    /// The same flash, whose writes and erases have reached the disk when they return: for a computer whose power may go.
    pub fn durable(self) -> Self {
        FileFlash { durable: true, ..self }
    }

    fn write_through(&mut self, from: u32, to: u32) -> Result<(), FlashError> {
        self.file.seek(SeekFrom::Start(from as u64))?;
        self.file.write_all(&self.nor.bytes()[from as usize..to as usize])?;
        if self.durable {
            self.file.sync_data()?;
        }
        Ok(())
    }
}

fn lock(file: &File) -> Result<(), FlashError> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(std::fs::TryLockError::WouldBlock) => Err(FlashError::InUse),
        Err(std::fs::TryLockError::Error(error)) => Err(error.into()),
    }
}

impl ErrorType for FileFlash {
    type Error = FlashError;
}

impl ReadNorFlash for FileFlash {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), FlashError> {
        Ok(self.nor.read(offset, bytes)?)
    }

    fn capacity(&self) -> usize {
        self.nor.capacity()
    }
}

impl NorFlash for FileFlash {
    const WRITE_SIZE: usize = WRITE;
    const ERASE_SIZE: usize = ERASE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), FlashError> {
        self.nor.erase(from, to)?;
        self.write_through(from, to)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FlashError> {
        self.nor.write(offset, bytes)?;
        self.write_through(offset, offset + bytes.len() as u32)
    }
}

impl Alive for FileFlash {}

impl SlotFlash for FileFlash {
    fn bytes(&self) -> &[u8] {
        self.nor.bytes()
    }
}
