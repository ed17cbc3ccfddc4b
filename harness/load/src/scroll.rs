//! Customers who scroll: each asks for his next page once the one before was answered, however late that makes him.
//!
//! In: planned reads in due order, each with its session. Out: one [`Seen`] per read, a row for every page that was asked for, facts about
//! the sessions. Elsewhere: whose turn it is (`customers::scroll`), what pages must satisfy (`check`).
//!
//! A read is due when the plan says so, and its time counts from then: a page that waited for the one before shows it. What the plan
//! cannot know is settled here:
//! - a page that did not come is asked for again, under the same cursor, by the session's next read, at another instance;
//! - a page that no connection is free for, or that first needs one to be opened, waits for the bank: neither is the generator's lag;
//! - where a history ends before its session, the session's remaining reads begin anew at the newest page, as a session of their own.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bankstorm_contracts::Outcome;
use bankstorm_contracts::channel_api::HistoryPage;
use bankstorm_customers::scroll::Turn;
use bankstorm_record::clock::{Origin, monotonic_ns};
use bankstorm_record::latency::nearest_rank;
use bankstorm_record::rows::PageRow;
use bytes::Bytes;
use hyper::Method;
use tokio::sync::{Semaphore, SemaphorePermit, mpsc};
use tokio::task::JoinSet;

use crate::answer::Ending;
use crate::ask::{Asked, Asking, ask, connect_ahead};
use crate::instance::Instance;
use crate::lookup::{Page, history_path, page_row};
use crate::pacer::Ready;
use crate::run::{PacingLag, ScrollFacts};
use crate::sender::{Saw, Seen};
use crate::sharding::Sharding;
use crate::stop::Stop;
use crate::tally::{Count, Tally};

const ENDED_EARLY: &str = "the load was ended early";
const BEFORE_IT: &str = "the page before it was not answered before its timeout";
const NO_CONNECTION: &str = "no connection was free before its timeout";
const TOO_MANY: &str = "too many pages waited for the ones before them";

/// What one load's scrollers need on one sender thread.
#[derive(Debug)]
pub(crate) struct Scrolls {
    pub(crate) ring: mpsc::Receiver<Ready>,
    pub(crate) rules: Rules,
    pub(crate) shared: Shared,
}

/// How they scroll.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) page_size: u32,
    /// Connections to open ahead.
    pub(crate) readers: u32,
    /// Reads that may wait for the page before them; more are missed and counted.
    pub(crate) waiting_max: usize,
}

/// What the scrollers of a thread share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) instances: Vec<Instance>,
    pub(crate) sharding: Sharding,
    /// One permit a request in flight.
    pub(crate) connections: Semaphore,
    pub(crate) origin: Origin,
    pub(crate) stop: Arc<Stop>,
    pub(crate) tally: Arc<Tally>,
    /// Reads that wait.
    pub(crate) waiting: AtomicUsize,
    pub(crate) lags: Mutex<Lags>,
}

impl Shared {
    fn instance(&self, account: i64, turn: usize) -> &Instance {
        self.sharding.pick(&self.instances, account, turn)
    }

    /// Opens what the first reads will use; whoever reads meanwhile opens his own.
    fn connect_ahead(self: &Arc<Self>, readers: u32, opening: &mut JoinSet<()>) {
        let most = self.connections.available_permits();
        for number in (0..readers).map_while(|number| usize::try_from(number).ok()).take(most) {
            let shared = Arc::clone(self);
            opening.spawn(async move {
                let instance = &shared.instances[number % shared.instances.len()];
                let mut client = instance.take().await;
                connect_ahead(&mut client, &shared.stop).await;
                instance.give_back(client).await;
            });
        }
    }

    /// A place for a request, before the operation is given up.
    async fn permit(&self, operation: &Ready) -> Option<SemaphorePermit<'_>> {
        let permit = tokio::time::timeout(left(operation)?, self.connections.acquire()).await.ok()?;
        permit.ok().filter(|_| left(operation).is_some())
    }

    fn missed(&self, op: u64, why: &'static str) -> Seen {
        self.tally.add(Count::Missed);
        Seen::Missed { op, why }
    }
}

