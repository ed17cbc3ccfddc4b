//! Real PostgreSQL under scripts.
//!
//! In: a cluster, steps. Out: transcripts. Elsewhere: connections that break at a commit (`proxy`).
//!
//! Each session has a role of its own, by which `pg_stat_activity` tells the sessions apart, and a pool of one connection behind a relay.
//! What waits is read from `pg_locks`, which is what the server's own memory says in that moment; a wait that was granted is not in it.
//!
//! Commits need not be durable here, and deadlocks are looked for after 100 ms: neither changes what is answered.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bankstorm_adapters::postgres::channel::{self as pg_channel, PgChannelStore};
use bankstorm_adapters::postgres::core::{self as pg_core, PgCoreStore};
use bankstorm_outside::conformance::script::{
    Cut, SESSIONS, ScriptFixture, Step, Subject, Transcript, Unsettled, channel, core, opening, run,
};
use tokio::runtime::{Builder, Runtime};
use tokio::time::{Instant, timeout};
use tokio_postgres::Client;

use super::proxy::Proxy;
use crate::database::{LIMIT, client};

/// A run that took longer says nothing: sessions that sit in a transaction for two seconds lose it (D36).
const VALID: Duration = Duration::from_millis(1_500);
/// How often a run may be void before the machine is called too slow.
const VOIDS: usize = 5;
/// How often tables are made anew: until then deleted rows stay in their files.
const TRUNCATE_EVERY: u64 = 200;

static MADE: AtomicU32 = AtomicU32::new(0);
static PREPARING: Mutex<()> = Mutex::new(());

/// A store on PostgreSQL under scripts.
pub(super) trait Real: 'static {
    /// Its port, as scripts see it.
    type Port: Subject;
    /// Its tables.
    const TABLES: &'static [&'static str];

    /// Makes the tables.
    async fn schema(url: &str);
    /// Opens a store.
    async fn connect(url: &str, connections: usize) -> <Self::Port as Subject>::Store;
    /// What puts in what scripts begin with.
    fn fill() -> String;
}

/// Core's.
pub(super) struct Core;

/// The channel's.
pub(super) struct Channel;

impl Real for Core {
    type Port = core::Core<PgCoreStore>;
    const TABLES: &'static [&'static str] = &["account", "transfer", "entry", "hold", "outbox"];

    async fn schema(url: &str) {
        pg_core::apply_schema(url).await.expect("the tables are made");
    }

    async fn connect(url: &str, connections: usize) -> PgCoreStore {
        PgCoreStore::connect(url, connections).await.expect("the database is up")
    }

    fn fill() -> String {
        let rows: Vec<String> = opening()
            .iter()
            .map(|head| format!("({}, {}, {})", head.account.get(), head.seq, head.balance.get()))
            .collect();
        format!("INSERT INTO account (no, seq, balance) VALUES {}", rows.join(", "))
    }
}

impl Real for Channel {
    type Port = channel::Channel<PgChannelStore>;
    const TABLES: &'static [&'static str] = &["account_sync", "entry", "apply_journal", "transfer", "dead_letter"];

    async fn schema(url: &str) {
        pg_channel::apply_schema(url).await.expect("the tables are made");
    }

    async fn connect(url: &str, connections: usize) -> PgChannelStore {
        PgChannelStore::connect(url, connections, "script").await.expect("the database is up")
    }

    fn fill() -> String {
        let heads: Vec<String> = opening()
            .iter()
            .map(|head| format!("({}, {}, {})", head.account.get(), head.seq, head.balance.get()))
            .collect();
        let entries =
            opening().into_iter().flat_map(|head| (1..=head.seq).map(move |seq| channel::entry(head.account, seq)));
        let entries: Vec<String> = entries
            .map(|entry| {
                let (account, amount, balance) = (entry.account.get(), entry.amount.get(), entry.balance_after.get());
                let (transfer, kind, at) = (entry.transfer, entry.kind.as_str(), entry.posted_at.0);
                format!("({account}, {}, '{transfer}', {amount}, {balance}, '{kind}', {at})", entry.seq)
            })
            .collect();
        format!(
            "INSERT INTO account_sync (account, last_seq, balance) VALUES {}; \
             INSERT INTO entry (account, seq, transfer, amount, balance_after, kind, posted_at_us) VALUES {}",
            heads.join(", "),
            entries.join(", ")
        )
    }
}

