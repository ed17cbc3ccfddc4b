//! The catalogue: what can be done to a node. One fault, one file; this one only registers them.
//!
//! In: a word from a file. Out: what the fault is, and how it strikes and heals in terms of [`Nodes`]. Elsewhere: when (`conductor`),
//! how a node is reached (`harness/environment`).
//!
//! To add one: a file here with its `ENTRY`, `strike` and `heal`, a variant of [`Kind`], and a line in each match below.

mod node_kill;
mod node_pause;
mod node_restart;
mod row_poison;
mod topic_grow;

use std::time::Duration;

use crate::nodes::{Nodes, Witness};
use crate::plan::Kind;

/// How long a strike may take to show its effect.
pub const STRIKE_LIMIT: Duration = Duration::from_secs(15);
/// How long a heal may take, and a strike that waits for a node to be ready again.
pub const HEAL_LIMIT: Duration = Duration::from_secs(60);

/// What a fault is, for people who pick one and for what checks files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The word in files: `node.kill`.
    pub word: &'static str,
    /// What it does, in a sentence.
    pub about: &'static str,
    /// How the names of its places begin; empty where it can be done to any node.
    pub on: &'static str,
    /// Whether it takes `lasts`.
    pub lasts: Lasts,
    /// What `lasts` means to it, in a sentence.
    pub lasts_about: &'static str,
    /// How it heals, in a sentence.
    pub heal_about: &'static str,
    /// How long its strike may take.
    pub strike_limit: Duration,
}

/// Whether a fault takes `lasts`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lasts {
    /// It may be given; without it the fault lasts until the heal phase.
    Optional,
    /// It must be given.
    Required,
    /// It must not be given: the fault ends by itself.
    Refused,
}

impl Kind {
    /// All of them, in the order of lists.
    pub const ALL: [Self; 5] = [Self::NodeKill, Self::NodePause, Self::NodeRestart, Self::RowPoison, Self::TopicGrow];

    /// What it is.
    pub const fn entry(self) -> &'static Entry {
        match self {
            Self::NodeKill => &node_kill::ENTRY,
            Self::NodePause => &node_pause::ENTRY,
            Self::NodeRestart => &node_restart::ENTRY,
            Self::RowPoison => &row_poison::ENTRY,
            Self::TopicGrow => &topic_grow::ENTRY,
        }
    }

    /// The word in files.
    pub const fn word(self) -> &'static str {
        self.entry().word
    }

    /// The kind of this word; `None` when there is none.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }

    /// Does it to `place`; returns once the effect was seen. Without a limit of its own.
    pub(crate) async fn strike<N: Nodes>(self, nodes: &N, place: &str) -> Result<Witness, String> {
        match self {
            Self::NodeKill => node_kill::strike(nodes, place).await,
            Self::NodePause => node_pause::strike(nodes, place).await,
            Self::NodeRestart => node_restart::strike(nodes, place).await,
            Self::RowPoison => row_poison::strike(nodes, place).await,
            Self::TopicGrow => topic_grow::strike(nodes, place).await,
        }
    }

    /// Undoes it, also when it is not known whether the strike took effect. Without a limit of its own.
    pub(crate) async fn heal<N: Nodes>(self, nodes: &N, place: &str) -> Result<Witness, String> {
        match self {
            Self::NodeKill => node_kill::heal(nodes, place).await,
            Self::NodePause => node_pause::heal(nodes, place).await,
            Self::NodeRestart => node_restart::heal(nodes, place).await,
            Self::RowPoison => row_poison::heal(nodes, place).await,
            Self::TopicGrow => topic_grow::heal(nodes, place).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::plan::Kind;

    #[test]
    fn words_lead_back_to_their_kinds() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_word(kind.word()), Some(kind));
        }
        let words = Kind::ALL.map(Kind::word);
        assert_eq!(words, ["node.kill", "node.pause", "node.restart", "row.poison", "topic.grow"]);
        assert_eq!(Kind::from_word("node.burn"), None);
    }
}
