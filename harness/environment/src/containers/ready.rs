//! What makes each kind of node ready, asked over its pinned port as the harness sees it.

use std::path::Path;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};

use super::logs::contains;
use crate::local::{redis, services};

/// For one look; it is looked again within the limit of the whole wait.
const LOOK: Duration = Duration::from_secs(3);
/// What a broker writes once it serves.
const BROKER_LINE: &str = "Kafka Server started";

/// How to tell that a node may be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ready {
    /// It answers `select 1` at this connection string.
    Select { address: String },
    /// A new line of its log, and it is among the brokers that it names at its own address.
    Broker { host: &'static str, port: u16 },
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
            Self::Broker { .. } => BROKER_LINE.to_owned(),
            Self::Ping { address } => format!("PONG from {address}"),
            Self::Http { address, path } => format!("200 from http://{address}{path}"),
        }
    }

    /// Looks once; what the log held before its first `from` bytes does not count.
    pub(super) async fn is(&self, log: &Path, from: usize) -> bool {
        match self {
            Self::Select { address } => ask(address, "select 1").await.is_some(),
            Self::Broker { host, port } => contains(log, from, BROKER_LINE) && is_member(host, *port).await,
            Self::Ping { address } => redis::answers(address).await,
            Self::Http { address, path } => services::answers_ok(address, path).await,
        }
    }
}

/// First column of the first row. The engine's forwarding takes a connection before the server listens, so a refusal is no error here.
pub(super) async fn ask(address: &str, sql: &str) -> Option<String> {
    let ask = async {
        let (client, connection) = tokio_postgres::connect(address, tokio_postgres::NoTls).await.ok()?;
        let question = async {
            let rows = client.simple_query(sql).await.ok()?;
            drop(client);
            rows.into_iter().find_map(|message| match message {
                tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
                _ => None,
            })
        };
        tokio::join!(question, connection).0
    };
    tokio::time::timeout(LOOK, ask).await.ok().flatten()
}

#[expect(clippy::disallowed_methods, reason = "harness room: librdkafka's metadata call blocks its thread")]
async fn is_member(host: &'static str, port: u16) -> bool {
    let look = move || {
        let consumer: BaseConsumer =
            ClientConfig::new().set("bootstrap.servers", format!("{host}:{port}")).create().ok()?;
        let metadata = consumer.fetch_metadata(None, LOOK).ok()?;
        Some(metadata.brokers().iter().any(|broker| broker.host() == host && broker.port() == i32::from(port)))
    };
    tokio::task::spawn_blocking(look).await.ok().flatten().unwrap_or(false)
}
