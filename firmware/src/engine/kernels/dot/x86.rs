//! x86-64: four rows at a time, the probe's lines shared by them.
//!
//! With VNNI the odd places get their 128 too, so that 64 or 32 values are multiplied as u8 by i8 at once; without it
//! the row's and the probe's values are unpacked to pairs of 16 bits. (VPMADDUBSW would saturate.)

use core::arch::x86_64::*;

use super::{GROUP, Hit, Line};

/// A kernel's loop over the rows; `$products` multiplies four of them.
macro_rules! scan {
    ($name:ident, $products:ident, $features:literal, $correction:expr) => {
        /// [`super::Probe::scan`], for a probe of one line or more.
        #[target_feature(enable = $features)]
        pub fn $name(probe: &[Line], rows: &[Line], from: usize, bound: i32) -> Option<Hit> {
            let lines = probe.len();
            let correction = _mm_set1_epi32($correction(probe));
            let bounds = _mm_set1_epi32(bound);
            let mut first = from;
            let mut rest = rows.get(from * lines..).unwrap_or_default();
            loop {
                let count = (rest.len() / lines).min(GROUP);
                if count == 0 {
                    return None;
                }
                // The last rows stand in for those that are not there.
                let row = |at: usize| &rest[at.min(count - 1) * lines..][..lines];
                let products = $products(probe, [row(0), row(1), row(2), row(3)]);
                let products = _mm_sub_epi32(products, correction);
                if _mm_movemask_epi8(_mm_cmpgt_epi32(products, bounds)) != 0 {
                    let mut hit = Hit { first, count, products: [0; GROUP] };
                    // SAFETY: the array has the 16 bytes that are written, at any alignment.
                    unsafe { _mm_storeu_si128(hit.products.as_mut_ptr().cast(), products) };
                    return Some(hit);
                }
                first += count;
                rest = &rest[count * lines..];
            }
        }
    };
}

scan!(scan_avx2, products_avx2, "avx2", |probe| 128 * sum(probe, 2));
scan!(scan_avxvnni, products_avxvnni, "avx2,avxvnni", |probe| 128 * sum(probe, 1));
scan!(scan_avx512vnni, products_avx512vnni, "avx2,avx512f,avx512bw,avx512vnni", |probe| 128 * sum(probe, 1));

/// The sum of every `step`-th value.
fn sum(probe: &[Line], step: usize) -> i32 {
    probe.iter().flat_map(|line| line.0.iter().step_by(step)).map(|&byte| byte as i8 as i32).sum()
}

/// The sums of the lanes of each of four registers.
#[inline]
#[target_feature(enable = "avx2")]
fn sums([a, b, c, d]: [__m256i; GROUP]) -> __m128i {
    let quarters = _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
    _mm_add_epi32(_mm256_castsi256_si128(quarters), _mm256_extracti128_si256::<1>(quarters))
}

/// Half a line.
#[inline]
#[target_feature(enable = "avx2")]
fn half(line: &Line, at: usize) -> __m256i {
    let (halves, _) = line.0.as_chunks::<32>();
    // SAFETY: the reference is to the 32 bytes that are read, at any alignment.
    unsafe { _mm256_loadu_si256(halves[at].as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn products_avx2(probe: &[Line], rows: [&[Line]; GROUP]) -> __m128i {
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
fn products_avxvnni(probe: &[Line], rows: [&[Line]; GROUP]) -> __m128i {
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
fn products_avx512vnni(probe: &[Line], rows: [&[Line]; GROUP]) -> __m128i {
    let whole = |line: &Line| {
        // SAFETY: the reference is to the 64 bytes that are read, at any alignment.
        unsafe { _mm512_loadu_si512(line.0.as_ptr().cast()) }
    };
    let mut sum = [_mm512_setzero_si512(); GROUP];
    let excess = _mm512_set1_epi16(i16::MIN);
    for (at, line) in probe.iter().enumerate() {
        let values = whole(line);
        for (sum, row) in sum.iter_mut().zip(rows) {
            *sum = _mm512_dpbusd_epi32(*sum, _mm512_xor_si512(whole(&row[at]), excess), values);
        }
    }
    sums(sum.map(|s| _mm256_add_epi32(_mm512_castsi512_si256(s), _mm512_extracti64x4_epi64::<1>(s))))
}
