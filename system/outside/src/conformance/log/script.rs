//! Scripts: what two implementations of the event log must agree on, step by step.
//!
//! In: a seed. Out: a [`Script`], and by [`run`] a [`Transcript`] of what a log made of it. Elsewhere: the cases that each log must pass by
//! itself (`log`), the comparison of a model with the real thing (`adapters/tests`).
//!
//! | module | what it is |
//! |---|---|
//! | `draw` | a script from a seed |
//! | `keys` | keys whose partitions are known |
//! | `ledger` | what lies in each partition, who reads it, what comes next: the laws |
//! | `group` | members and their events |
//! | `steps` | what each step does |
//! | `reader` | the end: everything is read once more |
//! | `compare` | two transcripts side by side, scripts with a step less |
//!
//! A transcript holds only what may not differ. Logs share partitions out as they like, so that steps name partitions ("the owner of
//! partition 1 leaves") and the script says which member that is only where a partition tells. Offsets are counted in records whose fate
//! is certain: of what a discarded producer had under way any prefix may have been written. What depends on placement is held by laws
//! that the run checks itself, and a line that begins with `!` tells of one that was broken: records come in offset order from the
//! committed offset on, a partition has one owner, a partition moves only after it was given up.
//!
//! Nothing sleeps. That nothing comes is shown by a record that was produced later and does come.

mod compare;
mod draw;
mod group;
mod keys;
mod ledger;
mod reader;
mod steps;

use std::collections::BTreeMap;
use std::fmt;

use super::LogFixture;

pub use compare::{shorter, side_by_side};
pub use keys::Keys;

/// The most partitions of a script's topic.
pub const MOST_PARTITIONS: u32 = 3;
/// The most members at a time.
const MOST_MEMBERS: usize = 3;

/// What members do with a revocation before its acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnRevoke {
    /// Nothing.
    AtOnce,
    /// Nothing, and the acknowledgement is the dropped `done`.
    Drop,
    /// A record is produced and acknowledged first.
    Late,
    /// What was taken is committed first.
    Commit,
}

/// A step. What it names is a partition; members are found by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// `count` records, all handed over before the first answer is awaited.
    Produce {
        /// Of the producer (0 or 1).
        producer: usize,
        /// Where they go.
        partition: usize,
        /// How many; they take turns between the partition's two keys.
        count: usize,
    },
    /// `count` records are handed over and the producer is discarded; a new one takes its place.
    Discard {
        /// Of the producer (0 or 1).
        producer: usize,
        /// Where they go.
        partition: usize,
        /// How many.
        count: usize,
    },
    /// A member joins, unless there are three.
    Join,
    /// Everything that may be read is read.
    Take,
    /// The owner commits what it took, less the last records.
    Commit {
        /// Of which.
        partition: usize,
        /// How many records less.
        less: usize,
    },
    /// A member commits for a partition that is another's.
    CommitOfAnother {
        /// Of which.
        partition: usize,
    },
    /// Its owner pauses it.
    Pause {
        /// Which.
        partition: usize,
    },
    /// Its owner resumes it.
    Resume {
        /// Which.
        partition: usize,
    },
    /// From now on members answer revocations so.
    Revocations(OnRevoke),
    /// Its owner leaves.
    Close {
        /// Of which.
        partition: usize,
    },
    /// Its owner's handle is dropped.
    Drop {
        /// Of which.
        partition: usize,
    },
    /// Its owner takes no events while others go on, and then does again.
    Stall {
        /// Of which.
        partition: usize,
        /// Whether somebody joins meanwhile: a revocation then runs into its limit.
        joins: bool,
    },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |producer: &usize| if *producer == 0 { 'a' } else { 'b' };
        match self {
            Self::Produce { producer, partition, count } => {
                write!(f, "producer {} sends {count} to p{partition}", name(producer))
            }
            Self::Discard { producer, partition, count } => {
                write!(f, "producer {} is discarded with {count} to p{partition} under way", name(producer))
            }
            Self::Join => write!(f, "a member joins"),
            Self::Take => write!(f, "all is taken"),
            Self::Commit { partition, less } => write!(f, "p{partition} is committed less {less}"),
            Self::CommitOfAnother { partition } => write!(f, "p{partition} is committed by another"),
            Self::Pause { partition } => write!(f, "p{partition} is paused"),
            Self::Resume { partition } => write!(f, "p{partition} is resumed"),
            Self::Revocations(how) => write!(f, "revocations are answered: {how:?}"),
            Self::Close { partition } => write!(f, "the owner of p{partition} leaves"),
            Self::Drop { partition } => write!(f, "the owner of p{partition} is dropped"),
            Self::Stall { partition, joins: false } => write!(f, "the owner of p{partition} stalls"),
            Self::Stall { partition, joins: true } => write!(f, "the owner of p{partition} stalls while another joins"),
        }
    }
}

/// A script, as data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// From which it was drawn.
    pub seed: u64,
    /// Of its topic, 1 to 3.
    pub partitions: u32,
    /// In one order.
    pub steps: Vec<Step>,
}

impl Script {
    /// The script of a seed. Every step makes sense where it stands; a script that lacks some of them can be run as well.
    pub fn draw(seed: u64) -> Self {
        draw::script(seed)
    }
}

/// What a log made of a script.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transcript {
    /// One or more a step.
    pub lines: Vec<String>,
    /// How often each kind of step and outcome occurred; see [`KINDS`]. Placement has a say in it: it is no part of the comparison.
    pub kinds: BTreeMap<&'static str, u64>,
}

impl Transcript {
    /// The lines that tell of a broken law.
    pub fn broken(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(String::as_str).filter(|line| line.starts_with('!'))
    }

    fn count(&mut self, kind: &'static str) {
        *self.kinds.entry(kind).or_insert(0) += 1;
    }
}

/// Every kind of step and outcome. A set of scripts that lacks one has not compared it.
pub const KINDS: [&str; 24] = [
    "produced",
    "discarded",
    "joined",
    "joined an empty group",
    "joined for nothing",
    "taken",
    "record",
    "record again",
    "committed all",
    "committed less",
    "commit refused",
    "paused",
    "held by a pause",
    "resumed",
    "revoked: AtOnce",
    "revoked: Drop",
    "revoked: Late",
    "revoked: Commit",
    "revocation ran out",
    "left",
    "dropped",
    "the last one went",
    "stalled",
    "stalled while another joined",
];

/// Runs a script on a log, on a topic of its own. A wait that hits its limit ends the run with a line that says which.
pub async fn run<F: LogFixture>(fixture: &F, keys: &Keys, script: &Script) -> Transcript {
    let topic = fixture.topic(script.partitions).await;
    steps::run(fixture.log(), topic, keys, script).await
}
