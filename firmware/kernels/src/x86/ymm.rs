//! AVX2, with AVX-VNNI or without it: sixteen lanes in two registers.

use core::arch::x86_64::*;

use super::simd::{LANES, Lanes, Line, Simd};

/// Proof that the processor has AVX2.
#[derive(Clone, Copy)]
pub(super) struct Avx2(());

/// Proof that the processor has AVX2 and AVX-VNNI.
#[derive(Clone, Copy)]
pub(super) struct AvxVnni(());

impl Avx2 {
    /// # Safety
    /// The processor has AVX2.
    pub(super) unsafe fn new() -> Self {
        Avx2(())
    }
}

impl AvxVnni {
    /// # Safety
    /// The processor has AVX2 and AVX-VNNI.
    pub(super) unsafe fn new() -> Self {
        AvxVnni(())
    }
}

/// Lanes 0 to 7 and 8 to 15.
#[derive(Clone, Copy)]
pub(super) struct Pair(__m256i, __m256i);

/// An intrinsic that touches no memory, in a method of [`Avx2`] or [`AvxVnni`].
macro_rules! proven {
    ($call:expr) => {
        // SAFETY: the processor has the instructions, as `self` proves, and they work on registers alone.
        unsafe { $call }
    };
}

/// What both instruction sets share.
macro_rules! in_two_halves {
    () => {
        type I = Pair;

        const UNITS: usize = 1;

        #[inline(always)]
        fn splat(self, value: i32) -> Pair {
            let half = proven!(_mm256_set1_epi32(value));
            Pair(half, half)
        }

        #[inline(always)]
        fn load(self, lanes: &Lanes) -> Pair {
            let at: *const __m256i = (&raw const *lanes).cast();
            // SAFETY: as `proven`, and the reference is to 64 bytes, aligned to as many.
            unsafe { Pair(_mm256_load_si256(at), _mm256_load_si256(at.add(1))) }
        }

        #[inline(always)]
        fn word(self, word: [u8; 4]) -> Pair {
            self.splat(i32::from_le_bytes(word))
        }

        #[inline(always)]
        fn line(self, line: &Line) -> Pair {
            let at: *const __m256i = (&raw const *line).cast();
            // SAFETY: as `proven`, and the reference is to 64 bytes, aligned to as many.
            unsafe { Pair(_mm256_load_si256(at), _mm256_load_si256(at.add(1))) }
        }

        #[inline(always)]
        fn put_wide(self, values: [Pair; 4], out: &mut [i8; 64]) {
            let [a, b, c, d] = values;
            let (low, high) = proven!((
                _mm256_packs_epi16(_mm256_packs_epi32(a.0, b.0), _mm256_packs_epi32(c.0, d.0)),
                _mm256_packs_epi16(_mm256_packs_epi32(a.1, b.1), _mm256_packs_epi32(c.1, d.1)),
            ));
            let at: *mut __m256i = out.as_mut_ptr().cast();
            // SAFETY: as `proven`, and the array has 64 bytes.
            unsafe {
                _mm256_storeu_si256(at, low);
                _mm256_storeu_si256(at.add(1), high);
            }
        }

        #[inline(always)]
        fn widen(self, values: &[i8; LANES]) -> Pair {
            // SAFETY: as `proven`, and the reference is to sixteen bytes.
            let values = unsafe { _mm_loadu_si128(values.as_ptr().cast()) };
            proven!(Pair(_mm256_cvtepi8_epi32(values), _mm256_cvtepi8_epi32(_mm_srli_si128::<8>(values))))
        }

        #[inline(always)]
        fn put(self, a: Pair, out: &mut [i8]) {
            let packed = proven!({
                // Packing works on halves of a register: the quarters are put in order in between.
                let words = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packs_epi32(a.0, a.1));
                _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256::<1>(words))
            });
            if out.len() == LANES {
                // SAFETY: as `proven`, and the slice has sixteen bytes.
                unsafe { _mm_storeu_si128(out.as_mut_ptr().cast(), packed) };
            } else {
                let mut values = [0; LANES];
                // SAFETY: as `proven`, and the array has sixteen bytes.
                unsafe { _mm_storeu_si128(values.as_mut_ptr().cast(), packed) };
                for (out, value) in out.iter_mut().zip(values) {
                    *out = value;
                }
            }
        }

        #[inline(always)]
        fn add(self, a: Pair, b: Pair) -> Pair {
            proven!(Pair(_mm256_add_epi32(a.0, b.0), _mm256_add_epi32(a.1, b.1)))
        }

        #[inline(always)]
        fn sub(self, a: Pair, b: Pair) -> Pair {
            proven!(Pair(_mm256_sub_epi32(a.0, b.0), _mm256_sub_epi32(a.1, b.1)))
        }

        #[inline(always)]
        fn mul(self, a: Pair, b: Pair) -> Pair {
            proven!(Pair(_mm256_mullo_epi32(a.0, b.0), _mm256_mullo_epi32(a.1, b.1)))
        }

        #[inline(always)]
        fn min(self, a: Pair, b: Pair) -> Pair {
            proven!(Pair(_mm256_min_epi32(a.0, b.0), _mm256_min_epi32(a.1, b.1)))
        }

        #[inline(always)]
        fn max(self, a: Pair, b: Pair) -> Pair {
            proven!(Pair(_mm256_max_epi32(a.0, b.0), _mm256_max_epi32(a.1, b.1)))
        }

        #[inline(always)]
        fn and(self, a: Pair, b: Pair) -> Pair {
            proven!(Pair(_mm256_and_si256(a.0, b.0), _mm256_and_si256(a.1, b.1)))
        }

        #[inline(always)]
        fn xor(self, a: Pair, b: Pair) -> Pair {
            proven!(Pair(_mm256_xor_si256(a.0, b.0), _mm256_xor_si256(a.1, b.1)))
        }

        #[inline(always)]
        fn abs(self, a: Pair) -> Pair {
            proven!(Pair(_mm256_abs_epi32(a.0), _mm256_abs_epi32(a.1)))
        }

        #[inline(always)]
        fn shift_right(self, a: Pair, bits: Pair) -> Pair {
            proven!(Pair(_mm256_srav_epi32(a.0, bits.0), _mm256_srav_epi32(a.1, bits.1)))
        }

        #[inline(always)]
        fn if_negative(self, a: Pair, b: Pair, c: Pair) -> Pair {
            proven!({
                let half = |a, b, c| {
                    let [a, b, c] = [a, b, c].map(|v| _mm256_castsi256_ps(v));
                    _mm256_castps_si256(_mm256_blendv_ps(c, b, a))
                };
                Pair(half(a.0, b.0, c.0), half(a.1, b.1, c.1))
            })
        }

        #[inline(always)]
        fn mul_even(self, a: Pair, b: Pair) -> Pair {
            proven!(Pair(_mm256_mul_epi32(a.0, b.0), _mm256_mul_epi32(a.1, b.1)))
        }

        #[inline(always)]
        fn mul_even_unsigned(self, a: Pair, b: Pair) -> Pair {
            proven!(Pair(_mm256_mul_epu32(a.0, b.0), _mm256_mul_epu32(a.1, b.1)))
        }

        #[inline(always)]
        fn splat_64(self, value: i64) -> Pair {
            let half = proven!(_mm256_set1_epi64x(value));
            Pair(half, half)
        }

        #[inline(always)]
        fn add_64(self, a: Pair, b: Pair) -> Pair {
            proven!(Pair(_mm256_add_epi64(a.0, b.0), _mm256_add_epi64(a.1, b.1)))
        }

        #[inline(always)]
        fn shift_left_64(self, a: Pair, bits: Pair) -> Pair {
            proven!(Pair(_mm256_sllv_epi64(a.0, bits.0), _mm256_sllv_epi64(a.1, bits.1)))
        }

        #[inline(always)]
        fn shift_right_64(self, a: Pair, bits: Pair) -> Pair {
            proven!(Pair(_mm256_srlv_epi64(a.0, bits.0), _mm256_srlv_epi64(a.1, bits.1)))
        }

        #[inline(always)]
        fn odd_to_even(self, a: Pair) -> Pair {
            proven!(Pair(_mm256_srli_epi64::<32>(a.0), _mm256_srli_epi64::<32>(a.1)))
        }

        #[inline(always)]
        fn even_to_odd(self, a: Pair) -> Pair {
            proven!(Pair(_mm256_slli_epi64::<32>(a.0), _mm256_slli_epi64::<32>(a.1)))
        }

        #[inline(always)]
        fn interleave(self, even: Pair, odd: Pair) -> Pair {
            proven!(Pair(
                _mm256_blend_epi32::<0b1010_1010>(even.0, odd.0),
                _mm256_blend_epi32::<0b1010_1010>(even.1, odd.1)
            ))
        }

        #[inline(always)]
        fn round_scaled(self, acc: Pair, scale: Pair, reach: f32) -> Pair {
            proven!({
                let unsigned = _mm256_castsi256_ps(_mm256_set1_epi32(i32::MAX));
                let half = |acc, scale| {
                    // |i32::MIN| stays negative as an i32: its float loses the sign.
                    let magnitude = _mm256_and_ps(_mm256_cvtepi32_ps(_mm256_abs_epi32(acc)), unsigned);
                    let scaled = _mm256_mul_ps(magnitude, _mm256_castsi256_ps(scale));
                    _mm256_cvtps_epi32(_mm256_min_ps(scaled, _mm256_set1_ps(reach)))
                };
                Pair(half(acc.0, scale.0), half(acc.1, scale.1))
            })
        }

        #[inline(always)]
        fn to_single(self, a: Pair) -> Pair {
            proven!(Pair(
                _mm256_castps_si256(_mm256_cvtepi32_ps(a.0)),
                _mm256_castps_si256(_mm256_cvtepi32_ps(a.1))
            ))
        }

        #[inline(always)]
        fn fused_single(self, a: Pair, b: Pair, c: Pair) -> Pair {
            proven!(Pair(
                _mm256_castps_si256(_mm256_fmadd_ps(
                    _mm256_castsi256_ps(a.0),
                    _mm256_castsi256_ps(b.0),
                    _mm256_castsi256_ps(c.0)
                )),
                _mm256_castps_si256(_mm256_fmadd_ps(
                    _mm256_castsi256_ps(a.1),
                    _mm256_castsi256_ps(b.1),
                    _mm256_castsi256_ps(c.1)
                ))
            ))
        }

        #[inline(always)]
        fn sub_single(self, a: Pair, b: Pair) -> Pair {
            proven!(Pair(
                _mm256_castps_si256(_mm256_sub_ps(_mm256_castsi256_ps(a.0), _mm256_castsi256_ps(b.0))),
                _mm256_castps_si256(_mm256_sub_ps(_mm256_castsi256_ps(a.1), _mm256_castsi256_ps(b.1)))
            ))
        }

        #[inline(always)]
        fn min_single(self, a: Pair, b: Pair) -> Pair {
            proven!(Pair(
                _mm256_castps_si256(_mm256_min_ps(_mm256_castsi256_ps(a.0), _mm256_castsi256_ps(b.0))),
                _mm256_castps_si256(_mm256_min_ps(_mm256_castsi256_ps(a.1), _mm256_castsi256_ps(b.1)))
            ))
        }

        #[inline(always)]
        fn max_single(self, a: Pair, b: Pair) -> Pair {
            proven!(Pair(
                _mm256_castps_si256(_mm256_max_ps(_mm256_castsi256_ps(a.0), _mm256_castsi256_ps(b.0))),
                _mm256_castps_si256(_mm256_max_ps(_mm256_castsi256_ps(a.1), _mm256_castsi256_ps(b.1)))
            ))
        }
    };
}

