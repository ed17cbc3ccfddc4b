//! Sender threads: each a runtime of its own with connections of its own, so that waiting for a connection is seen and not hidden.
//!
//! In: operations from the pacer's rings. Out: one [`Seen`] per operation, every answer of a channel, and jobs for lookups and watches.
//! Elsewhere: one request (`ask`), meaning (`answer`), pacing (`pacer`), operations that only read (`scroll`, `press`).
//!
//! An operation is given up `timeout` after it was due: it is unknown when a byte of it was written by then, else it is missed. Where its
//! load tries again, each further attempt has `timeout` of its own.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use bankstorm_contracts::Outcome;
use bankstorm_record::clock::{Origin, monotonic_ns};
use bankstorm_record::rows::{PageRow, SyncRow, TransferReadRow};
use bankstorm_scenario::resolved::{OnUnknown, Retry};
use hyper::Method;
use tokio::sync::{Mutex, Semaphore, mpsc};
use tokio::task::JoinSet;

use crate::answer::Ending;
use crate::ask::{Asked, Asking, ask, connect_ahead};
use crate::instance::Instance;
use crate::lookup::Wanted;
use crate::pacer::Ready;
use crate::press::Presser;
use crate::priority::{self, Granted};
use crate::run::ScrollFacts;
use crate::scroll::{Lags, Scrolls, Shared};
use crate::sharding::Sharding;
use crate::states::submit_row;
use crate::stop::Stop;
use crate::tally::{Count, Tally};
use crate::wire::{Address, Client};
use crate::{lookup, scroll, watch};

/// Attempts under one id, the first included, of a load that tries again, and the pause between two.
const ATTEMPTS_MAX: u32 = 3;
const RETRY_PAUSE: Duration = Duration::from_millis(200);
/// Behind the pacer, before everything else.
const FIFO_PRIORITY: i32 = 10;

/// How an operation went; moments by CLOCK_MONOTONIC.
#[derive(Clone, Debug)]
pub(crate) enum Seen {
    /// It was sent, or refused before it could be.
    Begun { op: u64, sent_ns: Option<i64>, acked_ns: i64, ending: Ending, attempts: u32 },
    /// Not a byte of it was written by when it was given up.
    Missed { op: u64, why: &'static str },
}

impl Seen {
    pub(crate) fn op(&self) -> u64 {
        match self {
            Self::Begun { op, .. } | Self::Missed { op, .. } => *op,
        }
    }
}

/// Who is sent what a load does.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    /// Deposits.
    Core(Address),
    /// Transfers and reads: instance names and addresses, one of them per connection.
    Channels(Arc<[(String, Address)]>),
}

/// One load's share of a sender thread.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) ring: mpsc::Receiver<Ready>,
    /// How many serve it here.
    pub(crate) connections: u32,
    pub(crate) target: Target,
    pub(crate) work: Work,
    /// Where instances are of several databases: which of them a page is asked of. Whatever else comes over the ring is for all of them.
    pub(crate) sharding: Sharding,
}

/// What a load does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Work {
    /// Requests that post, or are to.
    Post(Rules),
    /// Pages of histories, one after the other.
    Scroll(scroll::Rules),
    /// The button.
    Press,
}

/// What a load does about an answer that it does not like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) timeout: Duration,
    pub(crate) retry: Retry,
    pub(crate) on_unknown: OnUnknown,
}

/// What one sender thread needs.
#[derive(Debug)]
pub(crate) struct Sender {
    pub(crate) lanes: Vec<Lane>,
    pub(crate) jobs: Jobs,
    pub(crate) origin: Origin,
    pub(crate) stop: Arc<Stop>,
    pub(crate) tally: Arc<Tally>,
}

/// What senders leave to others.
#[derive(Clone, Debug)]
pub(crate) struct Jobs {
    pub(crate) lookups: mpsc::UnboundedSender<lookup::Job>,
    pub(crate) watches: mpsc::UnboundedSender<watch::Job>,
}

/// What it saw.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) saw: Saw,
    pub(crate) granted: Granted,
}

/// What connections saw.
#[derive(Debug, Default)]
pub(crate) struct Saw {
    pub(crate) seen: Vec<Seen>,
    /// What channels answered of transfers.
    pub(crate) reads: Vec<TransferReadRow>,
    /// Pages of those who scroll.
    pub(crate) pages: Vec<PageRow>,
    /// Presses of the button.
    pub(crate) syncs: Vec<SyncRow>,
    pub(crate) scrolls: ScrollFacts,
    /// How late pages were written that waited for nobody.
    pub(crate) lags: Option<Lags>,
}

