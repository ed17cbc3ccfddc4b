//! The pacing thread: it sleeps until an operation is due and hands it over, whatever became of earlier ones.
//!
//! In: operations that are ready to be sent, in due order. Out: the same on the rings to the senders, or missed when all rings are full.
//! Elsewhere: preparing them ([`prepare`], on a thread of its own), sending (`sender`).

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender};

use bankstorm_contracts::{ParamsHash, TransferId};
use bankstorm_customers::plan::Phase;
use bankstorm_customers::scroll::Turn;
use bankstorm_customers::{Plan, Request};
use bankstorm_record::clock::monotonic_ns;
use bytes::Bytes;
use hdrhistogram::Histogram;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use crate::priority::{self, Granted};
use crate::run::PacingLag;
use crate::sharding::Sharding;
use crate::stop::Stop;
use crate::tally::{Count, Tally};

/// Operations that are made ready ahead of time.
pub(crate) const READY_AHEAD: usize = 4_096;
/// The longest sleep without a look at the stop cell.
const SLICE_NS: i64 = 50_000_000;
/// The pacer goes before the senders, which go before everything else.
const FIFO_PRIORITY: i32 = 20;

/// An operation that is ready to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Ready {
    pub(crate) op: u64,
    pub(crate) load: u32,
    pub(crate) measured: bool,
    /// By CLOCK_MONOTONIC.
    pub(crate) intended_ns: i64,
    /// When it is given up, by the same clock.
    pub(crate) deadline_ns: i64,
    pub(crate) transfer: TransferId,
    pub(crate) params_hash: ParamsHash,
    pub(crate) account: i64,
    pub(crate) body: Bytes,
    pub(crate) lookup: bool,
    pub(crate) read_own: bool,
    /// Whose turn it is, of a page.
    pub(crate) turn: Option<Turn>,
}

/// Makes every operation of the plan ready, as far ahead as the channel lets it. It ends with the plan or with the pacer.
pub(crate) fn prepare(plan: &Plan, start_ns: i64, ready: &SyncSender<Ready>) {
    let timeouts: Vec<i64> = plan.scenario().load.iter().map(|load| nanos(load.timeout)).collect();
    for planned in plan.operations() {
        let intended_ns = start_ns + nanos(planned.due);
        let body = match &planned.request {
            Request::Deposit(deposit) => serde_json::to_vec(deposit),
            Request::Transfer(transfer) => serde_json::to_vec(transfer),
            Request::Page(_) | Request::Sync(_) => Ok(Vec::new()),
        };
        let turn = if let Request::Page(page) = &planned.request { Some(page.turn) } else { None };
        let operation = Ready {
            op: planned.op,
            load: planned.load,
            measured: planned.phase == Phase::Measure,
            intended_ns,
            deadline_ns: intended_ns + timeouts[planned.load as usize],
            transfer: planned.id(),
            params_hash: planned.params_hash(),
            account: planned.account().get(),
            body: body.expect("no request has map keys that JSON lacks").into(),
            lookup: planned.lookup,
            read_own: planned.read_own,
            turn,
        };
        if ready.send(operation).is_err() {
            return;
        }
    }
}

pub(crate) fn nanos(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_nanos()).expect("resolved durations are hours, not centuries")
}

/// The rings of one load: one per sender thread, and of each database where the load is spread over several.
#[derive(Debug)]
pub(crate) struct Rings {
    /// By database.
    rings: Vec<Vec<mpsc::Sender<Ready>>>,
    sharding: Sharding,
    next: usize,
}

impl Rings {
    /// A ring per sender thread, whatever an operation is about.
    #[cfg(test)]
    pub(crate) fn new(rings: Vec<mpsc::Sender<Ready>>) -> Self {
        Self { rings: vec![rings], sharding: Sharding::NONE, next: 0 }
    }

    /// Such rings per database, each for operations about its accounts.
    pub(crate) const fn sharded(rings: Vec<Vec<mpsc::Sender<Ready>>>, sharding: Sharding) -> Self {
        Self { rings, sharding, next: 0 }
    }

