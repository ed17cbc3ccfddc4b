//! A job by itself: attempts, pauses, and the end of a record that cannot be applied.
//!
//! In: a job. Out: its completion. Elsewhere: what is whose fault (`advance::error`), the letter (`letters`).

use std::time::Duration;

use bankstorm_contracts::dead_letter::Class;
use bankstorm_outside::bundle::ChannelOutside;
use bankstorm_outside::process::Metrics;
use tokio::time::sleep;

use super::Workers;
use crate::advance::{AdvanceError, Fault};
use crate::partitions::{End, Epoch, Job, Step};

/// How often the record in front was tried.
#[derive(Clone, Copy, Debug, Default)]
struct Tries {
    /// Attempts that count (D38).
    counted: u32,
    /// Attempts that do not.
    waited: u32,
}

/// What follows from a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// Another attempt, after a pause.
    Again(Duration),
    /// None: the record is parked.
    Park(Class),
    /// None: the work is somebody else's.
    Leave,
}

impl<O: ChannelOutside> Workers<O> {
    /// Works a job to its end; `failed` is its first attempt, where that was made.
    pub(super) async fn run_alone(&self, mut job: Job, mut failed: Option<AdvanceError>) {
        let (mut begun, mut tries) = (false, Tries::default());
        loop {
            let step = job.next();
            if step == Step::Done {
                return self.complete(job, End::Done);
            }
            if job.epoch.has_ended() || (begun && !job.epoch.is_live()) {
                return self.give_up(job, End::GivenUp).await;
            }
            begun = true;
            let attempt = match failed.take() {
                Some(error) => Err(error),
                None => self.attempt(&mut job, step).await,
            };
            let Err(error) = attempt else {
                tries = Tries::default();
                continue;
            };
            // Whose fault it is shows when its records go one by one.
            if !error.fault().passes() && job.narrow() && self.waits_out() {
                continue;
            }
            match self.judge(&job, &error, &mut tries) {
                Verdict::Again(pause) => rest(pause, self.config.retry_most, &job.epoch).await,
                Verdict::Leave => return self.give_up(job, End::Fenced).await,
                Verdict::Park(class) => {
                    // With waiting out switched off (P17), several may stand here.
                    job.narrow();
                    match self.park(&mut job, &error, class, tries.counted.max(1)).await {
                        End::Done => tries = Tries::default(),
                        end => return self.give_up(job, end).await,
                    }
                }
            }
        }
    }

    async fn attempt(&self, job: &mut Job, step: Step) -> Result<(), AdvanceError> {
        if step != Step::Unreadable {
            self.advancer.advance_alone(&mut job.mv, None).await?;
            job.mv.records.clear();
            return Ok(());
        }
        self.outside.metrics().count("channel_unreadable_total", 1);
        job.unreadable().map_or(Ok(()), Err)
    }

    /// What a failure leads to. The one place that decides whether there is another attempt (D1, D38, P17).
    fn judge(&self, job: &Job, error: &AdvanceError, tries: &mut Tries) -> Verdict {
        let fault = error.fault();
        let whose = format!("account {} of {:?}", job.mv.account, job.epoch.at);
        self.tell(error, tries.counted + tries.waited, &whose);
        let salt = job.mv.account.get().cast_unsigned();
        match fault {
            Fault::Fenced => Verdict::Leave,
            Fault::Outage | Fault::Contention if self.waits_out() => {
                tries.waited += 1;
                Verdict::Again(self.config.pause(tries.waited - 1, salt))
            }
            Fault::Outage | Fault::Contention => Verdict::Park(Class::Transient),
            Fault::Record(class) => {
                tries.counted += 1;
                let last = class == Class::Permanent || tries.counted >= self.config.attempts || !self.waits_out();
                if last { Verdict::Park(class) } else { Verdict::Again(self.config.attempt_pause(tries.counted, salt)) }
            }
        }
    }

    /// Parks the record in front; [`End::Done`] once its letter is durable. What the log or the store refuses is an outage: it waits.
    async fn park(&self, job: &mut Job, error: &AdvanceError, class: Class, attempts: u32) -> End {
        let Some(failed) = job.fail(error, class, attempts) else { return End::Done };
        tracing::error!(%error, ?class, attempts, at = ?job.epoch.at, offset = failed.offset, "a record becomes a dead letter");
        self.find_out(job).await;
        let mut sent = false;
        let salt = job.mv.account.get().cast_unsigned();
        for attempt in 0.. {
            match self.letters.park(&job.mv.origin, &failed, &mut sent).await {
                Ok(()) => return End::Done,
                Err(error) if error.fault() == Fault::Fenced => {
                    self.tell(&error, 0, "a dead letter");
                    return End::Fenced;
                }
                Err(error) => {
                    self.tell(&error, attempt, "a dead letter");
                    rest(self.config.pause(attempt, salt), self.config.retry_most, &job.epoch).await;
                }
            }
            if !job.epoch.is_live() {
                return End::GivenUp;
            }
        }
        unreachable!("attempts do not end")
    }
}

/// Sleeps, in naps of at most `nap`, so that a drain finds the worker awake.
async fn rest(pause: Duration, nap: Duration, epoch: &Epoch) {
    let nap = nap.max(Duration::from_millis(1));
    let mut left = pause;
    while !left.is_zero() && epoch.is_live() {
        let now = left.min(nap);
        sleep(now).await;
        left -= now;
    }
}