impl Saw {
    /// Both together.
    pub(crate) fn add(&mut self, other: Self) {
        let Self { seen, reads, pages, syncs, scrolls, lags } = other;
        self.seen.extend(seen);
        self.reads.extend(reads);
        self.pages.extend(pages);
        self.syncs.extend(syncs);
        self.scrolls.add(&scrolls);
        if let Some(lags) = lags {
            self.lags.get_or_insert_default().add(lags);
        }
    }
}

impl Sender {
    /// Sends on the calling thread until every ring is closed and empty.
    pub(crate) fn run(mut self) -> std::io::Result<Sent> {
        let granted = priority::raise(FIFO_PRIORITY);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut sent = Sent { saw: Saw::default(), granted };
        runtime.block_on(async {
            let mut workers = JoinSet::new();
            for lane in std::mem::take(&mut self.lanes) {
                self.employ(lane, &mut workers);
            }
            while let Some(saw) = workers.join_next().await {
                sent.saw.add(saw.expect("a worker does not panic"));
            }
        });
        Ok(sent)
    }

    /// Starts those who do the work of one lane.
    fn employ(&self, lane: Lane, workers: &mut JoinSet<Saw>) {
        let Lane { ring, connections, target, work, sharding } = lane;
        let (stop, tally) = (|| Arc::clone(&self.stop), || Arc::clone(&self.tally));
        if let Work::Scroll(rules) = work {
            let permits = usize::try_from(connections).unwrap_or(Semaphore::MAX_PERMITS);
            let shared = Shared {
                instances: target.instances(),
                sharding,
                connections: Semaphore::new(permits),
                origin: self.origin,
                stop: stop(),
                tally: tally(),
                waiting: AtomicUsize::new(0),
                lags: std::sync::Mutex::default(),
            };
            workers.spawn(Scrolls { ring, rules, shared }.run());
            return;
        }
        let ring = Arc::new(Mutex::new(ring));
        for number in 0..connections {
            let (ring, connection) = (Arc::clone(&ring), Connection::new(target.clone(), number));
            let (origin, stop, tally) = (self.origin, stop(), tally());
            if let Work::Post(rules) = work {
                let (jobs, saw) = (self.jobs.clone(), Saw::default());
                workers.spawn(Worker { ring, connection, rules, jobs, origin, stop, tally, saw }.run());
            } else {
                workers.spawn(Presser { ring, connection, origin, stop, tally }.run());
            }
        }
    }
}

/// A connection, and where to.
pub(crate) struct Connection {
    target: Target,
    /// Which of the instances.
    turn: usize,
    pub(crate) client: Client,
}

impl Connection {
    fn new(target: Target, number: u32) -> Self {
        let turn = usize::try_from(number).unwrap_or(0);
        let client = Client::new(target.address(turn).clone());
        Self { target, turn, client }
    }

    /// A customer whose channel cannot be reached tries the next one with his next request.
    pub(crate) fn turn_away(&mut self) {
        self.turn += 1;
        self.client = Client::new(self.target.address(self.turn).clone());
    }

    /// The channel instance that it leads to.
    pub(crate) fn instance(&self) -> Option<&str> {
        match &self.target {
            Target::Core(_) => None,
            Target::Channels(channels) => Some(&channels[self.turn % channels.len()].0),
        }
    }
}

impl Target {
    fn address(&self, turn: usize) -> &Address {
        match self {
            Self::Core(address) => address,
            Self::Channels(channels) => &channels[turn % channels.len()].1,
        }
    }

    /// The instances of each database.
    pub(crate) fn split(&self, sharding: Sharding) -> Vec<Self> {
        match self {
            Self::Core(_) => vec![self.clone()],
            Self::Channels(all) => {
                let of = |database| sharding.instances(all, database).cloned().collect();
                (0..sharding.databases()).map(|database| Self::Channels(of(database))).collect()
            }
        }
    }

    /// The channel instances, each with connections of its own.
    fn instances(&self) -> Vec<Instance> {
        match self {
            Self::Core(_) => Vec::new(),
            Self::Channels(channels) => {
                channels.iter().map(|(name, address)| Instance::new(name.clone(), address.clone())).collect()
            }
        }
    }

    const fn path(&self) -> &'static str {
        match self {
            Self::Core(_) => "/v1/deposits",
            Self::Channels(_) => "/v1/transfers",
        }
    }
}

/// One connection and what it does.
struct Worker {
    ring: Arc<Mutex<mpsc::Receiver<Ready>>>,
    connection: Connection,
    rules: Rules,
    jobs: Jobs,
    origin: Origin,
    stop: Arc<Stop>,
    tally: Arc<Tally>,
    saw: Saw,
}

