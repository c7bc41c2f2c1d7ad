//! Dot products of one probe with the many templates of a gallery in RAM: what a search spends its time on.
//!
//! Templates lie one after the other, each in a row of whole [`Line`]s. A kernel reads the rows once, from the first to the
//! last, and stops only where a product exceeds a bound, so that a search ranks the few that matter and no others.
//! [`Kernel::Scalar`] is the definition; every other kernel finds the same rows and the same products.
//!
//! # A row
//!
//! The template's values, then zeros. Values at even places are stored with 128 added, as u8; those at odd places as they
//! are, as i8. Read as a little-endian i16, two values `(e, o)` are then `256 o + (e + 128)`, and for probe values `(p, q)`
//!
//! ```text
//! (256 o + (e + 128)) q + (e + 128) (256 p - q) = 256 (o q + (e + 128) p)
//! ```
//!
//! so cores that multiply pairs of 16 bits need one instruction to unpack four values, not two, and cores that multiply u8
//! by i8 one to make all of them u8. The 128 that were added leave with a sum over the probe, made once a search.

#[cfg(all(target_arch = "aarch64", feature = "std"))]
mod aarch64;
#[cfg(any(all(arm_dsp, not(arm_mve)), test))]
mod dsp;
#[cfg(any(target_arch = "riscv32", all(target_arch = "aarch64", feature = "std"), test))]
mod groups;
#[cfg(arm_mve)]
mod mve;
#[cfg(any(target_arch = "riscv32", test))]
mod rv32;
#[cfg(riscv_rvv)]
mod rvv;
#[cfg(test)]
mod tests;
#[cfg(all(target_arch = "x86_64", feature = "std"))]
mod x86;

#[cfg(all(feature = "std", any(target_arch = "x86_64", target_arch = "aarch64")))]
use super::Isa;
use super::as_i8_mut;

/// Values of the longest template.
pub const MAX_DIMENSION: usize = 512;

/// Bytes of a line.
pub const LINE: usize = 64;

/// Lines of the longest row.
const MAX_LINES: usize = lines(MAX_DIMENSION);

/// What is added to the values at even places.
const EXCESS: u8 = 128;

/// The most rows that a kernel looks at before it looks at the bound.
pub const GROUP: usize = 8;

/// What rows are made of: 64 bytes at a multiple of 64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C, align(64))]
pub struct Line([u8; LINE]);

impl Line {
    /// A line of zeros.
    pub const ZERO: Line = Line([0; LINE]);

    /// Its bytes.
    pub fn bytes(&self) -> &[u8; LINE] {
        &self.0
    }

    /// Its bytes, to write.
    pub fn bytes_mut(&mut self) -> &mut [u8; LINE] {
        &mut self.0
    }
}

/// The integer dot product; exact up to [`MAX_DIMENSION`] values.
pub fn dot(a: &[i8], b: &[i8]) -> i32 {
    a.iter().zip(b).map(|(&a, &b)| a as i32 * b as i32).sum()
}

/// Lines of a row for templates of `dimension` values.
pub const fn lines(dimension: usize) -> usize {
    dimension.div_ceil(LINE)
}

/// Writes `template` into `row`, which has [`lines`] for it; what does not fit is left out.
pub fn store(template: &[i8], row: &mut [Line]) {
    let mut values = template.iter().copied();
    for line in row {
        for (at, byte) in line.0.iter_mut().enumerate() {
            *byte = stored(values.next().unwrap_or(0), at);
        }
    }
}

/// Whether `row` holds `template`.
pub fn holds(row: &[Line], template: &[i8]) -> bool {
    let bytes = row.iter().flat_map(|line| line.0.iter().enumerate());
    let values = template.iter().copied().chain(core::iter::repeat(0));
    bytes.zip(values).all(|((at, &byte), value)| byte == stored(value, at))
}

/// The byte that stands for `value` at place `at`.
fn stored(value: i8, at: usize) -> u8 {
    value as u8 ^ if at.is_multiple_of(2) { EXCESS } else { 0 }
}

