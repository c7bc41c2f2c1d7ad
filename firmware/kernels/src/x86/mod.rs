//! Kernels for x86-64: AVX2, AVX-VNNI and AVX-512 with VNNI, one source for the three.
//!
//! The source is written with sixteen 32-bit lanes (`simd`) and compiled once for each instruction set. Weights are packed once,
//! when a plan is opened. VNNI multiplies bytes without sign by bytes with sign: `x ^ 0x80` is `x + 128`, and what that adds, 128
//! times the sum of the weights, is taken from the bias; sums wrap on the way and are exact in the end. AVX2 without VNNI multiplies
//! 16-bit values.

/// A loop over `0..$count`, at most 6, written out: what it indexes stays in registers however long the body is.
macro_rules! unrolled {
    ($i:ident in $count:ident $body:block) => {
        unrolled!(@ $i $count $body 0 1 2 3 4 5)
    };
    (@ $i:ident $count:ident $body:block $($n:literal)*) => {
        $(if $n < $count {
            let $i = $n;
            $body
        })*
    };
}

mod conv;
mod depthwise;
mod elementwise;
mod finish;
mod layout;
mod simd;
mod single;
#[cfg(test)]
mod tests;
mod ymm;
mod zmm;

use super::scalar::{self, Slope, Sum};
use super::{Isa, Shape};
use ymm::{Avx2, AvxVnni};
use zmm::Avx512;

/// Whether this processor has the instructions of `isa`.
pub(super) fn runs_here(isa: Isa) -> bool {
    use std::arch::is_x86_feature_detected as has;
    let avx2 = has!("avx2") && has!("bmi1") && has!("bmi2") && has!("fma");
    match isa {
        Isa::Avx2 => avx2,
        Isa::AvxVnni => avx2 && has!("avxvnni"),
        Isa::Avx512Vnni => {
            let foundation = has!("avx512f") && has!("avx512bw") && has!("avx512dq") && has!("avx512vl");
            avx2 && foundation && has!("avx512vnni")
        }
        _ => false,
    }
}

/// An instruction set that this processor has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Avx2,
    AvxVnni,
    Avx512,
}

impl Level {
    /// The level of `isa`; `None` of what this processor lacks.
    fn new(isa: Isa) -> Option<Self> {
        let level = match isa {
            Isa::Avx2 => Level::Avx2,
            Isa::AvxVnni => Level::AvxVnni,
            Isa::Avx512Vnni => Level::Avx512,
            _ => return None,
        };
        runs_here(isa).then_some(level)
    }
}

/// Makes a function that runs `$body`, which is `#[inline(always)]` and takes the instruction set first, compiled for `level`.
macro_rules! on_level {
    ($name:ident, ($($arg:ident: $ty:ty),* $(,)?), $body:expr) => {
        fn $name(level: Level, $($arg: $ty),*) {
            #[target_feature(enable = "avx2,bmi1,bmi2,fma")]
            fn avx2($($arg: $ty),*) {
                // SAFETY: this function runs on processors with AVX2 and FMA only.
                $body(unsafe { Avx2::new() }, $($arg),*)
            }
            #[target_feature(enable = "avx2,bmi1,bmi2,fma,avxvnni")]
            fn avx_vnni($($arg: $ty),*) {
                // SAFETY: this function runs on processors with AVX2, FMA and AVX-VNNI only.
                $body(unsafe { AvxVnni::new() }, $($arg),*)
            }
            #[target_feature(enable = "avx2,bmi1,bmi2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
            fn avx512($($arg: $ty),*) {
                // SAFETY: this function runs on processors with AVX-512 F, BW, DQ, VL and VNNI only.
                $body(unsafe { Avx512::new() }, $($arg),*)
            }
            match level {
                // SAFETY: a level is only made on a processor that has its features.
                Level::Avx2 => unsafe { avx2($($arg),*) },
                // SAFETY: as above.
                Level::AvxVnni => unsafe { avx_vnni($($arg),*) },
                // SAFETY: as above.
                Level::Avx512 => unsafe { avx512($($arg),*) },
            }
        }
    };
}

on_level!(run_conv, (conv: &conv::Conv, x: &[i8], scratch: &mut [[u8; 4]], y: &mut [i8]), conv::run);
on_level!(run_depthwise, (depthwise: &depthwise::Depthwise, x: &[i8], y: &mut [i8]), depthwise::run);
on_level!(run_slopes, (slopes: &elementwise::Slopes, values: &mut [i8]), elementwise::slopes);
on_level!(run_add, (sum: &Sum, y_first: bool, a: &[i8], y: &mut [i8]), elementwise::add);

