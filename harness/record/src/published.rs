//! Published results: a line of `results/index.ndjson`, a published folder's `manifest.json`, the `bench.json` of criterion's estimates.
//!
//! In: what `publish` found in a run folder. Out: documents with committed schemas. Elsewhere: what is published, and what is left out
//! (`report::publish`).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::run_json::{Build, GuaranteeVerdict, SloVerdict, ValidityVerdict};

/// The schema number that this build writes.
pub const SCHEMA: u32 = 1;

/// What was published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A run of a scenario, with its arms.
    Run,
    /// A sweep over a grid of settings.
    Sweep,
    /// A batch of simulated worlds.
    Simulate,
    /// Protections taken off, one at a time.
    Ablate,
    /// The harness, measured by itself.
    Calibrate,
    /// Criterion's estimates.
    Bench,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Run, Self::Sweep, Self::Simulate, Self::Ablate, Self::Calibrate, Self::Bench];

    /// The word in files; where a command made it, the command's.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Sweep => "sweep",
            Self::Simulate => "simulate",
            Self::Ablate => "ablate",
            Self::Calibrate => "calibrate",
            Self::Bench => "bench",
        }
    }
}

/// One line of `results/index.ndjson`: one published run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct IndexLine {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Its name, also its folder's below `results/`.
    pub run_id: String,
    /// What it is.
    pub kind: Kind,
    /// The scenario's name; of what has none, the command's.
    pub scenario: String,
    /// Whether it ran otherwise than the scenario of that name that was shipped when it was published: `--set`, `--seed`, an edited copy.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub changed: bool,
    /// `local`, `containers`, `external`; `simulator` or `none` where no bank was started.
    pub environment: String,
    /// Commit of the Bankstorm that ran, with `+dirty` where the tree was changed.
    pub commit: String,
    /// The build profile, with its optimisation level, as in run.json; `bench` of criterion's.
    pub profile: String,
    /// RFC 3339, UTC.
    pub started_at: String,
    /// What it ran on.
    pub machine: MachineBrief,
    /// The exit code of the command that made it; absent of criterion's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The three verdicts of a run, without those of its arms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdicts: Option<Verdicts>,
    /// Protections that were switched off.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub r#unsafe: Vec<String>,
    /// Why it should not have been published, where it was all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anyway: Option<String>,
    /// A handful of figures.
    pub figures: Vec<Figure>,
    /// The same with something else, in the order of the file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arms: Vec<ArmLine>,
}

/// The three verdicts of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Verdicts {
    /// Whether it may be believed.
    pub validity: ValidityVerdict,
    /// Whether the guarantees held.
    pub guarantees: GuaranteeVerdict,
    /// Whether the objectives were met.
    pub objectives: SloVerdict,
}

/// A figure that stands out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Figure {
    /// For example `deposit.response.p99`.
    pub name: String,
    /// Its value.
    pub value: f64,
    /// What it counts, for example `ms`; empty for a count.
    pub unit: String,
}

/// An arm in the line of its run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ArmLine {
    /// Its name.
    pub name: String,
    /// `holds` or `violated`.
    pub expect: String,
    /// Whether it showed that.
    pub shown: bool,
    /// Its own exit code; absent where it was not played to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// Checks that were violated, by id.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub violated: Vec<String>,
    /// A few figures.
    pub figures: Vec<Figure>,
}

/// A machine in short; the whole is in the published `machine.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MachineBrief {
    /// Operating system and architecture.
    pub platform: String,
    /// Processor model.
    pub cpu_model: Option<String>,
    /// Processors that the run could use.
    pub cores: u32,
    /// Memory, in bytes.
    pub memory_bytes: Option<u64>,
}

/// `manifest.json` of a published folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Manifest {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Its name, also its folder's.
    pub run_id: String,
    /// What it is.
    pub kind: Kind,
    /// RFC 3339, UTC.
    pub published_at: String,
    /// Which Bankstorm published it; which one ran is in its own document.
    pub published_by: Build,
    /// Why it should not have been published, where it was all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anyway: Option<String>,
    /// The verdicts of the run, then of its arms.
    pub verdicts: Vec<NamedVerdicts>,
    /// Commands that make another run of it, from the root of a checkout.
    pub repeat: Vec<String>,
    /// Every file of the run folder, copied or not, by path.
    pub files: Vec<ManifestFile>,
}

/// Verdicts of a run or of one of its arms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NamedVerdicts {
    /// The arm's name; of the run itself, its scenario's.
    pub name: String,
    /// Its exit code.
    pub exit_code: Option<i32>,
    /// The three.
    #[serde(flatten)]
    pub verdicts: Verdicts,
}

/// A file of a run folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ManifestFile {
    /// From the run folder, with `/`.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// SHA-256, hexadecimal.
    pub sha256: String,
    /// Why it was not copied; absent where it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_out: Option<String>,
}

/// `bench.json`: what criterion estimated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BenchJson {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Its name, also its folder's.
    pub run_id: String,
    /// When the newest of the estimates was written; RFC 3339, UTC.
    pub measured_at: String,
    /// The build that collected them; the benches were built from the same tree.
    pub bankstorm: Build,
    /// What collected them, which is taken for what measured them.
    pub machine: MachineBrief,
    /// By id.
    pub benches: Vec<BenchEstimate>,
}

/// One bench.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BenchEstimate {
    /// For example `posting/book a batch`.
    pub id: String,
    /// Mean time of an iteration, in nanoseconds.
    pub mean_ns: f64,
    /// The lower end of its interval.
    pub lower_ns: f64,
    /// The upper end.
    pub upper_ns: f64,
    /// How sure the interval is, for example 0.95.
    pub confidence: f64,
    /// Elements that one iteration works on; absent where the bench does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elements: Option<u64>,
    /// When it was measured; RFC 3339, UTC.
    pub measured_at: String,
}
