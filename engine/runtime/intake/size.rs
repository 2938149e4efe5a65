//! The size of rows in bytes, whatever buffers they are slices of.
//!
//! In: a batch. Out: its bytes. Ends of epochs depend on them, so that they may never depend on how rows were batched.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::DataType;

/// Bytes of the rows themselves, whatever buffers they are slices of. The sum over slices is that of the whole, so that
/// batches do not move ends of epochs: bitmaps count a byte a row, and offsets one for each row.
pub(super) fn size_of_rows(rows: &RecordBatch) -> u64 {
    rows.columns().iter().map(size_of).sum()
}

fn size_of(column: &ArrayRef) -> u64 {
    const OFFSET: u64 = 4;
    let rows = column.len() as u64;
    match column.data_type() {
        DataType::Boolean => rows,
        DataType::Utf8 => OFFSET * rows + extent(column.as_string::<i32>().value_offsets()).1,
        DataType::Binary => OFFSET * rows + extent(column.as_binary::<i32>().value_offsets()).1,
        DataType::List(_) => {
            let lists = column.as_list::<i32>();
            let (from, items) = extent(lists.value_offsets());
            OFFSET * rows + size_of(&lists.values().slice(whole(from), whole(items)))
        }
        DataType::Struct(_) => column.as_struct().columns().iter().map(size_of).sum(),
        other => match other.primitive_width() {
            Some(width) => rows * width as u64,
            None => column.to_data().get_slice_memory_size().unwrap_or(0) as u64,
        },
    }
}

/// Where the values of a column of offsets begin, and how many there are.
fn extent(offsets: &[i32]) -> (u64, u64) {
    let at = |offset: Option<&i32>| offset.and_then(|o| u64::try_from(*o).ok()).unwrap_or(0);
    let (from, to) = (at(offsets.first()), at(offsets.last()));
    (from, to.saturating_sub(from))
}

fn whole(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}
