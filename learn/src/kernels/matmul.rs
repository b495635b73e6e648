//! Matrix products with the `gemm` crate, always on the calling thread: rows are shared out above, in a fixed way.

use candle_core::{Result, bail};
use gemm::Parallelism;

/// A view of a matrix, row-major or transposed.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a> {
    data: &'a [f32],
    n_rows: usize,
    n_columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// `data` as `n_rows` rows of `n_columns` values.
    pub(crate) fn row_major(data: &'a [f32], n_rows: usize, n_columns: usize) -> Result<Self> {
        if n_rows.checked_mul(n_columns) != Some(data.len()) {
            bail!("matmul: {} values are not a {n_rows} x {n_columns} matrix", data.len());
        }
        Ok(Self { data, n_rows, n_columns, row_stride: n_columns, column_stride: 1 })
    }

    /// The same values, rows and columns exchanged; nothing is moved.
    pub(crate) fn transposed(self) -> Self {
        Self {
            n_rows: self.n_columns,
            n_columns: self.n_rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }
}

/// `out = lhs rhs`, or `out += lhs rhs`; `out` is row-major.
pub(crate) fn matmul(out: &mut [f32], accumulate: bool, lhs: Matrix<'_>, rhs: Matrix<'_>) -> Result<()> {
    let (m, k, n) = (lhs.n_rows, lhs.n_columns, rhs.n_columns);
    if rhs.n_rows != k || m.checked_mul(n) != Some(out.len()) {
        bail!("matmul: {m} x {k} times {} x {n} does not fill {} values", rhs.n_rows, out.len());
    }
    if k == 0 && !accumulate {
        out.fill(0.0);
    }
    if m == 0 || k == 0 || n == 0 {
        return Ok(());
    }
    // SAFETY: a `Matrix` holds exactly the rows times columns values that its strides reach (only `row_major` makes one,
    // and `transposed` keeps the set), the dimensions agree as checked above, `out` holds m n values, and being borrowed
    // mutably it overlaps neither operand.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            n as isize,
            accumulate,
            lhs.data.as_ptr(),
            lhs.column_stride as isize,
            lhs.row_stride as isize,
            rhs.data.as_ptr(),
            rhs.column_stride as isize,
            rhs.row_stride as isize,
            1.0_f32,
            1.0_f32,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
    Ok(())
}

/// `lhs rhs^T`, row-major.
pub(crate) fn times_transposed(lhs: Matrix<'_>, rhs: Matrix<'_>) -> Result<Vec<f32>> {
    let (m, n, k) = (lhs.n_rows, rhs.n_rows, rhs.n_columns);
    let mut out = vec![0.0; m * n];
    // Rows that lie a multiple of 2 KiB apart share the sets of the cache: `gemm` then takes half of its time to gather columns.
    let is_row_major = rhs.row_stride == k && rhs.column_stride == 1;
    if is_row_major && k > 0 && k.is_multiple_of(512) {
        let mut turned = vec![0.0; n * k];
        transpose(rhs.data, k, &mut turned);
        matmul(&mut out, false, lhs, Matrix::row_major(&turned, k, n)?)?;
    } else {
        matmul(&mut out, false, lhs, rhs.transposed())?;
    }
    Ok(out)
}

dispatched! {
    /// `out_ji = x_ij`; rows of `x` are `width` wide.
    fn transpose(x: &[f32], width: usize, out: &mut [f32]) {
        /// Rows that are read side by side: what is written then fills a line of the cache.
        const STRIP: usize = 16;
        let n_rows = x.len() / width;
        let n_whole = n_rows / STRIP * STRIP;
        for first in (0..n_whole).step_by(STRIP) {
            let rows: [&[f32]; STRIP] = std::array::from_fn(|row| &x[(first + row) * width..][..width]);
            for (column, out) in out.chunks_exact_mut(n_rows).enumerate() {
                for (out, row) in out[first..][..STRIP].iter_mut().zip(rows) {
                    *out = row[column];
                }
            }
        }
        for row in n_whole..n_rows {
            for (column, out) in out.chunks_exact_mut(n_rows).enumerate() {
                out[row] = x[row * width + column];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contract: all four uses (plain, either operand transposed, accumulating) equal the definition.
    #[test]
    fn products_equal_their_definition() -> Result<()> {
        for (m, k, n) in [(1, 1, 1), (3, 5, 2), (1, 80, 33), (24, 17, 64)] {
            let lhs: Vec<f32> = (0..m * k).map(|i| (i % 7) as f32 - 3.0).collect();
            let rhs: Vec<f32> = (0..k * n).map(|i| (i % 5) as f32 - 2.0).collect();
            let expected = |r: usize, c: usize| (0..k).map(|i| lhs[r * k + i] * rhs[i * n + c]).sum::<f32>();
            let transpose = |x: &[f32], rows: usize, columns: usize| -> Vec<f32> {
                (0..x.len()).map(|i| x[(i % rows) * columns + i / rows]).collect()
            };
            let (lhs_t, rhs_t) = (transpose(&lhs, m, k), transpose(&rhs, k, n));
            let (a, b) = (Matrix::row_major(&lhs, m, k)?, Matrix::row_major(&rhs, k, n)?);
            let (a_t, b_t) =
                (Matrix::row_major(&lhs_t, k, m)?.transposed(), Matrix::row_major(&rhs_t, n, k)?.transposed());
            for (a, b) in [(a, b), (a_t, b), (a, b_t)] {
                let mut out = vec![f32::NAN; m * n];
                matmul(&mut out, false, a, b)?;
                matmul(&mut out, true, a, b)?;
                for (i, &value) in out.iter().enumerate() {
                    assert_eq!(value, 2.0 * expected(i / n, i % n), "{m} x {k} x {n} at {i}");
                }
            }
        }
        Ok(())
    }

    /// Contract: a product with a transposed matrix is the same to rounding whichever way it is taken, also where rows are a multiple of
    /// 2 KiB apart and their number none of a strip.
    #[test]
    fn products_with_transposed_matrices() -> Result<()> {
        for (m, k, n) in [(3, 5, 2), (7, 512, 33), (16, 1024, 48), (4, 512, 3)] {
            let lhs: Vec<f32> = (0..m * k).map(|i| (i % 97) as f32 * 0.013 - 0.6).collect();
            let rhs: Vec<f32> = (0..n * k).map(|i| (i % 89) as f32 * 0.017 - 0.7).collect();
            let (lhs, rhs) = (Matrix::row_major(&lhs, m, k)?, Matrix::row_major(&rhs, n, k)?);
            let mut expected = vec![f32::NAN; m * n];
            matmul(&mut expected, false, lhs, rhs.transposed())?;
            for (i, (found, expected)) in times_transposed(lhs, rhs)?.into_iter().zip(expected).enumerate() {
                assert!((found - expected).abs() < 1e-4, "{m} x {k} x {n} at {i}: {found}, expected {expected}");
            }
        }
        Ok(())
    }

    /// Contract: operands that do not fit together are refused, never read out of bounds.
    #[test]
    fn misfits_are_refused() -> Result<()> {
        let data = [0.0; 6];
        assert!(Matrix::row_major(&data, 2, 4).is_err());
        assert!(Matrix::row_major(&data, usize::MAX, 2).is_err());
        let matrix = Matrix::row_major(&data, 2, 3)?;
        assert!(matmul(&mut [0.0; 4], false, matrix, matrix).is_err());
        assert!(matmul(&mut [0.0; 3], false, matrix, matrix.transposed()).is_err());
        Ok(())
    }
}
