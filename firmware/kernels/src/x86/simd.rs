//! Sixteen 32-bit lanes, whatever registers they lie in: what the kernels of every x86 instruction set are written with.

/// Bytes that one step of a dot product takes of sixteen outputs: a word of four bytes for each, on one cache line.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Line(pub [[u8; 4]; LANES]);

/// One constant for each lane.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Lanes(pub [i32; LANES]);

/// The channel, of 64, in lane `lane` of accumulator `unit` of [`Simd::dot_wide`]: bytes of four taps that are interleaved within
/// each quarter of a register come in this order, and packing the sums within the quarters undoes it.
pub(super) const fn wide_channel(unit: usize, lane: usize) -> usize {
    lane / 4 * 16 + 4 * unit + lane % 4
}

/// Channels that are computed at once.
pub(super) const LANES: usize = 16;

/// The operations of one instruction set. A value of the type proves that the processor has it.
pub(super) trait Simd: Copy {
    /// Sixteen i32.
    type I: Copy;

    /// Bytes of a value in a window. 1: `x ^ 0x80`, four to a word, against weights of 8 bits. 2: an i16, two to a word, against
    /// weights of 16 bits.
    const VALUE: usize;

    /// [`Line`]s whose sums are kept in registers at once for each pixel.
    const UNITS: usize;

    /// The same value in every lane.
    fn splat(self, value: i32) -> Self::I;
    fn load(self, lanes: &Lanes) -> Self::I;

    /// The same four bytes in every lane.
    fn word(self, word: [u8; 4]) -> Self::I;
    fn line(self, line: &Line) -> Self::I;
    /// `acc` plus the products of the values in each lane's word of `x` and of `w`.
    fn dot(self, acc: Self::I, x: Self::I, w: Self::I) -> Self::I;
    /// `acc` plus four taps of sixteen channels: `w` has [`Simd::VALUE`] lines.
    ///
    /// # Safety
    /// Sixteen bytes can be read at each pointer.
    unsafe fn dot_taps(self, acc: Self::I, taps: [*const i8; 4], w: &[Line]) -> Self::I;

    /// Sixteen int8 values, sign-extended.
    fn widen(self, values: &[i8; LANES]) -> Self::I;
    /// Whether [`Simd::dot_wide`] is there.
    const WIDE: bool;

    /// The same for 64 channels: lane `i` of accumulator `j` has channel `i / 4 * 16 + 4 * j + i % 4`, see
    /// [`wide_channel`].
    ///
    /// # Safety
    /// 64 bytes can be read at each pointer.
    unsafe fn dot_wide(self, accs: [Self::I; 4], taps: [*const i8; 4], w: &[Line; 4]) -> [Self::I; 4];

    /// The same of one tap: the first of four, the others' weights are 0.
    ///
    /// # Safety
    /// 64 bytes can be read at the pointer.
    unsafe fn dot_wide_one(self, accs: [Self::I; 4], tap: *const i8, w: &[Line; 4]) -> [Self::I; 4];

    /// Writes 64 channels in the order of [`Simd::dot_wide`] as int8 values, those outside at the nearer end.
    fn put_wide(self, values: [Self::I; 4], out: &mut [i8; 64]);

    /// Writes the first `out.len()` lanes, at most sixteen, as int8 values, those outside at the nearer end.
    fn put(self, a: Self::I, out: &mut [i8]);

    fn add(self, a: Self::I, b: Self::I) -> Self::I;
    fn sub(self, a: Self::I, b: Self::I) -> Self::I;
    /// The low 32 bits of each product.
    fn mul(self, a: Self::I, b: Self::I) -> Self::I;
    fn min(self, a: Self::I, b: Self::I) -> Self::I;
    fn max(self, a: Self::I, b: Self::I) -> Self::I;
    fn and(self, a: Self::I, b: Self::I) -> Self::I;
    fn xor(self, a: Self::I, b: Self::I) -> Self::I;
    fn abs(self, a: Self::I) -> Self::I;
    /// `a >> bits`, the sign drawn in, with a count for each lane.
    fn shift_right(self, a: Self::I, bits: Self::I) -> Self::I;
    /// `b` where `a` is negative, `c` elsewhere.
    fn if_negative(self, a: Self::I, b: Self::I, c: Self::I) -> Self::I;

    /// The 64-bit products of the even lanes, signed.
    fn mul_even(self, a: Self::I, b: Self::I) -> Self::I;
    /// The same, unsigned.
    fn mul_even_unsigned(self, a: Self::I, b: Self::I) -> Self::I;
    /// 64-bit lanes from here on.
    fn splat_64(self, value: i64) -> Self::I;
    fn add_64(self, a: Self::I, b: Self::I) -> Self::I;
    fn shift_left_64(self, a: Self::I, bits: Self::I) -> Self::I;
    /// Without sign.
    fn shift_right_64(self, a: Self::I, bits: Self::I) -> Self::I;
    /// Odd 32-bit lanes moved to the even ones.
    fn odd_to_even(self, a: Self::I) -> Self::I;
    /// Even 32-bit lanes moved to the odd ones.
    fn even_to_odd(self, a: Self::I) -> Self::I;
    /// The even 32-bit lanes of `even` and the odd ones of `odd`.
    fn interleave(self, even: Self::I, odd: Self::I) -> Self::I;

    /// `min(|acc| * scale, reach)` rounded half to even, where `scale` and `reach` are the bits of an f32 and `|acc|` is an u32.
    fn round_scaled(self, acc: Self::I, scale: Self::I, reach: f32) -> Self::I;

    /// Floats from here on, as bits; first from integers, rounded half to even.
    fn to_single(self, a: Self::I) -> Self::I;
    /// `a * b + c`, rounded once.
    fn fused_single(self, a: Self::I, b: Self::I, c: Self::I) -> Self::I;
    fn sub_single(self, a: Self::I, b: Self::I) -> Self::I;
    fn min_single(self, a: Self::I, b: Self::I) -> Self::I;
    fn max_single(self, a: Self::I, b: Self::I) -> Self::I;
}
