//! Sixteen taps of sixteen outputs for some windows: the three ways to multiply bytes.

use core::arch::aarch64::*;
use core::arch::asm;

use super::lanes::{LANES, Wide, load};
use super::runs_here;
use crate::Isa;

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
    /// Adds the products of four values of a window with `weights`. They are word `WORD` of `x`, whose halves are `FIRST` and `SECOND`.
    fn four<const WORD: i32, const FIRST: i32, const SECOND: i32>(
        self,
        accs: &mut Wide,
        x: int8x16_t,
        weights: [int8x16_t; 4],
    );

    /// Adds the products of sixteen values of each of `P` windows with those of `block`.
    #[inline(always)]
    fn multiply<const P: usize>(self, accs: &mut [Wide; P], x: [int8x16_t; P], block: &Block) {
        let [a, b, c, d] = &block.0;
        self.word::<P, 0, 0, 1>(accs, x, a);
        self.word::<P, 1, 2, 3>(accs, x, b);
        self.word::<P, 2, 4, 5>(accs, x, c);
        self.word::<P, 3, 6, 7>(accs, x, d);
    }

    /// [`Multiply::four`] for each of `P` windows.
    #[inline(always)]
    fn word<const P: usize, const WORD: i32, const FIRST: i32, const SECOND: i32>(
        self,
        accs: &mut [Wide; P],
        x: [int8x16_t; P],
        weights: &[[i8; LANES]; 4],
    ) {
        let weights = weights.each_ref().map(load);
        for (accs, x) in accs.iter_mut().zip(x) {
            self.four::<WORD, FIRST, SECOND>(accs, x, weights);
        }
    }
}

/// Two halves of a window's word, two values each, as often as there is room.
#[inline(always)]
fn halves<const FIRST: i32, const SECOND: i32>(x: int8x16_t) -> (int8x8_t, int8x16_t) {
    // SAFETY: NEON is part of every aarch64 with `std`.
    unsafe {
        let x = vreinterpretq_s16_s8(x);
        let (first, second) = (vdup_laneq_s16::<FIRST>(x), vdupq_laneq_s16::<SECOND>(x));
        (vreinterpret_s8_s16(first), vreinterpretq_s8_s16(second))
    }
}

/// Products of four taps are summed in pairs of two in 16 bits: 2 * 128 * 127 fits, so no weight may be -128.
#[derive(Debug, Clone, Copy)]
pub(super) struct Paired;

impl Multiply for Paired {
    #[inline(always)]
    fn four<const WORD: i32, const FIRST: i32, const SECOND: i32>(
        self,
        accs: &mut Wide,
        x: int8x16_t,
        weights: [int8x16_t; 4],
    ) {
        let (first, second) = halves::<FIRST, SECOND>(x);
        for (acc, w) in accs.iter_mut().zip(weights) {
            // SAFETY: as above.
            *acc = unsafe { vpadalq_s16(*acc, vmlal_high_s8(vmull_s8(vget_low_s8(w), first), w, second)) };
        }
    }
}

/// Each product is added to 32 bits by itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Single;

impl Multiply for Single {
    #[inline(always)]
    fn four<const WORD: i32, const FIRST: i32, const SECOND: i32>(
        self,
        accs: &mut Wide,
        x: int8x16_t,
        weights: [int8x16_t; 4],
    ) {
        let (first, second) = halves::<FIRST, SECOND>(x);
        for (acc, w) in accs.iter_mut().zip(weights) {
            // SAFETY: as above.
            *acc = unsafe {
                let acc = vpadalq_s16(*acc, vmull_s8(vget_low_s8(w), first));
                vpadalq_s16(acc, vmull_high_s8(w, second))
            };
        }
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
    fn four<const WORD: i32, const FIRST: i32, const SECOND: i32>(
        self,
        accs: &mut Wide,
        x: int8x16_t,
        weights: [int8x16_t; 4],
    ) {
        for (acc, w) in accs.iter_mut().zip(weights) {
            // The intrinsic is not stable yet.
            // SAFETY: the type proves that the instruction is there; it works on registers alone.
            unsafe {
                asm!(
                    "sdot {acc:v}.4s, {w:v}.16b, {x:v}.4b[{word}]",
                    acc = inout(vreg) *acc,
                    w = in(vreg) w,
                    x = in(vreg) x,
                    word = const WORD,
                    options(pure, nomem, nostack, preserves_flags),
                );
            }
        }
    }
}
