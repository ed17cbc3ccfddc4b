//! The plan: faults as values, drawn up before the run and never changed by it.
//!
//! In: what a scenario asks for. Out: [`Fault`]s, and the text that a plan's digest is taken of. Elsewhere: what each kind does
//! (`catalogue`), when they fire (`conductor`).

mod text;

use std::fmt::{self, Write as _};
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::catalogue::Lasts;
use crate::nodes::ends;
use crate::rule::Rule;

/// One fault of a plan.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Fault {
    /// Unique in the run: `fault-0`, in the order of the file.
    pub id: String,
    /// What is done.
    pub kind: Kind,
    /// To which node (`core`, `channel-1`, `postgres-core`, `kafka-2`) or link (`channel-0->core`).
    pub place: String,
    /// When.
    pub trigger: Trigger,
    /// For how long; without it until the heal phase at the end of the run.
    pub lasts: Option<Duration>,
    /// What is done to what passes; of faults on links, and of those alone.
    pub rule: Option<Rule>,
}

impl Fault {
    /// What was planned, for people: `at 5s, for 4s`, `at operation 1500, until the heal phase`, `at 5s, for 4s: answers vanish`.
    pub fn planned(&self) -> String {
        let when = match (self.lasts, self.kind.entry().lasts) {
            (Some(lasts), _) => format!("{}, for {lasts:?}", self.trigger),
            (None, Lasts::Refused) => self.trigger.to_string(),
            (None, _) => format!("{}, until the heal phase", self.trigger),
        };
        match &self.rule {
            Some(rule) => format!("{when}: {rule}"),
            None => when,
        }
    }

    /// Whether the two may not be in force at the same time. A node is in the hands of one fault: two heals would undo each other's work.
    /// On a link each kind is a rule of its own.
    pub fn excludes(&self, other: &Self) -> bool {
        self.place == other.place && (ends(&self.place).is_none() || self.kind == other.kind)
    }
}

/// The plan as text, one line for each fault, the same for the same plan on every machine: what its digest is taken of.
pub fn canonical(plan: &[Fault]) -> String {
    let mut text = String::new();
    for Fault { id, kind, place, trigger, lasts, rule } in plan {
        let when = match trigger {
            Trigger::At(after) => format!("at_ns={}", after.as_nanos()),
            Trigger::Nth(operation) => format!("nth={operation}"),
        };
        let lasts = lasts.map_or_else(|| "-".to_owned(), |lasts| lasts.as_nanos().to_string());
        let rule = rule.as_ref().map_or_else(String::new, |rule| format!(" {}", text::canonical(rule)));
        writeln!(text, "{id} {} {place} {when} lasts_ns={lasts}{rule}", kind.word()).expect("a string takes any text");
    }
    text
}

/// What can be done to a node or a link; its words are in the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `node.kill`: SIGKILL; started again after `lasts`.
    NodeKill,
    /// `node.pause`: frozen; goes on after `lasts`.
    NodePause,
    /// `node.restart`: an orderly stop, and a start right after it.
    NodeRestart,
    /// `row.poison`: entries of one account are refused as bad data.
    RowPoison,
    /// `topic.grow`: more partitions.
    TopicGrow,
    /// `req.drop`: requests never arrive.
    ReqDrop,
    /// `req.hold`: requests arrive late.
    ReqHold,
    /// `req.dup`: requests arrive more than once.
    ReqDup,
    /// `resp.drop`: answers never come back.
    RespDrop,
    /// `resp.hold`: answers come back late.
    RespHold,
    /// `net.delay`: bytes of a link come late.
    NetDelay,
    /// `net.blackhole`: bytes of a link vanish.
    NetBlackhole,
    /// `net.rst`: connections of a link are reset.
    NetRst,
    /// `net.cut`: bytes of one way of a link vanish.
    NetCut,
    /// `pg.commit_cut`: connections break at COMMIT.
    PgCommitCut,
    /// `pg.commit_stall`: commits wait for a standby that is not there.
    PgCommitStall,
    /// `pg.lock`: somebody else holds the rows of all accounts.
    PgLock,
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}

