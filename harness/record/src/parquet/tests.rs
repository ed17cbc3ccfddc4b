//! Rows come back as they went in, and a file that is not what it should be says which column or why.

mod rows;

use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, Int32Array, LargeStringArray, RecordBatch, StringArray};
use arrow_schema::{Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::LogicalType;
use proptest::prelude::{any, prop_assert_eq, proptest};

use super::{ParquetRow, RowWriter, read_rows, write_rows};
use crate::folder::RunFolder;
use crate::folder_source::FolderSource;
use crate::rows::{CoreAccountRow, CoreOutboxRow, CoreTransferRow, OperationRow, PageRow, pending_bytes, pending_ids};
use crate::source::Source;

fn outbox(count: i64) -> impl Iterator<Item = CoreOutboxRow> {
    (0..count).map(|number| CoreOutboxRow { account: number / 10, seq: number % 10, transfer: number as u128 })
}

#[test]
fn many_rows_stream_through_several_row_groups() {
    let root = tempfile::tempdir().expect("a temporary folder");
    let path = root.path().join("core_outbox.parquet");
    let count = 300_000;
    assert_eq!(write_rows(&path, outbox(count)).expect("written"), 300_000);
    let file = std::fs::File::open(&path).expect("opened");
    let metadata = ParquetRecordBatchReaderBuilder::try_new(file).expect("Parquet").metadata().clone();
    assert!(metadata.num_row_groups() > 1, "rows leave memory before the end");
    assert_eq!(metadata.file_metadata().schema_descr().column(2).logical_type_ref(), Some(&LogicalType::Uuid));
    let read = read_rows::<CoreOutboxRow>(&path).expect("opened");
    assert!(read.map(|row| row.expect("a row")).eq(outbox(count)));
}

#[test]
fn the_hash_of_a_writer_is_the_hash_of_its_file() {
    let root = tempfile::tempdir().expect("a temporary folder");
    let path = root.path().join("core_outbox.parquet");
    let mut writer = RowWriter::create(&path).expect("created");
    outbox(20_000).for_each(|row| writer.push(row).expect("pushed"));
    assert!(!path.exists(), "the name appears when the file is whole");
    let written = writer.finish().expect("finished");
    assert_eq!(written.rows, 20_000);
    assert_eq!(written.sha256, crate::save::sha256_file(&path).expect("hashed"));
}

#[test]
fn a_dropped_writer_leaves_nothing() {
    let root = tempfile::tempdir().expect("a temporary folder");
    let mut writer = RowWriter::create(root.path().join("core_outbox.parquet")).expect("created");
    writer.push(CoreOutboxRow { account: 1, seq: 1, transfer: 1 }).expect("pushed");
    drop(writer);
    assert_eq!(std::fs::read_dir(root.path()).expect("listed").count(), 0);
}

#[test]
fn a_missing_file_and_a_truncated_one_are_errors_of_the_source() {
    let root = tempfile::tempdir().expect("a temporary folder");
    let folder = RunFolder::new(root.path());
    let path = folder.evidence_file("core_outbox");
    write_rows(&path, outbox(1_000)).expect("written");
    let whole = std::fs::read(&path).expect("read");
    for length in [0, 3, 100, whole.len() / 2, whole.len() - 9, whole.len() - 1] {
        std::fs::write(&path, &whole[..length]).expect("truncated");
        let source = FolderSource::new(folder.clone());
        let rows: Vec<_> = source.core_outbox().collect();
        assert!(matches!(&rows[..], [Err(error)] if error.file.ends_with("core_outbox.parquet")), "{length}: {rows:?}");
    }
    let source = FolderSource::new(folder);
    let error = source.operations().next().expect("one item").expect_err("no such file");
    assert!(error.file.ends_with("operations.parquet"), "{error}");
}

#[test]
fn a_run_from_before_a_file_has_no_rows_of_it_and_a_broken_file_is_still_an_error() {
    let root = tempfile::tempdir().expect("a temporary folder");
    let folder = RunFolder::new(root.path());
    let source = FolderSource::new(folder.clone());
    assert_eq!(source.core_access().count(), 0);
    assert_eq!(source.syncs().count(), 0);
    assert_eq!(source.dead_letters().count(), 0);
    assert_eq!(source.dead_letter_topic().count(), 0);
    assert_eq!(source.group_commits().count(), 0);
    std::fs::create_dir_all(folder.evidence()).expect("created");
    std::fs::write(folder.evidence_file("group_commit"), "no Parquet").expect("written");
    let rows: Vec<_> = source.group_commits().collect();
    assert!(matches!(&rows[..], [Err(error)] if error.file.ends_with("group_commit.parquet")), "{rows:?}");
}

fn foreign(columns: Vec<(&str, ArrayRef)>) -> Result<Vec<CoreOutboxRow>, String> {
    let root = tempfile::tempdir().expect("a temporary folder");
    let path = root.path().join("core_outbox.parquet");
    let field = |(name, array): &(&str, ArrayRef)| Field::new(*name, array.data_type().clone(), true);
    let schema = Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()));
    let batch = RecordBatch::try_new(schema, columns.into_iter().map(|(_, array)| array).collect()).expect("a batch");
    let file = std::fs::File::create(&path).expect("created");
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).expect("a writer");
    writer.write(&batch).expect("written");
    writer.close().expect("closed");
    let read = read_rows::<CoreOutboxRow>(&path).and_then(Iterator::collect);
    read.map_err(|error| error.problem)
}

