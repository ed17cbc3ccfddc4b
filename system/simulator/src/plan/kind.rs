//! The kinds of fault that the models know. One line each; what a kind does is in the model of its place.
//!
//! In: a word of a file. Out: [`Kind`], what it needs and where it can be. Elsewhere: the models that strike (`model`), who drives
//! them (`world::conductor`).

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Topology;

/// What a fault needs besides its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs {
    /// Its trigger is `at_ms`; otherwise it is `nth`.
    pub at: bool,
    /// It takes `lasts_ms`.
    pub lasts: bool,
    /// What `amount` means to it; empty where it takes none.
    pub amount: &'static str,
}

macro_rules! kinds {
    ($($kind:ident $word:literal $at:literal $lasts:literal $amount:literal $about:literal;)*) => {
        /// What is done.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind {
            $(#[doc = $about] $kind,)*
        }

        impl Kind {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)*];

            /// The word in files.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$kind => $word,)* }
            }

            /// What it does, in a sentence.
            pub const fn about(self) -> &'static str {
                match self { $(Self::$kind => $about,)* }
            }

            /// What it needs.
            pub const fn needs(self) -> Needs {
                match self { $(Self::$kind => Needs { at: $at, lasts: $lasts, amount: $amount },)* }
            }
        }
    };
}

kinds! {
    // Kind, word, at (else nth), lasts, amount.
    NodeKill "node.kill" true true "" "A process, database or broker is killed, and started again after `lasts_ms`.";
    NodePause "node.pause" true true "" "A process, database or broker is frozen, and goes on after `lasts_ms`.";
    NodeRestart "node.restart" true false "" "A process is stopped in order and started again.";
    CommitFailed "pg.commit_failed" false false "" "The nth commit is refused: nothing was written, and the answer says so.";
    CommitLost "pg.commit_lost" false false "" "The connection breaks before the nth commit arrives: nothing was written, and nobody can tell.";
    CommitUnanswered "pg.commit_unanswered" false false "" "The connection breaks after the nth commit happened: all was written, and nobody can tell.";
    CommitStalled "pg.commit_stalled" false true "" "The nth commit takes `lasts_ms`, its locks held meanwhile, whether anybody still waits for it or not.";
    StepDropped "pg.step_dropped" false false "" "The connection breaks at the nth step of a transaction.";
    StepRefused "pg.step_refused" false false "0 data error, 1 deadlock, 2 out of resources, 3 something else" "The nth write of a transaction is refused.";
    RowHeld "pg.row_held" true true "the account's index" "Somebody else holds an account's row for `lasts_ms`.";
    AccountRefused "pg.account_refused" true true "the account's index" "Every write about an account is refused for `lasts_ms`, as if its row were at fault.";
    ConnectionsTaken "pg.connections_taken" true true "how many" "Connections are not to be had for `lasts_ms`.";
    ClockStep "clock.step" true false "milliseconds, either way" "The clock of a database, or of a channel's machine, is set.";
    ProduceRefused "kafka.produce_refused" false false "" "The nth record is not appended, and its producer has failed.";
    ProduceUnanswered "kafka.produce_unanswered" false false "" "The nth record is appended, its acknowledgement lost, and its producer has failed.";
    ProduceStalled "kafka.produce_stalled" false true "" "The nth record, and what follows it, takes `lasts_ms`.";
    OffsetsRefused "kafka.offsets_refused" false false "" "The nth offset commit is refused.";
    OffsetsUnanswered "kafka.offsets_unanswered" false true "" "The nth offset commit happens and is answered `lasts_ms` late.";
    Rebalance "kafka.rebalance" true false "" "Every member loses all its partitions at once.";
    FetchStalled "kafka.fetch_stalled" true true "" "A channel gets no records for `lasts_ms`, its session alive.";
    RecordLost "kafka.record_lost" false false "" "The nth appended record is never seen by any consumer.";
    RecordDamaged "kafka.record_damaged" false false "0 unreadable, 1 a wrong balance" "The nth appended record reaches consumers damaged.";
    RecordDoubled "kafka.record_doubled" false false "" "The nth appended record lies there twice.";
    PartitionsAdded "kafka.partitions_added" true false "how many" "The entries topic gets more partitions: keys are spread anew.";
    ClientFailed "kafka.client_failed" true false "" "A process's Kafka client fails for good: a channel's consumer, core's producer.";
    RequestDropped "req.drop" false false "" "The nth request of a link, or of one kind on it, never arrives.";
    RequestHeld "req.hold" false true "" "The nth request of a link, or of one kind on it, arrives `lasts_ms` late, whether anybody still waits or not.";
    RequestDoubled "req.dup" false true "" "The nth request of a link, or of one kind on it, arrives twice, the second time `lasts_ms` later.";
    AnswerDropped "resp.drop" false false "" "The nth answer of a link, or of one kind on it, never arrives.";
    AnswerHeld "resp.hold" false true "" "The nth answer of a link, or of one kind on it, arrives `lasts_ms` late.";
    LinkCut "net.cut" true true "0 requests, 1 answers, 2 both" "Nothing passes a link for `lasts_ms`; on one to Kafka neither way, and what is on its way waits.";
    LinkSlow "net.delay" true true "milliseconds each way" "Everything on a link is slower for `lasts_ms`.";
}