    /// Hands over to the threads in turn, past full ones; `false` when all are full. The pages of one who scrolls go to the same thread,
    /// which knows where he stands.
    fn push(&mut self, mut operation: Ready) -> bool {
        let rings = &self.rings[self.sharding.database_of(operation.account)];
        if let Some(turn) = operation.turn {
            let ring = usize::try_from(turn.scroller).unwrap_or(0) % rings.len();
            return rings[ring].try_send(operation).is_ok();
        }
        for _ in 0..rings.len() {
            let ring = &rings[self.next % rings.len()];
            self.next = (self.next + 1) % rings.len();
            match ring.try_send(operation) {
                Ok(()) => return true,
                // A sender that died is found out when it is joined.
                Err(TrySendError::Full(back) | TrySendError::Closed(back)) => operation = back,
            }
        }
        false
    }
}

/// What the pacer needs.
#[derive(Debug)]
pub(crate) struct Pacer {
    pub(crate) ready: Receiver<Ready>,
    pub(crate) rings: Vec<Rings>,
    pub(crate) end_ns: i64,
    pub(crate) stop: Arc<Stop>,
    pub(crate) tally: Arc<Tally>,
}

/// What the pacer saw.
#[derive(Debug)]
pub(crate) struct Paced {
    /// Operations that no ring had room for.
    pub(crate) ring_full: Vec<u64>,
    pub(crate) lag: PacingLag,
    pub(crate) ended_ns: i64,
    pub(crate) interrupted: bool,
    pub(crate) granted: Granted,
}

impl Pacer {
    /// Paces the whole plan on the calling thread; ends early when the stop cell is raised.
    pub(crate) fn run(mut self) -> Paced {
        let granted = priority::raise(FIFO_PRIORITY);
        let mut lags = Histogram::<u64>::new(3).expect("3 digits are within the histogram's limits");
        let mut ring_full = Vec::new();
        let mut interrupted = false;
        while let Ok(operation) = self.ready.recv() {
            if !sleep_until(operation.intended_ns, &self.stop) {
                interrupted = true;
                break;
            }
            self.tally.add(Count::Due);
            let (op, measured) = (operation.op, operation.measured);
            let lag_ns = u64::try_from(monotonic_ns() - operation.intended_ns).unwrap_or(0);
            if !self.rings[operation.load as usize].push(operation) {
                self.tally.add(Count::Missed);
                ring_full.push(op);
            }
            if measured {
                lags.record(lag_ns).expect("the histogram resizes itself");
            }
        }
        // The plan ends with its time, not with its last operation.
        interrupted |= !interrupted && !sleep_until(self.end_ns, &self.stop);
        let lag = PacingLag {
            count: lags.len(),
            p50_ns: lags.value_at_quantile(0.5),
            p99_ns: lags.value_at_quantile(0.99),
            max_ns: lags.max(),
        };
        Paced { ring_full, lag, ended_ns: monotonic_ns(), interrupted, granted }
    }
}

/// Sleeps until `until_ns` of CLOCK_MONOTONIC; `false` when the stop cell was raised first.
fn sleep_until(until_ns: i64, stop: &Stop) -> bool {
    loop {
        if stop.is_raised() {
            return false;
        }
        let now_ns = monotonic_ns();
        if now_ns >= until_ns {
            return true;
        }
        sleep_to(until_ns.min(now_ns + SLICE_NS));
    }
}

/// One absolute sleep. It may end early on a signal; the caller looks at the clock.
#[cfg(target_os = "linux")]
fn sleep_to(until_ns: i64) {
    use nix::sys::time::TimeSpec;
    use nix::time::{ClockId, ClockNanosleepFlags, clock_nanosleep};

    let until = TimeSpec::new(until_ns / 1_000_000_000, until_ns % 1_000_000_000);
    // Nothing but an interruption can go wrong, and the loop around copes with that.
    let _ = clock_nanosleep(ClockId::CLOCK_MONOTONIC, ClockNanosleepFlags::TIMER_ABSTIME, &until);
}

