//! Sender threads: each a runtime of its own with connections of its own, so that waiting for a connection is seen and not hidden.
//!
//! In: operations from the pacer's rings. Out: one [`Seen`] per operation, and jobs for lookups. Elsewhere: bytes (`wire`), meaning
//! (`answer`), pacing (`pacer`).
//!
//! An operation is given up `timeout` after it was due: begun by then it is unknown, not begun it is missed.

use std::sync::Arc;
use std::time::Duration;

use bankstorm_contracts::Outcome;
use bankstorm_record::clock::monotonic_ns;
use hyper::Method;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;

use crate::answer::Ending;
use crate::lookup::Job;
use crate::pacer::Ready;
use crate::priority::{self, Granted};
use crate::stop::Stop;
use crate::tally::{Count, Tally};
use crate::wire::{Address, Client, NoAnswer};

/// How long requests in flight may still take once the stop cell is raised.
const STOP_GRACE: Duration = Duration::from_millis(500);
/// Behind the pacer, before everything else.
const FIFO_PRIORITY: i32 = 10;

/// How an operation went; moments by CLOCK_MONOTONIC.
#[derive(Clone, Debug)]
pub(crate) enum Seen {
    /// It was begun.
    Begun { op: u64, sent_ns: Option<i64>, acked_ns: i64, ending: Ending },
    /// It was not.
    Missed { op: u64, why: &'static str },
}

impl Seen {
    pub(crate) fn op(&self) -> u64 {
        match self {
            Self::Begun { op, .. } | Self::Missed { op, .. } => *op,
        }
    }
}

/// What one sender thread needs.
#[derive(Debug)]
pub(crate) struct Sender {
    /// The ring of each load, with the connections that serve it here.
    pub(crate) lanes: Vec<(mpsc::Receiver<Ready>, u32)>,
    pub(crate) core: Address,
    pub(crate) lookups: mpsc::UnboundedSender<Job>,
    pub(crate) stop: Arc<Stop>,
    pub(crate) tally: Arc<Tally>,
}

/// What it saw.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) seen: Vec<Seen>,
    pub(crate) granted: Granted,
}

impl Sender {
    /// Sends on the calling thread until every ring is closed and empty.
    pub(crate) fn run(self) -> std::io::Result<Sent> {
        let granted = priority::raise(FIFO_PRIORITY);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let seen = runtime.block_on(async {
            let mut workers = JoinSet::new();
            for (ring, connections) in self.lanes {
                let ring = Arc::new(Mutex::new(ring));
                for _ in 0..connections {
                    let worker = Worker {
                        ring: Arc::clone(&ring),
                        client: Client::new(self.core.clone()),
                        lookups: self.lookups.clone(),
                        stop: Arc::clone(&self.stop),
                        tally: Arc::clone(&self.tally),
                    };
                    workers.spawn(worker.run());
                }
            }
            workers.join_all().await.concat()
        });
        Ok(Sent { seen, granted })
    }
}

/// One connection and what it does.
struct Worker {
    ring: Arc<Mutex<mpsc::Receiver<Ready>>>,
    client: Client,
    lookups: mpsc::UnboundedSender<Job>,
    stop: Arc<Stop>,
    tally: Arc<Tally>,
}

impl Worker {
    async fn run(mut self) -> Vec<Seen> {
        let mut seen = Vec::new();
        // Opened before the first operation is due. When it cannot be, the first operation says why.
        let _ = self.client.connect().await;
        loop {
            // Connections wait in line for the ring, so each takes its turn.
            let next = self.ring.lock().await.recv().await;
            let Some(operation) = next else { return seen };
            seen.push(self.serve(operation).await);
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
        self.client.forget_write();
        let given_up = tokio::select! {
            biased;
            exchange = self.client.exchange(Method::POST, "/v1/deposits", &operation.body) => Err(exchange),
            () = tokio::time::sleep(left) => Ok("no answer before its timeout"),
            () = stopped(&self.stop) => Ok("the load was ended before its answer"),
        };
        let acked_ns = monotonic_ns();
        let sent_ns = self.client.first_write_ns();
        let ending = match given_up {
            Err(exchange) => Ending::of(operation.transfer, exchange),
            Ok(why) => {
                self.client.drop_connection();
                // Not a byte went out: it cannot have had an effect.
                let no_answer = if sent_ns.is_some() { NoAnswer::Lost } else { NoAnswer::Unsent };
                Ending::of(operation.transfer, Err(no_answer(why.to_owned())))
            }
        };
        self.count(sent_ns, ending.outcome);
        if operation.lookup
            && let (Outcome::Ok, Some(seq)) = (ending.outcome, ending.seq)
        {
            // The lookup thread lives until the last sender is gone.
            let _ = self.lookups.send(Job { op: operation.op, account: operation.account, seq });
        }
        Seen::Begun { op: operation.op, sent_ns, acked_ns, ending }
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

/// Resolves once requests in flight are to be given up.
async fn stopped(stop: &Stop) {
    stop.raised().await;
    tokio::time::sleep(STOP_GRACE).await;
}