impl Simd for Avx2 {
    in_two_halves!();

    const VALUE: usize = 2;
    const WIDE: bool = false;

    #[inline(always)]
    fn dot(self, acc: Pair, x: Pair, w: Pair) -> Pair {
        // Two products of 16-bit values and their sum are exact: |x|, |w| <= 128.
        proven!(Pair(
            _mm256_add_epi32(acc.0, _mm256_madd_epi16(x.0, w.0)),
            _mm256_add_epi32(acc.1, _mm256_madd_epi16(x.1, w.1))
        ))
    }

    #[inline(always)]
    unsafe fn dot_taps(self, acc: Pair, taps: [*const i8; 4], w: &[Line]) -> Pair {
        let [first, second] = w else { return acc };
        // SAFETY: as `proven`, and the caller lets sixteen bytes be read at each pointer.
        let [a, b, c, d] = unsafe { taps.map(|tap| _mm_loadu_si128(tap.cast())) };
        proven!({
            let pairs = |a, b| {
                let [low, high] = [_mm_unpacklo_epi8(a, b), _mm_unpackhi_epi8(a, b)];
                Pair(_mm256_cvtepi8_epi16(low), _mm256_cvtepi8_epi16(high))
            };
            let acc = self.dot(acc, pairs(a, b), self.line(first));
            self.dot(acc, pairs(c, d), self.line(second))
        })
    }

