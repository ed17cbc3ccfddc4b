//! Parquet: rows of [`crate::rows`] to files and back, a batch at a time.
//!
//! In: an iterator of rows and a path. Out: one file per row type, written under a temporary name and then renamed; or a lazy iterator of
//! rows. Elsewhere: what each column means ([`crate::rows`]), file names ([`crate::folder`]), the columns' forms (`parquet/cell.rs`).
//!
//! Forms, chosen so that DuckDB, pandas and Polars read the files as they are: ids are FIXED_LEN_BYTE_ARRAY(16) with the logical type
//! UUID (half the size of text; DuckDB shows them as `UUID`), hashes are binary, words are UTF-8 with dictionary encoding, numbers have
//! the width and sign of their field, an absent value is null. Compression is zstd.

mod cell;
mod read;
mod row;
mod write;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

pub use read::{RowReader, read_rows};
pub use row::{Column, Decoder, ParquetRow};
pub use write::{RowWriter, write_rows};

/// Why something of the run folder could not be written.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The file system refused.
    #[error("{path}: {source}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What it said.
        source: std::io::Error,
    },
    /// The Parquet library refused.
    #[error("{path}: {source}")]
    Parquet {
        /// Which file.
        path: PathBuf,
        /// What it said.
        source: parquet::errors::ParquetError,
    },
    /// A JSON document could not be read or written.
    #[error("{path}: {source}")]
    Json {
        /// Which file.
        path: PathBuf,
        /// What it said.
        source: serde_json::Error,
    },
}

impl RecordError {
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }

    pub(crate) fn parquet(path: impl Into<PathBuf>) -> impl FnOnce(parquet::errors::ParquetError) -> Self {
        let path = path.into();
        move |source| Self::Parquet { path, source }
    }

    pub(crate) fn json(path: impl Into<PathBuf>) -> impl FnOnce(serde_json::Error) -> Self {
        let path = path.into();
        move |source| Self::Json { path, source }
    }
}
