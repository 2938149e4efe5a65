//! The rows of a joined batch: how many tokens each has, and whose it is. Matrices of all tokens in, products with a factor
//! of each device out; and between tokens one after another, as the maps see them, and rows of one length, as attention
//! needs them. Nothing is computed for what a short row lacks but in attention. Knows no model.

use tch::{Device, Kind, Tensor};

use super::error::{ErrorContext, Result};
use super::forward::Torch;

/// Rows of one batch: those of the first device, then those of the next.
#[derive(Debug)]
pub(super) struct Rows {
    /// Of each device, the tokens of its rows.
    pub(super) lengths: Vec<Vec<i64>>,
    /// N.
    pub(super) count: i64,
    /// T: tokens of the longest row.
    pub(super) longest: i64,
    /// M: tokens of all rows.
    pub(super) tokens: i64,
    /// Of each device, its first token and how many it has.
    parts: Vec<(i64, i64)>,
    /// Where each token stands among N * T; none if all rows are equally long.
    places: Option<Tensor>,
}

impl Rows {
    pub(super) fn new(lengths: Vec<Vec<i64>>) -> Result<Rows> {
        let each = || lengths.iter().flatten().copied();
        let (count, longest, tokens) = (each().count() as i64, each().max().unwrap_or(0), each().sum());
        let mut parts = Vec::with_capacity(lengths.len());
        let mut first = 0;
        for of_device in &lengths {
            let size = of_device.iter().sum();
            parts.push((first, size));
            first += size;
        }
        let mut places = None;
        if tokens != count * longest {
            let of_row = |(row, length): (i64, i64)| row * longest..row * longest + length;
            let all: Vec<i64> = (0..).zip(each()).flat_map(of_row).collect();
            places = Some(Tensor::f_from_slice(&all).doing("laying out rows")?);
        }
        Ok(Rows { lengths, count, longest, tokens, parts, places })
    }

    /// `[M, width]` to `[N, T, width]`, zero behind the end of a row.
    pub(super) fn pad(&self, x: &Tensor) -> Torch<Tensor> {
        let sizes = [self.count, self.longest, -1];
        let Some(places) = &self.places else { return x.f_view(sizes) };
        let width = x.size().last().copied().unwrap_or(0);
        let mut all = Tensor::f_zeros([self.count * self.longest, width], (Kind::Float, Device::Cpu))?;
        all.f_index_copy_(0, places, x)?.f_view(sizes)
    }

    /// `[N * T, width]` to `[M, width]`.
    pub(super) fn unpad(&self, x: Tensor) -> Torch<Tensor> {
        match &self.places {
            Some(places) => x.f_index_select(0, places),
            None => Ok(x),
        }
    }

    /// Each device's tokens `[M, k]` by its own factor of `[D, k, n]`: `[M, n]`.
    pub(super) fn product(&self, x: &Tensor, factors: &Tensor) -> Torch<Tensor> {
        let width = factors.size().last().copied().unwrap_or(0);
        if let Some(each) = self.each() {
            return x.f_view(each)?.f_bmm(factors)?.f_view([self.tokens, width]);
        }
        let all = Tensor::f_empty([self.tokens, width], (Kind::Float, Device::Cpu))?;
        for (device, (first, size)) in (0i64..).zip(&self.parts) {
            let x = x.f_narrow(0, *first, *size)?;
            let _ = x.f_mm_out(&all.f_narrow(0, *first, *size)?, &factors.f_select(0, device)?)?;
        }
        Ok(all)
    }

    /// Adds [`Rows::product`] to `sum`, `[M, n]`.
    pub(super) fn add_product(&self, sum: &Tensor, x: &Tensor, factors: &Tensor) -> Torch<()> {
        if let Some(each) = self.each() {
            let _ = sum.f_view(each)?.f_baddbmm_(&x.f_view(each)?, factors)?;
            return Ok(());
        }
        for (device, (first, size)) in (0i64..).zip(&self.parts) {
            let x = x.f_narrow(0, *first, *size)?;
            let _ = sum.f_narrow(0, *first, *size)?.f_addmm_(&x, &factors.f_select(0, device)?)?;
        }
        Ok(())
    }

    /// Of each device, the sum over its tokens of outer products of `[M, k]` and `[M, n]`: `[D, k, n]`.
    pub(super) fn outer(&self, x: &Tensor, y: &Tensor) -> Torch<Tensor> {
        if let Some(each) = self.each() {
            return x.f_view(each)?.f_transpose(1, 2)?.f_bmm(&y.f_view(each)?);
        }
        let width = |t: &Tensor| t.size().last().copied().unwrap_or(0);
        let sizes = [self.parts.len() as i64, width(x), width(y)];
        let all = Tensor::f_zeros(sizes, (Kind::Float, Device::Cpu))?;
        for (device, (first, size)) in (0i64..).zip(&self.parts).filter(|(_, (_, size))| *size > 0) {
            let x = x.f_narrow(0, *first, *size)?.f_transpose(0, 1)?;
            let _ = x.f_mm_out(&all.f_select(0, device)?, &y.f_narrow(0, *first, *size)?)?;
        }
        Ok(all)
    }

    /// The sizes of a matrix by device, if all have equally many tokens: then one operation serves all.
    fn each(&self) -> Option<[i64; 3]> {
        let (_, size) = self.parts.first()?;
        self.parts.iter().all(|(_, other)| other == size).then_some([self.parts.len() as i64, *size, -1])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(rows: i64, columns: i64) -> Tensor {
        Tensor::arange(rows * columns, (Kind::Float, Device::Cpu)).view([rows, columns])
    }

    #[test]
    fn products_are_each_devices_own() {
        for lengths in [vec![vec![3, 2], vec![4, 1]], vec![vec![2], vec![], vec![1, 4]], vec![vec![6]]] {
            let rows = Rows::new(lengths.clone()).unwrap();
            let devices = lengths.len() as i64;
            let (x, y) = (matrix(rows.tokens, 3), matrix(rows.tokens, 2));
            let factors = matrix(devices * 3, 2).view([devices, 3, 2]);
            let product = rows.product(&x, &factors).unwrap();
            let outer = rows.outer(&x, &y).unwrap();
            let sum = y.copy();
            rows.add_product(&sum, &x, &factors).unwrap();
            assert_eq!(sum, &product + &y);
            let mut first = 0;
            for (device, of_device) in (0i64..).zip(&lengths) {
                let size = of_device.iter().sum();
                let part = |t: &Tensor| t.narrow(0, first, size);
                assert_eq!(part(&product), part(&x).matmul(&factors.select(0, device)), "{lengths:?}");
                assert_eq!(
                    outer.select(0, device),
                    part(&x).transpose(0, 1).matmul(&part(&y)),
                    "{lengths:?}"
                );
                first += size;
            }
        }
    }

    #[test]
    fn rows_become_equally_long_and_come_back() {
        let rows = Rows::new(vec![vec![3, 1], vec![2]]).unwrap();
        assert_eq!((rows.count, rows.longest, rows.tokens), (3, 3, 6));
        let padded = rows.pad(&matrix(6, 1)).unwrap();
        let expected = [0.0, 1.0, 2.0, 3.0, 0.0, 0.0, 4.0, 5.0, 0.0];
        assert_eq!(padded, Tensor::from_slice(&expected.map(|v: f32| v)).view([3, 3, 1]));
        assert_eq!(rows.unpad(padded.view([9, 1])).unwrap(), matrix(6, 1));
    }
}