/// Makes the sessions' roles, once per cluster.
pub(super) fn prepare(cluster: &str) {
    let _one = PREPARING.lock().unwrap_or_else(PoisonError::into_inner);
    runtime().block_on(async {
        let roles: Vec<String> = (0..SESSIONS)
            .map(|session| {
                let role = role(session);
                format!(
                    "IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') THEN CREATE ROLE {role} LOGIN SUPERUSER; END IF;"
                )
            })
            .collect();
        let all = format!("DO $$ BEGIN {} END $$", roles.join(" "));
        client(cluster).await.batch_execute(&all).await.expect("roles");
    });
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn role(session: usize) -> String {
    format!("script_{session}")
}

/// A database for one script after the other.
pub(super) struct Database<R: Real> {
    fixture: Fixture<R>,
    filled: Cell<u64>,
    // Dropped last: the connections end with it.
    runtime: Runtime,
}

struct Fixture<R: Real> {
    control: Client,
    stores: Vec<<R::Port as Subject>::Store>,
    proxies: Vec<Proxy>,
    reader: <R::Port as Subject>::Store,
}

impl<R: Real> Database<R> {
    /// A new database of the cluster.
    pub(super) fn open(cluster: &str) -> Self {
        let runtime = runtime();
        let fixture = runtime.block_on(Fixture::open(cluster));
        Self { fixture, filled: Cell::new(0), runtime }
    }

    /// Runs a script.
    pub(super) fn transcript(&self, steps: &[Step]) -> Transcript {
        for _ in 0..VOIDS {
            let (transcript, took) = self.runtime.block_on(async {
                self.fixture.fill(self.filled.get()).await;
                let began = Instant::now();
                (run::<R::Port, _>(&self.fixture, steps, &BTreeSet::new()).await, began.elapsed())
            });
            self.filled.set(self.filled.get() + 1);
            if took < VALID {
                return transcript;
            }
            println!("void: a script took {took:?}, longer than {VALID:?}");
            if transcript.counts.contains_key("stuck") {
                return transcript;
            }
        }
        panic!(
            "a script took longer than {VALID:?} for {VOIDS} times: this machine is too slow, or too busy, for scripts"
        )
    }
}

impl<R: Real> Fixture<R> {
    async fn open(cluster: &str) -> Self {
        let name = format!("scripts_{}", MADE.fetch_add(1, Ordering::Relaxed));
        client(cluster).await.batch_execute(&format!("CREATE DATABASE {name}")).await.expect("a new name");
        let url = with(cluster, "dbname", &name);
        R::schema(&url).await;
        let control = client(&url).await;
        let still: Vec<String> =
            R::TABLES.iter().map(|table| format!("ALTER TABLE {table} SET (autovacuum_enabled = off)")).collect();
        let settings = format!(
            "ALTER DATABASE {name} SET deadlock_timeout = '100ms'; ALTER DATABASE {name} SET synchronous_commit = off; {}",
            still.join("; ")
        );
        control.batch_execute(&settings).await.expect("a superuser");
        let server: u16 = part(&url, "port").parse().expect("a port");
        let (mut stores, mut proxies) = (Vec::new(), Vec::new());
        for session in 0..SESSIONS {
            let proxy = Proxy::start(server).await;
            let url = with(&with(&url, "user", &role(session)), "port", &proxy.port.to_string());
            stores.push(R::connect(&url, 1).await);
            proxies.push(proxy);
        }
        let reader = R::connect(&url, 1).await;
        Self { control, stores, proxies, reader }
    }

    async fn fill(&self, filled: u64) {
        let clear = if filled.is_multiple_of(TRUNCATE_EVERY) {
            format!("TRUNCATE {}", R::TABLES.join(", "))
        } else {
            R::TABLES.iter().map(|table| format!("DELETE FROM {table}")).collect::<Vec<_>>().join("; ")
        };
        let all = format!("{clear}; {}", R::fill());
        timeout(LIMIT, self.control.batch_execute(&all)).await.expect("nobody holds a row").expect("filled");
    }

    /// The sessions' states: in a transaction, at work.
    async fn states(&self) -> BTreeMap<String, (bool, bool)> {
        let query = "SELECT usename::text, bool_or(xact_start IS NOT NULL), bool_or(state = 'active') FROM pg_stat_activity \
                     WHERE datname = current_database() AND usename LIKE 'script%' GROUP BY usename";
        let rows = self.control.query(query, &[]).await.expect("states");
        rows.iter().map(|row| (row.get(0), (row.get(1), row.get(2)))).collect()
    }

    /// Who waits for a lock.
    async fn waiting(&self) -> BTreeSet<String> {
        let query = "SELECT DISTINCT a.usename::text FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid \
                     WHERE NOT l.granted AND a.datname = current_database()";
        self.control.query(query, &[]).await.expect("waits").iter().map(|row| row.get(0)).collect()
    }
}

impl<R: Real> ScriptFixture<R::Port> for Fixture<R> {
    fn store(&self, session: usize) -> <R::Port as Subject>::Store {
        self.stores[session].clone()
    }

    fn reader(&self) -> <R::Port as Subject>::Store {
        self.reader.clone()
    }

    async fn settled(&self, unsettled: &Unsettled) -> Result<(), String> {
        loop {
            // States first: a transaction that is over there has set its waiters free, so none of them is seen to wait after it.
            let (states, waiting) = futures_util::join!(self.states(), self.waiting());
            let waits = |session: &usize| waiting.contains(&role(*session));
            let state = |session: &usize| states.get(&role(*session)).copied().unwrap_or_default();
            let settled = unsettled.busy.iter().all(waits)
                && unsettled.ended.iter().all(|session| !state(session).0 || waits(session))
                && unsettled.idle.iter().all(|session| !state(session).1);
            if settled {
                return Ok(());
            }
        }
    }

    async fn kill(&self, session: usize) {
        let kill = "SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity \
                    WHERE datname = current_database() AND usename = $1";
        self.control.query(kill, &[&role(session)]).await.expect("killed");
    }

    fn cut(&self, session: usize, cut: Cut) {
        self.proxies[session].cut(cut);
    }

    async fn nap(&self) {
        unreachable!("naps are taken on the model");
    }
}

/// The connection string with this part in place of its own.
fn with(url: &str, key: &str, value: &str) -> String {
    let others = url.split_whitespace().filter(|part| !part.starts_with(&format!("{key}=")));
    others.map(str::to_owned).chain([format!("{key}={value}")]).collect::<Vec<_>>().join(" ")
}

fn part<'a>(url: &'a str, key: &str) -> &'a str {
    url.split_whitespace().find_map(|part| part.strip_prefix(key)?.strip_prefix('=')).expect("a part of every address")
}
