//! `ablate.json`: which check saw which protection missing, with stable names and a committed JSON Schema.
//!
//! In: what came of each row, real time. Out: [`AblateJson`]. Elsewhere: what counts (`simulator::ablate`), the plans that are named here,
//! which lie beside it as files of their own.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::run_json::Build;
use crate::simulate_json::{Violated, ViolatedSeeds};

/// The schema number that this build writes.
pub const SCHEMA: u32 = 1;

/// The whole document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AblateJson {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Which Bankstorm.
    pub bankstorm: Build,
    /// When it began, UTC.
    pub started_at: String,
    /// What all of it came to.
    pub verdict: AblateVerdict,
    /// The process's exit code.
    pub exit_code: i32,
    /// The seeds that a row could try, in their order.
    pub seeds: SeedRange,
    /// A row ended once so many seeds had shown its protection missing.
    pub hits: u64,
    /// Only these protections were asked for; empty: all.
    pub only: Vec<String>,
    /// Threads.
    pub jobs: u64,
    /// Real time, in seconds.
    pub seconds: f64,
    /// One a protection, arm and repair setting, in the order of the table on the screen.
    pub rows: Vec<AblatedRow>,
}

/// What all rows came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AblateVerdict {
    /// Each protection was seen missing, and nothing where it was not.
    Shown,
    /// A protection was not seen missing, or something was found with every protection on.
    NotShown,
    /// Interrupted before each row had ended; those that had were shown.
    Interrupted,
}

/// A range of seeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SeedRange {
    /// The first.
    pub from: u64,
    /// The one after the last.
    pub to: u64,
}

/// One protection, one way to take it off, one repair setting.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AblatedRow {
    /// The protection's number, for example `P7`.
    pub protection: String,
    /// Which way it was taken off, in a word.
    pub arm: String,
    /// What was done wrong, in a sentence.
    pub about: String,
    /// What mended copies besides their events.
    pub repair: Repair,
    /// What had to be found; any of these.
    pub expects: Vec<Finding>,
    /// What came of it.
    pub verdict: RowVerdict,
    /// Seeds that were run without the protection.
    pub tried: u64,
    /// Of them, those that count: what had to be found was found, and not with the protection.
    pub hits: u64,
    /// The first of these; absent where none counts.
    pub first: Option<FirstHit>,
    /// Of the seeds that were tried, those in which it was found with the protection too: they do not count.
    pub found_with_it: u64,
    /// What was found without the protection, expected or not, and in how many seeds.
    pub found: Vec<ViolatedSeeds>,
    /// What was found with every protection on; nothing may be.
    pub false_alarms: Vec<FalseAlarm>,
    /// Real time, in seconds.
    pub seconds: f64,
}

/// What mended copies besides their events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Repair {
    /// All of it: gap fill, reads, the button, the sweep, letters driven again.
    Repaired,
    /// Nothing, but for what the row itself is about.
    Bare,
}

/// What came of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RowVerdict {
    /// The protection was seen missing, and nothing where it was not.
    Shown,
    /// No seed of the range counts.
    NotShown,
    /// Something was found with every protection on.
    FalseAlarm,
    /// Interrupted before it had as many hits as were asked for, or had tried every seed.
    CutShort,
}

/// A check and the name of what it finds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// For example `S5`.
    pub check: String,
    /// For example `lost-copy`.
    pub name: String,
}

/// The first seed that counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FirstHit {
    /// The seed.
    pub seed: u64,
    /// What was found, one of those that the row expects.
    pub violated: Violated,
    /// What else was found in it.
    pub also: Vec<Finding>,
    /// The file of its plan without the protection, beside this one.
    pub plan: String,
}

/// A seed in which something was found with every protection on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FalseAlarm {
    /// The seed.
    pub seed: u64,
    /// What was found.
    pub violated: Violated,
    /// The file of its plan with every protection, beside this one; absent of all but a row's first.
    pub plan: Option<String>,
}
