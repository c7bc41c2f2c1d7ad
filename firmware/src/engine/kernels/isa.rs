//! The instruction sets that have kernels of their own, and which of them this processor has.

/// What the int8 kernels are written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Isa {
    /// The definition, as the compiler makes it.
    Scalar,
    /// x86-64 with AVX2 and FMA: products of 16-bit values.
    Avx2,
    /// x86-64 with AVX2, FMA and AVX-VNNI: four products of bytes a lane.
    AvxVnni,
    /// x86-64 with AVX-512 (F, BW, DQ, VL) and its VNNI.
    Avx512Vnni,
}

impl Isa {
    /// All of them, the widest last.
    pub const ALL: [Isa; 4] = [Isa::Scalar, Isa::Avx2, Isa::AvxVnni, Isa::Avx512Vnni];

    /// As programs print it.
    pub const fn name(self) -> &'static str {
        match self {
            Isa::Scalar => "scalar",
            Isa::Avx2 => "avx2",
            Isa::AvxVnni => "avx-vnni",
            Isa::Avx512Vnni => "avx512-vnni",
        }
    }

    /// Whether this build has kernels for it and this processor runs them.
    pub fn is_available(self) -> bool {
        #[cfg(all(feature = "std", target_arch = "x86_64"))]
        let wide = super::x86::runs_here(self);
        #[cfg(not(all(feature = "std", target_arch = "x86_64")))]
        let wide = false;
        wide || self == Isa::Scalar
    }

    /// Those that run here, the widest last.
    pub fn available() -> impl Iterator<Item = Isa> {
        Isa::ALL.into_iter().filter(|isa| isa.is_available())
    }

    /// The widest that runs here.
    pub fn best() -> Isa {
        Isa::available().last().unwrap_or(Isa::Scalar)
    }
}
