//! A run that has begun: its folder, its plan, and run.json as it fills.
//!
//! In: a scenario and arguments. Out: [`OpenRun`], with the first moment of the folder written. Elsewhere: what is filled in later
//! (`load`, `collect`, `verdict`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bankstorm_customers::Plan;
use bankstorm_environment::EnvironmentKind;
use bankstorm_record::clock::{Origin, rfc3339, wall_us};
use bankstorm_record::folder::RunFolder;
use bankstorm_record::machine::{Machine, write_machine};
use bankstorm_record::run_json::{
    Build, Digests, FaultRecord, GuaranteeVerdict, Guarantees, RunJson, SCHEMA, Slo, SloVerdict, SystemFacts, Validity,
    ValidityVerdict,
};
use bankstorm_record::save::{write_atomically, write_json, write_run_json};
use bankstorm_scenario::Scenario;

use crate::bank::Bank;
use crate::error::{CliError, unusable};

use super::phases::Phases;
use super::watch::Watched;

/// A run on its way.
pub(crate) struct OpenRun {
    /// What is run.
    pub(crate) scenario: Scenario,
    /// What is done when.
    pub(crate) plan: Arc<Plan>,
    /// Where it is kept.
    pub(crate) folder: RunFolder,
    /// The summary, as far as it is known.
    pub(crate) json: RunJson,
    /// What happened when.
    pub(crate) phases: Phases,
    /// What the machine is.
    pub(crate) machine: Machine,
    /// The stores or the services without which there is no bank: name and how it ended.
    pub(crate) lost: Option<String>,
}

/// Where a run is kept, and what it is called.
pub(crate) struct Place {
    run_id: String,
    folder: PathBuf,
}

impl Place {
    /// A folder of its own below `out`.
    pub(crate) fn of_run(scenario: &Scenario, out: &Path) -> Self {
        let run_id = format!("{}-{}-{}", stamp(wall_us()), scenario.name, std::process::id());
        Self { folder: out.join(&run_id), run_id }
    }

    /// The folder of an arm, below that of its run.
    pub(crate) fn of_arm(run: &RunJson, root: &Path, arm: &str) -> Self {
        Self { run_id: format!("{}-{arm}", run.run_id), folder: root.join(below(arm)) }
    }
}

/// The folder of an arm, as seen from its run's.
pub(crate) fn below(arm: &str) -> String {
    format!("arms/{arm}")
}

impl OpenRun {
    /// Makes the folder and writes its first moment.
    pub(crate) fn create(scenario: Scenario, place: Place, kind: EnvironmentKind) -> Result<Self, CliError> {
        known_markers(&scenario)?;
        let origin = Origin::now();
        let plan = Plan::new(&scenario);
        let Place { run_id, folder } = place;
        let folder = RunFolder::new(folder);
        std::fs::create_dir_all(folder.evidence()).map_err(|error| unusable(folder.root(), error))?;
        std::fs::create_dir_all(folder.logs()).map_err(|error| unusable(folder.root(), error))?;
        write_atomically(folder.scenario(), scenario.to_toml().as_bytes())
            .map_err(|error| unusable(folder.root(), error))?;
        let machine = write_machine(&folder).map_err(|error| unusable(folder.root(), error))?;
        let json = first_moment(&scenario, &plan, run_id, origin, kind.as_str());
        write_run_json(&folder, &json).map_err(|error| unusable(folder.root(), error))?;
        let phases = Phases::default();
        Ok(Self { scenario, plan: Arc::new(plan), folder, json, phases, machine, lost: None })
    }

    /// What is known of the bank once it is up.
    pub(crate) fn bank_is_up(&mut self, bank: &Bank) -> Result<(), CliError> {
        self.json.links = bank.links(&self.scenario.system);
        self.machine.environment = bank.facts();
        write_json(self.folder.machine(), &self.machine).map_err(|error| unusable(self.folder.root(), error))
    }

    /// What became of the processes while they were watched.
    pub(crate) fn absorb(&mut self, watched: Watched) {
        self.json.faults.extend(watched.deaths);
        self.lost = watched.lost;
    }

