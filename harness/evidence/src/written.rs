//! Files of rows that the harness itself holds: operations, pages, presses of the button, what was told of transfers.
//!
//! In: rows of `load`. Out: `operations.parquet`, `evidence/page.parquet`, `evidence/sync.parquet` and `evidence/transfer_read.parquet`, sorted
//! as [`bankstorm_record::rows`] says. Elsewhere: who fills the rows (`load`), their visible times ([`crate::visible`]).

use bankstorm_record::folder::RunFolder;
use bankstorm_record::parquet::{ParquetRow, RowWriter};
use bankstorm_record::rows::{OperationRow, PageRow, SyncRow, TransferReadRow};
use bankstorm_record::save::OPERATIONS;

use crate::Evidence;
use crate::error::EvidenceError;

/// Sorts and writes the operations.
///
/// # Errors
/// When the file cannot be written.
pub fn write_operations(operations: &mut [OperationRow], folder: &RunFolder) -> Result<Evidence, EvidenceError> {
    operations.sort_by_key(|row| row.op);
    let mut writer = RowWriter::create(folder.operations())?;
    operations.iter().try_for_each(|row| writer.push(row.clone()))?;
    Ok(Evidence::from([(OPERATIONS.to_owned(), writer.finish()?)]))
}

/// Sorts and writes the pages.
///
/// # Errors
/// When the file cannot be written.
pub fn write_pages(pages: &mut [PageRow], folder: &RunFolder) -> Result<Evidence, EvidenceError> {
    pages.sort_by_key(|row| (row.account, row.invoked_ns));
    let mut writer = RowWriter::create(folder.evidence_file(PageRow::NAME))?;
    pages.iter().try_for_each(|row| writer.push(row.clone()))?;
    Ok(Evidence::from([(PageRow::NAME.to_owned(), writer.finish()?)]))
}

/// Sorts and writes the presses of the button.
///
/// # Errors
/// When the file cannot be written.
pub fn write_syncs(syncs: &mut [SyncRow], folder: &RunFolder) -> Result<Evidence, EvidenceError> {
    syncs.sort_by_key(|row| (row.account, row.invoked_ns));
    let mut writer = RowWriter::create(folder.evidence_file(SyncRow::NAME))?;
    syncs.iter().try_for_each(|row| writer.push(row.clone()))?;
    Ok(Evidence::from([(SyncRow::NAME.to_owned(), writer.finish()?)]))
}

/// Sorts and writes what was told of transfers.
///
/// # Errors
/// When the file cannot be written.
pub fn write_transfer_reads(reads: &mut [TransferReadRow], folder: &RunFolder) -> Result<Evidence, EvidenceError> {
    reads.sort_by_key(|row| (row.transfer, row.invoked_ns));
    let mut writer = RowWriter::create(folder.evidence_file(TransferReadRow::NAME))?;
    reads.iter().try_for_each(|row| writer.push(row.clone()))?;
    Ok(Evidence::from([(TransferReadRow::NAME.to_owned(), writer.finish()?)]))
}
