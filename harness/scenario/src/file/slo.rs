//! Objectives as they are typed: what they speak of, which figure, which limits.
//!
//! In: TOML under `[slo]`. Out: [`Slo`]. Elsewhere: which figures exist (`resolve/objectives`).

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, Serialize};

use crate::resolved::Op;
use crate::units::{DURATION_HINT, DurationText, FactorText, ShareText, duration};

/// Objectives, by what they speak of.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Slo {
    /// Of deposits: latency, figure, limits.
    #[serde(default)]
    pub deposit: Latencies,
    /// Of transfers inside the bank.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub transfer: Latencies,
    /// Of transfers to other banks.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub outbound: Latencies,
    /// Of pages that customers scroll through.
    #[serde(default, skip_serializing_if = "ScrollSlo::is_empty")]
    pub scroll: ScrollSlo,
    /// Of the button.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sync: Latencies,
    /// Of the way back after a fault was healed: figure, limit.
    #[serde(default)]
    pub recovery: BTreeMap<String, DurationText>,
    /// Of core under a greater load of deposits that comes and goes.
    #[serde(default, skip_serializing_if = "Overload::is_empty")]
    pub overload: Overload,
    /// Of how fast the channels work a backlog off.
    #[serde(default, skip_serializing_if = "Drain::is_empty")]
    pub drain: Drain,
}

/// Limits of pages that customers scroll through.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ScrollSlo {
    /// Latency -> figure -> limits; those that a page has.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub response: BTreeMap<String, Limits>,
    /// The same of its service.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub service: BTreeMap<String, Limits>,
    /// The same of its send lag.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub send_lag: BTreeMap<String, Limits>,
    /// The response p99 of the deepest tenth of the pages of a session, to that of the first tenth.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deepest_of_first: Option<FactorText>,
}

impl ScrollSlo {
    /// Whether nothing is asked.
    pub fn is_empty(&self) -> bool {
        self.latencies().is_empty() && self.deepest_of_first.is_none()
    }

    /// What is asked of latencies.
    fn latencies(&self) -> Latencies {
        let asked = [("response", &self.response), ("service", &self.service), ("send_lag", &self.send_lag)];
        let asked = asked.into_iter().filter(|(_, figures)| !figures.is_empty());
        asked.map(|(latency, figures)| (latency.to_owned(), figures.clone())).collect()
    }
}

/// Limits of working a backlog off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Drain {
    /// The least share of the rate that workers and `system.sync_cost` predict.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of_predicted: Option<ShareText>,
}

impl Drain {
    /// Whether nothing is asked.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Limits under a greater load of deposits: one with a `window`, beside one without.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Overload {
    /// Core's own p99 from admission to commit in the window, to the one before it. There is a verdict if the load without a window is about
    /// half of what core posted a second in the window, and all loads are ten times that together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub posting_p99: Option<FactorText>,
    /// From the window's end until three whole seconds one after the other are as before the window: at most one of a hundred deposits less
    /// is posted, and their response p99 is at most three times as long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recovery: Option<DurationText>,
    /// Deposits that were neither posted nor refused as `not-started`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unrefused: Option<i64>,
}

impl Overload {
    /// Whether nothing is asked.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Slo {
    /// What is asked of latencies of one operation.
    pub fn of(&self, op: Op) -> Latencies {
        match op {
            Op::Deposit => self.deposit.clone(),
            Op::Transfer => self.transfer.clone(),
            Op::Outbound => self.outbound.clone(),
            Op::Scroll => self.scroll.latencies(),
            Op::Sync => self.sync.clone(),
        }
    }

    /// The same, to be written.
    pub fn ask(&mut self, op: Op, mut latencies: Latencies) {
        match op {
            Op::Deposit => self.deposit = latencies,
            Op::Transfer => self.transfer = latencies,
            Op::Outbound => self.outbound = latencies,
            Op::Sync => self.sync = latencies,
            Op::Scroll => {
                let mut figures = |latency: &str| latencies.remove(latency).unwrap_or_default();
                self.scroll.response = figures("response");
                self.scroll.service = figures("service");
                self.scroll.send_lag = figures("send_lag");
            }
        }
    }
}

/// Latency -> figure -> limits.
pub type Latencies = BTreeMap<String, BTreeMap<String, Limits>>;

/// The limits of one figure: `"50ms"`, `{ limit = "50ms", during = "all" }`, or a list of such tables.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Limits {
    /// While no fault is at work.
    Steady(DurationText),
    /// During one part of the run.
    One(Limit),
    /// During several.
    Several(Vec<Limit>),
}

/// A limit, and of which part of the run.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// The most it may be.
    pub limit: DurationText,
    /// Of which part of the run; `steady` unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub during: Option<During>,
}

/// A part of the measured phase.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum During {
    /// Neither while a fault lasts nor while the bank recovers from one.
    Steady,
    /// While a fault lasts.
    Fault,
    /// From the heal of a fault until the bank is as before.
    Recovery,
    /// The whole measured phase.
    All,
}

impl<'de> Deserialize<'de> for Limits {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LimitsVisitor)
    }
}

struct LimitsVisitor;

impl<'de> Visitor<'de> for LimitsVisitor {
    type Value = Limits;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{DURATION_HINT}, or {{ limit = \"50ms\", during = \"all\" }}, or a list of such tables")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Limits, E> {
        let limit = duration(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))?;
        Ok(Limits::Steady(DurationText(limit)))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Limits, A::Error> {
        Limit::deserialize(MapAccessDeserializer::new(map)).map(Limits::One)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Limits, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(seq)).map(Limits::Several)
    }
}