/// Systems without absolute sleeps are paced less exactly; their send lag says so.
#[cfg(not(target_os = "linux"))]
#[expect(clippy::disallowed_methods, reason = "the pacing thread itself, where no absolute sleep exists")]
fn sleep_to(until_ns: i64) {
    let left = u64::try_from(until_ns - monotonic_ns()).unwrap_or(0);
    std::thread::sleep(std::time::Duration::from_nanos(left));
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc::sync_channel;

    use bankstorm_customers::scroll::Turn;
    use bankstorm_record::clock::monotonic_ns;
    use bytes::Bytes;
    use tokio::sync::mpsc;
    use uuid::Uuid;

    use super::{Pacer, Ready, Rings};
    use crate::stop::Stop;
    use crate::tally::Tally;

    fn ready(op: u64, intended_ns: i64) -> Ready {
        Ready {
            op,
            load: 0,
            measured: true,
            intended_ns,
            deadline_ns: intended_ns + 1_000_000_000,
            transfer: bankstorm_contracts::TransferId(Uuid::from_u128(op.into())),
            params_hash: bankstorm_contracts::ParamsHash::TOMBSTONE,
            account: 1_000_000,
            body: Bytes::new(),
            lookup: false,
            read_own: false,
            turn: None,
        }
    }

    fn pace(operations: Vec<Ready>, ring: usize, end_ns: i64, stop: Arc<Stop>) -> (super::Paced, Vec<(u64, i64)>) {
        let (feed, ready) = sync_channel(operations.len());
        operations.into_iter().for_each(|operation| feed.send(operation).expect("room"));
        drop(feed);
        let (first, mut first_out) = mpsc::channel(ring);
        let (second, mut second_out) = mpsc::channel(ring);
        let rings = vec![Rings::new(vec![first, second])];
        let paced = Pacer { ready, rings, end_ns, stop, tally: Arc::new(Tally::new()) }.run();
        let mut handed = Vec::new();
        while let Ok(operation) = first_out.try_recv() {
            handed.push((operation.op, operation.intended_ns));
        }
        while let Ok(operation) = second_out.try_recv() {
            handed.push((operation.op, operation.intended_ns));
        }
        (paced, handed)
    }

    #[test]
    fn nothing_is_handed_over_before_it_is_due_and_the_plan_ends_with_its_time() {
        let start = monotonic_ns();
        let operations = (0..20).map(|op| ready(op, start + 1_000_000 * op as i64)).collect();
        let end = start + 40_000_000;
        let (paced, handed) = pace(operations, 64, end, Arc::new(Stop::new()));
        assert_eq!(handed.len(), 20);
        assert_eq!((paced.lag.count, paced.ring_full.len(), paced.interrupted), (20, 0, false));
        assert!(paced.ended_ns >= end);
    }

    #[test]
    fn what_finds_every_ring_full_is_missed_and_named() {
        let start = monotonic_ns();
        let operations = (0..10).map(|op| ready(op, start)).collect();
        let (paced, handed) = pace(operations, 2, start, Arc::new(Stop::new()));
        assert_eq!(handed.len(), 4);
        assert_eq!(paced.ring_full, [4, 5, 6, 7, 8, 9]);
    }

    #[test]
    fn the_pages_of_one_who_scrolls_go_to_one_thread() {
        let rings = |rings: &mut Rings, scroller: u32| {
            let account = bankstorm_contracts::AccountNo::new(1_000_000);
            let turn = Some(Turn { scroller, session: 0, account, page_no: 0 });
            rings.push(Ready { turn, ..ready(u64::from(scroller), 0) })
        };
        let (first, mut first_out) = mpsc::channel(2);
        let (second, mut second_out) = mpsc::channel(2);
        let mut both = Rings::new(vec![first, second]);
        let taken: Vec<_> = [1, 1, 3, 0, 2].into_iter().map(|scroller| rings(&mut both, scroller)).collect();
        // The third is one too many for its thread, though the other has room.
        assert_eq!(taken, [true, true, false, true, true]);
        let got =
            |out: &mut mpsc::Receiver<Ready>| [out.try_recv().map(|one| one.op), out.try_recv().map(|one| one.op)];
        assert_eq!((got(&mut first_out), got(&mut second_out)), ([Ok(0), Ok(2)], [Ok(1), Ok(1)]));
    }

    #[test]
    fn a_raised_stop_ends_pacing_before_the_next_operation() {
        let stop = Arc::new(Stop::new());
        stop.raise();
        let far = monotonic_ns() + 3_600_000_000_000;
        let (paced, handed) = pace(vec![ready(0, far)], 2, far, stop);
        assert!(paced.interrupted && handed.is_empty());
    }
}
