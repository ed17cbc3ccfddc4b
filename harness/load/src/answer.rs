//! What core's answer means for a deposit, and a channel's for a transfer or a read (D41).
//!
//! In: a status and a body, or why there is none. Out: outcome, serial, balance, stage, detail. Elsewhere: the mapping of statuses
//! (`contracts::outcome`), the bytes (`wire`).

use bankstorm_contracts::channel_api::{TransferStage, TransferView};
use bankstorm_contracts::core_api::Verdict;
use bankstorm_contracts::{Outcome, Problem, RejectReason, TransferId, TransferState};
use bytes::Bytes;
use serde::de::DeserializeOwned;

use crate::wire::{Answer, NoAnswer};

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ending {
    pub(crate) outcome: Outcome,
    pub(crate) seq: Option<i64>,
    pub(crate) balance_after: Option<i64>,
    pub(crate) status: Option<u16>,
    pub(crate) detail: Option<String>,
    /// Where a channel said that the transfer stands.
    pub(crate) stage: Option<TransferStage>,
    /// Why it was refused for good.
    pub(crate) reason: Option<RejectReason>,
}

/// What an answer says of a transfer.
struct Told {
    id: TransferId,
    outcome: Outcome,
    seq: Option<i64>,
    balance_after: Option<i64>,
    stage: Option<TransferStage>,
    reason: Option<RejectReason>,
}

impl Told {
    fn by_core(status: u16, verdict: &Verdict) -> Self {
        let outcome = match verdict.state {
            TransferState::Processing => Outcome::Unknown,
            state => Outcome::of_http(status, state == TransferState::Rejected, None),
        };
        Self {
            id: verdict.id,
            outcome,
            seq: verdict.seq,
            balance_after: verdict.balance_after.map(|balance| balance.get()),
            stage: None,
            reason: verdict.reason,
        }
    }

    fn by_channel(view: &TransferView) -> Self {
        Self {
            id: view.id,
            outcome: outcome_of(view.state),
            seq: view.seq,
            balance_after: None,
            stage: Some(view.state),
            reason: view.reason,
        }
    }
}

/// What a transfer's stage means to whoever sent it.
pub(crate) const fn outcome_of(stage: TransferStage) -> Outcome {
    match stage {
        TransferStage::Pending | TransferStage::Sent | TransferStage::Unknown => Outcome::Unknown,
        TransferStage::Completed => Outcome::Ok,
        TransferStage::Rejected => Outcome::Rejected,
        TransferStage::Failed => Outcome::Failed,
    }
}

impl Ending {
    /// Without any answer.
    pub(crate) fn without_answer(outcome: Outcome, detail: impl Into<String>) -> Self {
        Self {
            outcome,
            seq: None,
            balance_after: None,
            status: None,
            detail: Some(detail.into()),
            stage: None,
            reason: None,
        }
    }

    /// Of an exchange with core about `transfer`.
    pub(crate) fn of_core(transfer: TransferId, exchange: Result<Answer, NoAnswer>) -> Self {
        Self::of(transfer, exchange, |status, body| read(body).map(|verdict| Told::by_core(status, &verdict)))
    }

    /// Of an exchange with a channel about `transfer`.
    pub(crate) fn of_channel(transfer: TransferId, exchange: Result<Answer, NoAnswer>) -> Self {
        Self::of(transfer, exchange, |_, body| read(body).map(|view| Told::by_channel(&view)))
    }

    /// Of an exchange that only reads; what was told is there where it succeeded.
    pub(crate) fn of_read<T: DeserializeOwned>(exchange: Result<Answer, NoAnswer>) -> (Self, Option<T>) {
        let answer = match exchange {
            Ok(answer) => answer,
            Err(NoAnswer::Unsent(problem)) => return (Self::without_answer(Outcome::Failed, problem), None),
            Err(NoAnswer::Lost(problem)) => return (Self::without_answer(Outcome::Unknown, problem), None),
        };
        let status = Some(answer.status);
        if answer.status != 200 {
            return (Self::of_problem(&answer), None);
        }
        match read(&answer.body) {
            Ok(told) => (Self { status, detail: None, ..Self::without_answer(Outcome::Ok, "") }, Some(told)),
            Err(problem) => {
                let detail = format!("status 200 with something else: {problem}");
                (Self { status, ..Self::without_answer(Outcome::Unknown, detail) }, None)
            }
        }
    }

    /// Of an answer that promises nothing.
    fn of_problem(answer: &Answer) -> Self {
        let problem: Option<Problem> = serde_json::from_slice(&answer.body).ok();
        let outcome = match answer.status {
            200..=299 => Outcome::Unknown,
            status => Outcome::of_http(status, false, problem.as_ref().map(|problem| problem.kind)),
        };
        let detail = problem.map_or_else(|| format!("status {}", answer.status), |problem| problem.detail);
        Self { status: Some(answer.status), ..Self::without_answer(outcome, detail) }
    }