impl Scrolls {
    /// Hands reads to their scrollers until the ring is closed, then waits for the last page.
    pub(crate) async fn run(self) -> Saw {
        let Self { mut ring, rules, shared } = self;
        let shared = Arc::new(shared);
        let mut saw = Saw::default();
        let (mut queues, mut running, mut opening) = (BTreeMap::new(), JoinSet::new(), JoinSet::new());
        shared.connect_ahead(rules.readers, &mut opening);
        while let Some(operation) = ring.recv().await {
            let Some(turn) = operation.turn else { unreachable!("the rings of a load that scrolls hold pages") };
            if shared.waiting.load(Ordering::Relaxed) >= rules.waiting_max {
                saw.seen.push(shared.missed(operation.op, TOO_MANY));
                continue;
            }
            let queue = queues.entry(turn.scroller).or_insert_with(|| {
                let (queue, reads) = mpsc::unbounded_channel();
                running.spawn(Scroller::new(Arc::clone(&shared), rules.page_size, turn.scroller).run(reads));
                queue
            });
            shared.waiting.fetch_add(1, Ordering::Relaxed);
            assert!(queue.send((operation, turn)).is_ok(), "scrollers live as long as their queues");
        }
        drop(queues);
        while let Some(done) = running.join_next().await {
            saw.add(done.expect("a scroller does not panic"));
        }
        saw.lags = Some(std::mem::take(&mut *shared.lags.lock().unwrap_or_else(PoisonError::into_inner)));
        saw
    }
}

/// How late the generator wrote what it could write: nanoseconds, by operation.
#[derive(Debug, Default)]
pub(crate) struct Lags(BTreeMap<u64, u64>);

impl Lags {
    fn note(&mut self, op: u64, ns: i64) {
        self.0.insert(op, u64::try_from(ns).unwrap_or(0));
    }

    pub(crate) fn add(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    pub(crate) fn into_map(self) -> BTreeMap<u64, u64> {
        self.0
    }
}

impl PacingLag {
    /// The figures of lags in nanoseconds, in any order; medians and percentiles by nearest rank.
    #[must_use]
    pub fn of(lags: impl IntoIterator<Item = u64>) -> Self {
        let mut lags: Vec<u64> = lags.into_iter().collect();
        lags.sort_unstable();
        let at = |permille| nearest_rank(&lags, permille);
        Self { count: lags.len() as u64, p50_ns: at(500), p99_ns: at(990), max_ns: at(1_000) }
    }
}

/// Where a session stands.
#[derive(Clone, Copy, Debug)]
struct Session {
    /// The operation that asked for its first page.
    op: u64,
    /// The page to be asked for.
    page_no: u32,
    /// Under which cursor.
    cursor: Option<i64>,
    /// It was asked for before.
    is_again: bool,
}

/// One customer who scrolls.
struct Scroller {
    shared: Arc<Shared>,
    /// The planned session, whose name is that of its first read whatever became of it.
    planned: Option<u64>,
    session: Option<Session>,
    /// Which instance he asks.
    at: usize,
    /// When the last page was answered, by CLOCK_MONOTONIC.
    answered_ns: i64,
    page_size: u32,
    saw: Saw,
}

impl Scroller {
    fn new(shared: Arc<Shared>, page_size: u32, number: u32) -> Self {
        let at = usize::try_from(number).unwrap_or(0);
        Self { shared, planned: None, session: None, at, answered_ns: i64::MIN, page_size, saw: Saw::default() }
    }

    async fn run(mut self, mut reads: mpsc::UnboundedReceiver<(Ready, Turn)>) -> Saw {
        while let Some((operation, turn)) = reads.recv().await {
            self.shared.waiting.fetch_sub(1, Ordering::Relaxed);
            if self.planned != Some(turn.session) {
                (self.planned, self.session) = (Some(turn.session), None);
            }
            let seen = self.serve(&operation, turn).await;
            self.saw.seen.push(seen);
        }
        self.saw
    }

    async fn serve(&mut self, operation: &Ready, turn: Turn) -> Seen {
        let shared = Arc::clone(&self.shared);
        if shared.stop.is_raised() {
            return shared.missed(operation.op, ENDED_EARLY);
        }
        let Some(permit) = shared.permit(operation).await else {
            let waited = self.answered_ns > operation.intended_ns;
            return shared.missed(operation.op, if waited { BEFORE_IT } else { NO_CONNECTION });
        };
        if shared.stop.is_raised() {
            return shared.missed(operation.op, ENDED_EARLY);
        }
        let permit_ns = monotonic_ns();
        shared.tally.add(Count::Started);
        let session = self.session(operation, turn);
        let seen = self.read(operation, session, permit_ns).await;
        drop(permit);
        seen
    }