/// How one attempt went.
struct Attempt {
    sent_ns: Option<i64>,
    acked_ns: i64,
    /// Without a byte of it written: why it was given up.
    ending: Result<Ending, &'static str>,
}

impl Worker {
    async fn run(mut self) -> Saw {
        connect_ahead(&mut self.connection.client, &self.stop).await;
        loop {
            // Connections wait in line for the ring, so each takes its turn.
            let next = self.ring.lock().await.recv().await;
            let Some(operation) = next else { return self.saw };
            let seen = self.serve(operation).await;
            self.saw.seen.push(seen);
        }
    }

    async fn serve(&mut self, operation: Ready) -> Seen {
        let left_ns = operation.deadline_ns - monotonic_ns();
        let why = match u64::try_from(left_ns) {
            _ if self.stop.is_raised() => "the load was ended early",
            Ok(left_ns) if left_ns > 0 => return self.send(operation, Duration::from_nanos(left_ns)).await,
            _ => "no connection was free before its timeout",
        };
        self.tally.add(Count::Missed);
        Seen::Missed { op: operation.op, why }
    }

    async fn send(&mut self, operation: Ready, left: Duration) -> Seen {
        self.tally.add(Count::Started);
        let Attempt { mut sent_ns, mut acked_ns, ending } = self.attempt(&operation, left).await;
        let mut ending = match ending {
            Ok(ending) => ending,
            Err(why) => {
                self.tally.add(Count::NeverSent);
                return Seen::Missed { op: operation.op, why };
            }
        };
        let mut attempts = 1;
        while self.tries_again(&ending, attempts) {
            tokio::time::sleep(RETRY_PAUSE).await;
            let next = self.attempt(&operation, self.rules.timeout).await;
            attempts += 1;
            (sent_ns, acked_ns) = (sent_ns.or(next.sent_ns), next.acked_ns);
            let unsent = |why| Ending::without_answer(Outcome::Failed, why);
            ending = ending.then(next.ending.unwrap_or_else(unsent));
        }
        self.tally.ended(sent_ns.is_some(), ending.outcome);
        self.leave_jobs(&operation, &ending);
        Seen::Begun { op: operation.op, sent_ns, acked_ns, ending, attempts }
    }

    fn tries_again(&self, ending: &Ending, attempts: u32) -> bool {
        let is_open = matches!(ending.outcome, Outcome::Failed | Outcome::Unknown) && ending.stage.is_none();
        self.rules.retry == Retry::SameId && is_open && attempts < ATTEMPTS_MAX && !self.stop.is_raised()
    }

    async fn attempt(&mut self, operation: &Ready, left: Duration) -> Attempt {
        let Connection { target, client, .. } = &mut self.connection;
        let asking = Asking { method: &Method::POST, path: target.path(), body: &operation.body, left };
        let Asked { begun_ns, sent_ns, acked_ns, exchange } = ask(client, asking, &self.stop).await;
        let exchange = match exchange {
            Ok(exchange) => exchange,
            Err(why) => return Attempt { sent_ns, acked_ns, ending: Err(why) },
        };
        let is_away = exchange.is_err();
        let ending = match self.connection.instance() {
            None => Ending::of_core(operation.transfer, exchange),
            Some(instance) => {
                let ending = Ending::of_channel(operation.transfer, exchange);
                let (id, hash) = (operation.transfer, operation.params_hash);
                self.saw.reads.push(submit_row(id, hash, instance, &self.origin, (begun_ns, acked_ns), &ending));
                ending
            }
        };
        if is_away {
            self.connection.turn_away();
        }
        Attempt { sent_ns, acked_ns, ending: Ok(ending) }
    }

    /// What others do about it; their threads live until the last sender is gone.
    fn leave_jobs(&self, operation: &Ready, ending: &Ending) {
        let Ready { op, account, transfer, .. } = *operation;
        if operation.lookup
            && let (Outcome::Ok, Some(seq)) = (ending.outcome, ending.seq)
        {
            let _ = self.jobs.lookups.send(lookup::Job { op, account, wanted: Wanted::Entry(seq) });
        }
        if operation.read_own && matches!(ending.status, Some(201 | 202)) {
            let _ = self.jobs.lookups.send(lookup::Job { op, account, wanted: Wanted::Newest });
        }
        let is_open = ending.outcome == Outcome::Unknown;
        if matches!(self.connection.target, Target::Channels(_)) && (is_open || operation.lookup) {
            let sends_again = is_open && self.rules.on_unknown == OnUnknown::Resubmit;
            let resubmit = sends_again.then(|| (operation.body.clone(), operation.params_hash));
            let _ = self.jobs.watches.send(watch::Job { op, transfer, account, is_open, resubmit });
        }
    }
}