    /// Keeps the reason of an end without a verdict in run.json, then passes it on.
    pub(crate) fn ended_early(&mut self, error: CliError) -> CliError {
        self.json.phases = self.phases.spans();
        self.json.ended_at = Some(rfc3339(wall_us()));
        self.json.exit_code = Some(i32::from(error.exit_code()));
        self.json.validity.reasons = vec![error.to_string()];
        if let Err(cannot) = write_run_json(&self.folder, &self.json) {
            tracing::warn!(error = %cannot, "run.json");
        }
        if let Err(cannot) = bankstorm_report::write_all(&self.folder) {
            tracing::warn!(error = %cannot, "reports");
        }
        match error {
            CliError::Environment(text) => {
                CliError::Environment(format!("{text}\nlogs: {}", super::shown(&self.folder.logs())))
            }
            other => other,
        }
    }
}

/// A marker that no protocol has would make every run vacuous. `a|b` is either.
pub(crate) fn known_markers(scenario: &Scenario) -> Result<(), CliError> {
    let known: Vec<&str> =
        [bankstorm_core::markers::ALL, bankstorm_channel::markers::ALL, bankstorm_banks::markers::ALL].concat();
    match scenario.markers.iter().find(|marker| !marker.split('|').all(|name| known.contains(&name))) {
        None => Ok(()),
        Some(unknown) => {
            let known = known.join(", ");
            Err(CliError::Usage(format!("markers: {unknown:?} is no marker of the protocol; accepted are {known}")))
        }
    }
}

fn first_moment(scenario: &Scenario, plan: &Plan, run_id: String, origin: Origin, environment: &str) -> RunJson {
    let system = &scenario.system;
    RunJson {
        schema: SCHEMA,
        run_id,
        scenario: scenario.name.clone(),
        seed: scenario.seed,
        environment: environment.to_owned(),
        started_at: rfc3339(origin.wall_us),
        ended_at: None,
        exit_code: None,
        bankstorm: build(),
        r#unsafe: scenario.system.protections.weaker().iter().map(ToString::to_string).collect(),
        // Known once the environment is up.
        links: BTreeMap::new(),
        origin,
        digests: Digests { plan: plan.digest(), faults: faults_digest(scenario), ..Digests::default() },
        phases: Vec::new(),
        evidence: BTreeMap::new(),
        validity: Validity {
            verdict: ValidityVerdict::Inconclusive,
            reasons: vec!["the run did not reach its end".to_owned()],
        },
        guarantees: Guarantees { verdict: GuaranteeVerdict::Unknown, checks: Vec::new() },
        slo: Slo { verdict: SloVerdict::Unmeasured, objectives: Vec::new() },
        load: BTreeMap::new(),
        latency_us: BTreeMap::new(),
        latency_during_us: BTreeMap::new(),
        faults: Vec::<FaultRecord>::new(),
        markers: BTreeMap::new(),
        recovery: Vec::new(),
        posting: Vec::new(),
        overload: None,
        spared: None,
        depth: None,
        drain: None,
        arms: Vec::new(),
        system: SystemFacts {
            partitions: system.partitions,
            workers: system.workers,
            workers_total: super::following::workers_total(scenario),
            channel_instances: system.channel_instances,
            accounts: scenario.accounts.count,
            ..SystemFacts::default()
        },
    }
}

/// Fingerprint of the planned faults; empty where none are planned.
fn faults_digest(scenario: &Scenario) -> String {
    let faults = bankstorm_faults::plan::canonical(&scenario.faults);
    if faults.is_empty() { String::new() } else { bankstorm_record::save::sha256_text(&faults) }
}

/// This build.
pub(crate) fn build() -> Build {
    Build {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        commit: env!("BANKSTORM_COMMIT").to_owned(),
        profile: env!("BANKSTORM_PROFILE").to_owned(),
    }
}

/// `20261122T061500Z`.
fn stamp(wall_us: i64) -> String {
    rfc3339(wall_us).chars().filter(|c| !matches!(c, '-' | ':')).collect()
}