    fn of(
        transfer: TransferId,
        exchange: Result<Answer, NoAnswer>,
        told: impl FnOnce(u16, &Bytes) -> Result<Told, String>,
    ) -> Self {
        let answer = match exchange {
            Ok(answer) => answer,
            Err(NoAnswer::Unsent(problem)) => return Self::without_answer(Outcome::Failed, problem),
            Err(NoAnswer::Lost(problem)) => return Self::without_answer(Outcome::Unknown, problem),
        };
        let status = Some(answer.status);
        if !matches!(answer.status, 200..=202) {
            return Self::of_problem(&answer);
        }
        // A promise that cannot be read is no promise.
        let unreadable = |problem: String| Self { status, ..Self::without_answer(Outcome::Unknown, problem) };
        match told(answer.status, &answer.body) {
            Err(problem) => unreadable(format!("status {} without a verdict: {problem}", answer.status)),
            Ok(told) if told.id != transfer => unreadable(format!("the answer is about transfer {}", told.id)),
            Ok(Told { outcome, seq, balance_after, stage, reason, .. }) => {
                let detail = reason.map(|reason| reason.as_str().to_owned());
                Self { outcome, seq, balance_after, status, detail, stage, reason }
            }
        }
    }

    /// Whether the answer is a verdict on the transfer itself, and not on this attempt alone.
    const fn is_verdict(&self) -> bool {
        matches!(self.status, Some(200..=202)) && !matches!(self.outcome, Outcome::Unknown)
    }

    /// What is known after another attempt under the same id. A refusal of the attempt says nothing about an earlier one that nobody
    /// answered.
    pub(crate) fn then(self, later: Self) -> Self {
        if self.outcome != Outcome::Unknown || later.is_verdict() {
            return later;
        }
        let detail = match (self.detail, later.detail) {
            (Some(first), Some(then)) => Some(format!("{first}; then {then}")),
            (first, then) => then.or(first),
        };
        Self { outcome: Outcome::Unknown, detail, stage: later.stage.or(self.stage), ..later }
    }
}

fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use bankstorm_contracts::channel_api::{SyncAnswer, SyncResult, TransferStage, TransferView};
    use bankstorm_contracts::core_api::Verdict;
    use bankstorm_contracts::problem::ProblemKind;
    use bankstorm_contracts::{Outcome, Problem, RejectReason, TransferId, TransferState, Won};
    use bytes::Bytes;

    use super::Ending;
    use crate::wire::{Answer, NoAnswer};

    fn id(text: &str) -> TransferId {
        text.parse().expect("an id")
    }

    fn ending(status: u16, body: &impl serde_json_body::Body) -> Ending {
        let answer = Answer { status, body: body.bytes() };
        Ending::of_core(id("00000000-0000-7000-8000-000000000001"), Ok(answer))
    }

    mod serde_json_body {
        use bankstorm_contracts::Problem;
        use bankstorm_contracts::core_api::Verdict;
        use bytes::Bytes;

        pub(super) trait Body {
            fn bytes(&self) -> Bytes;
        }

        impl Body for Verdict {
            fn bytes(&self) -> Bytes {
                serde_json::to_vec(self).expect("JSON").into()
            }
        }

        impl Body for Problem {
            fn bytes(&self) -> Bytes {
                serde_json::to_vec(self).expect("JSON").into()
            }
        }
    }

    #[test]
    fn verdicts_become_outcomes() {
        let completed = Verdict {
            id: id("00000000-0000-7000-8000-000000000001"),
            state: TransferState::Completed,
            reason: None,
            seq: Some(11),
            balance_after: Some(Won::new(500)),
            posted_at: None,
            params_hash: None,
        };
        let ok = ending(201, &completed);
        assert_eq!((ok.outcome, ok.seq, ok.balance_after, ok.status), (Outcome::Ok, Some(11), Some(500), Some(201)));
        let rejected = Verdict {
            state: TransferState::Rejected,
            reason: Some(RejectReason::UnknownAccount),
            seq: None,
            balance_after: None,
            ..completed
        };
        let rejected = ending(200, &rejected);
        assert_eq!((rejected.outcome, rejected.detail.as_deref()), (Outcome::Rejected, Some("unknown_account")));
        let other = Verdict { id: id("00000000-0000-7000-8000-000000000002"), ..completed };
        assert_eq!(ending(201, &other).outcome, Outcome::Unknown);
        let processing = Verdict { state: TransferState::Processing, ..completed };
        assert_eq!(ending(200, &processing).outcome, Outcome::Unknown);
    }

    #[test]
    fn problems_and_silence_become_outcomes() {
        let outcome = |kind: ProblemKind| ending(kind.status(), &Problem::new(kind, "said why")).outcome;
        assert_eq!(outcome(ProblemKind::NotStarted), Outcome::Failed);
        assert_eq!(outcome(ProblemKind::Processing), Outcome::Unknown);
        assert_eq!(outcome(ProblemKind::ParamDrift), Outcome::Rejected);
        assert_eq!(outcome(ProblemKind::Unknown), Outcome::Unknown);
        let transfer = id("00000000-0000-7000-8000-000000000001");
        let of = |exchange| Ending::of_core(transfer, exchange).outcome;
        assert_eq!(of(Err(NoAnswer::Unsent("refused".to_owned()))), Outcome::Failed);
        assert_eq!(of(Err(NoAnswer::Lost("reset".to_owned()))), Outcome::Unknown);
        assert_eq!(of(Ok(Answer { status: 201, body: Bytes::from_static(b"<html>") })), Outcome::Unknown);
    }

    #[test]
    fn reads_become_outcomes() {
        let of = |status, body: &str| {
            let body = Bytes::copy_from_slice(body.as_bytes());
            let (ending, told) = Ending::of_read::<SyncAnswer>(Ok(Answer { status, body }));
            (ending.outcome, told.map(|answer| answer.result), ending.detail.is_some())
        };
        let stale = r#"{"result":"stale","as_of_seq":7}"#;
        assert_eq!(of(200, stale), (Outcome::Ok, Some(SyncResult::Stale), false));
        assert_eq!(of(200, "<html>"), (Outcome::Unknown, None, true));
        // Another status with the same body is no answer of ours, and a proxy's 404 is none of the bank's.
        assert_eq!([of(201, stale), of(203, stale)], [(Outcome::Unknown, None, true), (Outcome::Unknown, None, true)]);
        assert_eq!(of(404, "gone"), (Outcome::Unknown, None, true));
        let problem = |kind| serde_json::to_string(&Problem::new(kind, "said why")).expect("JSON");
        assert_eq!(of(404, &problem(ProblemKind::NotFound)), (Outcome::Rejected, None, true));
        assert_eq!(of(503, &problem(ProblemKind::NotStarted)), (Outcome::Failed, None, true));
        let lost = Ending::of_read::<SyncAnswer>(Err(NoAnswer::Lost("reset".to_owned()))).0.outcome;
        let unsent = Ending::of_read::<SyncAnswer>(Err(NoAnswer::Unsent("refused".to_owned()))).0.outcome;
        assert_eq!((lost, unsent), (Outcome::Unknown, Outcome::Failed));
    }

    #[test]
    fn a_channels_stages_become_outcomes() {
        let transfer = id("00000000-0000-7000-8000-000000000001");
        let view = |state, seq, reason| TransferView { id: transfer, state, reason, seq, message: None };
        let of = |status, view: &TransferView| {
            let body = serde_json::to_vec(view).expect("JSON").into();
            Ending::of_channel(transfer, Ok(Answer { status, body }))
        };
        let completed = of(201, &view(TransferStage::Completed, Some(7), None));
        assert_eq!((completed.outcome, completed.seq, completed.balance_after), (Outcome::Ok, Some(7), None));
        let rejected = of(200, &view(TransferStage::Rejected, None, Some(RejectReason::InsufficientFunds)));
        assert_eq!((rejected.outcome, rejected.detail.as_deref()), (Outcome::Rejected, Some("insufficient_funds")));
        assert_eq!(of(202, &view(TransferStage::Unknown, None, None)).outcome, Outcome::Unknown);
        assert_eq!(of(202, &view(TransferStage::Sent, None, None)).stage, Some(TransferStage::Sent));
        assert_eq!(of(200, &view(TransferStage::Failed, None, None)).outcome, Outcome::Failed);
        let pending =
            Problem { pending: Some(transfer), ..Problem::new(ProblemKind::TransferPending, "one is on its way") };
        let body = serde_json::to_vec(&pending).expect("JSON").into();
        assert_eq!(Ending::of_channel(transfer, Ok(Answer { status: 409, body })).outcome, Outcome::Rejected);
    }

    #[test]
    fn a_refused_attempt_says_nothing_about_an_earlier_one_that_nobody_answered() {
        let unknown = || Ending::without_answer(Outcome::Unknown, "silence");
        let refused = || Ending::without_answer(Outcome::Failed, "connection refused");
        let ok = || Ending { status: Some(200), ..Ending::without_answer(Outcome::Ok, "posted") };
        let drift = || Ending { status: Some(422), ..Ending::without_answer(Outcome::Rejected, "other parameters") };
        let gone = || Ending { status: Some(200), ..Ending::without_answer(Outcome::Failed, "not_received") };
        assert_eq!(unknown().then(refused()).outcome, Outcome::Unknown);
        assert_eq!(unknown().then(drift()).outcome, Outcome::Unknown);
        assert_eq!(unknown().then(refused()).detail.as_deref(), Some("silence; then connection refused"));
        assert_eq!(unknown().then(ok()).outcome, Outcome::Ok);
        assert_eq!(unknown().then(gone()).outcome, Outcome::Failed);
        assert_eq!(refused().then(unknown()).outcome, Outcome::Unknown);
        assert_eq!(refused().then(drift()).outcome, Outcome::Rejected);
    }
}
