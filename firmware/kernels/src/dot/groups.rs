//! A scan by kernels that multiply several rows at a time.

use super::{GROUP, Hit, Line};

/// [`super::Probe::scan`], where a row has `lines` lines and `products` multiplies `N` rows, at most [`GROUP`], with the probe.
#[inline(always)]
pub fn scan<const N: usize>(
    lines: usize,
    rows: &[Line],
    from: usize,
    bound: i32,
    products: impl Fn([&[Line]; N]) -> [i32; N],
) -> Option<Hit> {
    // A row has a line at least.
    let (mut first, lines) = (from, lines.max(1));
    for group in rows.get(from * lines..)?.chunks((N * lines).max(1)) {
        let count = group.len() / lines;
        // The last row stands in for those that are not there.
        let mut members = group.chunks_exact(lines);
        let mut row = members.next()?;
        let found = products(core::array::from_fn(|_| {
            let this = row;
            row = members.next().unwrap_or(this);
            this
        }));
        if found.iter().any(|&product| product > bound) {
            let mut hit = Hit { first, count, products: [0; GROUP] };
            hit.products[..N].copy_from_slice(&found);
            return Some(hit);
        }
        first += count;
    }
    None
}