    /// The session that the operation goes on with, or begins.
    fn session(&mut self, operation: &Ready, turn: Turn) -> Session {
        let facts = &mut self.saw.scrolls;
        if let Some(session) = self.session {
            facts.asked_again += u64::from(session.is_again);
            return session;
        }
        facts.sessions += 1;
        // The plan would have it further down: the history ended before.
        facts.begun_again += u64::from(turn.page_no > 0);
        self.at += usize::from(facts.sessions > 1);
        let session = Session { op: operation.op, page_no: 0, cursor: None, is_again: false };
        self.session = Some(session);
        session
    }

    /// Asks for a page; a connection was free from `permit_ns` on.
    async fn read(&mut self, operation: &Ready, session: Session, permit_ns: i64) -> Seen {
        let shared = Arc::clone(&self.shared);
        let instance = shared.instance(operation.account, self.at);
        let mut client = instance.take().await;
        let path = history_path(operation.account, self.page_size, session.cursor);
        let (method, body) = (Method::GET, Bytes::new());
        let left = left(operation).unwrap_or(Duration::ZERO);
        let asking = Asking { method: &method, path: &path, body: &body, left };
        let Asked { begun_ns, sent_ns, acked_ns, exchange } = ask(&mut client, asking, &shared.stop).await;
        let opened_ns = client.opened_ns();
        instance.give_back(client).await;
        // All of it is the bank's doing: the page before, other pages that hold the connections, a connection that it has to accept.
        let ready_ns = operation.intended_ns.max(self.answered_ns).max(permit_ns).max(opened_ns);
        self.answered_ns = acked_ns;
        let exchange = match exchange {
            Ok(exchange) => exchange,
            Err(why) => {
                shared.tally.add(Count::NeverSent);
                self.turn_away(session);
                return Seen::Missed { op: operation.op, why };
            }
        };
        if operation.measured
            && let Some(sent_ns) = sent_ns
        {
            shared.lags.lock().unwrap_or_else(PoisonError::into_inner).note(operation.op, sent_ns - ready_ns);
        }
        let (ending, page) = Ending::of_read::<HistoryPage>(exchange);
        shared.tally.ended(sent_ns.is_some(), ending.outcome);
        let moments = (shared.origin.moment(begun_ns), shared.origin.moment(acked_ns));
        let asked = Page { account: operation.account, op: Some(session.op), cursor: session.cursor };
        let row = page_row(asked, instance.name(), moments, ending.outcome, page.as_ref());
        self.saw.pages.push(PageRow { page_no: Some(session.page_no), ..row });
        self.saw.scrolls.deepest = self.saw.scrolls.deepest.max(session.page_no);
        match page {
            Some(page) => self.go_on(session, &page),
            // Of a refusal it is known that the instance is there; whatever else went wrong, another may do better.
            None if ending.outcome == Outcome::Rejected => {
                self.session = Some(Session { is_again: true, ..session });
            }
            None => self.turn_away(session),
        }
        Seen::Begun { op: operation.op, sent_ns, acked_ns, ending, attempts: 1 }
    }

    fn go_on(&mut self, session: Session, page: &HistoryPage) {
        self.session = page.next_cursor.map(|cursor| Session {
            page_no: session.page_no + 1,
            cursor: Some(cursor),
            is_again: false,
            ..session
        });
    }

    fn turn_away(&mut self, session: Session) {
        self.at += 1;
        self.session = Some(Session { is_again: true, ..session });
    }
}

/// How long an operation has before it is given up.
fn left(operation: &Ready) -> Option<Duration> {
    let left_ns = u64::try_from(operation.deadline_ns - monotonic_ns()).ok()?;
    (left_ns > 0).then(|| Duration::from_nanos(left_ns))
}

impl ScrollFacts {
    /// Both together, but for the lag.
    pub(crate) fn add(&mut self, other: &Self) {
        self.sessions += other.sessions;
        self.begun_again += other.begun_again;
        self.asked_again += other.asked_again;
        self.deepest = self.deepest.max(other.deepest);
    }
}
