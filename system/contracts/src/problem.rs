//! Problem documents (RFC 9457): how every service says no.
//!
//! In: what went wrong. Out: [`Problem`], served as `application/problem+json`. Elsewhere: which situation gives which problem
//! (`core`, `channel`, `adapters::http`).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::transfer::TransferId;

/// What kinds of problem there are; the kebab-case word is the document's `type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ProblemKind {
    /// The request is malformed or a field is out of its limits (400).
    BadRequest,
    /// The body is larger than the service takes (413).
    BodyTooLarge,
    /// No such thing (404).
    NotFound,
    /// The path is there and does not take this method (405).
    MethodNotAllowed,
    /// The id was used before with other parameters (422).
    ParamDrift,
    /// The same id is in work right now (409); the outcome is unknown.
    Processing,
    /// The customer has a transfer in progress already (409); nothing was done. The document names it.
    TransferPending,
    /// Nothing was begun: the service was full or is stopping (503). Safe to send again.
    NotStarted,
    /// The service could not tell how it ended (500); the outcome is unknown.
    Unknown,
}

impl ProblemKind {
    /// The HTTP status that goes with it.
    pub const fn status(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::BodyTooLarge => 413,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::ParamDrift => 422,
            Self::Processing | Self::TransferPending => 409,
            Self::NotStarted => 503,
            Self::Unknown => 500,
        }
    }

    /// Whether a request itself was refused, for good and without effect, so that sending the same again is of no use.
    pub const fn refuses_request(self) -> bool {
        match self {
            Self::BadRequest | Self::BodyTooLarge | Self::NotFound | Self::MethodNotAllowed | Self::ParamDrift => true,
            Self::Processing | Self::TransferPending | Self::NotStarted | Self::Unknown => false,
        }
    }
}

/// A problem document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// Which kind.
    #[serde(rename = "type")]
    pub kind: ProblemKind,
    /// The HTTP status, repeated as the standard wants it.
    pub status: u16,
    /// One sentence: what, which value, what would be accepted.
    pub detail: String,
    /// The field at fault, where there is one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub field: Option<String>,
    /// The transfer that is in the way, where there is one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub pending: Option<TransferId>,
}

impl Problem {
    /// A problem without a field.
    pub fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        Self { kind, status: kind.status(), detail: detail.into(), field: None, pending: None }
    }

    /// A bad request that names its field.
    pub fn bad_field(field: &str, detail: impl Into<String>) -> Self {
        Self { field: Some(field.to_owned()), ..Self::new(ProblemKind::BadRequest, detail) }
    }
}