#[test]
fn files_that_other_tools_wrote_are_read_by_column_name() {
    let id: ArrayRef = Arc::new(LargeStringArray::from(vec!["00000000-0000-0000-0000-00000000000a"]));
    let read = foreign(vec![
        ("transfer", id),
        ("seq", Arc::new(Int32Array::from(vec![4]))),
        ("__index_level_0__", Arc::new(Int32Array::from(vec![0]))),
        ("account", Arc::new(Float64Array::from(vec![1_000_001.0]))),
    ]);
    assert_eq!(read, Ok(vec![CoreOutboxRow { account: 1_000_001, seq: 4, transfer: 10 }]));
}

#[test]
fn a_column_that_does_not_fit_is_named() {
    let id: ArrayRef = Arc::new(StringArray::from(vec!["00000000-0000-0000-0000-00000000000a"]));
    let one: ArrayRef = Arc::new(Int32Array::from(vec![1]));
    let missing = foreign(vec![("account", one.clone()), ("transfer", id.clone())]);
    assert_eq!(missing, Err("column seq is missing".to_owned()));
    let wrong = foreign(vec![("account", one.clone()), ("seq", id.clone()), ("transfer", id.clone())]);
    assert_eq!(wrong, Err("column seq has type Utf8; expected is Int64".to_owned()));
    let null: ArrayRef = Arc::new(Int32Array::from(vec![None]));
    let absent = foreign(vec![("account", one.clone()), ("seq", null), ("transfer", id.clone())]);
    assert_eq!(absent, Err("column seq is null and must not be".to_owned()));
    let half: ArrayRef = Arc::new(Float64Array::from(vec![0.5]));
    let fraction = foreign(vec![("account", one), ("seq", half), ("transfer", id)]);
    assert_eq!(fraction, Err("column seq: 0.5 is not an exact whole number".to_owned()));
}

/// Rows without the named columns, as a build before they came wrote them.
fn written_without<T: ParquetRow>(rows: &[T], columns: &[&str]) -> Result<Vec<T>, String> {
    let root = tempfile::tempdir().expect("a temporary folder");
    let path = root.path().join("rows.parquet");
    let all = T::columns().into_iter().zip(T::arrays(rows)).filter(|(column, _)| !columns.contains(&column.name));
    let (fields, arrays): (Vec<_>, Vec<_>) =
        all.map(|(column, array)| (Field::new(column.name, column.data_type, column.nullable), array)).unzip();
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).expect("a batch");
    let file = std::fs::File::create(&path).expect("created");
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).expect("a writer");
    writer.write(&batch).expect("written");
    writer.close().expect("closed");
    read_rows::<T>(&path).and_then(Iterator::collect).map_err(|error| error.problem)
}

#[test]
fn files_from_before_transfers_are_read_and_older_columns_still_must_be_there() {
    let row = CoreAccountRow { account: 7, seq: 3, status: "open".to_owned(), ..CoreAccountRow::default() };
    assert_eq!(written_without(std::slice::from_ref(&row), &["status", "held"]), Ok(vec![row.clone()]));
    assert_eq!(written_without(&[row], &["loaded_seq"]), Err("column loaded_seq is missing".to_owned()));
    let row = OperationRow { op: 4, ..OperationRow::default() };
    let later = ["user", "to_bank", "to_account", "intent", "attempts"];
    assert_eq!(written_without(std::slice::from_ref(&row), &later), Ok(vec![row]));
    let later = ["pending", "page_no", "next_cursor"];
    assert_eq!(written_without(&[PageRow::default()], &later), Ok(vec![PageRow::default()]));
    let row = CoreTransferRow { transfer: 9, ..CoreTransferRow::default() };
    let later = ["party_bank", "party_account", "created_at_us", "posted_at_us", "requested_at_us", "valid_for_ms"];
    assert_eq!(written_without(std::slice::from_ref(&row), &later), Ok(vec![row]));
}

#[test]
fn ids_listed_on_a_page_come_back_in_their_order() {
    let ids = [7, u128::MAX, 0];
    assert!(pending_ids(&pending_bytes(ids)).eq(ids));
    assert_eq!(pending_ids(&[1; 15]).count(), 0);
}

proptest! {
    #[test]
    fn any_change_of_a_stored_byte_is_an_error_or_rows_never_a_panic(at in 0_usize..4_000, to in any::<u8>()) {
        let root = tempfile::tempdir().expect("a temporary folder");
        let path = root.path().join("core_outbox.parquet");
        write_rows(&path, outbox(500)).expect("written");
        let mut bytes = std::fs::read(&path).expect("read");
        let at = at % bytes.len();
        let same = bytes[at] == to;
        bytes[at] = to;
        std::fs::write(&path, &bytes).expect("written back");
        if let Ok(rows) = read_rows::<CoreOutboxRow>(&path) {
            let good = rows.take_while(Result::is_ok).count();
            if same {
                prop_assert_eq!(good, 500);
            }
        }
    }
}
