//! Every kernel finds what the definition finds, and the definition what [`dot`] says.

use proptest::prelude::*;

use super::*;

/// Templates that a product can be hardest on: at random, of few values, and of the largest.
fn values(dimension: usize) -> impl Strategy<Value = Vec<i8>> {
    prop_oneof![
        prop::collection::vec(any::<i8>(), dimension),
        prop::collection::vec(prop::sample::select(vec![-128, -127, -1, 0, 1, 127]), dimension),
        Just(vec![-128; dimension]),
        Just(vec![127; dimension]),
    ]
}

fn gallery() -> impl Strategy<Value = (Vec<i8>, Vec<Vec<i8>>)> {
    (1..=MAX_DIMENSION).prop_flat_map(|d| (values(d), prop::collection::vec(values(d), 0..12)))
}

fn rows(dimension: usize, templates: &[Vec<i8>]) -> Vec<Line> {
    let mut rows = vec![Line::ZERO; templates.len() * lines(dimension)];
    for (row, template) in rows.chunks_exact_mut(lines(dimension)).zip(templates) {
        store(template, row);
        assert!(holds(row, template));
    }
    rows
}

/// Every row from `from` on whose product is above `bound`, and its product.
fn found(probe: &Probe, rows: &[Line], from: usize, bound: i32) -> Vec<(usize, i32)> {
    let (mut found, mut next) = (Vec::new(), from);
    while let Some(hit) = probe.scan(rows, next, bound) {
        let products = (hit.first..).zip(hit.products().iter().copied());
        let before = found.len();
        found.extend(products.filter(|&(_, product)| product > bound));
        assert!(hit.first >= next && found.len() > before, "a stop for nothing: {hit:?}");
        next = hit.end();
    }
    found
}

proptest! {
    #[test]
    fn every_kernel_finds_what_the_definition_finds(
        (probe, templates) in gallery(),
        from in 0..13usize,
        which in any::<prop::sample::Index>(),
        off in -1..=1i32,
    ) {
        let rows = rows(probe.len(), &templates);
        let products: Vec<i32> = templates.iter().map(|t| dot(&probe, t)).collect();
        let at_a_product = products.get(which.index(products.len().max(1))).map_or(0, |p| p + off);
        for bound in [at_a_product, 0, i32::MIN, i32::MAX] {
            let all = products.iter().copied().enumerate().skip(from);
            let expected: Vec<_> = all.filter(|&(_, product)| product > bound).collect();
            for kernel in Kernel::available() {
                let found = found(&Probe::with(kernel, &probe), &rows, from, bound);
                prop_assert_eq!(&found, &expected, "{:?} above {}", kernel, bound);
            }
        }
    }
}

#[test]
fn a_row_holds_its_template_and_no_other() {
    let rows = rows(3, &[vec![1, -128, 127]]);
    assert!(holds(&rows, &[1, -128, 127]) && holds(&rows, &[1, -128, 127, 0]));
    assert!(!holds(&rows, &[1, -128]) && !holds(&rows, &[1, -128, 127, 1]) && !holds(&rows, &[1, 0, 127]));
}

#[test]
fn every_kernel_runs_here() {
    let missing: Vec<&Kernel> = Kernel::BUILT.iter().filter(|kernel| !kernel.runs()).collect();
    if !missing.is_empty() {
        println!("skipped: every_kernel_runs_here: this processor has no instructions for {missing:?}");
    }
}
