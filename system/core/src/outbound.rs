//! Money for other banks: who is asked when, and how holds end (D29, D39).
//!
//! In: holds that were placed, outcomes that the banks tell. Out: questions to the banks, ended holds, an answer to whoever asked first.
//! Elsewhere: placing (`posting`), the rules (`book`), the other banks (`banks`).
//!
//! An open hold is asked about until a definite answer came: by its credit, and once it has expired by a cancel, which the bank answers
//! with what it did. Only a definite no gives the money back: voiding on expiry alone loses it when the bank credits after all. Whoever
//! learns the answer first, by asking or by being told, ends the hold; the next one finds it ended. What is open is in the database, so
//! a restart goes on where the last process stopped.
//!
//! | file | what it is |
//! |---|---|
//! | `known` | the open holds that this process knows, and when each is due |
//! | `ask` | one question to a bank |
//! | `settle` | the transaction that ends a hold |
//! | `waiting` | whoever asked first, for as long as he waits |
//!
//! Metrics: `core_outbound_open`, `core_outbound_asked_total`, `core_outbound_silent_total`, `core_outbound_posted_total`,
//! `core_outbound_voided_total`, `core_outbound_contradicted_total`, `core_outbound_errors_total`, `core_outbound_deferred_total`.

mod ask;
mod known;
mod settle;
mod waiting;

use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bankstorm_contracts::WallMicros;
use bankstorm_contracts::banks_api::CreditAnswer;
use bankstorm_contracts::core_api::CoreResponse;
use bankstorm_contracts::problem::{Problem, ProblemKind};
use bankstorm_outside::bundle::CoreOutside;
use bankstorm_outside::core_store::{CoreStore, OpenHold};
use bankstorm_outside::process::{Metrics, Points, Scope};
use tokio::sync::{Notify, Semaphore, oneshot};
use tokio::time::{Instant, sleep, sleep_until};

use crate::book;
use crate::busy::{AtWork, Busy};
use crate::config::CoreConfig;
use crate::markers;
use crate::publishing::Publishing;
use crate::queue::Job;

use known::{Added, Known};
use settle::{By, Definite, Ending, Trouble};

/// The open holds and whoever works on them.
pub(crate) struct Outbound<O: CoreOutside> {
    outside: O,
    config: CoreConfig,
    known: Mutex<Known>,
    /// Rings when something may be due, or a call has ended.
    bell: Notify,
    /// Rings when there is room for holds that had none.
    room: Notify,
    calls: Arc<Semaphore>,
    settling: Semaphore,
    /// Seats of those who wait for a bank: at the door they do not count any more.
    seats: Arc<Semaphore>,
    busy: Busy,
    publishing: Arc<Publishing<O>>,
}

impl<O: CoreOutside> Outbound<O> {
    /// Starts to look for open holds and to work on them.
    pub(crate) fn start(outside: &O, config: &CoreConfig, busy: &Busy, publishing: Arc<Publishing<O>>) -> Arc<Self> {
        let outbound = Arc::new(Self {
            outside: outside.clone(),
            config: config.clone(),
            known: Mutex::new(Known::new(config)),
            bell: Notify::new(),
            room: Notify::new(),
            calls: Arc::new(Semaphore::new(config.outbound_calls)),
            settling: Semaphore::new(config.outbound_slots),
            seats: Arc::new(Semaphore::new(config.outbound_known_max as usize)),
            busy: busy.clone(),
            publishing,
        });
        outside.scope().spawn("core-outbound", Arc::clone(&outbound).run(busy.begin()));
        outside.scope().spawn("core-outbound-scan", Arc::clone(&outbound).look_for_holds());
        outbound
    }

    /// A hold was placed and its commit returned: its bank is asked, and the asker waits, as far as there are seats. His place at the door
    /// is free from here: a bank that is silent must not keep others out.
    pub(crate) fn placed(&self, hold: OpenHold, mut job: Job) {
        let (told, verdict) = oneshot::channel();
        let now = Instant::now();
        let added = self.known().add(hold, now + self.config.outbound_expiry, now, Some(told));
        if added == Added::Full {
            self.outside.metrics().count("core_outbound_deferred_total", 1);
        }
        self.gauge();
        self.bell.notify_one();
        job.leave_the_door();
        let wanted = u32::try_from(job.waiting()).unwrap_or(u32::MAX);
        let Ok(seats) = Arc::clone(&self.seats).try_acquire_many_owned(wanted) else {
            return waiting::answer_unsettled(&self.outside, job);
        };
        let limit = job.since + self.config.outbound_answer_wait;
        let answer = waiting::answer(self.outside.clone(), job, verdict, limit, seats);
        self.outside.scope().spawn("core-outbound-answer", answer);
    }

