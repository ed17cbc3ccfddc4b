//! Reading: a file's rows, decoded a batch at a time as they are asked for.
//!
//! In: a path. Out: rows, or a [`ReadError`] that names the file and, where one is at fault, the column. Elsewhere: which forms of a
//! column are understood (`cell`); whether the file is the one that the run wrote (`save`).

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::RecordBatch;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::row::{Decoder, ParquetRow};
use crate::source::ReadError;

/// Rows that are decoded at a time.
const BATCH_ROWS: usize = 8_192;

/// Opens a file of rows.
///
/// # Errors
/// When the file is missing, is no whole Parquet file, lacks a column or has one of a type that cannot hold its values. What is found
/// wrong further down is an item of the iterator, and the last one.
pub fn read_rows<T: ParquetRow>(path: impl AsRef<Path>) -> Result<RowReader<T>, ReadError> {
    let path = path.as_ref().to_path_buf();
    let open = || -> Result<_, String> {
        let file = File::open(&path).map_err(|error| error.to_string())?;
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| error.to_string())?;
        let schema = builder.schema();
        // An empty batch tells at once whether every column is there and of a type that serves.
        drop(T::decoder(&RecordBatch::new_empty(Arc::clone(schema)))?);
        let columns = T::columns();
        let mask = ProjectionMask::columns(builder.parquet_schema(), columns.iter().map(|column| column.name));
        let reader = builder.with_projection(mask).with_batch_size(BATCH_ROWS).build();
        reader.map_err(|error| error.to_string())
    };
    match guarded(open) {
        Ok(batches) => Ok(RowReader { path, batches: Some(batches), current: None }),
        Err(problem) => Err(ReadError { file: path.display().to_string(), problem }),
    }
}

/// The library trusts what a page says of itself and panics on some damaged ones; evidence that cannot be read must be an error. Nothing
/// of a reader that panicked is used again.
fn guarded<T>(read: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(read))
        .unwrap_or_else(|_| Err("it is damaged: the Parquet reader gave up on a page".to_owned()))
}

/// A lazy iterator over a file's rows; it holds one batch.
pub struct RowReader<T> {
    path: PathBuf,
    /// `None` after an error: what follows a bad row is not guessed at.
    batches: Option<ParquetRecordBatchReader>,
    current: Option<Batch<T>>,
}

struct Batch<T> {
    decode: Decoder<T>,
    next: usize,
    rows: usize,
}

impl<T: ParquetRow> RowReader<T> {
    fn next_row(&mut self) -> Result<Option<T>, String> {
        loop {
            if let Some(batch) = &mut self.current
                && batch.next < batch.rows
            {
                batch.next += 1;
                return (batch.decode)(batch.next - 1).map(Some);
            }
            let Some(batches) = &mut self.batches else { return Ok(None) };
            let batch = guarded(|| batches.next().transpose().map_err(|error| error.to_string()))?;
            let Some(batch) = batch else { return Ok(None) };
            self.current = Some(Batch { decode: T::decoder(&batch)?, next: 0, rows: batch.num_rows() });
        }
    }
}

impl<T: ParquetRow> Iterator for RowReader<T> {
    type Item = Result<T, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_row()
            .map_err(|problem| {
                self.batches = None;
                self.current = None;
                ReadError { file: self.path.display().to_string(), problem }
            })
            .transpose()
    }
}
