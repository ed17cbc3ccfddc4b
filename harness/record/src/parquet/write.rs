//! Writing: rows are gathered into batches and row groups; the file gets its name when it is whole.
//!
//! In: rows, one after the other. Out: a Parquet file, its row count and its SHA-256 (taken as the bytes pass, so that no file is read
//! twice). Elsewhere: the columns (`row`).

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{DataType, Field, Schema};
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_writer::{ArrowWriter, ArrowWriterOptions};
use parquet::basic::{Compression, LogicalType, Type as PhysicalType, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::schema::types::{SchemaDescriptor, Type};
use sha2::{Digest, Sha256};

use super::RecordError;
use super::row::ParquetRow;
use crate::run_json::EvidenceFile;
use crate::save::hex;

/// Rows that are gathered before they are encoded.
const BATCH_ROWS: usize = 8_192;
/// Rows of a row group: what the encoder holds in memory, and what a reader may skip.
const GROUP_ROWS: usize = 131_072;

/// Writes `rows` to `path` and says how many there were.
///
/// # Errors
/// When the file cannot be written; then nothing stands at `path` that was not there before.
pub fn write_rows<T: ParquetRow>(
    path: impl AsRef<Path>,
    rows: impl IntoIterator<Item = T>,
) -> Result<u64, RecordError> {
    let mut writer = RowWriter::create(path)?;
    for row in rows {
        writer.push(row)?;
    }
    Ok(writer.finish()?.rows)
}

/// Writes rows as they come. Nothing stands at the path until [`RowWriter::finish`]; a dropped writer leaves nothing.
pub struct RowWriter<T: ParquetRow> {
    path: PathBuf,
    temporary: PathBuf,
    schema: Arc<Schema>,
    batch: Vec<T>,
    rows: u64,
    inner: Option<ArrowWriter<Hashing>>,
}

impl<T: ParquetRow> RowWriter<T> {
    /// Opens a writer for `path`; the folder is made if it is not there.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn create(path: impl AsRef<Path>) -> Result<Self, RecordError> {
        let path = path.as_ref().to_path_buf();
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(RecordError::io(parent))?;
        }
        let temporary = crate::save::temporary(&path);
        let file = File::create(&temporary).map_err(RecordError::io(&temporary))?;
        let schema = Arc::new(arrow_schema::<T>());
        let inner = arrow_writer(Hashing::new(file), &schema).map_err(RecordError::parquet(&path))?;
        Ok(Self { path, temporary, schema, batch: Vec::with_capacity(BATCH_ROWS), rows: 0, inner: Some(inner) })
    }

    /// Adds a row.
    ///
    /// # Errors
    /// When the batch that it completes cannot be written.
    pub fn push(&mut self, row: T) -> Result<(), RecordError> {
        self.batch.push(row);
        self.rows += 1;
        if self.batch.len() == BATCH_ROWS { self.flush() } else { Ok(()) }
    }

    /// Writes what is left, gives the file its name and says what is in it.
    ///
    /// # Errors
    /// When the rest cannot be written or the file cannot be renamed.
    pub fn finish(mut self) -> Result<EvidenceFile, RecordError> {
        self.flush()?;
        let inner = self.inner.take().expect("only finish takes the writer, and it consumes self");
        let hashing = inner.into_inner().map_err(RecordError::parquet(&self.path))?;
        let (file, sha256) = hashing.end();
        file.sync_all().map_err(RecordError::io(&self.temporary))?;
        std::fs::rename(&self.temporary, &self.path).map_err(RecordError::io(&self.path))?;
        Ok(EvidenceFile { rows: self.rows, sha256 })
    }

    fn flush(&mut self) -> Result<(), RecordError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), T::arrays(&self.batch));
        self.batch.clear();
        let inner = self.inner.as_mut().expect("only finish takes the writer, and it consumes self");
        batch
            .map_err(ParquetError::from)
            .and_then(|batch| inner.write(&batch))
            .map_err(RecordError::parquet(&self.path))
    }
}

impl<T: ParquetRow> Drop for RowWriter<T> {
    fn drop(&mut self) {
        // After a finish the name is gone already; otherwise half a file is of no use to anyone.
        let _ = std::fs::remove_file(&self.temporary);
    }
}

fn arrow_schema<T: ParquetRow>() -> Schema {
    let field = |column: super::Column| Field::new(column.name, column.data_type, column.nullable);
    Schema::new(T::columns().into_iter().map(field).collect::<Vec<_>>())
}

fn arrow_writer(out: Hashing, schema: &Arc<Schema>) -> Result<ArrowWriter<Hashing>, ParquetError> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .set_created_by(concat!("bankstorm ", env!("CARGO_PKG_VERSION")).to_owned())
        .build();
    let options = ArrowWriterOptions::new().with_properties(properties).with_parquet_schema(parquet_schema(schema)?);
    ArrowWriter::try_new_with_options(out, Arc::clone(schema), options)
}

/// The Parquet schema that Arrow would choose, with ids marked as UUIDs.
fn parquet_schema(schema: &Schema) -> Result<SchemaDescriptor, ParquetError> {
    let chosen = ArrowSchemaConverter::new().convert(schema)?;
    let mut fields = Vec::with_capacity(schema.fields().len());
    for (arrow, chosen) in schema.fields().iter().zip(chosen.root_schema().get_fields()) {
        fields.push(match arrow.data_type() {
            DataType::FixedSizeBinary(length) => Arc::new(
                Type::primitive_type_builder(arrow.name(), PhysicalType::FIXED_LEN_BYTE_ARRAY)
                    .with_length(*length)
                    .with_repetition(chosen.get_basic_info().repetition())
                    .with_logical_type(Some(LogicalType::Uuid))
                    .build()?,
            ),
            _ => Arc::clone(chosen),
        });
    }
    Ok(SchemaDescriptor::new(Arc::new(Type::group_type_builder("row").with_fields(fields).build()?)))
}

/// A file that hashes what passes. The Parquet writer buffers before it.
struct Hashing {
    file: File,
    sha256: Sha256,
}

impl Hashing {
    fn new(file: File) -> Self {
        Self { file, sha256: Sha256::new() }
    }

    fn end(self) -> (File, String) {
        (self.file, hex(&self.sha256.finalize()))
    }
}

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.sha256.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
