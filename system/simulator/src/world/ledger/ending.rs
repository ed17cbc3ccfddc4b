//! What an answer means to whoever asked (D41).
//!
//! In: answers of core and of channels. Out: [`Heard`] (what was said), [`Ending`] (what is known then). Elsewhere: keeping it (`ledger`).
//!
//! Some answers settle a key for good: a verdict, a terminal stage, "the id stands for something else". Others speak of one request only:
//! nothing was begun, another transfer is in the way. A second request under the key may still do what the first did not.

use bankstorm_contracts::channel_api::{ChannelResponse, TransferStage, TransferView};
use bankstorm_contracts::core_api::{CoreResponse, Verdict};
use bankstorm_contracts::problem::ProblemKind;
use bankstorm_contracts::{Outcome, Problem, RejectReason, TransferState};

use crate::model::network::CallEnd;

/// What was said of an id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(crate) was_answered: bool,
    /// In the store's own words.
    pub(crate) stage: Option<&'static str>,
    pub(crate) reason: Option<RejectReason>,
    pub(crate) seq: Option<i64>,
    /// Why there was no stage.
    pub(crate) problem: Option<ProblemKind>,
}

/// What is known of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ending {
    pub(crate) outcome: Outcome,
    /// Nothing that comes later changes it.
    pub(crate) is_final: bool,
    pub(crate) seq: Option<i64>,
    pub(crate) balance_after: Option<i64>,
    pub(crate) reason: Option<RejectReason>,
}

impl Ending {
    /// What one request alone is known to have come to.
    pub(crate) const fn passing(outcome: Outcome) -> Self {
        Self { outcome, is_final: false, seq: None, balance_after: None, reason: None }
    }

    const fn settled(outcome: Outcome) -> Self {
        Self { is_final: true, ..Self::passing(outcome) }
    }

    /// Whether it is worth another try with the same key.
    pub(crate) const fn is_worth_another_try(&self) -> bool {
        !self.is_final
    }

    /// What is known after two requests under one key: what is final is, and nothing is certain while either is open.
    pub(crate) fn or(self, other: Self) -> Self {
        let rank = |ending: &Self| match (ending.is_final, ending.outcome) {
            (true, Outcome::Ok) => 0,
            (true, _) => 1,
            (false, Outcome::Unknown) => 2,
            (false, Outcome::Failed) => 3,
            (false, _) => 4,
        };
        if rank(&other) < rank(&self) { other } else { self }
    }

    fn of_problem(problem: &Problem) -> Self {
        let outcome = Outcome::of_http(problem.status, false, Some(problem.kind));
        match problem.kind {
            ProblemKind::TransferPending | ProblemKind::NotStarted => Self::passing(outcome),
            _ => Self { is_final: outcome == Outcome::Rejected, ..Self::passing(outcome) },
        }
    }

    fn of_verdict(verdict: &Verdict) -> Self {
        let outcome = match verdict.state {
            TransferState::Processing => return Self::passing(Outcome::Unknown),
            TransferState::Completed => Outcome::Ok,
            TransferState::Rejected => Outcome::Rejected,
        };
        let balance_after = verdict.balance_after.map(|balance| balance.get());
        Self { seq: verdict.seq, balance_after, reason: verdict.reason, ..Self::settled(outcome) }
    }

    /// What a stage that a channel told means.
    fn of_view(view: &TransferView) -> Self {
        let outcome = match view.state {
            TransferStage::Completed => Outcome::Ok,
            TransferStage::Rejected => Outcome::Rejected,
            TransferStage::Failed => Outcome::Failed,
            TransferStage::Pending | TransferStage::Sent | TransferStage::Unknown => {
                return Self::passing(Outcome::Unknown);
            }
        };
        Self { seq: view.seq, reason: view.reason, ..Self::settled(outcome) }
    }
}

fn no_answer(end: CallEnd) -> (Heard, Ending) {
    let outcome = match end {
        CallEnd::Refused => Outcome::Failed,
        CallEnd::Lost(_) => Outcome::Unknown,
    };
    (Heard::default(), Ending::passing(outcome))
}

