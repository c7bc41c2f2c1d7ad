//! Every kernel finds what the definition finds.

use arcgate_firmware::embedding::MAX_DIMENSION;
use arcgate_firmware::kernels::dot::{Kernel, Line, Probe, lines, store};
use semihosting::println;

use crate::fail;
use crate::numbers::Numbers;

/// Galleries for each kernel.
const CASES: usize = 400;

/// Templates of a gallery at most.
const MOST: usize = 9;

/// Values that overflow first.
const EXTREMES: [i8; 6] = [-128, -128, -127, 127, 1, 0];

/// Compares all kernels.
pub fn all(numbers: &mut Numbers) {
    for kernel in Kernel::available() {
        for _ in 0..CASES {
            case(kernel, numbers);
        }
        println!("equal {kernel:?} {CASES}");
    }
}

fn case(kernel: Kernel, numbers: &mut Numbers) {
    let dimension = 1 + numbers.below(MAX_DIMENSION);
    let templates = numbers.below(MOST + 1);
    let row = lines(dimension);
    let mut rows = [Line::ZERO; MOST * lines(MAX_DIMENSION)];
    let rows = &mut rows[..templates * row];
    let mut values = [0i8; MAX_DIMENSION];
    for row in rows.chunks_exact_mut(row) {
        fill(&mut values[..dimension], numbers);
        store(&values[..dimension], row);
    }
    fill(&mut values[..dimension], numbers);
    let probes = [Kernel::Scalar, kernel].map(|kernel| Probe::with(kernel, &values[..dimension]));
    let a_product = probes[0].scan(rows, 0, i32::MIN).map_or(0, |hit| hit.products()[0]);
    for bound in [a_product, a_product - 1, 0, i32::MIN, i32::MAX] {
        let from = numbers.below(MOST + 2);
        let [expected, found] = [&probes[0], &probes[1]].map(|probe| above(probe, rows, from, bound));
        if expected != found {
            fail(format_args!(
                "{kernel:?}: {dimension} values, {templates} templates, from {from}, above {bound}"
            ))
        }
    }
}

/// The products above `bound` of each row from `from` on.
fn above(probe: &Probe, rows: &[Line], from: usize, bound: i32) -> [Option<i32>; MOST] {
    let (mut found, mut next) = ([None; MOST], from);
    while let Some(hit) = probe.scan(rows, next, bound) {
        for (row, &product) in (hit.first..).zip(hit.products()) {
            found[row] = (product > bound).then_some(product);
        }
        next = hit.end();
    }
    found
}

/// Bytes at random, extremes, or one of these throughout.
fn fill(values: &mut [i8], numbers: &mut Numbers) {
    let one = EXTREMES[numbers.below(EXTREMES.len())];
    let kind = numbers.below(3);
    values.fill_with(|| match kind {
        0 => (numbers.next() >> 11) as i8,
        1 => EXTREMES[numbers.below(EXTREMES.len())],
        _ => one,
    });
}
