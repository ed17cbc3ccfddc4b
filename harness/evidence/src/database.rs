//! Reading a database: one snapshot, rows streamed by COPY into a file.
//!
//! In: a connection string, queries in the order of their row type. Out: evidence files. Elsewhere: the queries (`core`, `channel`).

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bankstorm_record::folder::RunFolder;
use bankstorm_record::parquet::{ParquetRow, RowWriter};
use bankstorm_record::run_json::EvidenceFile;
use futures_util::StreamExt;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::binary_copy::{BinaryCopyOutRow, BinaryCopyOutStream};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, NoTls};

use crate::Evidence;
use crate::error::EvidenceError;

/// How long connecting may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// How long one answer, or one row of a stream, may take; the first row comes after the sort.
const ANSWER_LIMIT: Duration = Duration::from_secs(120);

/// Rows on their way.
type Copied = Pin<Box<BinaryCopyOutStream>>;

/// Streams a query's rows of several databases into the evidence file of `T`: each gives them in the order of `key`, and so does the file.
pub(crate) async fn stream_merged<T: ParquetRow, K: Ord>(
    databases: &[Database],
    (query, types): (&str, &[Type]),
    folder: &RunFolder,
    evidence: &mut Evidence,
    row: impl Fn(&BinaryCopyOutRow) -> Result<T, tokio_postgres::Error>,
    key: impl Fn(&T) -> K,
) -> Result<(), EvidenceError> {
    let mut streams = Vec::new();
    for database in databases {
        let mut stream = database.copied(T::NAME, query, types).await?;
        let first = next(&mut stream, &row).await?;
        streams.push((stream, first));
    }
    let mut writer = RowWriter::<T>::create(folder.evidence_file(T::NAME))?;
    loop {
        let heads = streams.iter().enumerate().filter_map(|(at, (_, head))| Some((key(head.as_ref()?), at)));
        let Some((_, at)) = heads.min() else { break };
        let (stream, head) = &mut streams[at];
        if let Some(least) = std::mem::replace(head, next(stream, &row).await?) {
            writer.push(least)?;
        }
    }
    let written: EvidenceFile = writer.finish()?;
    evidence.insert(T::NAME.to_owned(), written);
    Ok(())
}

async fn next<T: ParquetRow>(
    stream: &mut Copied,
    row: impl Fn(&BinaryCopyOutRow) -> Result<T, tokio_postgres::Error>,
) -> Result<Option<T>, EvidenceError> {
    let next = timeout(ANSWER_LIMIT, stream.next()).await;
    let next = next.map_err(|_| EvidenceError::limit(format!("the next row of {}", T::NAME), ANSWER_LIMIT))?;
    next.map(|copied| copied.and_then(|copied| row(&copied)).map_err(EvidenceError::database(T::NAME))).transpose()
}

/// A connection, and the task that drives it.
pub(crate) struct Database {
    name: &'static str,
    client: Client,
    driver: JoinHandle<()>,
}

impl Drop for Database {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Database {
    /// Connects to a database; `name` is what errors call it.
    pub(crate) async fn connect(name: &'static str, url: &str) -> Result<Self, EvidenceError> {
        let connecting = timeout(CONNECT_LIMIT, tokio_postgres::connect(url, NoTls)).await;
        let connected =
            connecting.map_err(|_| EvidenceError::limit(format!("connecting to database {name}"), CONNECT_LIMIT))?;
        let (client, connection) =
            connected.map_err(EvidenceError::database(format!("connecting to database {name}")))?;
        #[expect(clippy::disallowed_methods, reason = "a harness task: the driver of this connection, aborted with it")]
        let driver = tokio::spawn(async move {
            // Its error is also that of the query that was in flight, where it is reported.
            let _ = connection.await;
        });
        Ok(Self { name, client, driver })
    }

    /// Begins a read-only transaction in which every query sees the same snapshot.
    pub(crate) async fn snapshot(&self) -> Result<(), EvidenceError> {
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL work_mem = '64MB'; \
                     SET LOCAL statement_timeout = 0";
        self.bounded("beginning a snapshot", self.client.batch_execute(begin)).await
    }

    /// One query that gives one row of numbers.
    pub(crate) async fn numbers<const N: usize>(&self, query: &str) -> Result<[i64; N], EvidenceError> {
        let row = self.bounded(query, self.client.query_one(query, &[])).await?;
        Ok(std::array::from_fn(|column| row.get(column)))
    }

    /// Pairs of numbers, in the query's order.
    pub(crate) async fn pairs(&self, query: &str) -> Result<Vec<(i64, i64)>, EvidenceError> {
        let rows = self.bounded(query, self.client.query(query, &[])).await?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    /// Streams a query's rows into the evidence file of `T`.
    pub(crate) async fn stream<T: ParquetRow>(
        &self,
        query: &str,
        types: &[Type],
        folder: &RunFolder,
        evidence: &mut Evidence,
        row: impl Fn(&BinaryCopyOutRow) -> Result<T, tokio_postgres::Error>,
    ) -> Result<(), EvidenceError> {
        stream_merged(std::slice::from_ref(self), (query, types), folder, evidence, row, |_| ()).await
    }

    /// A query's rows, in memory.
    pub(crate) async fn rows<T>(
        &self,
        what: &'static str,
        query: &str,
        types: &[Type],
        row: impl Fn(&BinaryCopyOutRow) -> Result<T, tokio_postgres::Error>,
    ) -> Result<Vec<T>, EvidenceError> {
        let mut stream = self.copied(what, query, types).await?;
        let mut rows = Vec::new();
        loop {
            let next = timeout(ANSWER_LIMIT, stream.next()).await;
            match next.map_err(|_| EvidenceError::limit(format!("the next row of {what}"), ANSWER_LIMIT))? {
                None => return Ok(rows),
                Some(copied) => {
                    rows.push(copied.and_then(|copied| row(&copied)).map_err(EvidenceError::database(what))?);
                }
            }
        }
    }

    async fn copied(&self, what: &str, query: &str, types: &[Type]) -> Result<Copied, EvidenceError> {
        let copy = format!("COPY ({query}) TO STDOUT (FORMAT binary)");
        let stream = self.bounded(what, self.client.copy_out(copy.as_str())).await?;
        Ok(Box::pin(BinaryCopyOutStream::new(stream, types)))
    }

    async fn bounded<V>(
        &self,
        what: &str,
        answer: impl Future<Output = Result<V, tokio_postgres::Error>>,
    ) -> Result<V, EvidenceError> {
        let what = format!("database {}: {what}", self.name);
        let answer = timeout(ANSWER_LIMIT, answer).await;
        answer.map_err(|_| EvidenceError::limit(what.as_str(), ANSWER_LIMIT))?.map_err(EvidenceError::database(what))
    }
}
