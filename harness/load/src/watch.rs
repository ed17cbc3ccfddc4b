//! Customers who wait: each asks where his transfer stands until it is settled, and one who does not trust the answer sends it again under
//! another id.
//!
//! In: transfers whose outcome is unknown, and a share of the others, read once. Out: a row for every answer, and what was sent again; and
//! for each unknown one the payer's newest page once, which lists it as in progress or shows its row.
//! Elsewhere: which loads have such customers (`customers`), what is still open when load has ended (`resolve`).
//!
//! They have a thread and connections of their own, as lookups have, and ask the instances in turn.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bankstorm_contracts::channel_api::SubmitTransfer;
use bankstorm_contracts::{ParamsHash, TransferId};
use bankstorm_customers::plan::derived_id;
use bankstorm_record::clock::{Origin, monotonic_ns};
use bankstorm_record::rows::{PageRow, TransferReadRow};
use bytes::Bytes;
use hyper::Method;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::answer::Ending;
use crate::instance::Instance;
use crate::lookup::{self, read_page};
use crate::sender::Seen;
use crate::sharding::Sharding;
use crate::states::{READ_TIMEOUT, Told, read_state, submit_row};
use crate::stop::Stop;
use crate::wire::{Address, NoAnswer};

/// Customers who ask at the same time; further ones wait for their turn, and are settled by the resolve phase at the latest.
const WATCHES_MAX: usize = 512;
/// The first pause between two questions; it doubles ...
const PAUSE_FIRST: Duration = Duration::from_millis(100);
/// ... up to this.
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// How long a customer who sends again waits before he does, and for the answer.
const RESUBMIT_AFTER: Duration = Duration::from_secs(1);
const RESUBMIT_TIMEOUT: Duration = Duration::from_secs(5);

/// A transfer to be asked about.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) op: u64,
    pub(crate) transfer: TransferId,
    /// Who pays.
    pub(crate) account: i64,
    /// Asked about until it is settled; otherwise once.
    pub(crate) is_open: bool,
    /// The request, where the customer sends it again.
    pub(crate) resubmit: Option<(Bytes, ParamsHash)>,
}

/// What a customer sent again under another id.
#[derive(Clone, Debug)]
pub(crate) struct Again {
    /// The operation whose outcome was unknown.
    pub(crate) of: u64,
    pub(crate) transfer: TransferId,
    /// By CLOCK_MONOTONIC.
    pub(crate) intended_ns: i64,
    pub(crate) seen: Seen,
}

/// What the watching thread needs.
#[derive(Debug)]
pub(crate) struct Watches {
    pub(crate) jobs: mpsc::UnboundedReceiver<Job>,
    /// Instance names and addresses.
    pub(crate) channels: Vec<(String, Address)>,
    pub(crate) sharding: Sharding,
    pub(crate) origin: Origin,
    pub(crate) stop: Arc<Stop>,
}

/// What it saw.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    pub(crate) reads: Vec<TransferReadRow>,
    pub(crate) again: Vec<Again>,
    pub(crate) pages: Vec<PageRow>,
}

/// What all watches share; what was seen stays when a watch is dropped at its next question.
struct Shared {
    instances: Vec<Instance>,
    sharding: Sharding,
    origin: Origin,
    seen: Mutex<Watched>,
}