/// How products are computed. They are equal; only their speed is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kernel {
    /// The definition, on any core.
    Scalar,
    /// Cortex-M with the DSP instructions; in tests elsewhere the same in plain Rust.
    #[cfg(any(all(arm_dsp, not(arm_mve)), test))]
    Dsp,
    /// Cortex-M with MVE.
    #[cfg(arm_mve)]
    Mve,
    /// RV32IM; in tests elsewhere the same in plain Rust.
    #[cfg(any(target_arch = "riscv32", test))]
    Rv32,
    /// RISC-V with vectors.
    #[cfg(riscv_rvv)]
    Rvv,
    /// aarch64 as every processor has it.
    #[cfg(all(target_arch = "aarch64", feature = "std"))]
    Neon,
    /// aarch64 with the dot product instructions.
    #[cfg(all(target_arch = "aarch64", feature = "std"))]
    NeonDot,
    /// x86-64 with AVX2.
    #[cfg(all(target_arch = "x86_64", feature = "std"))]
    Avx2,
    /// x86-64 with AVX-VNNI.
    #[cfg(all(target_arch = "x86_64", feature = "std"))]
    AvxVnni,
    /// x86-64 with AVX-512 and its VNNI.
    #[cfg(all(target_arch = "x86_64", feature = "std"))]
    Avx512Vnni,
}

impl Kernel {
    /// Those that this program has, from the slowest to the fastest.
    const BUILT: &[Kernel] = &[
        Kernel::Scalar,
        #[cfg(any(all(arm_dsp, not(arm_mve)), test))]
        Kernel::Dsp,
        #[cfg(arm_mve)]
        Kernel::Mve,
        #[cfg(any(target_arch = "riscv32", test))]
        Kernel::Rv32,
        #[cfg(riscv_rvv)]
        Kernel::Rvv,
        #[cfg(all(target_arch = "aarch64", feature = "std"))]
        Kernel::Neon,
        #[cfg(all(target_arch = "aarch64", feature = "std"))]
        Kernel::NeonDot,
        #[cfg(all(target_arch = "x86_64", feature = "std"))]
        Kernel::Avx2,
        #[cfg(all(target_arch = "x86_64", feature = "std"))]
        Kernel::AvxVnni,
        #[cfg(all(target_arch = "x86_64", feature = "std"))]
        Kernel::Avx512Vnni,
    ];

    /// Whether this processor has its instructions.
    fn runs(self) -> bool {
        match self {
            Kernel::Scalar => true,
            #[cfg(any(all(arm_dsp, not(arm_mve)), test))]
            Kernel::Dsp => super::dsp::is_here(),
            #[cfg(arm_mve)]
            Kernel::Mve => super::mve::is_here(),
            #[cfg(any(target_arch = "riscv32", test))]
            Kernel::Rv32 => true,
            #[cfg(riscv_rvv)]
            Kernel::Rvv => super::rvv::is_here(),
            #[cfg(all(target_arch = "aarch64", feature = "std"))]
            Kernel::Neon => Isa::Neon.is_available(),
            #[cfg(all(target_arch = "aarch64", feature = "std"))]
            Kernel::NeonDot => Isa::NeonDot.is_available(),
            #[cfg(all(target_arch = "x86_64", feature = "std"))]
            Kernel::Avx2 => Isa::Avx2.is_available(),
            #[cfg(all(target_arch = "x86_64", feature = "std"))]
            Kernel::AvxVnni => Isa::AvxVnni.is_available(),
            #[cfg(all(target_arch = "x86_64", feature = "std"))]
            Kernel::Avx512Vnni => Isa::Avx512Vnni.is_available(),
        }
    }

    /// Those that run on this processor, from the slowest to the fastest.
    pub fn available() -> impl DoubleEndedIterator<Item = Kernel> {
        Self::BUILT.iter().copied().filter(|kernel| kernel.runs())
    }

    /// The fastest that runs on this processor.
    pub fn fastest() -> Kernel {
        Self::available().next_back().unwrap_or(Kernel::Scalar)
    }
}

/// Rows that a kernel has stopped at: one of them has a product above the bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hit {
    /// The first row.
    pub first: usize,
    /// How many there are.
    count: usize,
    products: [i32; GROUP],
}

impl Hit {
    /// The rows' products, in their order.
    pub fn products(&self) -> &[i32] {
        self.products.get(..self.count).unwrap_or(&self.products)
    }

    /// The row after them.
    pub fn end(&self) -> usize {
        self.first + self.count
    }
}

/// A probe, made ready for a kernel.
#[derive(Debug, Clone)]
pub struct Probe {
    kernel: Kernel,
    /// Lines of a row.
    lines: usize,
    /// The values, then zeros.
    values: [Line; MAX_LINES],
    #[cfg(any(all(arm_dsp, not(arm_mve)), test))]
    pairs: dsp::Pairs,
}

