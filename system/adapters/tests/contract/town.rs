//! Core, a channel and the other banks as running services on loopback, with real stores, calling each other over HTTP.
//!
//! In: the cluster. Out: addresses, and what stands in the stores. Elsewhere: what is asked (`table`, `wrong`). Of real parts only the log
//! is missing: core's is a list, the channel's says nothing, so only answers bring its copy forward.

use std::collections::BTreeMap;
use std::future::pending;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use bankstorm_adapters::access::AccessFile;
use bankstorm_adapters::http::banks_client::BanksClient;
use bankstorm_adapters::http::core_client::{CoreCalls, CoreClient};
use bankstorm_adapters::http::server::{operations, serve};
use bankstorm_adapters::http::{banks, channel, core};
use bankstorm_adapters::postgres::channel::PgChannelStore;
use bankstorm_adapters::postgres::core::PgCoreStore;
use bankstorm_adapters::process::banks::BanksProcess;
use bankstorm_adapters::process::channel::ChannelProcess;
use bankstorm_adapters::process::core::{CoreProcess, stopping};
use bankstorm_adapters::process::registry::Registry;
use bankstorm_adapters::process::scope::ProcessScope;
use bankstorm_adapters::process::wall::MachineWall;
use bankstorm_adapters::visible::VisibleFile;
use bankstorm_banks::{Banks, BanksConfig};
use bankstorm_channel::{Channel, ChannelConfig};
use bankstorm_contracts::{AccountNo, Head, Won};
use bankstorm_core::{Core, CoreConfig};
use bankstorm_outside::log::{
    ConsumerEvent, Delivered, EventConsumer, EventLog, EventProducer, LogError, Outgoing, TopicPartition,
};
use bankstorm_outside::process::Scope;
use futures_util::FutureExt;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use tokio::net::TcpListener;
use tokio_postgres::Client;
use uuid::Uuid;

use crate::Place;
use crate::core_service::MemoryLog;
use crate::database::{LIMIT, channel_database, client, core_database, until};

/// Other banks that take nobody on.
pub(crate) const FULL_BANKS: &str = "full banks";
/// Other banks whose disk is full.
pub(crate) const BROKEN_BANKS: &str = "broken banks";
/// The customers' accounts.
pub(crate) const ACCOUNTS: [i64; 3] = [1_000_001, 1_000_002, 1_000_003];
/// What is on each.
const BALANCE: i64 = 1_000_000;
/// So late that it never comes here.
const NEVER: Duration = Duration::from_secs(3_600);
/// Those who wait in vain wait this long.
const SHORT: Duration = Duration::from_millis(100);

/// The services, and connections to their databases.
pub(crate) struct Town {
    addresses: BTreeMap<&'static str, String>,
    databases: BTreeMap<&'static str, Database>,
    scopes: Vec<ProcessScope>,
    visible: PathBuf,
    book: PathBuf,
    idle_book: PathBuf,
    /// What the book on a full disk is written to.
    _full_disk: OwnedFd,
}

struct Database {
    client: Client,
    everything: String,
}

/// What stands in every table, and in the book.
pub(crate) type Stores = BTreeMap<String, String>;

/// How the banks behave: half of the ids learn nothing from their first request.
pub(crate) fn temper() -> BanksConfig {
    BanksConfig { never_permille: 500, silent_for: SHORT, ..BanksConfig::default() }
}

impl Town {
    /// Starts all of them.
    pub(crate) async fn start(place: &Place) -> Self {
        let heads = ACCOUNTS.map(|no| Head { account: AccountNo::new(no), seq: 0, balance: Won::new(BALANCE) });
        let core_url = core_database(&place.core, &heads).await;
        let channel_url = channel_database(&place.channel).await;
        let databases = BTreeMap::from([
            ("core", Database::open(&core_url).await),
            ("channel", Database::open(&channel_url).await),
        ]);
        for no in ACCOUNTS {
            let copy = format!("INSERT INTO account_sync (account, balance) VALUES ({no}, {BALANCE})");
            databases["channel"].client.batch_execute(&copy).await.expect("a new account");
        }
        let (full_disk, broken_book) = full_disk();
        let file = |of: &str| std::env::temp_dir().join(format!("bankstorm-{of}-{}", Uuid::now_v7()));
        let mut town = Self {
            addresses: BTreeMap::new(),
            databases,
            scopes: Vec::new(),
            visible: file("visible"),
            book: file("book"),
            idle_book: file("book"),
            _full_disk: full_disk,
        };
        let (core, channel, banks) = (town.bind("core").await, town.bind("channel").await, town.bind("banks").await);
        let (full, broken) = (town.bind(FULL_BANKS).await, town.bind(BROKEN_BANKS).await);
        town.core(core, &core_url).await;
        town.channel(channel, &channel_url).await;
        town.banks(banks, &town.book.clone(), temper());
        town.banks(full, &town.idle_book.clone(), BanksConfig { in_work_max: 0, ..temper() });
        town.banks(broken, &broken_book, BanksConfig::default());
        town
    }

    async fn core(&mut self, door: TcpListener, database: &str) {
        let config = CoreConfig {
            lock_timeout: SHORT,
            resolve_wait: SHORT,
            outbound_answer_wait: SHORT,
            outbound_expiry: NEVER,
            outbound_backoff_first: NEVER,
            outbound_backoff_max: NEVER,
            ..CoreConfig::default()
        };
        let (scope, registry) = (self.scope(), Registry::new());
        let process = CoreProcess {
            store: PgCoreStore::connect(database, config.connections()).await.expect("the database is up"),
            log: MemoryLog::default(),
            banks: BanksClient::new(&self.url("banks"), 4, "core").expect("an address"),
            scope: scope.clone(),
            registry: registry.clone(),
            access: AccessFile::none(),
        };
        open(door, core::router(Core::start(process, config)), registry, &scope);
    }