    /// A bank says what became of a credit: the hold is ended at once. The same again, and what comes too late, meet the verdict.
    pub(crate) async fn told(&self, answer: CreditAnswer) -> CoreResponse {
        // The relay publishes what is posted here, also at the stop.
        let _at_work = self.busy.begin();
        self.outside.points().reached(markers::OUTCOME_TOLD);
        let definite = Definite { state: answer.state, by: By::Told };
        match self.conclude(answer.id, definite).await {
            Ok(Ending::Ended(verdict)) => CoreResponse::Verdict(verdict),
            Ok(Ending::Stood(record)) => {
                CoreResponse::Verdict(book::verdict_of(&record, self.config.protections.binding))
            }
            Ok(Ending::NoSuchHold) => {
                let detail = format!("there is no transfer {} to another bank", answer.id);
                CoreResponse::Problem(Problem {
                    field: Some("id".to_owned()),
                    ..Problem::new(ProblemKind::NotFound, detail)
                })
            }
            Err(trouble) => {
                // The bank may never say it again.
                let kept = self.known().learn(answer.id, definite, Instant::now());
                self.bell.notify_one();
                CoreResponse::Problem(match trouble {
                    // Its word will be used: "nothing was begun" would not be true.
                    Trouble::NotStarted(detail) if kept => {
                        Problem::new(ProblemKind::Unknown, format!("kept, and used as soon as that works: {detail}"))
                    }
                    Trouble::NotStarted(detail) => Problem::new(ProblemKind::NotStarted, detail),
                    Trouble::Unknown(detail) => Problem::new(ProblemKind::Unknown, detail),
                })
            }
        }
    }

    /// Starts what is due, until the stop.
    async fn run(self: Arc<Self>, _at_work: AtWork) {
        loop {
            let due = self.start_due();
            let turn = async {
                match due {
                    Some(due) => sleep_until(due).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                biased;
                () = self.outside.scope().stopping() => return,
                () = self.bell.notified() => {}
                () = turn => {}
            }
        }
    }

    /// Looks for holds that nobody here knows, until the stop; early once there is room for some that had none. A task of its own: a read
    /// that takes long stops no question.
    async fn look_for_holds(self: Arc<Self>) {
        loop {
            let pause = tokio::select! {
                biased;
                () = self.outside.scope().stopping() => return,
                pause = self.scan() => pause,
            };
            self.bell.notify_one();
            let room = async {
                // Several places share one look.
                sleep(self.config.outbound_backoff_first).await;
                self.room.notified().await;
            };
            tokio::select! {
                biased;
                () = self.outside.scope().stopping() => return,
                () = room => {}
                () = sleep(pause) => {}
            }
        }
    }

    /// Starts a call for each hold that is due, as far as calls may be in flight; when the next one is due. A call that ends rings.
    fn start_due(self: &Arc<Self>) -> Option<Instant> {
        loop {
            let permit = Arc::clone(&self.calls).try_acquire_owned().ok()?;
            let due = self.known().take_due(Instant::now());
            let Some(task) = due else { return self.known().next_due() };
            self.outside.scope().spawn("core-outbound-ask", Arc::clone(self).ask(task, permit, self.busy.begin()));
        }
    }

    /// Adds open holds that this process does not know: those of a former one, and those whose commit nobody saw. How long until the next
    /// look.
    async fn scan(&self) -> Duration {
        let found = match self.outside.store().open_holds(self.config.outbound_known_max).await {
            Ok(found) => found,
            Err(error) => {
                self.outside.metrics().count("core_outbound_errors_total", 1);
                tracing::warn!(%error, "open holds are not read");
                return self.config.outbound_backoff_max.min(self.config.outbound_scan);
            }
        };
        let now = Instant::now();
        let mut full = 0_u64;
        for hold in found.holds {
            let expires_at = now + self.config.outbound_expiry.saturating_sub(age(hold.placed_at, found.now));
            match self.known().add(hold, expires_at, now, None) {
                Added::New => self.outside.points().reached(markers::HOLD_FOUND),
                Added::Known => {}
                Added::Full => full += 1,
            }
        }
        if full > 0 {
            let limit = self.config.outbound_known_max;
            tracing::warn!(holds = full, outbound_known_max = limit, "open holds wait until others have ended");
        }
        self.gauge();
        self.config.outbound_scan
    }

    fn gauge(&self) {
        let open = self.known().len();
        self.outside.metrics().gauge("core_outbound_open", i64::try_from(open).unwrap_or(i64::MAX));
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // No code under this lock panics half-way.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How old a hold is, by the one clock that stamped it and reads it now.
fn age(placed_at: WallMicros, now: WallMicros) -> Duration {
    Duration::from_micros(u64::try_from(now.0.saturating_sub(placed_at.0)).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::{Duration, WallMicros, age};

    #[test]
    fn a_clock_that_was_set_back_makes_a_hold_young_and_never_negative() {
        assert_eq!(age(WallMicros(1_000_000), WallMicros(3_500_000)), Duration::from_millis(2_500));
        assert_eq!(age(WallMicros(9), WallMicros(1)), Duration::ZERO);
    }
}
