//! Numbers that look random and are the same every time.

use crate::DIMENSION;

/// A generator (xorshift).
pub struct Numbers(u32);

impl Numbers {
    /// The one that there is.
    pub fn new() -> Self {
        Numbers(0x9e37_79b9)
    }

    /// The next 32 bits.
    pub fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() >> 8) as usize % end
    }

    /// About normal, of deviation 37.
    fn bell(&mut self) -> i32 {
        self.next().to_le_bytes().into_iter().map(|byte| byte as i8 as i32).sum::<i32>() / 4
    }

    /// An embedding as models make them.
    pub fn embedding(&mut self, out: &mut [i8]) {
        out.fill_with(|| self.bell() as i8);
    }

    /// An embedding of the same face.
    pub fn shot(&mut self, face: &[i8; DIMENSION]) -> [i8; DIMENSION] {
        face.map(|value| (value as i32 + self.bell() / 2).clamp(-128, 127) as i8)
    }
}
