//! Sixteen taps of sixteen outputs for some windows: the three ways to multiply bytes.

use core::arch::aarch64::*;
use core::arch::asm;

use super::lanes::{LANES, Wide, load};
use super::runs_here;
use crate::engine::kernels::Isa;

/// Weights of sixteen outputs by sixteen taps: for every four taps, sixteen bytes for every four outputs.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Block(pub [[[i8; LANES]; 4]; 4]);

/// How bytes are multiplied and summed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sums {
    /// [`Paired`].
    Paired,
    /// [`Single`].
    Single,
    /// [`Dotted`]; only made where the processor has the instruction.
    Dotted,
}

impl Sums {
    /// The fastest of `isa` for these weights; `None` if this processor does not have its instructions.
    pub(super) fn new(isa: Isa, weights: &[i8]) -> Option<Self> {
        let sums = match isa {
            Isa::NeonDot => Sums::Dotted,
            _ if weights.contains(&i8::MIN) => Sums::Single,
            _ => Sums::Paired,
        };
        runs_here(isa).then_some(sums)
    }

    /// Where the weight of output `output` and tap `tap`, both below 16, lies in a block's bytes.
    pub(super) fn place(self, output: usize, tap: usize) -> usize {
        let quarter = (tap / 4 * 4 + output / 4) * LANES;
        quarter
            + match self {
                Sums::Dotted => output % 4 * 4 + tap % 4,
                // A product of eight bytes by eight has two taps of four outputs.
                Sums::Paired | Sums::Single => tap / 2 % 2 * 8 + output % 4 * 2 + tap % 2,
            }
    }
}

/// One of [`Sums`], as a type.
pub(super) trait Multiply: Copy {
    /// Adds the products of sixteen values of each of `P` windows with those of `block`.
    fn multiply<const P: usize>(self, accs: &mut [Wide; P], x: [int8x16_t; P], block: &Block);
}

/// Does `$step`, a macro of a literal, for every four taps.
macro_rules! by_words {
    ($step:ident) => {
        $step!(0, 0, 1);
        $step!(1, 2, 3);
        $step!(2, 4, 5);
        $step!(3, 6, 7);
    };
}

/// Products of four taps are summed in pairs of two in 16 bits: 2 * 128 * 127 fits, so no weight may be -128.
#[derive(Debug, Clone, Copy)]
pub(super) struct Paired;

impl Multiply for Paired {
    #[inline(always)]
    fn multiply<const P: usize>(self, accs: &mut [Wide; P], x: [int8x16_t; P], block: &Block) {
        macro_rules! step {
            ($word:literal, $first:literal, $second:literal) => {
                let w = block.0[$word].each_ref().map(load);
                for p in 0..P {
                    // SAFETY: NEON is part of every aarch64 with `std`.
                    unsafe {
                        let x = vreinterpretq_s16_s8(x[p]);
                        let first = vreinterpret_s8_s16(vdup_laneq_s16::<$first>(x));
                        let second = vreinterpretq_s8_s16(vdupq_laneq_s16::<$second>(x));
                        for q in 0..4 {
                            let sums = vmlal_high_s8(vmull_s8(vget_low_s8(w[q]), first), w[q], second);
                            accs[p][q] = vpadalq_s16(accs[p][q], sums);
                        }
                    }
                }
            };
        }
        by_words!(step);
    }
}

/// Each product is added to 32 bits by itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Single;

impl Multiply for Single {
    #[inline(always)]
    fn multiply<const P: usize>(self, accs: &mut [Wide; P], x: [int8x16_t; P], block: &Block) {
        macro_rules! step {
            ($word:literal, $first:literal, $second:literal) => {
                let w = block.0[$word].each_ref().map(load);
                for p in 0..P {
                    // SAFETY: as in `Paired`.
                    unsafe {
                        let x = vreinterpretq_s16_s8(x[p]);
                        let first = vreinterpret_s8_s16(vdup_laneq_s16::<$first>(x));
                        let second = vreinterpretq_s8_s16(vdupq_laneq_s16::<$second>(x));
                        for q in 0..4 {
                            let acc = vpadalq_s16(accs[p][q], vmull_s8(vget_low_s8(w[q]), first));
                            accs[p][q] = vpadalq_s16(acc, vmull_high_s8(w[q], second));
                        }
                    }
                }
            };
        }
        by_words!(step);
    }
}

/// The dot product of four bytes a lane. A value of the type proves that the processor has it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dotted(());

impl Dotted {
    /// # Safety
    /// The processor has the dot product instructions.
    #[inline(always)]
    pub(super) unsafe fn new() -> Self {
        Dotted(())
    }
}

impl Multiply for Dotted {
    #[inline(always)]
    fn multiply<const P: usize>(self, accs: &mut [Wide; P], x: [int8x16_t; P], block: &Block) {
        macro_rules! step {
            ($word:literal, $first:literal, $second:literal) => {
                let w = block.0[$word].each_ref().map(load);
                for p in 0..P {
                    for q in 0..4 {
                        // The intrinsic is not stable yet.
                        // SAFETY: the type proves that the instruction is there; it works on registers alone.
                        unsafe {
                            asm!(
                                concat!("sdot {acc:v}.4s, {w:v}.16b, {x:v}.4b[", $word, "]"),
                                acc = inout(vreg) accs[p][q],
                                w = in(vreg) w[q],
                                x = in(vreg) x[p],
                                options(pure, nomem, nostack, preserves_flags),
                            );
                        }
                    }
                }
            };
        }
        by_words!(step);
    }
}
