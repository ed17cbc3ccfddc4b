//! What the other banks are asked and what they answer (D29, D39).
//!
//! In: JSON bodies and paths (`adapters::http`). Out: [`BanksRequest`], [`BanksResponse`]. Elsewhere: `banks::handle`; what core makes of an
//! answer (`core::outbound`).
//!
//! An answer may come at once, later by a callback to core (`POST /v1/outbound/{id}/outcome`), twice, or never.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::core_api::{MAX_TRANSFER, Party};
use crate::money::Won;
use crate::problem::Problem;
use crate::transfer::TransferId;

/// `POST /v1/credits`: money for an account at another bank.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Credit {
    /// The transfer's id; the same in every attempt.
    pub id: TransferId,
    /// Whom it is for.
    pub to: Party,
    /// How much.
    #[schemars(extend("minimum" = 1, "maximum" = MAX_TRANSFER.get()))]
    pub amount: Won,
}

/// What became of a credit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CreditState {
    /// The money is there, for good.
    Credited,
    /// It never will be: refused, or cancelled before it was credited. A later request under this id is refused too.
    Refused,
}

impl CreditState {
    /// The word on the wire and in the evidence.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Credited => "credited",
            Self::Refused => "refused",
        }
    }
}

/// The definite answer on a credit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CreditAnswer {
    /// The transfer.
    pub id: TransferId,
    /// What became of it.
    pub state: CreditState,
}

/// The body of a 202.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TakenOn {
    /// The transfer.
    pub id: TransferId,
}

/// A request to the other banks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BanksRequest {
    /// `POST /v1/credits`
    Credit(Credit),
    /// `POST /v1/credits/{id}/cancel`: unless it was credited, it never will be (a fence, as core's `resolve`).
    Cancel(TransferId),
}

/// An answer of the other banks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BanksResponse {
    /// 200: the definite answer.
    Answer(CreditAnswer),
    /// 202: taken on; the answer comes by callback, if it comes.
    Accepted(TransferId),
    /// Anything else, with the status of its kind.
    Problem(Problem),
}
