//! The plan: faults as values, drawn up before the run and never changed by it.
//!
//! In: what a scenario asks for. Out: [`Fault`]s, and the text that a plan's digest is taken of. Elsewhere: what each kind does
//! (`catalogue`), when they fire (`conductor`).

use std::fmt::{self, Write as _};
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::catalogue::Lasts;

/// One fault of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Unique in the run: `fault-0`, in the order of the file.
    pub id: String,
    /// What is done.
    pub kind: Kind,
    /// To which node: `core`, `channel-1`, `postgres-core`, `kafka-2`.
    pub place: String,
    /// When.
    pub trigger: Trigger,
    /// For how long; without it until the heal phase at the end of the run.
    pub lasts: Option<Duration>,
}

impl Fault {
    /// What was planned, for people: `at 5s, for 4s`, `at operation 1500, until the heal phase`.
    pub fn planned(&self) -> String {
        match (self.lasts, self.kind.entry().lasts) {
            (Some(lasts), _) => format!("{}, for {lasts:?}", self.trigger),
            (None, Lasts::Refused) => self.trigger.to_string(),
            (None, _) => format!("{}, until the heal phase", self.trigger),
        }
    }
}

/// The plan as text, one line for each fault, the same for the same plan on every machine: what its digest is taken of.
pub fn canonical(plan: &[Fault]) -> String {
    let mut text = String::new();
    for Fault { id, kind, place, trigger, lasts } in plan {
        let when = match trigger {
            Trigger::At(after) => format!("at_ns={}", after.as_nanos()),
            Trigger::Nth(operation) => format!("nth={operation}"),
        };
        let lasts = lasts.map_or_else(|| "-".to_owned(), |lasts| lasts.as_nanos().to_string());
        writeln!(text, "{id} {} {place} {when} lasts_ns={lasts}", kind.word()).expect("a string takes any text");
    }
    text
}

/// What can be done to a node; its words are in the catalogue.
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

    fn fault(id: &str, kind: Kind, place: &str, trigger: Trigger, lasts: Option<Duration>) -> Fault {
        Fault { id: id.to_owned(), kind, place: place.to_owned(), trigger, lasts }
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
}
