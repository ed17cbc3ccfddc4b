//! Who is told what, once a transaction has ended or did not come about.
//!
//! In: jobs with their plan. Out: answers, holds for `outbound`, counts, markers. Elsewhere: the plan (`book`), the answer to a transfer
//! whose money is held (`outbound`).

use bankstorm_contracts::core_api::{CoreResponse, Verdict};
use bankstorm_contracts::problem::{Problem, ProblemKind};
use bankstorm_contracts::{RejectReason, TransferKind, TransferState, WallMicros};
use bankstorm_outside::bundle::CoreOutside;
use bankstorm_outside::core_store::Locked;
use bankstorm_outside::process::{Metrics, Points};

use super::alone::Left;
use super::counters::{Event, name};
use super::{Attempt, Mode, Posting};
use crate::book::{Answer, Plan};
use crate::markers;
use crate::queue::Job;

impl<O: CoreOutside> Posting<O> {
    /// Answers each job by the plan; `unknown` says why nobody can tell whether the plan's writes are there.
    pub(super) fn answer_all(
        &self,
        mode: Mode,
        jobs: Vec<Job>,
        plan: Plan,
        locked: &Locked,
        unknown: Option<&str>,
    ) -> Attempt {
        let mut left = Vec::new();
        let order = self.config.protections.lock_order;
        for (job, answer) in jobs.into_iter().zip(plan.answers) {
            match (answer, unknown) {
                (None, _) => left.push(Left::skipped(mode, order, job, locked)),
                (Some(Answer::Settled(verdict)), None) => self.settled(job, verdict),
                (Some(Answer::Held { placed_at }), None) => self.held(job, placed_at),
                (Some(Answer::Settled(_) | Answer::Held { .. }), Some(detail)) => self.unknown(job, detail),
                (Some(Answer::Stood(verdict)), _) => self.stood(job, verdict),
                (Some(Answer::Drift), _) => self.drifted(job),
                (Some(Answer::Processing), _) => self.in_work(job),
            }
        }
        if !left.is_empty() {
            self.outside.points().reached(markers::ACCOUNT_SKIPPED);
            left.iter().for_each(|left| self.count(Event::Skipped, &left.job));
        }
        Attempt::Done(left)
    }

    pub(super) fn count(&self, event: Event, job: &Job) {
        self.outside.metrics().count(name(job.order.kind(), event), 1);
    }

    /// Its posting is committed: how long that took since it was taken on (A18).
    fn observe(&self, job: &Job) {
        self.outside.metrics().observe("core_posting_seconds", job.since.elapsed());
    }

    fn settled(&self, job: Job, verdict: Verdict) {
        self.observe(&job);
        let marker = marker_of(job.order.kind(), &verdict);
        marker.into_iter().for_each(|marker| self.outside.points().reached(marker));
        if verdict.state == TransferState::Completed {
            self.count(Event::Completed, &job);
            job.answer(CoreResponse::Created(verdict));
        } else {
            self.count(Event::Rejected, &job);
            job.answer(CoreResponse::Verdict(verdict));
        }
    }

    fn held(&self, job: Job, placed_at: WallMicros) {
        self.observe(&job);
        self.outside.points().reached(markers::HOLD_PLACED);
        self.count(Event::Held, &job);
        let hold = job.order.open_hold(placed_at).expect("only a transfer to another bank is held");
        self.outbound.placed(hold, job);
    }

    fn stood(&self, job: Job, verdict: Verdict) {
        let late = verdict.reason == Some(RejectReason::NotReceived);
        self.outside.points().reached(if late { markers::LATE } else { markers::REPLAY });
        if !late && job.order.kind() == TransferKind::Outbound {
            self.outside.points().reached(markers::OUTBOUND_REPLAY);
        }
        self.count(Event::Replayed, &job);
        job.answer(CoreResponse::Verdict(verdict));
    }

    fn drifted(&self, job: Job) {
        self.outside.points().reached(markers::PARAM_DRIFT);
        self.count(Event::Drifted, &job);
        let detail = format!("id {} was used before with other parameters", job.order.id());
        job.answer(CoreResponse::Problem(Problem {
            field: Some("id".to_owned()),
            ..Problem::new(ProblemKind::ParamDrift, detail)
        }));
    }

    /// It met itself unsettled: its hold is open.
    fn in_work(&self, job: Job) {
        if job.order.kind() == TransferKind::Outbound {
            self.outside.points().reached(markers::OUTBOUND_REPLAY);
        }
        self.processing(job);
    }

    pub(super) fn processing(&self, job: Job) {
        self.outside.points().reached(markers::PROCESSING);
        self.count(Event::Processing, &job);
        let detail = format!("id {} is in work; ask again or resolve it", job.order.id());
        job.answer(CoreResponse::Problem(Problem::new(ProblemKind::Processing, detail)));
    }

    fn unknown(&self, job: Job, detail: &str) {
        self.count(Event::Unknown, &job);
        let detail = format!("whether id {} was posted is not known: {detail}", job.order.id());
        job.answer(CoreResponse::Problem(Problem::new(ProblemKind::Unknown, detail)));
    }

    pub(super) fn none_started(&self, jobs: Vec<Job>, detail: &str) -> Attempt {
        tracing::warn!(requests = jobs.len(), detail, "requests are answered not-started");
        jobs.into_iter().for_each(|job| self.not_started(job, detail));
        Attempt::Done(Vec::new())
    }

    pub(super) fn not_started(&self, job: Job, detail: &str) {
        self.count(Event::NotStarted, &job);
        job.answer(CoreResponse::Problem(Problem::new(ProblemKind::NotStarted, detail)));
    }
}

/// What a fresh verdict shows, if it is one of the rare ones.
const fn marker_of(kind: TransferKind, verdict: &Verdict) -> Option<&'static str> {
    match (verdict.reason, kind) {
        (None, TransferKind::Transfer) => Some(markers::TRANSFER_POSTED),
        (Some(RejectReason::Expired), _) => Some(markers::EXPIRED),
        (Some(RejectReason::InsufficientFunds), _) => Some(markers::INSUFFICIENT_FUNDS),
        (Some(RejectReason::AccountClosed | RejectReason::DepositStopped | RejectReason::WithdrawalStopped), _) => {
            Some(markers::STATUS_REFUSED)
        }
        _ => None,
    }
}