/// `$body` for the instruction set of `level`, as a type: packing needs no instructions of it.
macro_rules! packed_for {
    ($level:expr, $pack:ident, $($arg:expr),*) => {
        match $level {
            Level::Avx2 => $pack::<Avx2>($($arg),*),
            Level::AvxVnni => $pack::<AvxVnni>($($arg),*),
            Level::Avx512 => $pack::<Avx512>($($arg),*),
        }
    };
}

/// A convolution packed for one instruction set, with the PReLU that follows it.
#[derive(Debug, Clone)]
pub struct Conv {
    level: Level,
    conv: conv::Conv,
}

impl Conv {
    /// Packs `conv` for `isa`, and `slope` with it where one works on its output in place, with as many channels. `None` if this
    /// processor does not have the instructions.
    pub fn new(isa: Isa, conv: &scalar::Conv<'_>, slope: Option<&Slope<'_>>) -> Option<Self> {
        use conv::pack;
        let level = Level::new(isa)?;
        Some(Conv { level, conv: packed_for!(level, pack, conv, slope) })
    }

    /// 32-bit words of scratch that it needs.
    pub fn scratch_words(&self) -> usize {
        self.conv.scratch_words()
    }

    /// Convolves `x` into `y`. `None`, and `y` as it was, if a length is not that of the shapes or the scratch is too short.
    pub fn run(&self, x: &[i8], scratch: &mut [[u8; 4]], y: &mut [i8]) -> Option<()> {
        fits(self.conv.shapes(), x, y)?;
        let scratch = scratch.get_mut(..self.scratch_words())?;
        run_conv(self.level, &self.conv, x, scratch, y);
        Some(())
    }
}

/// A depthwise convolution packed for one instruction set, with the PReLU that follows it.
#[derive(Debug, Clone)]
pub struct Depthwise {
    level: Level,
    depthwise: depthwise::Depthwise,
}

impl Depthwise {
    /// Packs `depthwise` for `isa`, and `slope` with it where one works on its output in place. `None` if this processor does not
    /// have the instructions, or for fewer than sixteen channels or more than 64 taps, which the scalar kernel keeps.
    pub fn new(isa: Isa, depthwise: &scalar::Depthwise<'_>, slope: Option<&Slope<'_>>) -> Option<Self> {
        use depthwise::pack;
        let level = Level::new(isa)?;
        Some(Depthwise { level, depthwise: packed_for!(level, pack, depthwise, slope)? })
    }

    /// Convolves `x` into `y`. `None`, and `y` as it was, if a length is not that of the shapes.
    pub fn run(&self, x: &[i8], y: &mut [i8]) -> Option<()> {
        fits(self.depthwise.shapes(), x, y)?;
        run_depthwise(self.level, &self.depthwise, x, y);
        Some(())
    }
}

/// Whether `x` and `y` have the bytes of an input's and an output's shape.
fn fits([input, output]: [Shape; 2], x: &[i8], y: &[i8]) -> Option<()> {
    (x.len() == input.bytes() && y.len() == output.bytes()).then_some(())
}

/// A PReLU packed for one instruction set.
#[derive(Debug, Clone)]
pub struct Slopes {
    level: Level,
    slopes: elementwise::Slopes,
}

impl Slopes {
    /// Packs `slope` for `isa`. `None` if this processor does not have the instructions.
    pub fn new(isa: Isa, slope: &Slope<'_>) -> Option<Self> {
        Some(Slopes { level: Level::new(isa)?, slopes: elementwise::Slopes::new(slope) })
    }

    /// Replaces every value of an activation.
    pub fn run(&self, values: &mut [i8]) {
        run_slopes(self.level, &self.slopes, values);
    }
}

/// A residual add for one instruction set.
#[derive(Debug, Clone, Copy)]
pub struct Add {
    level: Level,
    sum: Sum,
}

impl Add {
    /// `sum` for `isa`. `None` if this processor does not have the instructions.
    pub fn new(isa: Isa, sum: Sum) -> Option<Self> {
        Some(Add { level: Level::new(isa)?, sum })
    }

    /// Replaces every `y` by the sum of `a` and `y`.
    pub fn into_second(&self, a: &[i8], y: &mut [i8]) {
        run_add(self.level, &self.sum, false, a, y);
    }

    /// Replaces every `y` by the sum of `y` and `b`.
    pub fn into_first(&self, y: &mut [i8], b: &[i8]) {
        run_add(self.level, &self.sum, true, b, y);
    }
}
