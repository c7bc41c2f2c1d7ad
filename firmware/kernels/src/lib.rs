//! The int8 kernels: what an engine and a gallery's search spend their time on. [`scalar`] is the definition; whatever else comes
//! here must equal it to the byte.
//!
//! A package of its own, which knows of no model, plan or gallery: boards compile it for speed and all else for size.
//!
//! Activations are HWC: rows from top to bottom, pixels from left to right, the channels of a pixel side by side. Every
//! inner loop therefore runs over contiguous int8 values, which is what compilers and SIMD units want.
#![cfg_attr(not(any(feature = "std", test)), no_std)]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

#[cfg(all(feature = "std", target_arch = "aarch64"))]
pub mod aarch64;
pub mod dot;
pub mod dsp;
mod isa;
pub mod mve;
#[cfg(all(test, feature = "std", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod native_tests;
#[cfg(test)]
mod numbers;
pub mod packing;
pub mod portable;
pub mod requant;
#[cfg(test)]
mod riscv_tests;
mod rv32;
#[cfg(any(riscv_rvv, test))]
mod rvv;
pub mod scalar;
#[cfg(test)]
mod values_tests;
mod window;
#[cfg(all(feature = "std", target_arch = "x86_64"))]
pub mod x86;

pub use isa::Isa;

/// Rows, columns and channels of an activation in HWC order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Shape {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Values of one pixel.
    pub channels: usize,
}

impl Shape {
    /// Bytes of the activation.
    pub const fn bytes(self) -> usize {
        self.height * self.width * self.channels
    }
}

/// How a kernel slides over its input. `[rows, columns]` throughout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Window {
    /// Taps.
    pub kernel: [usize; 2],
    /// Input pixels from one output pixel to the next.
    pub stride: [usize; 2],
    /// Input pixels that the first window reaches beyond the top and the left edge. The other two edges follow from the
    /// output's shape. What lies outside stands for real zero.
    pub pad: [usize; 2],
}

/// `bytes` as the int8 values that they are.
pub fn as_i8(bytes: &[u8]) -> &[i8] {
    // SAFETY: u8 and i8 have the same size, alignment and valid bit patterns, and the lifetime is that of the borrow.
    unsafe { core::slice::from_raw_parts(bytes.as_ptr().cast(), bytes.len()) }
}

/// `bytes` as the int8 values that they are, to write.
pub fn as_i8_mut(bytes: &mut [u8]) -> &mut [i8] {
    // SAFETY: as in `as_i8`; the exclusive borrow passes on.
    unsafe { core::slice::from_raw_parts_mut(bytes.as_mut_ptr().cast(), bytes.len()) }
}

/// Little-endian 32-bit words in flash, read one by one at any alignment.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Words<'p>(&'p [[u8; 4]]);

impl<'p> Words<'p> {
    /// The words in `bytes`; bytes beyond the last whole word are left out.
    pub fn new(bytes: &'p [u8]) -> Self {
        Words(bytes.as_chunks().0)
    }

    /// How many.
    pub fn len(self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// All words as integers in memory; `None` where they lie at no multiple of 4, or not in this machine's byte order.
    fn aligned(self) -> Option<&'p [i32]> {
        // SAFETY: every bit pattern is an i32.
        let (before, words, _) = unsafe { self.0.as_flattened().align_to::<i32>() };
        (cfg!(target_endian = "little") && before.is_empty()).then_some(words)
    }

    /// All words as integers.
    pub fn integers(self) -> impl Iterator<Item = i32> + Clone + 'p {
        self.0.iter().map(|&word| i32::from_le_bytes(word))
    }

    /// All words as floats.
    pub fn floats(self) -> impl Iterator<Item = f32> + Clone + 'p {
        self.0.iter().map(|&word| f32::from_le_bytes(word))
    }

    /// The words from `first` on, at most `count`.
    pub fn part(self, first: usize, count: usize) -> Self {
        let tail = self.0.get(first..).unwrap_or_default();
        Words(&tail[..count.min(tail.len())])
    }
}

/// Cases of a proptest: as many as it asks for, or the few that an interpreter gets through.
#[cfg(test)]
fn cases(asked: u32) -> proptest::test_runner::Config {
    proptest::test_runner::Config::with_cases(if cfg!(miri) { asked.min(2) } else { asked })
}