impl Probe {
    /// Makes `probe` ready for the fastest kernel; values after the [`MAX_DIMENSION`]-th are left out.
    pub fn new(probe: &[i8]) -> Self {
        Self::with(Kernel::fastest(), probe)
    }

    /// Makes `probe` ready for `kernel`, or, where that does not run on this processor, for the definition.
    pub fn with(kernel: Kernel, probe: &[i8]) -> Self {
        let kernel = if kernel.runs() { kernel } else { Kernel::Scalar };
        // Filled where it lies: a copy would take longer.
        let mut ready = Probe {
            kernel,
            lines: lines(probe.len()).clamp(1, MAX_LINES),
            values: [Line::ZERO; MAX_LINES],
            #[cfg(any(all(arm_dsp, not(arm_mve)), test))]
            pairs: dsp::Pairs::NONE,
        };
        for (line, part) in ready.values.iter_mut().zip(probe.chunks(LINE)) {
            as_i8_mut(&mut line.0).iter_mut().zip(part).for_each(|(to, &from)| *to = from);
        }
        #[cfg(any(all(arm_dsp, not(arm_mve)), test))]
        if kernel == Kernel::Dsp {
            ready.pairs.fill(ready.values.get(..ready.lines).unwrap_or_default());
        }
        ready
    }

    /// The first of `rows`, from row `from` on, whose product with the probe is greater than `bound`, together with its
    /// neighbours that were multiplied at the same time; `None` when there is no such row. Products are exact.
    pub fn scan(&self, rows: &[Line], from: usize, bound: i32) -> Option<Hit> {
        match self.kernel {
            Kernel::Scalar => self.scan_scalar(rows, from, bound),
            #[cfg(any(all(arm_dsp, not(arm_mve)), test))]
            Kernel::Dsp => self.pairs.scan(self.values(), rows, from, bound),
            #[cfg(arm_mve)]
            Kernel::Mve => mve::scan(self.values(), rows, from, bound),
            #[cfg(any(target_arch = "riscv32", test))]
            Kernel::Rv32 => rv32::scan(self.values(), rows, from, bound),
            #[cfg(riscv_rvv)]
            Kernel::Rvv => rvv::scan(self.values(), rows, from, bound),
            #[cfg(all(target_arch = "aarch64", feature = "std"))]
            Kernel::Neon => aarch64::scan_neon(self.values(), rows, from, bound),
            // SAFETY: a probe has a kernel of the processor's own only, which `with` has seen to.
            #[cfg(all(target_arch = "aarch64", feature = "std"))]
            Kernel::NeonDot => unsafe { aarch64::scan_dot(self.values(), rows, from, bound) },
            // SAFETY: a probe has a kernel of the processor's own only, which `with` has seen to.
            #[cfg(all(target_arch = "x86_64", feature = "std"))]
            Kernel::Avx2 => unsafe { x86::scan_avx2(self.values(), rows, from, bound) },
            // SAFETY: as above.
            #[cfg(all(target_arch = "x86_64", feature = "std"))]
            Kernel::AvxVnni => unsafe { x86::scan_avxvnni(self.values(), rows, from, bound) },
            // SAFETY: as above.
            #[cfg(all(target_arch = "x86_64", feature = "std"))]
            Kernel::Avx512Vnni => unsafe { x86::scan_avx512vnni(self.values(), rows, from, bound) },
        }
    }

    fn values(&self) -> &[Line] {
        self.values.get(..self.lines).unwrap_or(&self.values)
    }

    fn scan_scalar(&self, rows: &[Line], from: usize, bound: i32) -> Option<Hit> {
        let rows = rows.chunks_exact(self.lines.max(1)).enumerate().skip(from);
        let mut products = rows.map(|(at, row)| (at, product(self.values(), row)));
        let (first, found) = products.find(|&(_, product)| product > bound)?;
        let mut hit = Hit { first, count: 1, products: [0; GROUP] };
        hit.products[0] = found;
        Some(hit)
    }
}

/// The dot product of the template in `row` with the values in `probe`.
fn product(probe: &[Line], row: &[Line]) -> i32 {
    let pair = |(&[p, q], &[e, o]): (&[u8; 2], &[u8; 2])| {
        p as i8 as i32 * (e ^ EXCESS) as i8 as i32 + q as i8 as i32 * o as i8 as i32
    };
    let line =
        |(p, r): (&Line, &Line)| p.0.as_chunks().0.iter().zip(r.0.as_chunks().0).map(pair).sum::<i32>();
    probe.iter().zip(row).map(line).sum()
}
