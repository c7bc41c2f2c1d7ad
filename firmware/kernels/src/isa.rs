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
    /// aarch64 as every processor has it: products of bytes in 16 bits.
    Neon,
    /// aarch64 with the dot product instructions: four products of bytes a lane.
    NeonDot,
}

impl Isa {
    /// Those of this build's architecture, the widest last.
    pub const ALL: &[Isa] = if cfg!(target_arch = "x86_64") {
        &[Isa::Scalar, Isa::Avx2, Isa::AvxVnni, Isa::Avx512Vnni]
    } else if cfg!(target_arch = "aarch64") {
        &[Isa::Scalar, Isa::Neon, Isa::NeonDot]
    } else {
        &[Isa::Scalar]
    };

    /// As programs print it.
    pub const fn name(self) -> &'static str {
        match self {
            Isa::Scalar => "scalar",
            Isa::Avx2 => "avx2",
            Isa::AvxVnni => "avx-vnni",
            Isa::Avx512Vnni => "avx512-vnni",
            Isa::Neon => "neon",
            Isa::NeonDot => "neon-dot",
        }
    }

    /// Whether this build has kernels for it and this processor runs them.
    pub fn is_available(self) -> bool {
        #[cfg(all(feature = "std", target_arch = "aarch64"))]
        use super::aarch64::runs_here;
        #[cfg(all(feature = "std", target_arch = "x86_64"))]
        use super::x86::runs_here;
        #[cfg(not(all(feature = "std", any(target_arch = "x86_64", target_arch = "aarch64"))))]
        let runs_here = |_: Isa| false;
        self == Isa::Scalar || runs_here(self)
    }

    /// Those that run here, the widest last.
    pub fn available() -> impl Iterator<Item = Isa> {
        Isa::ALL.iter().copied().filter(|isa| isa.is_available())
    }

    /// The widest that runs here.
    pub fn best() -> Isa {
        Isa::available().last().unwrap_or(Isa::Scalar)
    }
}
