//! Filters: `U = G g G^T` before the products, and for their gradients `dg = G^T dU G` after them.
//!
//! Nine matrices become sixteen, number by number, and back.

use super::tiles::load_column;
use crate::simd::{Kernel, Simd};

/// `[ky][kx][matrix]` to `[point][matrix]`.
pub struct ToPoints<'a> {
    pub filters: &'a [f32],
    /// Numbers of one matrix.
    pub matrix: usize,
    pub points: &'a mut [f32],
}

/// `[point][matrix]` to `[ky][kx][matrix]`, for gradients.
pub struct FromPoints<'a> {
    pub points: &'a [f32],
    pub matrix: usize,
    pub filters: &'a mut [f32],
}

/// `G g` of one column.
#[inline(always)]
fn four<S: Simd>(simd: S, [a, b, c]: [S::Vector; 3]) -> [S::Vector; 4] {
    let half = simd.splat(0.5);
    let (outer, middle) = (simd.mul(half, simd.add(a, c)), simd.mul(half, b));
    [a, simd.add(outer, middle), simd.sub(outer, middle), c]
}

/// `G^T u` of one column.
#[inline(always)]
fn three<S: Simd>(simd: S, [a, b, c, d]: [S::Vector; 4]) -> [S::Vector; 3] {
    let half = simd.splat(0.5);
    let (sum, difference) = (simd.mul(half, simd.add(b, c)), simd.mul(half, simd.sub(b, c)));
    [simd.add(a, sum), difference, simd.add(sum, d)]
}

impl Kernel for ToPoints<'_> {
    type Output = ();
    #[inline(always)]
    #[allow(clippy::needless_range_loop, reason = "a row goes across all columns")]
    fn run<S: Simd>(self, simd: S) {
        let Self { filters, matrix, points } = self;
        assert!(filters.len() >= 9 * matrix && points.len() >= 16 * matrix && matrix.is_multiple_of(S::LANES));
        for at in (0..matrix).step_by(S::LANES) {
            // SAFETY: `at + LANES <= matrix`, and the slices hold nine and sixteen matrices.
            unsafe {
                let mut columns = [[simd.zero(); 4]; 3];
                for (x, column) in columns.iter_mut().enumerate() {
                    *column = four(simd, load_column(simd, filters.as_ptr().add(x * matrix + at), 3 * matrix));
                }
                for y in 0..4 {
                    let row = four(simd, [columns[0][y], columns[1][y], columns[2][y]]);
                    for (x, &value) in row.iter().enumerate() {
                        simd.store(points.as_mut_ptr().add((4 * y + x) * matrix + at), value);
                    }
                }
            }
        }
    }
}

impl Kernel for FromPoints<'_> {
    type Output = ();
    #[inline(always)]
    #[allow(clippy::needless_range_loop, reason = "a row goes across all columns")]
    fn run<S: Simd>(self, simd: S) {
        let Self { points, matrix, filters } = self;
        assert!(filters.len() >= 9 * matrix && points.len() >= 16 * matrix && matrix.is_multiple_of(S::LANES));
        for at in (0..matrix).step_by(S::LANES) {
            // SAFETY: as above.
            unsafe {
                let mut columns = [[simd.zero(); 3]; 4];
                for (x, column) in columns.iter_mut().enumerate() {
                    *column = three(simd, load_column(simd, points.as_ptr().add(x * matrix + at), 4 * matrix));
                }
                for y in 0..3 {
                    let row = three(simd, [columns[0][y], columns[1][y], columns[2][y], columns[3][y]]);
                    for (x, &value) in row.iter().enumerate() {
                        simd.store(filters.as_mut_ptr().add((3 * y + x) * matrix + at), value);
                    }
                }
            }
        }
    }
}
