//! Collectors: what the databases, the topic, the channels' logs and the machine say of a run, as rows and lines of the run folder.
//!
//! In: addresses, raw logs, a run folder. Out: evidence files, each with its row count and hash; samples; whether the copy has converged.
//! Elsewhere: row types and files (`record`), what the rows prove (`check`), when each is called (`cli`).
//!
//! | to read first | what it collects |
//! |---|---|
//! | [`core`], [`channel`] | the two databases, each in one snapshot, streamed |
//! | [`deadlocks`] | what the database servers say of deadlocks |
//! | [`backlog`] | what core posted after a moment, and what a copy has of it |
//! | [`banks`] | the other banks' book |
//! | [`access`] | core's access log |
//! | [`topic`], [`dead_letters`] | every record of the entries topic, every letter of the dead-letter topic |
//! | [`group_commits`] | the offsets that the channels' group committed |
//! | [`visible`] | when each entry became visible (D44) |
//! | [`converge`] | waits until the copy has caught up and all transfers are settled |
//! | [`sampler`] | lag, processor time, memory and metrics, each second |
//! | [`logs`] | panics and fatal errors in the processes' logs |

pub mod access;
pub mod backlog;
pub mod banks;
pub mod channel;
pub mod converge;
pub mod core;
mod database;
pub mod dead_letters;
pub mod deadlocks;
mod error;
pub mod group_commits;
pub mod logs;
mod metrics;
mod reading;
pub mod sampler;
pub mod topic;
pub mod visible;
mod written;

use std::collections::BTreeMap;

pub use access::{CollectedAccess, collect_access};
pub use backlog::{CopyOf, read_backlog, read_copy, read_unsent};
pub use banks::collect_banks;
pub use channel::collect_channel;
pub use converge::{Converged, wait_converged};
pub use core::collect_core;
pub use dead_letters::{CollectedDeadLetters, collect_dead_letters};
pub use deadlocks::{count_logged, read_deadlocks, write_database};
pub use error::EvidenceError;
pub use group_commits::{CollectedCommits, collect_group_commits};
pub use metrics::{final_markers, scrape};
pub use topic::{CollectedTopic, collect_topic};
pub use visible::{CollectedVisible, collect_visible};
pub use written::{write_operations, write_pages, write_syncs, write_transfer_reads};

/// Evidence file -> rows and hash, as run.json keeps them.
pub type Evidence = BTreeMap<String, bankstorm_record::run_json::EvidenceFile>;
