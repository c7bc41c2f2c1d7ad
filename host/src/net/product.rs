//! Matrix products over slices.

use gemm::{Parallelism, gemm};

/// A matrix inside a slice: `values[row * rows + column * columns]`.
#[derive(Clone, Copy)]
pub(super) struct Matrix<'a> {
    values: &'a [f32],
    /// From one row to the next.
    rows: usize,
    /// From one column to the next.
    columns: usize,
}

impl<'a> Matrix<'a> {
    /// Row by row, `width` values each.
    pub(super) fn new(values: &'a [f32], width: usize) -> Self {
        Matrix { values, rows: width, columns: 1 }
    }

    /// Rows for columns.
    pub(super) fn transposed(self) -> Self {
        Matrix { values: self.values, rows: self.columns, columns: self.rows }
    }

    /// The last index plus one of a matrix with so many rows and columns.
    fn reach(self, rows: usize, columns: usize) -> usize {
        rows.saturating_sub(1) * self.rows + columns.saturating_sub(1) * self.columns + 1
    }
}

/// `out` [m, n], row by row, becomes `a` [m, k] times `b` [k, n], added to what it held if `add`. On one thread.
pub(super) fn product([m, n, k]: [usize; 3], a: Matrix<'_>, b: Matrix<'_>, out: &mut [f32], add: bool) {
    assert!(out.len() >= m * n && a.values.len() >= a.reach(m, k) && b.values.len() >= b.reach(k, n));
    let (one, zero) = (1.0, if add { 1.0 } else { 0.0 });
    // SAFETY: the assertion keeps every index of the three matrices inside its slice, and `out` is borrowed exclusively.
    unsafe {
        gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            n as isize,
            add,
            a.values.as_ptr(),
            a.columns as isize,
            a.rows as isize,
            b.values.as_ptr(),
            b.columns as isize,
            b.rows as isize,
            zero,
            one,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_its_definition_transposed_or_not_added_or_not() {
        for (m, n, k) in [(1, 1, 1), (5, 7, 3), (17, 33, 40), (2, 64, 129)] {
            let a: Vec<f32> = (0..m * k).map(|i| (i * 7 % 13) as f32 - 6.0).collect();
            let b: Vec<f32> = (0..k * n).map(|i| (i * 5 % 11) as f32 - 5.0).collect();
            let at: Vec<f32> = (0..m * k).map(|i| a[i % m * k + i / m]).collect();
            let bt: Vec<f32> = (0..k * n).map(|i| b[i % k * n + i / k]).collect();
            let sum = |row: usize, column: usize| -> f32 {
                (0..k).map(|i| a[row * k + i] * b[i * n + column]).sum()
            };
            let expected: Vec<f32> = (0..m * n).map(|i| sum(i / n, i % n)).collect();
            let (a, b) = (Matrix::new(&a, k), Matrix::new(&b, n));
            let (at, bt) = (Matrix::new(&at, m).transposed(), Matrix::new(&bt, k).transposed());
            let mut out = vec![f32::NAN; m * n];
            for (a, b) in [(a, b), (at, b), (a, bt), (at, bt)] {
                product([m, n, k], a, b, &mut out, false);
                assert_eq!(out, expected, "{m} {n} {k}");
                product([m, n, k], a, b, &mut out, true);
                assert!(out.iter().zip(&expected).all(|(o, e)| *o == 2.0 * e), "{m} {n} {k} added");
            }
        }
    }
}
