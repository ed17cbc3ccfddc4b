//! Whoever asked first for a transfer to another bank, for as long as he waits.
//!
//! In: his job, the verdict when it comes. Out: the verdict, or 409 processing. Elsewhere: who brings the verdict (`settle`), how many may
//! wait (`outbound`).

use bankstorm_contracts::TransferState;
use bankstorm_contracts::core_api::{CoreResponse, Verdict};
use bankstorm_contracts::problem::{Problem, ProblemKind};
use bankstorm_outside::bundle::CoreOutside;
use bankstorm_outside::process::{Points, Scope};
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::{Instant, sleep_until};

use crate::markers;
use crate::queue::Job;

/// Answers by the verdict, if it comes before `limit`, before the process stops and before everybody gave up bringing it.
pub(super) async fn answer<O: CoreOutside>(
    outside: O,
    job: Job,
    verdict: oneshot::Receiver<Verdict>,
    limit: Instant,
    _seats: OwnedSemaphorePermit,
) {
    let scope = outside.scope();
    let verdict = tokio::select! {
        biased;
        verdict = verdict => verdict.ok(),
        () = scope.stopping() => None,
        () = sleep_until(limit) => None,
    };
    match verdict {
        Some(verdict) if verdict.state == TransferState::Completed => job.answer(CoreResponse::Created(verdict)),
        Some(verdict) => job.answer(CoreResponse::Verdict(verdict)),
        None => answer_unsettled(&outside, job),
    }
}

/// Answers that the money is held and nothing else is known.
pub(super) fn answer_unsettled<O: CoreOutside>(outside: &O, job: Job) {
    outside.points().reached(markers::OUTBOUND_UNANSWERED);
    let detail = "the other bank has not answered yet: the money is held; ask again or resolve it";
    job.answer(CoreResponse::Problem(Problem::new(ProblemKind::Processing, detail)));
}
