//! The channel on a real PostgreSQL, with a log that plays a script and a core that knows every entry.
//!
//! In: the connection string of a database. Out: trials. Elsewhere: the store alone (`channel_store`), the log for real (`kafka_log`),
//! the whole bank under faults (`simulator`).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use bankstorm_adapters::http::core_client::{CoreCalls, CoreClient};
use bankstorm_adapters::postgres::channel::PgChannelStore;
use bankstorm_adapters::process::channel::ChannelProcess;
use bankstorm_adapters::process::registry::Registry;
use bankstorm_adapters::process::scope::ProcessScope;
use bankstorm_adapters::process::wall::MachineWall;
use bankstorm_adapters::visible::VisibleFile;
use bankstorm_channel::{Channel, ChannelConfig, Redriving, Sweeping, WorkerMode};
use bankstorm_contracts::channel_api::{ChannelRequest, ChannelResponse, HistoryPage, RedriveAnswer, RedriveRequest};
use bankstorm_contracts::core_api::{Entries, Heads, HeadsRequest};
use bankstorm_contracts::dead_letter::{self, DeadLetter};
use bankstorm_contracts::event::{self, DEAD_LETTERS_TOPIC, ENTRIES_TOPIC};
use bankstorm_contracts::{AccountNo, Seq};
use bankstorm_outside::log::{
    Assignment, ConsumerEvent, Delivered, EventConsumer, EventLog, EventProducer, LogError, Outgoing, Record,
    TopicPartition,
};
use libtest_mimic::Trial;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Notify, oneshot};
use tokio::time::timeout;

use crate::channel_store::entry;
use crate::database::{channel_database, client};

/// How long a trial waits for one event.
const LIMIT: Duration = Duration::from_secs(30);

/// The trials, each in a database of its own in the cluster at `url`.
pub(crate) fn trials(runtime: &Arc<Runtime>, url: &str) -> Vec<Trial> {
    let modes = [WorkerMode::Serial, WorkerMode::Slots, WorkerMode::Keyed, WorkerMode::KeyedBatched];
    let mut trials: Vec<Trial> = (1..)
        .zip(modes)
        .map(|(number, mode)| {
            let (runtime, url) = (Arc::clone(runtime), url.to_owned());
            Trial::test(
                format!("channel_service::duplicates_gaps_and_garbage_end_in_cores_history_{mode:?}"),
                move || {
                    runtime.block_on(duplicates_gaps_and_garbage(url, mode, 6_000_000 + 1_000 * number));
                    Ok(())
                },
            )
        })
        .collect();
    let (shared, cluster) = (Arc::clone(runtime), url.to_owned());
    let (runtime, url) = (Arc::clone(runtime), url.to_owned());
    trials.push(Trial::test("channel_service::two_instances_with_the_same_records_apply_each_once", move || {
        runtime.block_on(two_instances(url));
        Ok(())
    }));
    trials.push(Trial::test("channel_service::r15_an_instance_that_was_replaced_applies_nothing_more", move || {
        shared.block_on(replaced(cluster));
        Ok(())
    }));
    trials
}

