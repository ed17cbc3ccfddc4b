//! Sender threads: each a runtime of its own with connections of its own, so that waiting for a connection is seen and not hidden.
//!
//! In: operations from the pacer's rings. Out: one [`Seen`] per operation, every answer of a channel, and jobs for lookups and watches.
//! Elsewhere: bytes (`wire`), meaning (`answer`), pacing (`pacer`).
//!
//! An operation is given up `timeout` after it was due: it is unknown when a byte of it was written by then, else it is missed. Where its
//! load tries again, each further attempt has `timeout` of its own.

use std::sync::Arc;
use std::time::Duration;

use bankstorm_contracts::Outcome;
use bankstorm_record::clock::{Origin, monotonic_ns};
use bankstorm_record::rows::TransferReadRow;
use bankstorm_scenario::resolved::{OnUnknown, Retry};
use hyper::Method;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;

use crate::answer::Ending;
use crate::pacer::Ready;
use crate::priority::{self, Granted};
use crate::states::submit_row;
use crate::stop::Stop;
use crate::tally::{Count, Tally};
use crate::wire::{Address, Client, NoAnswer};
use crate::{lookup, watch};

/// How long requests in flight may still take once the stop cell is raised.
const STOP_GRACE: Duration = Duration::from_millis(500);
/// How long a connection may take to open ahead of the first operation; later ones are within the operation's own timeout.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
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
    /// Transfers: instance names and addresses, one of them per connection.
    Channels(Arc<[(String, Address)]>),
}

/// One load's share of a sender thread.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) ring: mpsc::Receiver<Ready>,
    /// How many serve it here.
    pub(crate) connections: u32,
    pub(crate) target: Target,
    pub(crate) rules: Rules,
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
    pub(crate) seen: Vec<Seen>,
    /// What channels answered.
    pub(crate) reads: Vec<TransferReadRow>,
    pub(crate) granted: Granted,
}

impl Sender {
    /// Sends on the calling thread until every ring is closed and empty.
    pub(crate) fn run(self) -> std::io::Result<Sent> {
        let granted = priority::raise(FIFO_PRIORITY);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let workers = runtime.block_on(async {
            let mut workers = JoinSet::new();
            for Lane { ring, connections, target, rules } in self.lanes {
                let ring = Arc::new(Mutex::new(ring));
                for number in 0..connections {
                    let worker = Worker {
                        ring: Arc::clone(&ring),
                        connection: Connection::new(target.clone(), number),
                        rules,
                        jobs: self.jobs.clone(),
                        origin: self.origin,
                        stop: Arc::clone(&self.stop),
                        tally: Arc::clone(&self.tally),
                        seen: Vec::new(),
                        reads: Vec::new(),
                    };
                    workers.spawn(worker.run());
                }
            }
            workers.join_all().await
        });
        let mut sent = Sent { seen: Vec::new(), reads: Vec::new(), granted };
        for (seen, reads) in workers {
            sent.seen.extend(seen);
            sent.reads.extend(reads);
        }
        Ok(sent)
    }
}

/// A connection, and where to.
struct Connection {
    target: Target,
    /// Which of the instances.
    turn: usize,
    client: Client,
}

impl Connection {
    fn new(target: Target, number: u32) -> Self {
        let turn = usize::try_from(number).unwrap_or(0);
        let client = Client::new(target.address(turn).clone());
        Self { target, turn, client }
    }

    /// A customer whose channel cannot be reached tries the next one with his next request.
    fn turn_away(&mut self) {
        self.turn += 1;
        self.client = Client::new(self.target.address(self.turn).clone());
    }
}

impl Target {
    fn address(&self, turn: usize) -> &Address {
        match self {
            Self::Core(address) => address,
            Self::Channels(channels) => &channels[turn % channels.len()].1,
        }
    }

