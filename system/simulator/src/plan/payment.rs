//! What a customer does about one payment: a transfer inside the bank, or to another one.
//!
//! In: a file, a seed. Out: [`Payment`]. Elsewhere: carrying it out (`world::customers`).

use serde::{Deserialize, Serialize};

/// A payment of a customer. Whatever he does about it later concerns the same intent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    /// Who sends, from 1.
    pub user: u32,
    /// In won.
    pub won: i64,
    /// Which channel is asked, from 0.
    pub channel: u32,
    /// How long the customer waits for each answer.
    pub patience_ms: u64,
    /// How often he tries again, with the same id, while nothing was done or nothing is known.
    #[serde(default, skip_serializing_if = "super::is_none_at_all")]
    pub retries: u32,
    /// Which channel the tries after the first ask, and whoever else comes; the same when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elsewhere: Option<u32>,
    /// What else comes beside the first try.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<Twice>,
    /// Whether he sends the payment anew, under a new id, when he does not know after all his tries.
    #[serde(default, skip_serializing_if = "is_false")]
    pub resubmit: bool,
    /// How often he asks afterwards where it stands, until it is settled.
    #[serde(default, skip_serializing_if = "super::is_none_at_all")]
    pub reads: u32,
    /// How often he looks at his newest page right after his first answer.
    #[serde(default, skip_serializing_if = "super::is_none_at_all")]
    pub looks: u32,
}

/// What else comes beside a payment's first try.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Twice {
    /// A double click: the very same request, this many milliseconds after the first.
    Same(u64),
    /// A second device: the same payment under an id of its own, this many milliseconds after the first.
    Device(u64),
    /// Another amount under the same id, this many milliseconds after the first.
    Other(u64),
}

impl Twice {
    /// How long after the first.
    pub const fn after_ms(self) -> u64 {
        match self {
            Self::Same(after) | Self::Device(after) | Self::Other(after) => after,
        }
    }

    /// The word in files.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Same(_) => "same",
            Self::Device(_) => "device",
            Self::Other(_) => "other",
        }
    }

    /// The same at another moment.
    #[must_use]
    pub const fn at(self, after: u64) -> Self {
        match self {
            Self::Same(_) => Self::Same(after),
            Self::Device(_) => Self::Device(after),
            Self::Other(_) => Self::Other(after),
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}
