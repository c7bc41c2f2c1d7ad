//! AVX-512 with VNNI: sixteen lanes in one register.

use core::arch::x86_64::*;

use super::simd::{LANES, Lanes, Line, Simd};

/// Proof that the processor has AVX-512 F, BW, DQ, VL and VNNI.
#[derive(Clone, Copy)]
pub(super) struct Avx512(());

impl Avx512 {
    /// # Safety
    /// The processor has AVX-512 F, BW, DQ, VL and VNNI.
    pub(super) unsafe fn new() -> Self {
        Avx512(())
    }
}

/// An intrinsic that touches no memory, in a method of [`Avx512`].
macro_rules! proven {
    ($call:expr) => {
        // SAFETY: the processor has the instructions, as `self` proves, and they work on registers alone.
        unsafe { $call }
    };
}

impl Simd for Avx512 {
    type I = __m512i;

    const VALUE: usize = 1;
    const UNITS: usize = 4;

    #[inline(always)]
    fn splat(self, value: i32) -> __m512i {
        proven!(_mm512_set1_epi32(value))
    }

    #[inline(always)]
    fn load(self, lanes: &Lanes) -> __m512i {
        // SAFETY: as `proven`, and the reference is to 64 bytes, aligned to as many.
        unsafe { _mm512_load_si512((&raw const *lanes).cast()) }
    }

    #[inline(always)]
    fn word(self, word: [u8; 4]) -> __m512i {
        proven!(_mm512_set1_epi32(i32::from_le_bytes(word)))
    }

    #[inline(always)]
    fn line(self, line: &Line) -> __m512i {
        // SAFETY: as `proven`, and the reference is to 64 bytes, aligned to as many.
        unsafe { _mm512_load_si512((&raw const *line).cast()) }
    }

    #[inline(always)]
    fn dot(self, acc: __m512i, x: __m512i, w: __m512i) -> __m512i {
        proven!(_mm512_dpbusd_epi32(acc, x, w))
    }