    /// The channel instance of that turn.
    fn instance(&self, turn: usize) -> Option<&str> {
        match self {
            Self::Core(_) => None,
            Self::Channels(channels) => Some(&channels[turn % channels.len()].0),
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
    seen: Vec<Seen>,
    reads: Vec<TransferReadRow>,
}

/// How one attempt went.
struct Attempt {
    sent_ns: Option<i64>,
    acked_ns: i64,
    /// Without a byte of it written: why it was given up.
    ending: Result<Ending, &'static str>,
}

impl Worker {
    async fn run(mut self) -> (Vec<Seen>, Vec<TransferReadRow>) {
        self.connect_ahead().await;
        loop {
            // Connections wait in line for the ring, so each takes its turn.
            let next = self.ring.lock().await.recv().await;
            let Some(operation) = next else { return (self.seen, self.reads) };
            let seen = self.serve(operation).await;
            self.seen.push(seen);
        }
    }

    /// Opens the connection before the first operation is due. When it cannot be, within [`CONNECT_TIMEOUT`] or at all, the first
    /// operation tries again and says why.
    async fn connect_ahead(&mut self) {
        tokio::select! {
            biased;
            _ = self.connection.client.connect() => {}
            () = self.stop.raised() => {}
            () = tokio::time::sleep(CONNECT_TIMEOUT) => {}
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
        self.count(sent_ns, ending.outcome);
        self.leave_jobs(&operation, &ending);
        Seen::Begun { op: operation.op, sent_ns, acked_ns, ending, attempts }
    }

    fn tries_again(&self, ending: &Ending, attempts: u32) -> bool {
        let is_open = matches!(ending.outcome, Outcome::Failed | Outcome::Unknown) && ending.stage.is_none();
        self.rules.retry == Retry::SameId && is_open && attempts < ATTEMPTS_MAX && !self.stop.is_raised()
    }

    async fn attempt(&mut self, operation: &Ready, left: Duration) -> Attempt {
        let Connection { target, turn, client } = &mut self.connection;
        client.forget_write();
        let begun_ns = monotonic_ns();
        let exchange = tokio::select! {
            biased;
            exchange = client.exchange(Method::POST, target.path(), &operation.body) => Ok(exchange),
            () = tokio::time::sleep(left) => Err(GivenUp::AT_TIMEOUT),
            () = stopped(&self.stop) => Err(GivenUp::AT_STOP),
        };
        let acked_ns = monotonic_ns();
        let sent_ns = client.first_write_ns();
        let exchange = match exchange {
            Ok(exchange) => exchange,
            Err(given_up) => {
                client.drop_connection();
                if sent_ns.is_none() {
                    return Attempt { sent_ns, acked_ns, ending: Err(given_up.never_sent) };
                }
                Err(NoAnswer::Lost(given_up.no_answer.to_owned()))
            }
        };
        let is_away = exchange.is_err();
        let ending = match target.instance(*turn) {
            None => Ending::of_core(operation.transfer, exchange),
            Some(instance) => {
                let ending = Ending::of_channel(operation.transfer, exchange);
                let (id, hash) = (operation.transfer, operation.params_hash);
                self.reads.push(submit_row(id, hash, instance, &self.origin, (begun_ns, acked_ns), &ending));
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
            let _ = self.jobs.lookups.send(lookup::Job { op, account, seq });
        }
        let is_open = ending.outcome == Outcome::Unknown;
        if matches!(self.connection.target, Target::Channels(_)) && (is_open || operation.lookup) {
            let sends_again = is_open && self.rules.on_unknown == OnUnknown::Resubmit;
            let resubmit = sends_again.then(|| (operation.body.clone(), operation.params_hash));
            let _ = self.jobs.watches.send(watch::Job { op, transfer, account, is_open, resubmit });
        }
    }

    fn count(&self, sent_ns: Option<i64>, outcome: Outcome) {
        if sent_ns.is_some() {
            self.tally.add(Count::Sent);
        }
        self.tally.add(match outcome {
            Outcome::Ok => Count::Ok,
            Outcome::Rejected => Count::Rejected,
            Outcome::Failed => Count::Failed,
            Outcome::Unknown => Count::Unknown,
        });
    }
}

/// Why an operation was given up, in the words of its row.
struct GivenUp {
    no_answer: &'static str,
    never_sent: &'static str,
}

impl GivenUp {
    const AT_TIMEOUT: Self = Self {
        no_answer: "no answer before its timeout",
        never_sent: "never sent: no connection was open before its timeout",
    };
    const AT_STOP: Self = Self {
        no_answer: "the load was ended before its answer",
        never_sent: "never sent: the load was ended before a connection was open",
    };
}

/// Resolves once requests in flight are to be given up.
async fn stopped(stop: &Stop) {
    stop.raised().await;
    tokio::time::sleep(STOP_GRACE).await;
}
