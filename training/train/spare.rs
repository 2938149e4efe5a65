//! Matrices that a pass is done with in, the same memory for the next one out: what a layer's tape holds is asked for
//! again in every step, and would come from the system, page by page, each time. Knows only the last pass's rows.

use std::cell::RefCell;

use tch::{Device, Kind, Tensor};

use super::forward::Torch;

/// `[rows, width]` matrices in wait.
#[derive(Debug, Default)]
pub(super) struct Spare {
    rows: i64,
    waiting: RefCell<Vec<Tensor>>,
}

impl Spare {
    /// To be called at the start of a pass: matrices of another number of rows are let go of.
    pub(super) fn of_rows(&mut self, rows: i64) {
        if self.rows != rows {
            self.rows = rows;
            self.waiting.borrow_mut().clear();
        }
    }

    /// A matrix with anything in it.
    pub(super) fn take(&self, width: i64) -> Torch<Tensor> {
        let mut waiting = self.waiting.borrow_mut();
        if let Some(at) = waiting.iter().rposition(|t| t.size() == [self.rows, width]) {
            return Ok(waiting.swap_remove(at));
        }
        Tensor::f_empty([self.rows, width], (Kind::Float, Device::Cpu))
    }

    /// The caller must hold the only handle of `matrices`.
    pub(super) fn give(&self, matrices: impl IntoIterator<Item = Tensor>) {
        self.waiting.borrow_mut().extend(matrices);
    }
}