impl Watches {
    /// Asks on the calling thread until load has ended: then nobody asks any more, settled or not.
    pub(crate) fn run(self) -> std::io::Result<Watched> {
        let Self { mut jobs, channels, sharding, origin, stop } = self;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let instances: Vec<Instance> =
            channels.into_iter().map(|(name, address)| Instance::new(name, address)).collect();
        let shared = Arc::new(Shared { instances, sharding, origin, seen: Mutex::default() });
        runtime.block_on(async {
            let mut running = JoinSet::new();
            let mut waiting = VecDeque::new();
            let mut turn = 0_usize;
            loop {
                while running.len() < WATCHES_MAX
                    && let Some(job) = waiting.pop_front()
                {
                    turn += 1;
                    running.spawn(Arc::clone(&shared).watch(job, turn));
                }
                tokio::select! {
                    biased;
                    () = stop.raised() => break,
                    Some(_) = running.join_next() => {}
                    job = jobs.recv() => match job {
                        Some(job) => waiting.push_back(job),
                        None => break,
                    },
                }
            }
            // Each has noted what it saw; what was sent again and not answered yet is unknown.
            running.shutdown().await;
        });
        Ok(std::mem::take(&mut *shared.seen.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl Shared {
    fn seen(&self) -> std::sync::MutexGuard<'_, Watched> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn watch(self: Arc<Self>, job: Job, turn: usize) {
        let asking = async { tokio::join!(self.ask(&job, turn), self.look(&job, turn)) };
        match &job.resubmit {
            None => {
                asking.await;
            }
            Some((body, params_hash)) => {
                let again = self.resubmit(&job, body, *params_hash, turn);
                let (((), ()), ()) = tokio::join!(asking, again);
            }
        }
    }

    /// Asks until it is settled.
    async fn ask(&self, job: &Job, turn: usize) {
        let mut pause = PAUSE_FIRST;
        for turn in turn.. {
            tokio::time::sleep(pause).await;
            let instance = self.sharding.pick(&self.instances, job.account, turn);
            let (row, told) = read_state(instance, job.transfer, &self.origin, READ_TIMEOUT).await;
            self.seen().reads.push(row);
            if !job.is_open || matches!(told, Told::View(view) if view.state.is_terminal()) {
                return;
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// Reads the payer's newest page once, at the time of the first question and without holding it up.
    async fn look(&self, job: &Job, turn: usize) {
        if !job.is_open {
            return;
        }
        tokio::time::sleep(PAUSE_FIRST).await;
        let instance = self.sharding.pick(&self.instances, job.account, turn);
        let limit = lookup::READ_TIMEOUT;
        let (row, _) = read_page(instance, job.account, Some(job.op), None, &self.origin, limit).await;
        self.seen().pages.push(row);
    }

    /// Sends the same transfer once more, under another id.
    async fn resubmit(&self, job: &Job, body: &Bytes, params_hash: ParamsHash, turn: usize) {
        tokio::time::sleep(RESUBMIT_AFTER).await;
        let transfer: SubmitTransfer = serde_json::from_slice(body).expect("we wrote it");
        let transfer = SubmitTransfer { id: derived_id(transfer.id), ..transfer };
        let body: Bytes = serde_json::to_vec(&transfer).expect("no map keys that JSON lacks").into();
        let instance = self.sharding.pick(&self.instances, job.account, turn);
        let intended_ns = monotonic_ns();
        // Whoever ends the watch meanwhile leaves it as it is now: sent, perhaps.
        let lost = Ending::of_channel(transfer.id, Err(NoAnswer::Lost("load ended before its answer".to_owned())));
        let mut open = Noted::new(
            self,
            Again {
                of: job.op,
                transfer: transfer.id,
                intended_ns,
                seen: Seen::Begun {
                    op: job.op,
                    sent_ns: Some(intended_ns),
                    acked_ns: intended_ns,
                    ending: lost,
                    attempts: 1,
                },
            },
        );
        let mut client = instance.take().await;
        client.forget_write();
        let exchange = client.exchange(Method::POST, "/v1/transfers", &body);
        let exchange = tokio::time::timeout(RESUBMIT_TIMEOUT, exchange).await;
        let (acked_ns, sent_ns) = (monotonic_ns(), client.first_write_ns());
        let ending = match exchange {
            Ok(exchange) => {
                instance.give_back(client).await;
                Ending::of_channel(transfer.id, exchange)
            }
            Err(_) => Ending::of_channel(transfer.id, Err(NoAnswer::Lost("no answer before its timeout".to_owned()))),
        };
        let row = submit_row(transfer.id, params_hash, instance.name(), &self.origin, (intended_ns, acked_ns), &ending);
        self.seen().reads.push(row);
        open.again.seen = Seen::Begun { op: job.op, sent_ns, acked_ns, ending, attempts: 1 };
    }
}

/// What was sent again, noted when its sender ends, whichever way.
struct Noted<'a> {
    shared: &'a Shared,
    again: Again,
}

impl<'a> Noted<'a> {
    const fn new(shared: &'a Shared, again: Again) -> Self {
        Self { shared, again }
    }
}

impl Drop for Noted<'_> {
    fn drop(&mut self) {
        let mut again = self.again.clone();
        if let Seen::Begun { acked_ns, .. } = &mut again.seen
            && *acked_ns == again.intended_ns
        {
            *acked_ns = monotonic_ns();
        }
        self.shared.seen().again.push(again);
    }
}
