//! Why evidence could not be collected.

use std::path::PathBuf;
use std::time::Duration;

use bankstorm_record::parquet::RecordError;

/// Why evidence could not be collected.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    /// A database refused.
    #[error("{what}: {}", chain(.source))]
    Database {
        /// What was being done.
        what: String,
        /// What it said.
        source: tokio_postgres::Error,
    },
    /// Kafka refused.
    #[error("{what}: {source}")]
    Kafka {
        /// What was being done.
        what: String,
        /// What it said.
        source: rdkafka::error::KafkaError,
    },
    /// A limit was hit.
    #[error("limit of {what} hit: {limit:?}")]
    Limit {
        /// Which limit.
        what: String,
        /// How long it was.
        limit: Duration,
    },
    /// A line of a visible log is not one.
    #[error("{path} line {line}: {text:?} is not `at_ns account from_seq to_seq`")]
    VisibleLine {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: u64,
        /// What stands there.
        text: String,
    },
    /// A file could not be read.
    #[error("{path}: {source}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the file system said.
        source: std::io::Error,
    },
    /// A file of the run folder could not be written.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A thread of the collectors ended without an answer.
    #[error("the thread of {0} ended without an answer")]
    Lost(&'static str),
}

impl EvidenceError {
    pub(crate) fn database(what: impl Into<String>) -> impl FnOnce(tokio_postgres::Error) -> Self {
        let what = what.into();
        move |source| Self::Database { what, source }
    }

    pub(crate) fn kafka(what: impl Into<String>) -> impl FnOnce(rdkafka::error::KafkaError) -> Self {
        let what = what.into();
        move |source| Self::Kafka { what, source }
    }

    pub(crate) fn read(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Read { path, source }
    }

    pub(crate) fn limit(what: impl Into<String>, limit: Duration) -> Self {
        Self::Limit { what: what.into(), limit }
    }
}

/// tokio-postgres says only "db error"; what the server said is its source.
fn chain(error: &tokio_postgres::Error) -> String {
    let mut text = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}