    #[inline(always)]
    unsafe fn dot_taps(self, acc: __m512i, taps: [*const i8; 4], w: &[Line]) -> __m512i {
        let [w] = w else { return acc };
        // SAFETY: as `proven`, and the caller lets sixteen bytes be read at each pointer.
        let rows = unsafe {
            let [a, b, c, d] = taps.map(|tap| _mm_loadu_si128(tap.cast()));
            let ab = _mm512_inserti32x4::<1>(_mm512_castsi128_si512(a), b);
            _mm512_inserti32x4::<3>(_mm512_inserti32x4::<2>(ab, c), d)
        };
        proven!({
            // Four channels of each tap to a quarter of the register, then each channel's taps side by side.
            let places = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
            let order =
                _mm512_broadcast_i32x4(_mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
            let x = _mm512_shuffle_epi8(_mm512_permutexvar_epi32(places, rows), order);
            let x = _mm512_xor_si512(x, _mm512_set1_epi8(i8::MIN));
            _mm512_dpbusd_epi32(acc, x, self.line(w))
        })
    }

    const WIDE: bool = true;

    #[inline(always)]
    unsafe fn dot_wide(self, accs: [__m512i; 4], taps: [*const i8; 4], w: &[Line; 4]) -> [__m512i; 4] {
        let [w0, w1, w2, w3] = w;
        let [a, b, c, d] = taps;
        // SAFETY: as `proven`, and the caller lets 64 bytes be read at each pointer.
        unsafe {
            let flip = _mm512_set1_epi8(i8::MIN);
            let a = _mm512_xor_si512(_mm512_loadu_si512(a.cast()), flip);
            let b = _mm512_xor_si512(_mm512_loadu_si512(b.cast()), flip);
            let c = _mm512_xor_si512(_mm512_loadu_si512(c.cast()), flip);
            let d = _mm512_xor_si512(_mm512_loadu_si512(d.cast()), flip);
            let (ab, cd) = (_mm512_unpacklo_epi8(a, b), _mm512_unpacklo_epi8(c, d));
            let (ef, gh) = (_mm512_unpackhi_epi8(a, b), _mm512_unpackhi_epi8(c, d));
            [
                _mm512_dpbusd_epi32(accs[0], _mm512_unpacklo_epi16(ab, cd), self.line(w0)),
                _mm512_dpbusd_epi32(accs[1], _mm512_unpackhi_epi16(ab, cd), self.line(w1)),
                _mm512_dpbusd_epi32(accs[2], _mm512_unpacklo_epi16(ef, gh), self.line(w2)),
                _mm512_dpbusd_epi32(accs[3], _mm512_unpackhi_epi16(ef, gh), self.line(w3)),
            ]
        }
    }

    #[inline(always)]
    unsafe fn dot_wide_one(self, accs: [__m512i; 4], tap: *const i8, w: &[Line; 4]) -> [__m512i; 4] {
        // SAFETY: as `proven`, and the caller lets 64 bytes be read.
        let tap = unsafe { _mm512_loadu_si512(tap.cast()) };
        proven!({
            let tap = _mm512_xor_si512(tap, _mm512_set1_epi8(i8::MIN));
            let first = _mm512_set_epi32(3, 2, 1, 0, 3, 2, 1, 0, 3, 2, 1, 0, 3, 2, 1, 0);
            // Four channels of each quarter, one to a word; what else is in the word meets weights of 0.
            let unit = _mm512_set1_epi32(4);
            let second = _mm512_add_epi32(first, unit);
            let third = _mm512_add_epi32(second, unit);
            let fourth = _mm512_add_epi32(third, unit);
            [
                _mm512_dpbusd_epi32(accs[0], _mm512_shuffle_epi8(tap, first), self.line(&w[0])),
                _mm512_dpbusd_epi32(accs[1], _mm512_shuffle_epi8(tap, second), self.line(&w[1])),
                _mm512_dpbusd_epi32(accs[2], _mm512_shuffle_epi8(tap, third), self.line(&w[2])),
                _mm512_dpbusd_epi32(accs[3], _mm512_shuffle_epi8(tap, fourth), self.line(&w[3])),
            ]
        })
    }

    #[inline(always)]
    fn put_wide(self, values: [__m512i; 4], out: &mut [i8; 64]) {
        let [a, b, c, d] = values;
        let packed = proven!(_mm512_packs_epi16(_mm512_packs_epi32(a, b), _mm512_packs_epi32(c, d)));
        // SAFETY: as `proven`, and the array has 64 bytes.
        unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast(), packed) };
    }

    #[inline(always)]
    fn widen(self, values: &[i8; LANES]) -> __m512i {
        // SAFETY: as `proven`, and the reference is to sixteen bytes.
        unsafe { _mm512_cvtepi8_epi32(_mm_loadu_si128(values.as_ptr().cast())) }
    }

    #[inline(always)]
    fn put(self, a: __m512i, out: &mut [i8]) {
        let values = proven!(_mm512_cvtsepi32_epi8(a));
        if out.len() == LANES {
            // SAFETY: as `proven`, and the slice has sixteen bytes.
            unsafe { _mm_storeu_si128(out.as_mut_ptr().cast(), values) };
        } else {
            let mask = ((1u32 << out.len().min(LANES)) - 1) as u16;
            // SAFETY: as `proven`, and the mask has at most as many bits as the slice has bytes.
            unsafe { _mm_mask_storeu_epi8(out.as_mut_ptr(), mask, values) };
        }
    }

    #[inline(always)]
    fn add(self, a: __m512i, b: __m512i) -> __m512i {
        proven!(_mm512_add_epi32(a, b))
    }

    #[inline(always)]
    fn sub(self, a: __m512i, b: __m512i) -> __m512i {
        proven!(_mm512_sub_epi32(a, b))
    }

    #[inline(always)]
    fn mul(self, a: __m512i, b: __m512i) -> __m512i {
        proven!(_mm512_mullo_epi32(a, b))
    }

    #[inline(always)]
    fn min(self, a: __m512i, b: __m512i) -> __m512i {
        proven!(_mm512_min_epi32(a, b))
    }

    #[inline(always)]
    fn max(self, a: __m512i, b: __m512i) -> __m512i {
        proven!(_mm512_max_epi32(a, b))
    }

    #[inline(always)]
    fn and(self, a: __m512i, b: __m512i) -> __m512i {
        proven!(_mm512_and_si512(a, b))
    }

    #[inline(always)]
    fn xor(self, a: __m512i, b: __m512i) -> __m512i {
        proven!(_mm512_xor_si512(a, b))
    }

    #[inline(always)]
    fn abs(self, a: __m512i) -> __m512i {
        proven!(_mm512_abs_epi32(a))
    }

    #[inline(always)]
    fn shift_right(self, a: __m512i, bits: __m512i) -> __m512i {
        proven!(_mm512_srav_epi32(a, bits))
    }

    #[inline(always)]
    fn if_negative(self, a: __m512i, b: __m512i, c: __m512i) -> __m512i {
        proven!(_mm512_mask_mov_epi32(c, _mm512_movepi32_mask(a), b))
    }

    #[inline(always)]
    fn mul_even(self, a: __m512i, b: __m512i) -> __m512i {
        proven!(_mm512_mul_epi32(a, b))
    }

    #[inline(always)]
    fn mul_even_unsigned(self, a: __m512i, b: __m512i) -> __m512i {
        proven!(_mm512_mul_epu32(a, b))
    }

    #[inline(always)]
    fn splat_64(self, value: i64) -> __m512i {
        proven!(_mm512_set1_epi64(value))
    }

    #[inline(always)]
    fn add_64(self, a: __m512i, b: __m512i) -> __m512i {
        proven!(_mm512_add_epi64(a, b))
    }

    #[inline(always)]
    fn shift_left_64(self, a: __m512i, bits: __m512i) -> __m512i {
        proven!(_mm512_sllv_epi64(a, bits))
    }

    #[inline(always)]
    fn shift_right_64(self, a: __m512i, bits: __m512i) -> __m512i {
        proven!(_mm512_srlv_epi64(a, bits))
    }

    #[inline(always)]
    fn odd_to_even(self, a: __m512i) -> __m512i {
        proven!(_mm512_srli_epi64::<32>(a))
    }

    #[inline(always)]
    fn even_to_odd(self, a: __m512i) -> __m512i {
        proven!(_mm512_slli_epi64::<32>(a))
    }

    #[inline(always)]
    fn interleave(self, even: __m512i, odd: __m512i) -> __m512i {
        proven!(_mm512_mask_mov_epi32(even, 0xaaaa, odd))
    }

    #[inline(always)]
    fn round_scaled(self, acc: __m512i, scale: __m512i, reach: f32) -> __m512i {
        proven!({
            // |i32::MIN| stays negative as an i32: its float loses the sign.
            let magnitude = _mm512_abs_ps(_mm512_cvtepi32_ps(_mm512_abs_epi32(acc)));
            let scaled = _mm512_mul_ps(magnitude, _mm512_castsi512_ps(scale));
            _mm512_cvtps_epi32(_mm512_min_ps(scaled, _mm512_set1_ps(reach)))
        })
    }

    #[inline(always)]
    fn to_single(self, a: __m512i) -> __m512i {
        proven!(_mm512_castps_si512(_mm512_cvtepi32_ps(a)))
    }

    #[inline(always)]
    fn fused_single(self, a: __m512i, b: __m512i, c: __m512i) -> __m512i {
        proven!(_mm512_castps_si512(_mm512_fmadd_ps(
            _mm512_castsi512_ps(a),
            _mm512_castsi512_ps(b),
            _mm512_castsi512_ps(c)
        )))
    }

    #[inline(always)]
    fn sub_single(self, a: __m512i, b: __m512i) -> __m512i {
        proven!(_mm512_castps_si512(_mm512_sub_ps(_mm512_castsi512_ps(a), _mm512_castsi512_ps(b))))
    }

    #[inline(always)]
    fn min_single(self, a: __m512i, b: __m512i) -> __m512i {
        proven!(_mm512_castps_si512(_mm512_min_ps(_mm512_castsi512_ps(a), _mm512_castsi512_ps(b))))
    }

    #[inline(always)]
    fn max_single(self, a: __m512i, b: __m512i) -> __m512i {
        proven!(_mm512_castps_si512(_mm512_max_ps(_mm512_castsi512_ps(a), _mm512_castsi512_ps(b))))
    }
}