    #[inline(always)]
    unsafe fn dot_wide(self, accs: [Pair; 4], _: [*const i8; 4], _: &[Line; 4]) -> [Pair; 4] {
        accs
    }

    #[inline(always)]
    unsafe fn dot_wide_one(self, accs: [Pair; 4], _: *const i8, _: &[Line; 4]) -> [Pair; 4] {
        accs
    }
}

impl Simd for AvxVnni {
    in_two_halves!();

    const VALUE: usize = 1;
    const WIDE: bool = true;

    #[inline(always)]
    fn dot(self, acc: Pair, x: Pair, w: Pair) -> Pair {
        proven!(Pair(_mm256_dpbusd_avx_epi32(acc.0, x.0, w.0), _mm256_dpbusd_avx_epi32(acc.1, x.1, w.1)))
    }

    #[inline(always)]
    unsafe fn dot_taps(self, acc: Pair, taps: [*const i8; 4], w: &[Line]) -> Pair {
        let [w] = w else { return acc };
        // SAFETY: as `proven`, and the caller lets sixteen bytes be read at each pointer.
        let [a, b, c, d] = unsafe { taps.map(|tap| _mm_loadu_si128(tap.cast())) };
        proven!({
            let flip = _mm256_set1_epi8(i8::MIN);
            let join = |low, high| _mm256_xor_si256(_mm256_set_m128i(high, low), flip);
            let [ab, cd] = [_mm_unpacklo_epi8(a, b), _mm_unpacklo_epi8(c, d)];
            let low = join(_mm_unpacklo_epi16(ab, cd), _mm_unpackhi_epi16(ab, cd));
            let [ab, cd] = [_mm_unpackhi_epi8(a, b), _mm_unpackhi_epi8(c, d)];
            let high = join(_mm_unpacklo_epi16(ab, cd), _mm_unpackhi_epi16(ab, cd));
            self.dot(acc, Pair(low, high), self.line(w))
        })
    }

