//! Cortex-M4, M7 and M33 with the DSP instructions: two rows at a time, which share what is loaded of the probe.
//!
//! A word of a row is four values `e o f p`, a little-endian pair of 16 bits `256 o + (e + 128)` and `256 p + (f + 128)`.
//! UXTB16 leaves `e + 128` and `f + 128` of it, and SMLAD multiplies two pairs and adds both products. So three instructions
//! take four values: the word with [`Pairs`]' first pair, what UXTB16 leaves with the second. Sums are 256 times the product
//! and wrap; the product of [`MAX_DIMENSION`] values has the 24 bits that remain.
//!
//! The second pair's `256 p - q` overflows 16 bits for p = -128, which is taken as -127: such a probe stops at rows that
//! come near the bound, and their products are computed anew.

use core::num::NonZero;

use super::{GROUP, Hit, LINE, Line, MAX_LINES, product};

/// Where a walk along the rows has stopped, if not at their end: the rows before, and the sums of a pair.
type Walked = Option<(usize, [i32; 2])>;

/// A probe as this kernel multiplies it.
#[derive(Debug, Clone)]
pub struct Pairs {
    /// For each word of a row, of its probe values `p q r s`: the pair `q s`, and the pair `256 p - q`, `256 r - s`.
    words: [[u32; 2]; MAX_LINES * LINE / 4],
    /// 256 times the sum that takes back what was added to the values at even places.
    start: i32,
    /// How far the products can be below the exact ones.
    slack: i32,
}

impl Pairs {
    /// Those of a probe of zeros.
    pub const NONE: Pairs = Pairs { words: [[0; 2]; MAX_LINES * LINE / 4], start: 0, slack: 0 };

    /// Makes them from the probe's values and the zeros after them.
    pub fn fill(&mut self, probe: &[Line]) {
        let (mut even, mut least) = (0, 0);
        for (words, line) in self.words.chunks_exact_mut(LINE / 4).zip(probe) {
            for (words, &values) in words.iter_mut().zip(line.0.as_chunks().0) {
                let [p, q, r, s] = values.map(|byte| byte as i8 as i32);
                least += i32::from(p == -128) + i32::from(r == -128);
                let (p, r) = (p.max(-127), r.max(-127));
                *words = [pair(q, s), pair(256 * p - q, 256 * r - s)];
                even += p + r;
            }
        }
        (self.start, self.slack) = (-128 * 256 * even, 128 * least);
    }

    /// [`super::Probe::scan`], for the probe that these pairs were made of.
    pub fn scan(&self, probe: &[Line], rows: &[Line], from: usize, bound: i32) -> Option<Hit> {
        let lines = NonZero::new(probe.len())?;
        let near = bound.saturating_sub(self.slack).clamp(-1 << 23, (1 << 23) - 1) << 8;
        let mut first = from;
        loop {
            let rest = rows.get(first * lines.get()..).filter(|rest| rest.len() >= lines.get())?;
            let (count, pairs) = match rest.len() / lines {
                1 => (1, 1),
                more => (2, more / 2),
            };
            let walked = rest.get(..pairs * count * lines.get())?;
            let Some((passed, sums)) = self.walk(walked, lines, count, near)? else {
                first += pairs * count;
                continue;
            };
            first += passed;
            let mut products = [0; GROUP];
            let mut is_hit = false;
            for (at, (place, sum)) in products.iter_mut().zip(sums).take(count).enumerate() {
                *place = match self.slack {
                    0 => sum >> 8,
                    _ => product(probe, rows.get((first + at) * lines.get()..)?.get(..lines.get())?),
                };
                is_hit |= *place > bound;
            }
            if is_hit {
                return Some(Hit { first, count, products });
            }
            first += count;
        }
    }

    /// Multiplies `rows` of `lines` lines in pairs (where `count` is 1, the one row with itself) until a sum is above `bound`;
    /// then gives how many rows came before, and the pair's sums. `None` where rows are longer than probes.
    #[cfg(arm_dsp)]
    fn walk(&self, rows: &[Line], lines: NonZero<usize>, count: usize, bound: i32) -> Option<Walked> {
        let words = self.words.as_ptr_range();
        let begin = rows.as_ptr_range();
        let mut walk = Walk {
            words: words.start,
            start: self.start,
            words_end: self.words.get(..lines.get() * LINE / 4)?.as_ptr_range().end,
            bound,
            end: begin.end,
            stride: (count - 1) * lines.get() * LINE,
            row: begin.start,
            sums: [0; 2],
        };
        // SAFETY: `rows` is a whole number of pairs, from `row` to `end`, or one row, to which the stride of 0 adds none; the
        // pairs begin at `words` and are as many as a row has words; both are only read, and `walk` is ours.
        let found = unsafe { walk_pairs(&mut walk) } != 0;
        // SAFETY: it is left at the end of a row of `rows`.
        let after = unsafe { walk.row.offset_from(begin.start) } as usize / lines;
        Some(found.then(|| (after - count, walk.sums)))
    }

