//! What a built firmware takes and has room for, from its ELF file.

use std::path::Path;

use arcgate_firmware::device::{MANIFEST_BYTES, MANIFEST_SYMBOL, Manifest};
use object::elf::{PF_W, PT_LOAD};
use object::read::elf::{ElfFile32, ProgramHeader};
use object::{Endianness, Object, ObjectSection, ObjectSymbol};

/// A firmware as the linker made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Firmware {
    /// Bytes of flash from its first to its last, initial values of variables with them. What a boot loader copies into RAM, and so is
    /// linked to run there, counts by itself.
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
        // Runtimes of RISC-V give all RAM that is left to a section of this name.
        let stack = elf.section_by_name(".stack").map(|section| (section.address(), section.size()));
        let (mut flash, mut ram) = (Vec::new(), Span::default());
        for segment in elf.elf_program_headers().iter().filter(|s| s.p_type(endian) == PT_LOAD) {
            flash.push((segment.p_paddr(endian), segment.p_filesz(endian)));
            if segment.p_flags(endian).contains(PF_W) {
                let (begin, bytes) = (segment.p_vaddr(endian), segment.p_memsz(endian));
                let end = u64::from(begin) + u64::from(bytes);
                let left = stack.filter(|&(begin, bytes)| begin + bytes == end).map_or(0, |(_, bytes)| bytes);
                ram.add(begin, bytes.saturating_sub(left as u32));
            }
        }
        Ok(Firmware { flash: stored(flash, manifest.flash), ram: ram.bytes(), manifest })
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

/// Bytes of flash that segments, each an address and a length, take: from the first to the last, but not over a gap as large as a
/// flash of `chip` bytes, behind which no flash goes on.
fn stored(mut segments: Vec<(u32, u32)>, chip: u32) -> usize {
    segments.sort_unstable();
    let mut spans = vec![Span::default()];
    for (start, bytes) in segments.into_iter().filter(|&(_, bytes)| bytes > 0) {
        let last = spans.last_mut().filter(|span| !span.ends_before(start, chip));
        match last {
            Some(span) => span.add(start, bytes),
            None => spans.push(Span(Some((start.into(), u64::from(start) + u64::from(bytes))))),
        }
    }
    spans.iter().map(Span::bytes).sum()
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

    /// Whether `gap` bytes or more lie between it and `start`.
    fn ends_before(&self, start: u32, gap: u32) -> bool {
        self.0.is_some_and(|(_, end)| u64::from(start) >= end + u64::from(gap))
    }

    fn bytes(&self) -> usize {
        self.0.map_or(0, |(first, last)| (last - first) as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Addresses and lengths.
    type Segments = Vec<(u32, u32)>;

    #[test]
    fn flash_is_counted_over_small_gaps_and_not_from_chip_to_chip() {
        let cases: [(&str, Segments, usize); 5] = [
            ("nothing", vec![(0x2000_0000, 0)], 0),
            ("in a row", vec![(0x100, 0x40), (0, 0x100)], 0x140),
            ("a gap", vec![(0, 0x100), (0x8_0000, 0x10)], 0x8_0010),
            ("what is copied to RAM", vec![(0x4200_0020, 0x1000), (0x4080_0000, 0x300)], 0x1300),
            ("the end of the address space", vec![(0xffff_f000, 0xfff)], 0xfff),
        ];
        for (name, segments, bytes) in cases {
            assert_eq!(stored(segments, 4 << 20), bytes, "{name}");
        }
    }
}
