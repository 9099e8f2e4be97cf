//! Matrix products of strided views, by the crate `gemm`.

use gemm::{Parallelism, gemm};

/// A matrix inside a slice: element `(row, column)` is at `row · row_stride + column · column_stride`.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) data: &'a [f32],
    pub(super) row_stride: usize,
    pub(super) column_stride: usize,
}

impl<'a> View<'a> {
    /// Rows of adjacent elements, `row_stride` apart.
    pub(super) fn rows(data: &'a [f32], row_stride: usize) -> Self {
        Self {
            data,
            row_stride,
            column_stride: 1,
        }
    }

    pub(super) fn transposed(self) -> Self {
        Self {
            data: self.data,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
        }
    }

    fn assert_holds(&self, rows: usize, columns: usize) {
        assert!(
            (rows - 1) * self.row_stride + (columns - 1) * self.column_stride < self.data.len(),
            "a view of {rows} x {columns} ends outside of its slice"
        );
    }
}

/// What happens to the numbers that the result is written over.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Into {
    Overwrite,
    Add,
}

/// `destination (+)= scale · left · right` on the calling thread.
///
/// `[rows, inner] · [inner, columns]`, none of them 0; the rows of `destination` are adjacent,
/// `columns` long.
pub(super) fn matmul(
    destination: &mut [f32],
    into: Into,
    [rows, inner, columns]: [usize; 3],
    left: View<'_>,
    right: View<'_>,
    scale: f32,
) {
    assert!(rows * inner * columns > 0, "an empty matrix product");
    assert!(destination.len() >= rows * columns);
    left.assert_holds(rows, inner);
    right.assert_holds(inner, columns);
    #[allow(unsafe_code)]
    // SAFETY: `gemm` reads and writes the elements of the three matrices and nothing else; that
    // these lie inside of their slices was just asserted, and the destination is borrowed mutably,
    // so it overlaps with neither operand.
    unsafe {
        gemm(
            rows,
            columns,
            inner,
            destination.as_mut_ptr(),
            1,
            columns as isize,
            into == Into::Add,
            left.data.as_ptr(),
            left.column_stride as isize,
            left.row_stride as isize,
            right.data.as_ptr(),
            right.column_stride as isize,
            right.row_stride as isize,
            1.0,
            scale,
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
    fn strided_products_add_up() {
        // [[1, 2], [3, 4]] · [[1, 0], [1, 1]]ᵀ, twice.
        let left = [1.0, 2.0, 9.0, 3.0, 4.0];
        let right = [1.0, 0.0, 1.0, 1.0];
        let mut sum = [0.0; 4];
        let (left, right) = (View::rows(&left, 3), View::rows(&right, 2).transposed());
        matmul(&mut sum, Into::Overwrite, [2, 2, 2], left, right, 1.0);
        assert_eq!(sum, [1.0, 3.0, 3.0, 7.0]);
        matmul(&mut sum, Into::Add, [2, 2, 2], left, right, 2.0);
        assert_eq!(sum, [3.0, 9.0, 9.0, 21.0]);
    }
}
