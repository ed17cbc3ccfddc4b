//! The words and wire formats that every room shares.
//!
//! In: nothing. Out: value types (money, accounts, transfers, entries, events), the requests and responses of each service, problem
//! documents and operation outcomes. Elsewhere: how they are stored (`adapters`), what they mean (`core`, `channel`), what a run
//! keeps of them (`record`).
//!
//! | to read first | what it is |
//! |---|---|
//! | [`money`] | whole won, checked |
//! | [`account`], [`transfer`], [`entry`] | the nouns of the ledger |
//! | [`event`] | the record on the topic and its codec |
//! | [`dead_letter`] | a record that could not be applied, and why |
//! | [`core_api`], [`channel_api`], [`banks_api`] | what the services are asked and what they answer |
//! | [`calls`] | the services' calls by method and path |
//! | [`digest`] | by what copies of heads are compared |
//! | [`outcome`] | ok, rejected, failed, unknown; and how an HTTP answer becomes one |

pub mod account;
pub mod banks_api;
pub mod calls;
pub mod channel_api;
pub mod core_api;
pub mod dead_letter;
pub mod digest;
pub mod entry;
pub mod event;
pub mod money;
pub mod outcome;
pub mod problem;
pub mod time;
pub mod transfer;

pub use account::{AccountNo, AccountStatus, Head, Seq, UserNo};
pub use digest::{DigestPart, DigestRange, Digests, HeadsDigest};
pub use entry::{Entry, EntryKind, Leg};
pub use money::Won;
pub use outcome::Outcome;
pub use problem::Problem;
pub use time::WallMicros;
pub use transfer::{ParamsHash, RejectReason, TransferId, TransferKind, TransferState};
