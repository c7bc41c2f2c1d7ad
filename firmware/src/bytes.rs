//! Values put into bytes and taken from them, without a way to panic: a slice's own copying has one, for lengths that differ.

/// Copies `from` to the beginning of `to`, as much of it as has room there.
pub(crate) fn copy<T: Copy>(from: &[T], to: &mut [T]) {
    to.iter_mut().zip(from).for_each(|(to, &from)| *to = from);
}

/// Writes `field` into `bytes` from `at` on, as much of it as has room there.
pub(crate) fn put(bytes: &mut [u8], at: usize, field: &[u8]) {
    if let Some(place) = bytes.get_mut(at..) {
        copy(field, place);
    }
}

/// The `N` bytes that lie at `at`; zeros where they do not all lie there.
pub(crate) fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes.get(at..).and_then(|tail| tail.first_chunk()).copied().unwrap_or([0; N])
}

/// The integer that lies at `at`, little-endian; 0 beyond the end.
pub(crate) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(field(bytes, at))
}

/// As [`u16_at`].
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(field(bytes, at))
}

/// As [`u16_at`].
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(field(bytes, at))
}
