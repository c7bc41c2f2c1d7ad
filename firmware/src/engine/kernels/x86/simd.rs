//! Sixteen 32-bit lanes, whatever registers they lie in: what the kernels of every x86 instruction set are written with.

/// Bytes that one step of a dot product takes of sixteen outputs: a word of four bytes for each, on one cache line.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Line(pub [[u8; 4]; LANES]);

/// One constant for each lane.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Lanes(pub [i32; LANES]);

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
    /// The low bytes of the lanes, which hold int8 values.
    fn narrow(self, a: Self::I) -> [i8; LANES];

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
}
