//! The catalogue: what can be done to a node or a link. One fault, one file; this one only registers them.
//!
//! In: a word from a file. Out: what the fault is, and how it strikes and heals in terms of [`Nodes`]. Elsewhere: when (`conductor`),
//! how a node is reached (`harness/environment`), what a proxy does (`chaos/proxy`).
//!
//! To add one: a file here with its `ENTRY`, a variant of [`Kind`], and a line in the matches below: of a node with `strike` and `heal`, of
//! a link with `effect`. `BANKSTORM_BLESS=1` then writes its lines in `docs/faults.md`.

#[cfg(test)]
mod documented;
mod entry;
mod link;
mod net_blackhole;
mod net_cut;
mod net_delay;
mod net_rst;
mod node_kill;
mod node_pause;
mod node_restart;
mod pg_commit_cut;
mod pg_commit_stall;
mod pg_lock;
mod req_drop;
mod req_dup;
mod req_hold;
mod resp_drop;
mod resp_hold;
mod row_poison;
mod topic_grow;

use std::time::Duration;

pub use self::entry::{Entry, Lasts, On, Parameter, Settings, When};
use crate::nodes::{Healed, Nodes, Witness};
use crate::plan::{Fault, Kind};
use crate::rule::Effect;

/// How long a strike may take to show its effect.
pub const STRIKE_LIMIT: Duration = Duration::from_secs(15);
/// How long a heal may take, and a strike that waits for a node to be ready again.
pub const HEAL_LIMIT: Duration = Duration::from_secs(60);

impl Kind {
    /// All of them, in the order of lists.
    pub const ALL: [Self; 17] = [
        Self::NodeKill,
        Self::NodePause,
        Self::NodeRestart,
        Self::RowPoison,
        Self::TopicGrow,
        Self::PgCommitStall,
        Self::PgLock,
        Self::PgCommitCut,
        Self::ReqDrop,
        Self::ReqHold,
        Self::ReqDup,
        Self::RespDrop,
        Self::RespHold,
        Self::NetDelay,
        Self::NetBlackhole,
        Self::NetRst,
        Self::NetCut,
    ];