async fn duplicates_gaps_and_garbage(cluster: String, mode: WorkerMode, base: i64) {
    let url = channel_database(&cluster).await;
    let [long, short] = [1, 2].map(|index| AccountNo::new(base + index));
    let core = core_with([(long, 1_200), (short, 3)]).await;
    // Nobody heals a copy unasked.
    let config = ChannelConfig { sweeping: Sweeping::Off, redriving: Redriving::OnCommand, ..ChannelConfig::default() };
    let running = start(&url, &core, ChannelConfig { worker_mode: mode, ..config }).await;
    running.assign(0);
    running.record(0, long, 1);
    running.record(1, short, 1);
    running.record(2, long, 1);
    running.record(3, long, 1_200);
    running.send(ConsumerEvent::Record(Record { at: at(), offset: 4, key: event::key(short), value: b"?".to_vec() }));
    running.until_committed(5).await;

    assert_eq!(running.copy_of(long).await, (1..=1_200).rev().collect::<Vec<Seq>>());
    assert_eq!(running.copy_of(short).await, [1], "what cannot be read is a dead letter, and holds nobody else up");
    let letters: Vec<_> = running.shared.letters().iter().map(|letter| (letter.offset, letter.account)).collect();
    assert_eq!(letters, [(4, Some(short))]);
    let driven = running.channel.handle(ChannelRequest::Redrive(RedriveRequest { limit: 10 })).await;
    let healed = RedriveAnswer { taken: 1, closed: 1, ..RedriveAnswer::default() };
    assert_eq!(driven, ChannelResponse::Redriven(healed), "the account was brought to where core is");
    assert_eq!(running.copy_of(short).await, [3, 2, 1]);
    assert_eq!(running.visible(), BTreeMap::from([(long.get(), 1_200), (short.get(), 3)]));
    let metrics = running.process.registry.render();
    for line in [
        "bankstorm_channel_gaps_total 1",
        "bankstorm_channel_applied_total 1203",
        "bankstorm_channel_unreadable_total 1",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line} in\n{metrics}");
    }

    let (done, drained) = oneshot::channel();
    running.send(ConsumerEvent::Revoked { partitions: vec![at()], done });
    timeout(LIMIT, drained).await.expect("the revocation is answered").expect("after the drain");
    running.stop().await;
}

/// As after a rebalance whose loser does not know yet: nothing is applied twice, whoever comes first.
async fn two_instances(cluster: String) {
    let url = channel_database(&cluster).await;
    let accounts: Vec<AccountNo> = (1..=20).map(|index| AccountNo::new(6_100_000 + index)).collect();
    let core = core_with(accounts.iter().map(|account| (*account, 30))).await;
    let instances =
        [start(&url, &core, ChannelConfig::default()).await, start(&url, &core, ChannelConfig::default()).await];
    for running in &instances {
        running.assign(0);
    }
    let records = (1..=30).flat_map(|seq| accounts.iter().map(move |account| (*account, seq)));
    for (offset, (account, seq)) in (0..).zip(records) {
        instances.iter().for_each(|running| running.record(offset, account, seq));
    }
    for running in &instances {
        running.until_committed(600).await;
    }
    for account in &accounts {
        assert_eq!(instances[0].copy_of(*account).await, (1..=30).rev().collect::<Vec<Seq>>());
    }
    let applied: i64 = instances.iter().flat_map(|running| running.lines()).map(|[_, _, from, to]| to - from).sum();
    assert_eq!(applied, 600, "each entry was applied, and stamped, by one of the two");
    for running in instances {
        running.stop().await;
    }
}

/// A consumer that was stopped longer than its session goes on with what it had fetched, and has not heard yet that its partition is
/// another's.
async fn replaced(cluster: String) {
    let url = channel_database(&cluster).await;
    let account = AccountNo::new(6_200_001);
    let core = core_with([(account, 0)]).await;
    let quiet = || ChannelConfig { sweeping: Sweeping::Off, ..ChannelConfig::default() };
    let [old, new] = [start(&url, &core, quiet()).await, start(&url, &core, quiet()).await];
    old.assign(1);
    old.record(0, account, 1);
    old.until_committed(1).await;
    new.assign(2);
    new.record(1, account, 2);
    new.until_committed(2).await;

    old.record(2, account, 3);
    old.until_counted("channel_partitions_fenced_total", 1).await;
    assert_eq!(new.copy_of(account).await, [2, 1]);
    assert_eq!(*old.shared.committed(), 1, "what was not applied is not committed");
    new.record(2, account, 3);
    new.until_committed(3).await;
    assert_eq!(new.copy_of(account).await, [3, 2, 1]);
    let journal = "SELECT string_agg(from_seq || ' by ' || generation, ', ' ORDER BY id) FROM apply_journal";
    let journal: String = client(&url).await.query_one(journal, &[]).await.expect("a row").get(0);
    assert_eq!(journal, "0 by 1, 1 by 2, 2 by 2");
    old.stop().await;
    new.stop().await;
}

/// A channel at work, and the ends of what it talks to.
struct Running {
    channel: Channel<ChannelProcess<Script>>,
    process: ChannelProcess<Script>,
    events: UnboundedSender<ConsumerEvent>,
    shared: Arc<Shared>,
    visible: PathBuf,
}