const fn problem(kind: ProblemKind) -> Heard {
    Heard { was_answered: true, stage: None, reason: None, seq: None, problem: Some(kind) }
}

/// An answer of core.
pub(crate) fn of_core(answer: &Result<CoreResponse, CallEnd>) -> (Heard, Ending) {
    match answer {
        Ok(CoreResponse::Created(verdict) | CoreResponse::Verdict(verdict)) => {
            let stage = Some(verdict.state.as_str());
            let heard = Heard { was_answered: true, stage, reason: verdict.reason, seq: verdict.seq, problem: None };
            (heard, Ending::of_verdict(verdict))
        }
        Ok(CoreResponse::Problem(no)) => (problem(no.kind), Ending::of_problem(no)),
        Ok(_) => (Heard::default(), Ending::passing(Outcome::Unknown)),
        Err(end) => no_answer(*end),
    }
}

/// An answer of a channel about a transfer.
pub(crate) fn of_channel(answer: &Result<ChannelResponse, CallEnd>) -> (Heard, Ending) {
    match answer {
        Ok(ChannelResponse::Created(view) | ChannelResponse::Accepted(view) | ChannelResponse::Transfer(view)) => {
            let stage = Some(view.state.as_str());
            let heard = Heard { was_answered: true, stage, reason: view.reason, seq: view.seq, problem: None };
            (heard, Ending::of_view(view))
        }
        Ok(ChannelResponse::Problem(no)) => (problem(no.kind), Ending::of_problem(no)),
        Ok(ChannelResponse::History(_) | ChannelResponse::Synced(_) | ChannelResponse::Redriven(_)) => {
            (Heard::default(), Ending::passing(Outcome::Unknown))
        }
        Err(end) => no_answer(*end),
    }
}

#[cfg(test)]
mod tests {
    use bankstorm_contracts::channel_api::{ChannelResponse, TransferStage, TransferView};
    use bankstorm_contracts::problem::ProblemKind;
    use bankstorm_contracts::{Outcome, Problem, TransferId};

    use super::{Ending, of_channel};
    use crate::model::network::CallEnd;

    fn view(state: TransferStage) -> Ending {
        let id = TransferId(uuid::Uuid::from_u128(1));
        of_channel(&Ok(ChannelResponse::Transfer(TransferView { id, state, reason: None, seq: None, message: None }))).1
    }

    fn problem(kind: ProblemKind) -> Ending {
        of_channel(&Ok(ChannelResponse::Problem(Problem::new(kind, "no")))).1
    }

    #[test]
    fn a_stage_is_final_once_it_is_terminal_and_a_refused_request_is_not() {
        for (ending, outcome, is_final) in [
            (view(TransferStage::Completed), Outcome::Ok, true),
            (view(TransferStage::Rejected), Outcome::Rejected, true),
            (view(TransferStage::Failed), Outcome::Failed, true),
            (view(TransferStage::Sent), Outcome::Unknown, false),
            (problem(ProblemKind::ParamDrift), Outcome::Rejected, true),
            (problem(ProblemKind::TransferPending), Outcome::Rejected, false),
            (problem(ProblemKind::NotStarted), Outcome::Failed, false),
            (problem(ProblemKind::Unknown), Outcome::Unknown, false),
            (of_channel(&Err(CallEnd::Refused)).1, Outcome::Failed, false),
        ] {
            assert_eq!((ending.outcome, ending.is_final), (outcome, is_final));
        }
    }

    #[test]
    fn what_is_final_wins_and_what_is_open_stays_open_whatever_another_request_was_told() {
        let (pending, lost) = (problem(ProblemKind::TransferPending), Ending::passing(Outcome::Unknown));
        assert_eq!(lost.or(pending), lost);
        assert_eq!(pending.or(lost), lost);
        assert_eq!(lost.or(view(TransferStage::Failed)).outcome, Outcome::Failed);
        assert_eq!(pending.or(problem(ProblemKind::NotStarted)).outcome, Outcome::Failed);
    }
}