    /// What it is.
    pub const fn entry(self) -> &'static Entry {
        match self {
            Self::NodeKill => &node_kill::ENTRY,
            Self::NodePause => &node_pause::ENTRY,
            Self::NodeRestart => &node_restart::ENTRY,
            Self::RowPoison => &row_poison::ENTRY,
            Self::TopicGrow => &topic_grow::ENTRY,
            Self::PgCommitStall => &pg_commit_stall::ENTRY,
            Self::PgLock => &pg_lock::ENTRY,
            Self::PgCommitCut => &pg_commit_cut::ENTRY,
            Self::ReqDrop => &req_drop::ENTRY,
            Self::ReqHold => &req_hold::ENTRY,
            Self::ReqDup => &req_dup::ENTRY,
            Self::RespDrop => &resp_drop::ENTRY,
            Self::RespHold => &resp_hold::ENTRY,
            Self::NetDelay => &net_delay::ENTRY,
            Self::NetBlackhole => &net_blackhole::ENTRY,
            Self::NetRst => &net_rst::ENTRY,
            Self::NetCut => &net_cut::ENTRY,
        }
    }

    /// What it lets a proxy do; `None` where it is done to a node.
    pub const fn effect(self, settings: &Settings) -> Option<Effect> {
        Some(match self {
            Self::NodeKill | Self::NodePause | Self::NodeRestart => return None,
            Self::RowPoison | Self::TopicGrow | Self::PgCommitStall | Self::PgLock => return None,
            Self::PgCommitCut => pg_commit_cut::effect(settings),
            Self::ReqDrop => req_drop::effect(settings),
            Self::ReqHold => req_hold::effect(settings),
            Self::ReqDup => req_dup::effect(settings),
            Self::RespDrop => resp_drop::effect(settings),
            Self::RespHold => resp_hold::effect(settings),
            Self::NetDelay => net_delay::effect(settings),
            Self::NetBlackhole => net_blackhole::effect(settings),
            Self::NetRst => net_rst::effect(settings),
            Self::NetCut => net_cut::effect(settings),
        })
    }

    /// The word in files.
    pub const fn word(self) -> &'static str {
        self.entry().word
    }

    /// The kind of this word; `None` when there is none.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }

    /// Does what `fault` says, which is of this kind; returns once the effect was seen. Without a limit of its own.
    pub(crate) async fn strike<N: Nodes>(self, nodes: &N, fault: &Fault) -> Result<Witness, String> {
        let place = &fault.place;
        match self {
            Self::NodeKill => node_kill::strike(nodes, place).await,
            Self::NodePause => node_pause::strike(nodes, place).await,
            Self::NodeRestart => node_restart::strike(nodes, place).await,
            Self::RowPoison => row_poison::strike(nodes, place).await,
            Self::TopicGrow => topic_grow::strike(nodes, place).await,
            Self::PgCommitStall => pg_commit_stall::strike(nodes, place).await,
            Self::PgLock => pg_lock::strike(nodes, place).await,
            Self::PgCommitCut | Self::ReqDrop | Self::ReqHold | Self::ReqDup | Self::RespDrop | Self::RespHold => {
                link::strike(nodes, fault).await
            }
            Self::NetDelay | Self::NetBlackhole | Self::NetRst | Self::NetCut => link::strike(nodes, fault).await,
        }
    }

    /// Undoes it, also when it is not known whether the strike took effect. Without a limit of its own.
    pub(crate) async fn heal<N: Nodes>(self, nodes: &N, fault: &Fault) -> Result<Healed, String> {
        let place = &fault.place;
        match self {
            Self::NodeKill => node_kill::heal(nodes, place).await.map(Healed::from),
            Self::NodePause => node_pause::heal(nodes, place).await.map(Healed::from),
            Self::NodeRestart => node_restart::heal(nodes, place).await.map(Healed::from),
            Self::RowPoison => row_poison::heal(nodes, place).await.map(Healed::from),
            Self::TopicGrow => topic_grow::heal(nodes, place).await.map(Healed::from),
            Self::PgCommitStall => pg_commit_stall::heal(nodes, place).await.map(Healed::from),
            Self::PgLock => pg_lock::heal(nodes, place).await,
            Self::PgCommitCut | Self::ReqDrop | Self::ReqHold | Self::ReqDup | Self::RespDrop | Self::RespHold => {
                link::heal(nodes, fault).await
            }
            Self::NetDelay | Self::NetBlackhole | Self::NetRst | Self::NetCut => link::heal(nodes, fault).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Parameter, Settings};
    use crate::plan::Kind;

    #[test]
    fn words_lead_back_to_their_kinds() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_word(kind.word()), Some(kind));
        }
        assert_eq!(Kind::from_word("node.burn"), None);
    }

    #[test]
    fn what_is_done_to_a_link_is_a_rule_and_alone_takes_parameters() {
        for kind in Kind::ALL {
            let entry = kind.entry();
            assert_eq!(kind.effect(&Settings::default()).is_some(), entry.on.is_link(), "{}", entry.word);
            assert!(entry.on.is_link() || entry.parameters.is_empty(), "{}", entry.word);
            let needed = entry.parameters.iter().filter(|parameter| parameter.is_needed()).count();
            assert!(entry.parameters[..needed].iter().all(|one| one.is_needed()), "{}: needed ones first", entry.word);
        }
        assert_eq!(Kind::ReqHold.entry().keys(), ["delay", "of?", "probability?", "every?", "nth?", "lasts?"]);
        assert_eq!(Kind::NodePause.entry().keys(), ["lasts"]);
        assert!(Kind::ReqDup.entry().takes(Parameter::Times) && !Kind::ReqDrop.entry().takes(Parameter::Times));
    }

    #[test]
    fn each_kind_has_its_places() {
        for (kind, fits, does_not) in [
            (Kind::NodeKill, &["core", "kafka-1"][..], &["channel-0->core"][..]),
            (Kind::TopicGrow, &["kafka-1"], &["core", "core->kafka-1"]),
            (Kind::PgLock, &["postgres-core", "postgres-channel_1"], &["core", "core->postgres-core"]),
            (Kind::PgCommitCut, &["core->postgres-core"], &["postgres-core", "channel-0->core"]),
            (Kind::ReqDrop, &["channel-0->core", "harness->channel-1", "core->banks"], &["core", "core->kafka-1"]),
            (Kind::NetCut, &["channel-0->core", "core->postgres-core"], &["core"]),
        ] {
            let on = kind.entry().on;
            assert!(fits.iter().all(|place| on.fits(place)), "{} {fits:?}", kind.word());
            assert!(!does_not.iter().any(|place| on.fits(place)), "{} {does_not:?}", kind.word());
        }
        let told =
            [Kind::NodeKill, Kind::TopicGrow, Kind::NetRst, Kind::ReqDrop].map(|kind| kind.entry().on.to_string());
        assert_eq!(told, ["any node", "`kafka-*`", "any link", "links to `core`, `banks`, `channel-*`"]);
    }
}
