//! What a proxy does to what passes it: plain values, sent to it as JSON and counted by it.
//!
//! In: a fault on a link, resolved. Out: [`Rule`], and what it met as [`Hits`]. Elsewhere: how it is done (`chaos/proxy`), when it is in
//! force (`conductor`), which words a file has for it (`catalogue`).
//!
//! A rule is in force from the moment it is put until it is taken away. Its decisions hang on the rule, its seed and the keys it meets, never on
//! a clock: the same requests meet the same fate in every run. [`Keys::Every`] alone goes by the order in which keys come.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Where a proxy listens for rules, below its own address: `PUT`, `GET` and `DELETE` of `/-/proxy/rules/<fault id>`.
///
/// A connection is one of these when its first line asks for such a path, whatever the link speaks.
pub const CONTROL: &str = "/-/proxy";
/// Answers 200 once the proxy listens.
pub const READY: &str = "/-/proxy/ready";
/// Before each rule's id.
pub const RULES: &str = "/-/proxy/rules/";

/// What is done, and to which.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// What is done.
    pub effect: Effect,
    /// To which requests or commits; without it to all that come.
    pub picks: Picks,
}

/// What is done to what was picked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// The request never arrives, and its connection ends without an answer when the caller gives up.
    RequestDrop,
    /// The request arrives this much later, also when its caller has given up meanwhile.
    RequestHold(#[serde(with = "millis")] Duration),
    /// The request arrives this many times, the copies once the first was sent; the answer is that of the first.
    RequestTwice(u32),
    /// The request arrives, and its answer never does.
    ResponseDrop,
    /// The request arrives, and its answer does this much later.
    ResponseHold(#[serde(with = "millis")] Duration),
    /// Every piece of bytes, either way, comes this much later, in order.
    Delay(#[serde(with = "millis")] Duration),
    /// Bytes of both ways vanish, those of connections that are open and those of new ones; connections stay open. What vanished is
    /// lost with its connection: those are reset when the rule is taken away.
    Blackhole,
    /// Open connections are reset, and new ones as soon as they are made.
    Reset,
    /// Bytes of one way vanish, as with [`Effect::Blackhole`]; the other way's pass.
    Cut(Way),
    /// PostgreSQL: the connection is reset when a COMMIT comes; the server never sees it.
    CommitCutBefore,
    /// PostgreSQL: the COMMIT arrives and is carried out, and the connection is reset instead of its answer.
    CommitCutAfter,
}

/// A way of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// From who connects to who listens.
    There,
    /// From who listens to who connects.
    Back,
}

/// Which requests of an HTTP link, or which commits of a PostgreSQL link. Those of a link of bytes cannot be picked.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Picks {
    /// HTTP: `POST /v1/transfers`; a `*` stands for one part of the path (`POST /v1/transfers/*/resolve`). Without it every request.
    pub of: Option<String>,
    /// Which keys. A request's key is the transfer id that it bears (in its path, else `id` of its body); one without is a key of its own. Each
    /// commit is a key of its own.
    pub keys: Keys,
    /// HTTP: only the nth request of a key, of those that `of` names; without it each.
    pub nth: Option<u64>,
}

/// Which keys are picked, at their first request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Keys {
    /// All.
    #[default]
    All,
    /// The nth, 2nth, 3nth new key that comes.
    Every(u64),
    /// This share of all, by their names: which ones hangs on the seed and the key alone, not on when it comes. Keys of requests that bear none,
    /// and commits, are named by their number.
    Share {
        /// 0 to 1.
        probability: f64,
        /// The scenario's, mixed with what the fault is, not with where: links that share a fault pick the same keys.
        seed: u64,
    },
}

/// What a rule met since it was put.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Hits {
    /// Requests or commits that came by and that `of` names; of a rule for bytes connections that were open or made.
    pub seen: u64,
    /// Those to which it was done, counted once it was: requests, answers, commits, connections; of [`Effect::Delay`], [`Effect::Blackhole`] and
    /// [`Effect::Cut`] pieces of bytes. A request is held from when it comes, an answer is dropped or held only once there is one, and a request
    /// was doubled once the first of it was sent.
    pub hits: u64,
    /// Different keys among the hits.
    pub keys: u64,
    /// CLOCK_MONOTONIC of the first hit, in nanoseconds; the same clock for every process of a machine, also in containers.
    pub first_ns: Option<i64>,
    /// The key of the first hit, where it has one.
    pub first_key: Option<String>,
    /// Those that it picked as well, and to which another rule was done instead: they are no hits.
    #[serde(default)]
    pub overruled: u64,
    /// Held requests, held answers and copies that reached nobody: nobody listened or waited any more, or the link itself lost them.
    #[serde(default)]
    pub undelivered: u64,
    /// Held requests, held answers and copies that are still to come.
    #[serde(default)]
    pub in_hand: u64,
}

mod millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}