    async fn channel(&mut self, door: TcpListener, database: &str) {
        // Long validity: the poller, which is at work, never asks.
        let config = ChannelConfig {
            validity: NEVER,
            poll_margin: NEVER,
            call_limit: LIMIT,
            store_patience: 3 * SHORT,
            ..ChannelConfig::default()
        };
        let (scope, registry) = (self.scope(), Registry::new());
        let process = ChannelProcess {
            store: PgChannelStore::connect(database, 12, "channel-contract").await.expect("the database is up"),
            log: Silent,
            core: CoreClient::new(
                &self.url("core"),
                CoreCalls { reads: 2, transfers: 2, resolves: 2 },
                "channel-contract",
            )
            .expect("an address"),
            scope: scope.clone(),
            registry: registry.clone(),
            visible: VisibleFile::counting_in(&self.visible, registry.clone()).expect("a file"),
            wall: MachineWall,
        };
        open(door, channel::router(Channel::start(process, config)), registry, &scope);
    }

    fn banks(&mut self, door: TcpListener, book: &Path, config: BanksConfig) {
        let scope = self.scope();
        let process = BanksProcess::open(book, &self.url("core"), scope.clone()).expect("the book opens");
        let registry = process.registry.clone();
        open(door, banks::router(Banks::start(process, config)), registry, &scope);
    }

    async fn bind(&mut self, name: &'static str) -> TcpListener {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        self.addresses.insert(name, listener.local_addr().expect("bound").to_string());
        listener
    }

    fn scope(&mut self) -> ProcessScope {
        let scope = ProcessScope::new();
        self.scopes.push(scope.clone());
        scope
    }

    fn url(&self, name: &str) -> String {
        format!("http://{}", self.address(name))
    }

    /// Where that service listens.
    pub(crate) fn address(&self, name: &str) -> &str {
        &self.addresses[name]
    }

    /// Runs statements in a service's database.
    pub(crate) async fn run(&self, database: &str, statements: &str) {
        let ran = self.databases[database].client.batch_execute(statements).await;
        ran.unwrap_or_else(|error| panic!("{statements}: {error:?}"));
    }

    /// What stands in the stores, once what was posted is published.
    pub(crate) async fn stores(&self) -> Stores {
        until(&self.databases["core"].client, "SELECT count(*) FROM outbox", |rows| rows == 0).await;
        let mut stores = Stores::from([("book".to_owned(), std::fs::read_to_string(&self.book).expect("the book"))]);
        for (name, database) in &self.databases {
            for row in database.client.query(&database.everything, &[]).await.expect("the tables are there") {
                stores.insert(format!("{name}.{}", row.get::<_, &str>(0)), row.get(1));
            }
        }
        stores
    }

    /// Stops all of them.
    pub(crate) async fn stop(self) {
        self.scopes.iter().for_each(ProcessScope::stop);
        for scope in &self.scopes {
            assert_eq!(scope.ended(Duration::from_secs(10)).await, 0, "every task ends with its process");
        }
        for file in [&self.visible, &self.book, &self.idle_book] {
            std::fs::remove_file(file).expect("the file was there");
        }
    }
}

impl Database {
    async fn open(url: &str) -> Self {
        let client = client(url).await;
        let tables = "SELECT relname::text FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace";
        let tables = client.query(tables, &[]).await.expect("a catalogue");
        let rows = tables.iter().map(|row| row.get::<_, &str>(0)).map(|table| {
            format!("SELECT '{table}', coalesce(string_agg(t::text, ' ' ORDER BY t::text), '') FROM {table} t")
        });
        Self { everything: rows.collect::<Vec<_>>().join(" UNION ALL "), client }
    }
}

/// A file that never grows, and its name.
fn full_disk() -> (OwnedFd, PathBuf) {
    let file = memfd_create("book", MFdFlags::MFD_ALLOW_SEALING).expect("memory");
    fcntl(&file, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_GROW)).expect("a new file takes seals");
    let name = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    (file, name)
}

fn open(door: TcpListener, router: Router, registry: Registry, scope: &ProcessScope) {
    let router = router.merge(operations(registry, Arc::new(|| async { Ok(()) }.boxed())));
    let stop = stopping(scope);
    scope.spawn("front", async move { serve(door, router, stop).await.expect("served") });
}

/// A log in which nothing ever happens.
#[derive(Clone, Copy)]
struct Silent;

impl EventLog for Silent {
    type Producer = Self;
    type Consumer = Self;

    async fn producer(&self) -> Result<Self, LogError> {
        Ok(Self)
    }

    async fn consumer(&self, _group: &str, _topics: &[&str]) -> Result<Self, LogError> {
        Ok(Self)
    }
}

impl EventProducer for Silent {
    fn produce(&self, _record: Outgoing) -> impl Future<Output = Result<Delivered, LogError>> + Send + 'static {
        pending()
    }

    async fn discard(self) {}
}

impl EventConsumer for Silent {
    async fn next(&mut self) -> Result<ConsumerEvent, LogError> {
        pending().await
    }

    fn commit(&self, _: &[(TopicPartition, i64)]) -> impl Future<Output = Result<(), LogError>> + Send + 'static {
        std::future::ready(Ok(()))
    }

    fn pause(&self, _partitions: &[TopicPartition]) -> Result<(), LogError> {
        Ok(())
    }

    fn resume(&self, _partitions: &[TopicPartition]) -> Result<(), LogError> {
        Ok(())
    }

    async fn close(self) {}
}
