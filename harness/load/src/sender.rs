//! Sender threads: each a runtime of its own with connections of its own, so that waiting for a connection is seen and not hidden.
//!
//! In: operations from the pacer's rings. Out: one [`Seen`] per operation, and jobs for lookups. Elsewhere: bytes (`wire`), meaning
//! (`answer`), pacing (`pacer`).
//!
//! An operation is given up `timeout` after it was due: it is unknown when a byte of it was written by then, else it is missed.

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
/// How long a connection may take to open ahead of the first operation; later ones are within the operation's own timeout.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Behind the pacer, before everything else.
const FIFO_PRIORITY: i32 = 10;

/// How an operation went; moments by CLOCK_MONOTONIC.
#[derive(Clone, Debug)]
pub(crate) enum Seen {
    /// It was sent, or refused before it could be.
    Begun { op: u64, sent_ns: Option<i64>, acked_ns: i64, ending: Ending },
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
        self.connect_ahead().await;
        loop {
            // Connections wait in line for the ring, so each takes its turn.
            let next = self.ring.lock().await.recv().await;
            let Some(operation) = next else { return seen };
            seen.push(self.serve(operation).await);
        }
    }

    /// Opens the connection before the first operation is due. When it cannot be, within [`CONNECT_TIMEOUT`] or at all, the first
    /// operation tries again and says why.
    async fn connect_ahead(&mut self) {
        tokio::select! {
            biased;
            _ = self.client.connect() => {}
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
        self.client.forget_write();
        let exchange = tokio::select! {
            biased;
            exchange = self.client.exchange(Method::POST, "/v1/deposits", &operation.body) => Ok(exchange),
            () = tokio::time::sleep(left) => Err(GivenUp::AT_TIMEOUT),
            () = stopped(&self.stop) => Err(GivenUp::AT_STOP),
        };
        let acked_ns = monotonic_ns();
        let sent_ns = self.client.first_write_ns();
        let ending = match exchange {
            Ok(exchange) => Ending::of(operation.transfer, exchange),
            Err(given_up) => {
                self.client.drop_connection();
                if sent_ns.is_none() {
                    self.tally.add(Count::NeverSent);
                    return Seen::Missed { op: operation.op, why: given_up.never_sent };
                }
                Ending::of(operation.transfer, Err(NoAnswer::Lost(given_up.no_answer.to_owned())))
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
