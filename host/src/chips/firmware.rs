//! What a built firmware takes and has room for, from its ELF file.

use std::path::Path;

use arcgate_firmware::device::{MANIFEST_BYTES, MANIFEST_SYMBOL, Manifest};
use object::elf::{PF_W, PT_LOAD};
use object::read::elf::{ElfFile32, ProgramHeader};
use object::{Endianness, Object, ObjectSection, ObjectSymbol};

/// A firmware as the linker made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Firmware {
    /// Bytes of flash from its first to its last, initial values of variables with them.
    pub flash: usize,
    /// Bytes of RAM of its variables; the stack comes on top.
    pub ram: usize,
    /// What it has room for.
    pub manifest: Manifest,
}

/// Why a file is no firmware that can be told about.
#[derive(Debug, thiserror::Error)]
pub enum FirmwareError {
    /// It cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// Which file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// It is no ELF file for a 32-bit core.
    #[error("{path} is no ELF file of a 32-bit core: {why}")]
    Elf {
        /// Which file.
        path: String,
        /// Why.
        why: String,
    },
    /// It says nothing of itself.
    #[error(
        "{path} has no {MANIFEST_SYMBOL} that this program can read: it is no firmware of arcgate's, or of another version"
    )]
    Manifest {
        /// Which file.
        path: String,
    },
}

impl Firmware {
    /// Reads the ELF file at `path`.
    ///
    /// # Errors
    /// When it is none, or holds no manifest.
    pub fn read(path: &Path) -> Result<Self, FirmwareError> {
        let name = || path.display().to_string();
        let bytes = std::fs::read(path).map_err(|source| FirmwareError::Read { path: name(), source })?;
        let elf = ElfFile32::<Endianness>::parse(&*bytes);
        let elf = elf.map_err(|e| FirmwareError::Elf { path: name(), why: e.to_string() })?;
        let manifest = manifest(&elf).ok_or_else(|| FirmwareError::Manifest { path: name() })?;
        let endian = elf.endian();
        let (mut flash, mut ram) = (Span::default(), Span::default());
        for segment in elf.elf_program_headers().iter().filter(|s| s.p_type(endian) == PT_LOAD) {
            flash.add(segment.p_paddr(endian), segment.p_filesz(endian));
            if segment.p_flags(endian).contains(PF_W) {
                ram.add(segment.p_vaddr(endian), segment.p_memsz(endian));
            }
        }
        Ok(Firmware { flash: flash.bytes(), ram: ram.bytes(), manifest })
    }
}

/// The bytes of the manifest's symbol.
fn manifest(elf: &ElfFile32<'_>) -> Option<Manifest> {
    let symbol = elf.symbol_by_name(MANIFEST_SYMBOL)?;
    let section = elf.section_by_index(symbol.section_index()?).ok()?;
    let at = symbol.address().checked_sub(section.address())?;
    let bytes = section.data().ok()?.get(usize::try_from(at).ok()?..)?;
    Manifest::from_bytes(bytes.first_chunk::<MANIFEST_BYTES>()?)
}

/// From the first of some bytes to the last.
#[derive(Debug, Default)]
struct Span(Option<(u64, u64)>);

impl Span {
    fn add(&mut self, start: u32, bytes: u32) {
        let (start, end) = (u64::from(start), u64::from(start) + u64::from(bytes));
        if bytes > 0 {
            self.0 = Some(self.0.map_or((start, end), |(first, last)| (first.min(start), last.max(end))));
        }
    }

    fn bytes(&self) -> usize {
        self.0.map_or(0, |(first, last)| (last - first) as usize)
    }
}