async fn start(url: &str, core: &str, config: ChannelConfig) -> Running {
    let (events, script) = unbounded_channel();
    let shared = Arc::new(Shared::default());
    let visible = std::env::temp_dir().join(format!("bankstorm-visible-{}", uuid::Uuid::now_v7()));
    let registry = Registry::new();
    let process = ChannelProcess {
        store: PgChannelStore::connect(url, 6, "channel-trial").await.expect("the database is up"),
        log: Script { events: Arc::new(Mutex::new(Some(script))), shared: Arc::clone(&shared) },
        core: CoreClient::new(core, CoreCalls { reads: 2, transfers: 2, resolves: 2 }, "channel-trial")
            .expect("an address"),
        scope: ProcessScope::new(),
        visible: VisibleFile::counting_in(&visible, registry.clone()).expect("a file"),
        wall: MachineWall,
        registry,
    };
    let channel = Channel::start(process.clone(), config);
    Running { channel, process, events, shared, visible }
}

impl Running {
    fn send(&self, event: ConsumerEvent) {
        self.events.send(event).expect("the channel listens");
    }

    fn assign(&self, generation: i32) {
        self.send(ConsumerEvent::Assigned(Assignment { partitions: vec![at()], generation: Some(generation) }));
    }

    fn record(&self, offset: i64, account: AccountNo, seq: Seq) {
        let value = event::encode(&entry(account, seq));
        self.send(ConsumerEvent::Record(Record { at: at(), offset, key: event::key(account), value }));
    }

    async fn until_committed(&self, offset: i64) {
        let reached = async {
            loop {
                let mut changed = std::pin::pin!(self.shared.changed.notified());
                changed.as_mut().enable();
                if *self.shared.committed() >= offset {
                    return;
                }
                changed.await;
            }
        };
        let reached = timeout(LIMIT, reached).await;
        assert!(reached.is_ok(), "offset {offset} not committed within {LIMIT:?}: {}", *self.shared.committed());
    }

    /// Completes once a counter has reached this.
    async fn until_counted(&self, name: &str, at_least: u64) {
        let of = |line: &str| line.strip_prefix(&format!("bankstorm_{name} ")).and_then(|count| count.parse().ok());
        let counted = async {
            while self.process.registry.render().lines().find_map(of).unwrap_or(0_u64) < at_least {
                tokio::task::yield_now().await;
            }
        };
        assert!(timeout(LIMIT, counted).await.is_ok(), "{name} is not {at_least} within {LIMIT:?}");
    }

    /// The serials of the whole history, page by page.
    async fn copy_of(&self, account: AccountNo) -> Vec<Seq> {
        let mut serials = Vec::new();
        let mut cursor = None;
        loop {
            let answer = self.channel.handle(ChannelRequest::History { account, cursor, limit: 100 }).await;
            let ChannelResponse::History(HistoryPage { items, next_cursor, .. }) = answer else { panic!("{answer:?}") };
            assert!(items.iter().all(|item| *item == entry(account, item.seq)), "the entries are core's");
            serials.extend(items.iter().map(|item| item.seq));
            cursor = next_cursor;
            if cursor.is_none() {
                return serials;
            }
        }
    }

    /// The visible log's lines: time, account, from, to.
    fn lines(&self) -> Vec<[i64; 4]> {
        let text = std::fs::read_to_string(&self.visible).expect("the file is there");
        let numbers = |line: &str| line.split(' ').map(|word| word.parse().expect("a number")).collect::<Vec<i64>>();
        text.lines().map(|line| numbers(line).try_into().expect("four numbers")).collect()
    }

    /// How far the visible log goes for each account; its lines must join without holes.
    fn visible(&self) -> BTreeMap<i64, Seq> {
        let mut reached = BTreeMap::new();
        let mut last = 0;
        for [at, account, from, to] in self.lines() {
            assert!(at >= last, "time goes on");
            last = at;
            assert_eq!(reached.insert(account, to).unwrap_or(0), from, "account {account}");
        }
        reached
    }