    #[inline(always)]
    unsafe fn dot_wide(self, accs: [Pair; 4], taps: [*const i8; 4], w: &[Line; 4]) -> [Pair; 4] {
        let [w0, w1, w2, w3] = w;
        let [a, b, c, d] = taps.map(|tap| tap.cast::<__m256i>());
        let [w0, w1, w2, w3] = [self.line(w0), self.line(w1), self.line(w2), self.line(w3)];
        // SAFETY: as `proven`, and the caller lets 64 bytes be read at each pointer.
        unsafe {
            let low =
                half([accs[0].0, accs[1].0, accs[2].0, accs[3].0], [a, b, c, d], [w0.0, w1.0, w2.0, w3.0]);
            let taps = [a.add(1), b.add(1), c.add(1), d.add(1)];
            let high = half([accs[0].1, accs[1].1, accs[2].1, accs[3].1], taps, [w0.1, w1.1, w2.1, w3.1]);
            [Pair(low[0], high[0]), Pair(low[1], high[1]), Pair(low[2], high[2]), Pair(low[3], high[3])]
        }
    }

    #[inline(always)]
    unsafe fn dot_wide_one(self, accs: [Pair; 4], tap: *const i8, w: &[Line; 4]) -> [Pair; 4] {
        let [w0, w1, w2, w3] = [self.line(&w[0]), self.line(&w[1]), self.line(&w[2]), self.line(&w[3])];
        let tap: *const __m256i = tap.cast();
        // SAFETY: as `proven`, and the caller lets 64 bytes be read.
        unsafe {
            let low = half_one([accs[0].0, accs[1].0, accs[2].0, accs[3].0], tap, [w0.0, w1.0, w2.0, w3.0]);
            let high = [accs[0].1, accs[1].1, accs[2].1, accs[3].1];
            let high = half_one(high, tap.add(1), [w0.1, w1.1, w2.1, w3.1]);
            [Pair(low[0], high[0]), Pair(low[1], high[1]), Pair(low[2], high[2]), Pair(low[3], high[3])]
        }
    }
}

