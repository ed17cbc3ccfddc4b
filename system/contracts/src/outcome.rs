//! Outcomes of operations: ok, rejected, failed, unknown. A timeout is unknown until the ledger says otherwise.
//!
//! In: what a caller saw (D41). Out: [`Outcome`]. Elsewhere: how unknown ones are resolved (the harness's resolve phase).

use serde::{Deserialize, Serialize};

use crate::problem::ProblemKind;

/// How an operation ended, as far as its caller can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Done, and durable.
    Ok,
    /// Refused for good, without effect.
    Rejected,
    /// Definitely without effect; sending it again is safe.
    Failed,
    /// Nobody can tell yet.
    Unknown,
}

impl Outcome {
    /// The word in evidence and reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Rejected => "rejected",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }

    /// Reads an HTTP answer by D41. `body_rejected` says whether a 200 carried `rejected`; `problem` is the problem document's type.
    pub fn of_http(status: u16, body_rejected: bool, problem: Option<ProblemKind>) -> Self {
        match status {
            200 | 201 if body_rejected => Self::Rejected,
            200 | 201 => Self::Ok,
            // The id is in work: it may still be posted (D12, D29).
            409 if problem == Some(ProblemKind::Processing) => Self::Unknown,
            // Nobody but a service of ours says so. A proxy's 404, 408 or 429 says nothing about what became of the request.
            400..=499 if problem.is_some_and(|kind| kind.status() == status) => Self::Rejected,
            503 if problem == Some(ProblemKind::NotStarted) => Self::Failed,
            _ => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Outcome;
    use crate::problem::ProblemKind;

    #[test]
    fn d41_maps_each_answer() {
        let cases = [
            (201, false, None, Outcome::Ok),
            (200, false, None, Outcome::Ok),
            (200, true, None, Outcome::Rejected),
            (400, false, Some(ProblemKind::BadRequest), Outcome::Rejected),
            (405, false, Some(ProblemKind::MethodNotAllowed), Outcome::Rejected),
            (422, false, Some(ProblemKind::ParamDrift), Outcome::Rejected),
            (409, false, Some(ProblemKind::Processing), Outcome::Unknown),
            (409, false, Some(ProblemKind::TransferPending), Outcome::Rejected),
            (404, false, Some(ProblemKind::NotFound), Outcome::Rejected),
            (404, false, None, Outcome::Unknown),
            (408, false, None, Outcome::Unknown),
            (409, false, None, Outcome::Unknown),
            (429, false, Some(ProblemKind::NotStarted), Outcome::Unknown),
            (429, false, Some(ProblemKind::BadRequest), Outcome::Unknown),
            (503, false, Some(ProblemKind::NotStarted), Outcome::Failed),
            (503, false, None, Outcome::Unknown),
            (500, false, Some(ProblemKind::Unknown), Outcome::Unknown),
            (502, false, None, Outcome::Unknown),
        ];
        for (status, rejected, problem, expected) in cases {
            assert_eq!(Outcome::of_http(status, rejected, problem), expected, "{status} {rejected} {problem:?}");
        }
    }
}