    async fn stop(self) {
        self.process.scope.stop();
        timeout(LIMIT, self.channel.stopped()).await.expect("the channel stops");
        assert_eq!(self.process.scope.ended(LIMIT).await, 0);
        std::fs::remove_file(&self.visible).expect("the file was there");
    }
}

fn at() -> TopicPartition {
    TopicPartition { topic: ENTRIES_TOPIC.to_owned(), partition: 0 }
}

/// What a member committed.
#[derive(Debug, Default)]
struct Shared {
    committed: Mutex<i64>,
    letters: Mutex<Vec<DeadLetter>>,
    changed: Notify,
}

impl Shared {
    fn committed(&self) -> MutexGuard<'_, i64> {
        self.committed.lock().expect("nobody panicked with it")
    }

    fn letters(&self) -> MutexGuard<'_, Vec<DeadLetter>> {
        self.letters.lock().expect("nobody panicked with it")
    }
}

/// A log with one member and one partition, which yields what the trial sends.
#[derive(Clone, Debug)]
struct Script {
    events: Arc<Mutex<Option<UnboundedReceiver<ConsumerEvent>>>>,
    shared: Arc<Shared>,
}

struct Member {
    events: UnboundedReceiver<ConsumerEvent>,
    shared: Arc<Shared>,
}

/// What is produced is a dead letter.
struct Letters(Arc<Shared>);

impl EventLog for Script {
    type Producer = Letters;
    type Consumer = Member;

    async fn producer(&self) -> Result<Letters, LogError> {
        Ok(Letters(Arc::clone(&self.shared)))
    }

    async fn consumer(&self, _group: &str, _topics: &[&str]) -> Result<Member, LogError> {
        let events = self.events.lock().expect("nobody panicked with it").take();
        let events = events.ok_or_else(|| LogError::Other("the script was taken".to_owned()))?;
        Ok(Member { events, shared: Arc::clone(&self.shared) })
    }
}

impl EventProducer for Letters {
    fn produce(&self, record: Outgoing) -> impl Future<Output = Result<Delivered, LogError>> + Send + 'static {
        assert_eq!(record.topic, DEAD_LETTERS_TOPIC);
        let mut letters = self.0.letters();
        letters.push(dead_letter::decode(&record.value).expect("a letter"));
        let offset = i64::try_from(letters.len() - 1).expect("few letters");
        std::future::ready(Ok(Delivered { partition: 0, offset }))
    }

    async fn discard(self) {}
}

impl EventConsumer for Member {
    async fn next(&mut self) -> Result<ConsumerEvent, LogError> {
        self.events.recv().await.ok_or_else(|| LogError::Other("the script has ended".to_owned()))
    }

    fn commit(&self, offsets: &[(TopicPartition, i64)]) -> impl Future<Output = Result<(), LogError>> + Send + 'static {
        for (_, offset) in offsets {
            let mut committed = self.shared.committed();
            assert!(*offset >= *committed, "a watermark never goes back");
            *committed = *offset;
        }
        self.shared.changed.notify_waiters();
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

type Depths = Arc<BTreeMap<AccountNo, Seq>>;

/// A core whose accounts have these many entries; its address.
async fn core_with(accounts: impl IntoIterator<Item = (AccountNo, Seq)>) -> String {
    let depths: Depths = Arc::new(accounts.into_iter().collect());
    let router = Router::new()
        .route("/v1/accounts/{no}/entries", get(entries))
        .route("/v1/heads", post(heads))
        .with_state(depths);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    #[expect(clippy::disallowed_methods, reason = "the trial's core lives as long as its runtime")]
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

async fn entries(
    State(depths): State<Depths>,
    Path(no): Path<i64>,
    Query(query): Query<BTreeMap<String, Seq>>,
) -> Json<Entries> {
    let account = AccountNo::new(no);
    let last = depths[&account].min(query["after"] + query["limit"]);
    Json(Entries { entries: (query["after"] + 1..=last).map(|seq| entry(account, seq)).collect() })
}

async fn heads(State(depths): State<Depths>, Json(asked): Json<HeadsRequest>) -> Json<Heads> {
    let known = asked.accounts.iter().filter_map(|account| depths.get(account).map(|seq| entry(*account, *seq).head()));
    Json(Heads { heads: known.collect() })
}
