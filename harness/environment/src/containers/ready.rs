//! What makes each kind of node ready, asked over its pinned port as the harness sees it. The same as in `local/nodes`, so that the time a
//! node takes to come back means the same in both.

use std::path::Path;

use super::logs::contains;
use crate::local::{kafka, postgres, redis, services};

/// How to tell that a node may be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ready {
    /// It answers `select 1` at this connection string.
    Select { address: String },
    /// A new line of its log.
    Broker,
    /// An answer to Redis's PING.
    Ping { address: String },
    /// 200 from an address and path.
    Http { address: String, path: String },
}

impl Ready {
    /// In words, for progress and errors.
    pub(super) fn waiting_for(&self) -> String {
        match self {
            Self::Select { .. } => "an answer to `select 1`".to_owned(),
            Self::Broker => kafka::READY_LINE.to_owned(),
            Self::Ping { address } => format!("PONG from {address}"),
            Self::Http { address, path } => format!("200 from http://{address}{path}"),
        }
    }

    /// Looks once; what the log held before its first `from` bytes does not count.
    pub(super) async fn is(&self, log: &Path, from: u64) -> bool {
        match self {
            Self::Select { address } => postgres::ask(address, "select 1").await.is_some(),
            Self::Broker => contains(log, from, kafka::READY_LINE),
            Self::Ping { address } => redis::answers(address).await,
            Self::Http { address, path } => services::answers_ok(address, path).await,
        }
    }
}