/// When a fault fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Trigger {
    /// This long after the measured phase began.
    At(Duration),
    /// Once this many operations were sent, counted from the start of load.
    Nth(u64),
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(after) => write!(f, "at {after:?}"),
            Self::Nth(operation) => write!(f, "at operation {operation}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Fault, Kind, Trigger, canonical};
    use crate::rule::{Effect, Keys, Picks, Rule};

    fn fault(id: &str, kind: Kind, place: &str, trigger: Trigger, lasts: Option<Duration>) -> Fault {
        Fault { id: id.to_owned(), kind, place: place.to_owned(), trigger, lasts, rule: None }
    }

    #[test]
    fn a_plan_has_one_stable_line_a_fault() {
        let seconds = Duration::from_secs;
        let plan = [
            fault("fault-0", Kind::NodeKill, "core", Trigger::At(seconds(5)), Some(Duration::from_millis(1_500))),
            fault("fault-1", Kind::NodePause, "postgres-channel", Trigger::Nth(1_500), Some(seconds(5))),
            fault("fault-2", Kind::NodeRestart, "kafka-2", Trigger::At(Duration::ZERO), None),
            fault("fault-3", Kind::NodeKill, "channel-0", Trigger::Nth(1), None),
        ];
        let expected = "fault-0 node.kill core at_ns=5000000000 lasts_ns=1500000000\n\
                        fault-1 node.pause postgres-channel nth=1500 lasts_ns=5000000000\n\
                        fault-2 node.restart kafka-2 at_ns=0 lasts_ns=-\n\
                        fault-3 node.kill channel-0 nth=1 lasts_ns=-\n";
        assert_eq!(canonical(&plan), expected);
        assert_eq!(canonical(&[]), "");
        let planned: Vec<_> = plan.iter().map(Fault::planned).collect();
        assert_eq!(
            planned,
            ["at 5s, for 1.5s", "at operation 1500, for 5s", "at 0ns", "at operation 1, until the heal phase"]
        );
    }

    #[test]
    fn a_fault_on_a_link_says_what_it_does_and_to_which() {
        let at = Trigger::At(Duration::from_secs(5));
        let on = |kind, rule| Fault { rule: Some(rule), ..fault("fault-0", kind, "channel-0->core", at, None) };
        let keys = Keys::Share { probability: 0.05, seed: 42 };
        let picks = Picks { of: Some("POST /v1/transfers".to_owned()), keys, nth: Some(1) };
        let effect = Effect::RequestHold(Duration::from_millis(4_000));
        let held = on(Kind::ReqHold, Rule { effect, picks });
        let reset = on(Kind::NetRst, Rule { effect: Effect::Reset, picks: Picks::default() });
        let expected = "fault-0 req.hold channel-0->core at_ns=5000000000 lasts_ns=- \
                        effect=request_hold:4000000000 of=\"POST /v1/transfers\" \
                        keys=share:0.05:42 nth=1\n\
                        fault-0 net.rst channel-0->core at_ns=5000000000 lasts_ns=- effect=reset of=- keys=all nth=-\n";
        assert_eq!(canonical(&[held.clone(), reset.clone()]), expected);
        let told = "at 5s, until the heal phase: requests arrive 4s later, of POST /v1/transfers, \
                    of 0.05 of the keys, only number 1 of a key";
        assert_eq!(held.planned(), told);
        assert_eq!(reset.planned(), "at 5s, until the heal phase: connections are reset");
    }

    #[test]
    fn a_node_takes_one_fault_and_a_link_one_of_each_kind() {
        let on = |kind, place: &str| fault("fault-0", kind, place, Trigger::Nth(1), None);
        let drop = on(Kind::ReqDrop, "channel-0->core");
        assert!(drop.excludes(&on(Kind::ReqDrop, "channel-0->core")));
        assert!(!drop.excludes(&on(Kind::RespDrop, "channel-0->core")));
        assert!(!drop.excludes(&on(Kind::ReqDrop, "channel-1->core")));
        assert!(!drop.excludes(&on(Kind::NodeKill, "core")));
        assert!(on(Kind::PgLock, "postgres-core").excludes(&on(Kind::NodeKill, "postgres-core")));
    }
}
