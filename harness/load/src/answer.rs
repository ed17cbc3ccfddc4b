//! What core's answer means for a deposit (D41).
//!
//! In: a status and a body, or why there is none. Out: outcome, serial, balance, detail. Elsewhere: the mapping of statuses
//! (`contracts::outcome`), the bytes (`wire`).

use bankstorm_contracts::core_api::Verdict;
use bankstorm_contracts::{Outcome, Problem, TransferId, TransferState};

use crate::wire::{Answer, NoAnswer};

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ending {
    pub(crate) outcome: Outcome,
    pub(crate) seq: Option<i64>,
    pub(crate) balance_after: Option<i64>,
    pub(crate) status: Option<u16>,
    pub(crate) detail: Option<String>,
}

impl Ending {
    /// Without any answer.
    pub(crate) fn without_answer(outcome: Outcome, detail: impl Into<String>) -> Self {
        Self { outcome, seq: None, balance_after: None, status: None, detail: Some(detail.into()) }
    }

    /// Of an exchange about `transfer`.
    pub(crate) fn of(transfer: TransferId, exchange: Result<Answer, NoAnswer>) -> Self {
        match exchange {
            Ok(answer) => Self::of_answer(transfer, &answer),
            Err(NoAnswer::Unsent(problem)) => Self::without_answer(Outcome::Failed, problem),
            Err(NoAnswer::Lost(problem)) => Self::without_answer(Outcome::Unknown, problem),
        }
    }

    fn of_answer(transfer: TransferId, answer: &Answer) -> Self {
        let status = Some(answer.status);
        if !matches!(answer.status, 200 | 201) {
            let problem: Option<Problem> = serde_json::from_slice(&answer.body).ok();
            let outcome = Outcome::of_http(answer.status, false, problem.as_ref().map(|problem| problem.kind));
            let detail = problem.map_or_else(|| format!("status {}", answer.status), |problem| problem.detail);
            return Self { status, ..Self::without_answer(outcome, detail) };
        }
        // A promise that cannot be read is no promise.
        let unreadable = |problem: String| Self { status, ..Self::without_answer(Outcome::Unknown, problem) };
        let verdict: Verdict = match serde_json::from_slice(&answer.body) {
            Ok(verdict) => verdict,
            Err(error) => return unreadable(format!("status {} without a verdict: {error}", answer.status)),
        };
        if verdict.id != transfer {
            return unreadable(format!("the answer is about transfer {}", verdict.id));
        }
        let outcome = match verdict.state {
            TransferState::Processing => Outcome::Unknown,
            state => Outcome::of_http(answer.status, state == TransferState::Rejected, None),
        };
        Self {
            outcome,
            seq: verdict.seq,
            balance_after: verdict.balance_after.map(|balance| balance.get()),
            status,
            detail: verdict.reason.map(|reason| reason.as_str().to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
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
        Ending::of(id("00000000-0000-7000-8000-000000000001"), Ok(answer))
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
        let of = |exchange| Ending::of(transfer, exchange).outcome;
        assert_eq!(of(Err(NoAnswer::Unsent("refused".to_owned()))), Outcome::Failed);
        assert_eq!(of(Err(NoAnswer::Lost("reset".to_owned()))), Outcome::Unknown);
        assert_eq!(of(Ok(Answer { status: 201, body: Bytes::from_static(b"<html>") })), Outcome::Unknown);
    }
}