/// One tap of 32 channels, the first of four.
///
/// # Safety
/// The processor has AVX2 and AVX-VNNI, and 32 bytes can be read at the pointer.
#[inline(always)]
unsafe fn half_one(accs: [__m256i; 4], tap: *const __m256i, w: [__m256i; 4]) -> [__m256i; 4] {
    // SAFETY: the caller's.
    unsafe {
        let tap = _mm256_xor_si256(_mm256_loadu_si256(tap), _mm256_set1_epi8(i8::MIN));
        // Four channels of each quarter, one to a word; what else is in the word meets weights of 0.
        let first = _mm256_setr_epi32(0, 1, 2, 3, 0, 1, 2, 3);
        let unit = _mm256_set1_epi32(4);
        let second = _mm256_add_epi32(first, unit);
        let third = _mm256_add_epi32(second, unit);
        let fourth = _mm256_add_epi32(third, unit);
        [
            _mm256_dpbusd_avx_epi32(accs[0], _mm256_shuffle_epi8(tap, first), w[0]),
            _mm256_dpbusd_avx_epi32(accs[1], _mm256_shuffle_epi8(tap, second), w[1]),
            _mm256_dpbusd_avx_epi32(accs[2], _mm256_shuffle_epi8(tap, third), w[2]),
            _mm256_dpbusd_avx_epi32(accs[3], _mm256_shuffle_epi8(tap, fourth), w[3]),
        ]
    }
}

/// Four taps of 32 channels.
///
/// # Safety
/// The processor has AVX2 and AVX-VNNI, and 32 bytes can be read at each pointer.
#[inline(always)]
unsafe fn half(accs: [__m256i; 4], taps: [*const __m256i; 4], w: [__m256i; 4]) -> [__m256i; 4] {
    // SAFETY: the caller's.
    unsafe {
        let flip = _mm256_set1_epi8(i8::MIN);
        let a = _mm256_xor_si256(_mm256_loadu_si256(taps[0]), flip);
        let b = _mm256_xor_si256(_mm256_loadu_si256(taps[1]), flip);
        let c = _mm256_xor_si256(_mm256_loadu_si256(taps[2]), flip);
        let d = _mm256_xor_si256(_mm256_loadu_si256(taps[3]), flip);
        let (ab, cd) = (_mm256_unpacklo_epi8(a, b), _mm256_unpacklo_epi8(c, d));
        let (ef, gh) = (_mm256_unpackhi_epi8(a, b), _mm256_unpackhi_epi8(c, d));
        [
            _mm256_dpbusd_avx_epi32(accs[0], _mm256_unpacklo_epi16(ab, cd), w[0]),
            _mm256_dpbusd_avx_epi32(accs[1], _mm256_unpackhi_epi16(ab, cd), w[1]),
            _mm256_dpbusd_avx_epi32(accs[2], _mm256_unpacklo_epi16(ef, gh), w[2]),
            _mm256_dpbusd_avx_epi32(accs[3], _mm256_unpackhi_epi16(ef, gh), w[3]),
        ]
    }
}
