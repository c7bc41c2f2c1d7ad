//! x86-64: eight rows at a time, the probe's lines in registers where a row has few.
//!
//! With VNNI the odd places get their 128 too, so that 64 or 32 values are multiplied as u8 by i8 at once; without it
//! the row's and the probe's values are unpacked to pairs of 16 bits. (VPMADDUBSW would saturate.)

use core::arch::x86_64::*;

use super::{GROUP, Hit, LINE, Line};

/// How far ahead of the rows that are multiplied memory is asked for, in bytes.
const AHEAD: usize = 4096;

/// Rows of `LINES` lines that are multiplied together.
type Rows<'r, const LINES: usize> = [&'r [Line; LINES]; GROUP];

/// A kernel's loop over the rows; `$products` multiplies [`GROUP`] of them.
macro_rules! scan {
    ($name:ident, $products:ident, $features:literal, $step:literal) => {
        /// [`super::Probe::scan`].
        #[target_feature(enable = $features)]
        pub fn $name(probe: &[Line], rows: &[Line], from: usize, bound: i32) -> Option<Hit> {
            #[target_feature(enable = $features)]
            fn scan<const LINES: usize>(
                probe: &[Line],
                rows: &[Line],
                from: usize,
                bound: i32,
            ) -> Option<Hit> {
                let probe = probe.first_chunk()?;
                let rows: &[[Line; LINES]] = rows.as_chunks().0.get(from..)?;
                // What the 128 that were added to values have added to products.
                let correction = _mm256_set1_epi32(128 * sum(probe, $step));
                let bounds = _mm256_set1_epi32(bound);
                let hit = |first: usize, rows: Rows<'_, LINES>, count: usize| {
                    let products = _mm256_sub_epi32($products(probe, rows), correction);
                    if _mm256_movemask_epi8(_mm256_cmpgt_epi32(products, bounds)) == 0 {
                        return None;
                    }
                    let mut hit = Hit { first: from + first, count, products: [0; GROUP] };
                    // SAFETY: the array has the 32 bytes that are written, at any alignment.
                    unsafe { _mm256_storeu_si256(hit.products.as_mut_ptr().cast(), products) };
                    Some(hit)
                };
                let (groups, rest) = rows.as_chunks::<GROUP>();
                for (at, group) in groups.iter().enumerate() {
                    prefetch(group);
                    if let Some(hit) = hit(at * GROUP, group.each_ref(), GROUP) {
                        return Some(hit);
                    }
                }
                // The last row stands in for those that are not there.
                let last = rest.last()?;
                let padded = core::array::from_fn(|at| rest.get(at).unwrap_or(last));
                hit(groups.len() * GROUP, padded, rest.len())
            }
            match probe.len() {
                1 => scan::<1>(probe, rows, from, bound),
                2 => scan::<2>(probe, rows, from, bound),
                3 => scan::<3>(probe, rows, from, bound),
                4 => scan::<4>(probe, rows, from, bound),
                5 => scan::<5>(probe, rows, from, bound),
                6 => scan::<6>(probe, rows, from, bound),
                7 => scan::<7>(probe, rows, from, bound),
                _ => scan::<8>(probe, rows, from, bound),
            }
        }
    };
}

scan!(scan_avx2, products_avx2, "avx2", 2);
scan!(scan_avxvnni, products_avxvnni, "avx2,avxvnni", 1);
scan!(scan_avx512vnni, products_avx512vnni, "avx2,avx512f,avx512bw,avx512vnni", 1);

/// Asks for the rows that come some time after `group`: more than the processor asks for by itself while it multiplies.
#[inline]
#[target_feature(enable = "sse")]
fn prefetch<const LINES: usize>(group: &[[Line; LINES]; GROUP]) {
    for line in group.as_flattened() {
        // It reads nothing, so that it may lie beyond the end.
        _mm_prefetch::<_MM_HINT_T0>((&raw const *line).wrapping_byte_add(AHEAD).cast());
    }
}

/// The sum of every `step`-th value.
fn sum(probe: &[Line], step: usize) -> i32 {
    probe.iter().flat_map(|line| line.0.iter().step_by(step)).map(|&byte| byte as i8 as i32).sum()
}

/// The sums of the lanes of each of eight registers.
#[inline]
#[target_feature(enable = "avx2")]
fn sums([a, b, c, d, e, f, g, h]: [__m256i; GROUP]) -> __m256i {
    let two = |a, b| _mm256_add_epi32(_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b));
    let four = |a, b| _mm256_add_epi32(_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b));
    let (low, high) = (four(two(a, b), two(c, d)), four(two(e, f), two(g, h)));
    let [first, second] =
        [_mm256_permute2x128_si256::<0x20>(low, high), _mm256_permute2x128_si256::<0x31>(low, high)];
    _mm256_add_epi32(first, second)
}

/// Half a line.
#[inline]
#[target_feature(enable = "avx2")]
fn half(line: &Line, at: usize) -> __m256i {
    let half = &line.0.as_chunks::<{ LINE / 2 }>().0[at];
    // SAFETY: the reference is to the 32 bytes that are read, at any alignment.
    unsafe { _mm256_loadu_si256(half.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn products_avx2<const LINES: usize>(probe: &[Line; LINES], rows: Rows<'_, LINES>) -> __m256i {
    let mut sum = [_mm256_setzero_si256(); GROUP];
    let low = _mm256_set1_epi16(0xff);
    for (at, line) in probe.iter().enumerate() {
        for part in 0..2 {
            let values = half(line, part);
            let even = _mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(values));
            let odd = _mm256_srai_epi16::<8>(values);
            for (sum, row) in sum.iter_mut().zip(rows) {
                let values = half(&row[at], part);
                let evens = _mm256_madd_epi16(_mm256_and_si256(values, low), even);
                let odds = _mm256_madd_epi16(_mm256_srai_epi16::<8>(values), odd);
                *sum = _mm256_add_epi32(*sum, _mm256_add_epi32(evens, odds));
            }
        }
    }
    sums(sum)
}

#[inline]
#[target_feature(enable = "avx2,avxvnni")]
fn products_avxvnni<const LINES: usize>(probe: &[Line; LINES], rows: Rows<'_, LINES>) -> __m256i {
    let mut sum = [_mm256_setzero_si256(); GROUP];
    let excess = _mm256_set1_epi16(i16::MIN);
    for (at, line) in probe.iter().enumerate() {
        for part in 0..2 {
            let values = half(line, part);
            for (sum, row) in sum.iter_mut().zip(rows) {
                *sum = _mm256_dpbusd_avx_epi32(*sum, _mm256_xor_si256(half(&row[at], part), excess), values);
            }
        }
    }
    sums(sum)
}

#[inline]
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vnni")]
fn products_avx512vnni<const LINES: usize>(probe: &[Line; LINES], rows: Rows<'_, LINES>) -> __m256i {
    let whole = |line: &Line| {
        // SAFETY: the reference is to the 64 bytes that are read, aligned to as many.
        unsafe { _mm512_load_si512(line.0.as_ptr().cast()) }
    };
    let excess = _mm512_set1_epi16(i16::MIN);
    let mut sum = [_mm512_setzero_si512(); GROUP];
    for (at, line) in probe.iter().enumerate() {
        let values = whole(line);
        for (sum, row) in sum.iter_mut().zip(rows) {
            *sum = _mm512_dpbusd_epi32(*sum, _mm512_xor_si512(whole(&row[at]), excess), values);
        }
    }
    let halves = |sum| _mm256_add_epi32(_mm512_castsi512_si256(sum), _mm512_extracti64x4_epi64::<1>(sum));
    sums(sum.map(halves))
}
