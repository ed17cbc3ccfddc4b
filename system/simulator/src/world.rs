//! A world: one bank on virtual time, from its opening to the verdict.
//!
//! In: a [`Plan`]. Out: an [`Outcome`]. Elsewhere: drawing plans (`draw`), many of them (`batch`), smaller ones (`shrink`).
//!
//! The phases: open, load with faults, heal, resolve what is unknown, converge, stop, collect, check.

mod bank;
mod conductor;
mod customers;
mod digest;
mod evidence;
mod ledger;
mod life;
mod markers;
pub(crate) mod names;
mod panics;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::model::chance;
use crate::plan::{Kind, Plan};
use crate::trace;

pub use names::MOST_CHANNELS;
pub use watch::{Funds, HoldSeen, Look, Told, Watched};

/// What is wanted of a run besides its verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Record who did what when.
    pub trace: bool,
    /// Look at the books this often while load runs.
    pub watch_every: Option<Duration>,
}

/// How a world ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// SHA-256 over everything that happened: operations, evidence, markers, virtual time.
    pub digest: [u8; 32],
    /// How long the world lasted, in virtual time.
    pub virtual_time: Duration,
    /// Operations by their outcome's word (`ok`, `rejected`, `failed`, `unknown`, and `scroll` for pages read).
    pub operations: BTreeMap<&'static str, u64>,
    /// How often each declared marker fired; those that never did are there with 0.
    pub markers: BTreeMap<&'static str, u64>,
    /// What checks count and do not judge, by check and name: `O1 resent_after_end`.
    pub figures: BTreeMap<String, u64>,
    /// Per fault of the plan, in its order: when it struck, in virtual time; `None` for one whose moment never came.
    pub struck: Vec<Option<Duration>>,
    /// Which guarantees were violated; empty for a world that held.
    pub violations: Vec<Violation>,
    /// What stood while load ran, if asked for.
    pub watched: Watched,
    /// Who did what when, if asked for.
    pub trace: Vec<trace::Line>,
}

/// A guarantee that did not hold.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// For example `S5`.
    pub check: String,
    /// For example `lost-copy`.
    pub name: String,
    /// How many counter-examples.
    pub count: u64,
    /// The first of them.
    pub first: String,
}

impl Violation {
    /// Whether a guarantee was broken; otherwise nothing could be judged: the harness failed, or a check could not tell.
    pub fn is_broken_guarantee(&self) -> bool {
        self.name != "unknown" && (&*self.check, &*self.name) != ("V3", "harness-fault")
    }
}

impl Outcome {
    /// Whether everything held.
    pub fn holds(&self) -> bool {
        self.violations.is_empty()
    }

    /// The kinds of fault that struck.
    pub fn kinds_struck(&self, plan: &Plan) -> BTreeSet<Kind> {
        let struck = plan.faults.iter().zip(&self.struck).filter(|(_, at)| at.is_some());
        struck.map(|(fault, _)| fault.kind).collect()
    }
}

/// Carries a plan out. A panic of a service or of a checker is a violation (`V3 harness-fault`), not a panic of this function.
pub fn run(plan: &Plan, options: &Options) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.expect("a runtime without IO can be made");
    panics::listen();
    chance::new_world();
    let ended = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async {
            if options.trace {
                trace::install();
            }
            life::live(plan, options.watch_every).await
        })
    }));
    let trace = trace::take();
    let panics = panics::take();
    match ended {
        Ok(outcome) => Outcome { trace, ..with_panics(outcome, panics) },
        Err(_) => broken(plan, panics, trace),
    }
}

/// Panics are a violation, wherever they were.
fn with_panics(mut outcome: Outcome, panics: Vec<String>) -> Outcome {
    outcome.violations.extend(life::all_of("V3", "harness-fault", panics));
    outcome
}

/// The outcome of a world that could not be lived to its end.
fn broken(plan: &Plan, panics: Vec<String>, trace: Vec<trace::Line>) -> Outcome {
    let said = panics.first().cloned().unwrap_or_else(|| "a panic without a text".to_owned());
    Outcome {
        digest: Sha256::digest(said.as_bytes()).into(),
        virtual_time: Duration::ZERO,
        operations: BTreeMap::new(),
        markers: BTreeMap::new(),
        figures: BTreeMap::new(),
        struck: vec![None; plan.faults.len()],
        violations: life::all_of("V3", "harness-fault", panics).into_iter().collect(),
        watched: Watched::default(),
        trace,
    }
}
