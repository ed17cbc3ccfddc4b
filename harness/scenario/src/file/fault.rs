//! Faults as they are typed, each under `[[fault]]`.
//!
//! In: TOML. Out: [`Fault`]. Elsewhere: what each kind does and takes (`bankstorm_faults::catalogue`), limits (`resolve/faults`).

use bankstorm_faults::catalogue::Parameter;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::{DurationText, EveryText, ShareText};

/// Something that is broken on purpose.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// What is done: `bankstorm faults` lists all. `node.storm` stands for many kills, pauses and restarts at random.
    #[schemars(schema_with = "crate::schema::fault_kind")]
    pub kind: String,
    /// To which node: `core`, `channel-0`, `banks`, `postgres-core`, `postgres-channel`, `kafka-1` .. A storm's are several: `channel-*`.
    /// Or to which link, from who connects to who listens: `channel-0->core`; `channel-*->core` is one fault for each of them.
    pub place: String,
    /// When: this long after the measured phase began, a second at least. Exactly one of `at` and `nth` is given where `nth` is a moment; a
    /// storm begins after `every` without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<DurationText>,
    /// When: once this many operations were sent, warm-up included; not before the measured phase is a second old. Of kinds `req.*` and
    /// `resp.*` it is no moment: only the nth request of a key, of those that `of` names; each unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nth: Option<i64>,
    /// For how long, and until load ends at most: `node.pause` needs it, `node.restart` and `topic.grow` refuse it, all others last until
    /// the heal phase without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lasts: Option<DurationText>,
    /// Of a storm: from one strike to the next. Of a rule: only every so many-th new key; all unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every: Option<EveryText>,
    /// Which requests, by a call of who listens, such as `POST /v1/transfers`; `*` stands for one part of the path. All unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    /// Share of the keys to which it is done, drawn from the seed; all unless given. A request's key is the transfer's id that it bears.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probability: Option<ShareText>,
    /// How much later: whole milliseconds, 1ms to 60s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay: Option<DurationText>,
    /// How many times a request arrives, 2 to 10; 2 unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub times: Option<i64>,
    /// Which way of the link.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub way: Option<Way>,
    /// Which side of a commit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<When>,
}

impl Fault {
    /// Whether this is given.
    pub(crate) const fn gives(&self, parameter: Parameter) -> bool {
        match parameter {
            Parameter::Delay => self.delay.is_some(),
            Parameter::Times => self.times.is_some(),
            Parameter::Way => self.way.is_some(),
            Parameter::When => self.when.is_some(),
            Parameter::Of => self.of.is_some(),
            Parameter::Probability => self.probability.is_some(),
            Parameter::Every => self.every.is_some(),
            Parameter::Nth => self.nth.is_some(),
        }
    }
}

/// Which way of a link.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// `"there"`: from who connects to who listens.
    There,
    /// `"back"`: from who listens to who connects.
    Back,
}

/// Which side of a commit.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// `"before"`: before it arrives.
    Before,
    /// `"after"`: after it was carried out, and before its answer.
    After,
}