    /// What the assembly does, in plain Rust.
    #[cfg(not(arm_dsp))]
    fn walk(&self, rows: &[Line], lines: NonZero<usize>, count: usize, bound: i32) -> Option<Walked> {
        let lines = lines.get();
        let smlad = |a: u32, b: u32, sum: i32| {
            let half = |word: u32, at: u32| (word >> at) as i16 as i32;
            let [low, high] = [0, 16].map(|at| half(a, at).wrapping_mul(half(b, at)));
            sum.wrapping_add(low).wrapping_add(high)
        };
        let sum = |row: &[Line]| {
            let words =
                row.iter().flat_map(|line| line.0.as_chunks().0).map(|&bytes| u32::from_le_bytes(bytes));
            words.zip(&self.words).fold(self.start, |sum, (word, &[odd, even])| {
                smlad(word & 0x00ff_00ff, even, smlad(word, odd, sum))
            })
        };
        let pairs = rows.chunks_exact(count * lines).enumerate();
        let mut sums =
            pairs.map(|(at, pair)| (at * count, [sum(&pair[..lines]), sum(&pair[(count - 1) * lines..])]));
        Some(sums.find(|(_, sums)| sums.iter().any(|&sum| sum > bound)))
    }
}

fn pair(low: i32, high: i32) -> u32 {
    low as u16 as u32 | (high as u16 as u32) << 16
}

/// What the assembly is given, in the order in which it takes it, and what it gives.
#[cfg(arm_dsp)]
#[repr(C)]
struct Walk {
    words: *const [u32; 2],
    start: i32,
    words_end: *const [u32; 2],
    bound: i32,
    end: *const Line,
    stride: usize,
    row: *const Line,
    sums: [i32; 2],
}

/// Lets the assembler take the instructions where the target's name leaves them open.
#[cfg(arm_dsp = "v8m")]
macro_rules! core {
    () => {
        ".cpu cortex-m33"
    };
}
#[cfg(all(arm_dsp, not(arm_dsp = "v8m")))]
macro_rules! core {
    () => {
        ""
    };
}

/// Multiplies pairs of rows from `row` on until one of the two sums is above `bound` (1) or the rows are at their end (0).
#[cfg(arm_dsp)]
#[unsafe(naked)]
unsafe extern "C" fn walk_pairs(walk: *mut Walk) -> u32 {
    core::arch::naked_asm!(
        core!(),
        "push {{r4-r11, lr}}",
        "ldrd r2, r1, [r0, #20]",
        "add r2, r1",
        // A pair: its rows are at r1 and r2, the probe's words at r3, the sums in r4 and r5.
        "2: ldrd r3, r4, [r0]",
        "mov r5, r4",
        // A line of each.
        "3:",
        ".rept 8",
        "ldm r3!, {{r6-r9}}",
        "ldrd r10, r11, [r1], #8",
        "ldrd r12, lr, [r2], #8",
        "smlad r4, r10, r6, r4",
        "smlad r5, r12, r6, r5",
        "uxtb16 r10, r10",
        "uxtb16 r12, r12",
        "smlad r4, r10, r7, r4",
        "smlad r5, r12, r7, r5",
        "smlad r4, r11, r8, r4",
        "smlad r5, lr, r8, r5",
        "uxtb16 r11, r11",
        "uxtb16 lr, lr",
        "smlad r4, r11, r9, r4",
        "smlad r5, lr, r9, r5",
        ".endr",
        "ldrd r6, r7, [r0, #8]",
        "cmp r3, r6",
        "bne 3b",
        "cmp r4, r7",
        "it le",
        "cmple r5, r7",
        "bgt 4f",
        // The second row of this pair ends where the next pair begins.
        "mov r1, r2",
        "ldrd r6, r7, [r0, #16]",
        "add r2, r7",
        "cmp r1, r6",
        "bne 2b",
        "str r1, [r0, #24]",
        "movs r0, #0",
        "pop {{r4-r11, pc}}",
        "4: str r2, [r0, #24]",
        "strd r4, r5, [r0, #28]",
        "movs r0, #1",
        "pop {{r4-r11, pc}}",
    )
}