impl Kind {
    /// The kind of this word; `None` when there is none.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.word() == word)
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        Self::from_word(&word).ok_or_else(|| {
            let known: Vec<_> = Self::ALL.iter().map(|kind| kind.word()).collect();
            serde::de::Error::custom(format!("there is no fault {word:?}; known are {}", known.join(", ")))
        })
    }
}

/// Where a kind can be, in a topology.
pub fn places_in(kind: Kind, topology: &Topology) -> Vec<String> {
    let channels = || (0..topology.channels).map(|channel| format!("channel-{channel}"));
    let one = |word: &str| std::iter::once(word.to_owned());
    // Who calls whom, and what for.
    let links = || {
        let customers =
            channels().map(|channel| (format!("customers>{channel}"), &["history", "submit", "state", "sync"][..]));
        let core = channels()
            .map(|channel| (format!("{channel}>core"), &["entries", "heads", "digests", "transfer", "resolve"][..]));
        let banks = [("core>banks".to_owned(), &["credit", "cancel"][..]), ("banks>core".to_owned(), &["outcome"][..])];
        let deposits = std::iter::once(("customers>core".to_owned(), &["deposit", "resolve"][..]));
        deposits.chain(customers).chain(core).chain(banks)
    };
    let databases = || one("postgres-core").chain(one("postgres-channel"));
    match kind.word().split_once('.').map_or("", |(family, _)| family) {
        "node" if kind == Kind::NodeRestart => one("core").chain(channels()).chain(one("banks")).collect(),
        "node" => one("core").chain(channels()).chain(one("banks")).chain(databases()).chain(one("kafka")).collect(),
        "pg" if kind == Kind::AccountRefused => one("postgres-channel").collect(),
        "pg" => databases().collect(),
        "clock" => databases().chain(channels()).collect(),
        "kafka" if kind == Kind::FetchStalled => channels().collect(),
        "kafka" if kind == Kind::ClientFailed => one("core").chain(channels()).collect(),
        "kafka" => one("kafka").collect(),
        "req" | "resp" => {
            let all = |(link, kinds): (String, &[&str])| {
                let of_kinds: Vec<_> = kinds.iter().map(|kind| format!("{link}:{kind}")).collect();
                std::iter::once(link).chain(of_kinds)
            };
            links().flat_map(all).collect()
        }
        "net" if kind == Kind::LinkCut => {
            let to_kafka = one("core").chain(channels()).map(|client| format!("{client}>kafka"));
            links().map(|(link, _)| link).chain(to_kafka).collect()
        }
        _ => links().map(|(link, _)| link).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, places_in};
    use crate::draw::draw;

    #[test]
    fn words_lead_back_to_their_kinds() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_word(kind.word()), Some(*kind));
        }
    }

    #[test]
    fn messages_have_places_by_link_and_by_kind_and_cuts_reach_kafka() {
        let mut topology = draw(1).topology;
        topology.channels = 1;
        let calls = ["customers>core", "customers>channel-0", "channel-0>core", "core>banks", "banks>core"];
        assert_eq!(places_in(Kind::LinkSlow, &topology), calls);
        assert_eq!(places_in(Kind::LinkCut, &topology), [&calls[..], &["core>kafka", "channel-0>kafka"]].concat());
        assert_eq!(places_in(Kind::ClientFailed, &topology), ["core", "channel-0"]);
        let by_kind = [
            "customers>core",
            "customers>core:deposit",
            "customers>core:resolve",
            "customers>channel-0",
            "customers>channel-0:history",
            "customers>channel-0:submit",
            "customers>channel-0:state",
            "customers>channel-0:sync",
            "channel-0>core",
            "channel-0>core:entries",
            "channel-0>core:heads",
            "channel-0>core:digests",
            "channel-0>core:transfer",
            "channel-0>core:resolve",
            "core>banks",
            "core>banks:credit",
            "core>banks:cancel",
            "banks>core",
            "banks>core:outcome",
        ];
        for kind in [Kind::RequestHeld, Kind::AnswerDropped] {
            assert_eq!(places_in(kind, &topology), by_kind);
        }
    }
}
