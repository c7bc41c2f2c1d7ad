//! What a firmware says of itself in its ELF file, so that a host can tell before flashing whether a model fits.

/// What a manifest begins with.
pub const MANIFEST_MAGIC: [u8; 8] = *b"ARCBOARD";

/// The version of the manifest's layout.
pub const MANIFEST_VERSION: u32 = 1;

/// Bytes of a [`Manifest`].
pub const MANIFEST_BYTES: usize = 40;

/// The name of the symbol under which a firmware keeps its manifest.
pub const MANIFEST_SYMBOL: &str = "ARCGATE_MANIFEST";

/// The room that a board has for a model. All numbers are bytes, little-endian in the ELF file behind magic and version.
///
/// A board keeps one where no linker throws it away:
///
/// ```text
/// #[used]
/// #[unsafe(no_mangle)]
/// static ARCGATE_MANIFEST: [u8; MANIFEST_BYTES] = Manifest { .. }.to_bytes();
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Manifest {
    /// Flash that programs and models share.
    pub flash: u32,
    /// Of that, what the largest plan may take.
    pub plan: u32,
    /// RAM, all of it.
    pub ram: u32,
    /// Of that, the arena.
    pub arena: u32,
    /// Of that, the crop.
    pub crop: u32,
    /// The most stack that the firmware takes, measured by painting it while it did all that it can do, and a little more.
    pub stack: u32,
    /// What the weights of a plan may be packed for; see [`crate::engine::plan::Header`]. 0: nothing in particular.
    pub target: u32,
}

impl Manifest {
    /// As it stands in the ELF file.
    pub const fn to_bytes(self) -> [u8; MANIFEST_BYTES] {
        let Manifest { flash, plan, ram, arena, crop, stack, target } = self;
        let words = [MANIFEST_VERSION, flash, plan, ram, arena, crop, stack, target];
        let mut bytes = [0; MANIFEST_BYTES];
        let mut at = 0;
        while at < MANIFEST_BYTES {
            bytes[at] =
                if at < 8 { MANIFEST_MAGIC[at] } else { words[(at - 8) / 4].to_le_bytes()[(at - 8) % 4] };
            at += 1;
        }
        bytes
    }

    /// Reads one; `None` when it begins otherwise or has another version.
    pub fn from_bytes(bytes: &[u8; MANIFEST_BYTES]) -> Option<Self> {
        let words: [u32; 8] = core::array::from_fn(|i| {
            u32::from_le_bytes(core::array::from_fn(|byte| bytes[8 + 4 * i + byte]))
        });
        let [version, flash, plan, ram, arena, crop, stack, target] = words;
        let known = bytes.starts_with(&MANIFEST_MAGIC) && version == MANIFEST_VERSION;
        known.then_some(Manifest { flash, plan, ram, arena, crop, stack, target })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_was_written() {
        let manifest = Manifest { flash: 1, plan: 2, ram: 3, arena: 4, crop: 5, stack: 6, target: 7 << 24 };
        let bytes = manifest.to_bytes();
        assert_eq!(Manifest::from_bytes(&bytes), Some(manifest));
        for wrong in [0, 8] {
            let mut other = bytes;
            other[wrong] ^= 1;
            assert_eq!(Manifest::from_bytes(&other), None);
        }
    }
}
