//! What `bankstorm doctor` says: what is there, what is missing, and the command that installs it.
//!
//! In: the machine. Out: a list of [`Finding`]s, in the order to show them. Elsewhere: printing it and `--clean` (`harness/cli`,
//! [`crate::orphans`]).

use std::path::Path;

use serde::Serialize;

use crate::{EnvironmentError, orphans, tools};

/// Free space below which a run is likely to fill the disk.
const DISK_LOW_BYTES: u64 = 2 * 1024 * 1024 * 1024;
/// Memory below which broker, databases and harness do not fit.
const MEMORY_LOW_BYTES: u64 = 2 * 1024 * 1024 * 1024;

/// How good a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// As it should be.
    Good,
    /// A run works, but something is worse than it could be.
    Worse,
    /// A run will not work.
    Missing,
}

/// One line of the doctor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub what: &'static str,
    /// Judgement.
    pub health: Health,
    /// Path, or the figure that was found.
    pub found: Option<String>,
    /// Version, where there is one.
    pub version: Option<String>,
    /// The command or the change that helps; only when `health` is not good.
    pub remedy: Option<String>,
}

impl Finding {
    fn good(what: &'static str, found: String, version: Option<String>) -> Self {
        Self { what, health: Health::Good, found: Some(found), version, remedy: None }
    }

    fn figure(what: &'static str, found: String, enough: bool, remedy: &str) -> Self {
        let health = if enough { Health::Good } else { Health::Worse };
        Self { what, health, found: Some(found), version: None, remedy: (!enough).then(|| remedy.to_owned()) }
    }

    fn missing(what: &'static str, error: &EnvironmentError) -> Self {
        let remedy = match error {
            EnvironmentError::Missing { install, .. } if install.contains("make setup") => install.clone(),
            EnvironmentError::Missing { install, .. } => format!("make setup, or: {install}"),
            other => other.to_string(),
        };
        Self { what, health: Health::Missing, found: None, version: None, remedy: Some(remedy) }
    }
}

/// Looks at everything; takes well under a second of asking programs for their versions.
#[must_use]
pub fn doctor() -> Vec<Finding> {
    let mut findings = programs();
    findings.push(priority());
    findings.extend(disk());
    findings.push(cores());
    findings.extend(memory());
    findings.extend(containers());
    findings.push(leftovers());
    findings
}

/// Whether a run can start.
#[must_use]
pub fn can_run(findings: &[Finding]) -> bool {
    findings.iter().all(|finding| finding.health != Health::Missing)
}

fn programs() -> Vec<Finding> {
    vec![
        match tools::postgres() {
            Ok(found) => Finding::good("PostgreSQL", found.bin.display().to_string(), Some(found.version)),
            Err(error) => Finding::missing("PostgreSQL", &error),
        },
        match tools::java() {
            Ok(found) => Finding::good("Java", found.program.display().to_string(), Some(found.version)),
            Err(error) => Finding::missing("Java", &error),
        },
        match tools::kafka_jars() {
            Ok(found) => Finding::good("Kafka jars", found.folder.display().to_string(), Some(found.version)),
            Err(error) => Finding::missing("Kafka jars", &error),
        },
        // Neither is used once the jars are there and before the interest service exists: a run works without them.
        optional("Redis", "redis-server", &tools::install("redis-server", "redis")),
        optional("Maven", "mvn", &tools::install("maven", "maven")),
    ]
}

fn optional(what: &'static str, program: &str, install: &str) -> Finding {
    match tools::in_path(program) {
        Some(found) => Finding::good(what, found.program.display().to_string(), Some(found.version)),
        None => Finding {
            what,
            health: Health::Worse,
            found: None,
            version: None,
            remedy: Some(format!("make setup, or: {install}")),
        },
    }
}

fn priority() -> Finding {
    let permitted = permits_real_time();
    let found = if permitted { "permitted" } else { "not permitted" };
    let remedy = "run as root, or grant CAP_SYS_NICE or an rtprio limit; without it a busy machine adds milliseconds to send lag";
    Finding::figure("real-time priority", found.into(), permitted, remedy)
}

/// The capability, or a limit above zero. The pacer tries for itself and records what it got.
#[cfg(target_os = "linux")]
fn permits_real_time() -> bool {
    const CAP_SYS_NICE: u64 = 1 << 23;
    let capable = procfs::process::Process::myself()
        .and_then(|own| own.status())
        .is_ok_and(|status| status.capeff & CAP_SYS_NICE != 0);
    let limit = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_RTPRIO);
    capable || limit.is_ok_and(|(soft, _)| soft > 0)
}

#[cfg(not(target_os = "linux"))]
fn permits_real_time() -> bool {
    false
}

fn disk() -> Option<Finding> {
    let folder = std::env::temp_dir();
    let bytes = free_bytes(&folder)?;
    let found = format!("{} free in {}", gib(bytes), folder.display());
    Some(Finding::figure("disk", found, bytes >= DISK_LOW_BYTES, "free some space, or set TMPDIR to another disk"))
}

/// Space that an ordinary user may still fill.
fn free_bytes(folder: &Path) -> Option<u64> {
    let stat = nix::sys::statvfs::statvfs(folder).ok()?;
    // The fields' width differs between systems.
    #[allow(clippy::useless_conversion, clippy::unnecessary_cast)]
    Some((stat.blocks_available() as u64).saturating_mul(stat.fragment_size() as u64))
}

fn cores() -> Finding {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    Finding::figure(
        "cores",
        cores.to_string(),
        cores >= 2,
        "two or more: one core makes every process wait for the others",
    )
}

#[cfg(target_os = "linux")]
fn memory() -> Option<Finding> {
    use procfs::Current as _;
    let info = procfs::Meminfo::current().ok()?;
    let bytes = info.mem_available.unwrap_or(info.mem_free);
    let found = format!("{} available of {}", gib(bytes), gib(info.mem_total));
    Some(Finding::figure("memory", found, bytes >= MEMORY_LOW_BYTES, "close something: a run needs about 2 GiB"))
}

#[cfg(not(target_os = "linux"))]
fn memory() -> Option<Finding> {
    None
}

/// The environment `containers`; the other one needs none of it.
fn containers() -> Vec<Finding> {
    const ENGINE: &str = "container engine";
    let worse = |what, found: Option<String>, remedy| Finding {
        what,
        health: Health::Worse,
        found,
        version: None,
        remedy: Some(remedy),
    };
    let seen = match crate::containers::examine() {
        Ok(seen) => seen,
        Err(error) => return vec![worse(ENGINE, None, format!("for --env containers: {error}"))],
    };
    let engine = Finding::good(ENGINE, seen.address, Some(seen.version));
    let missing: Vec<String> = seen.images.iter().filter_map(|image| image.clone().err()).collect();
    let present: Vec<String> = seen.images.into_iter().filter_map(Result::ok).collect();
    let present = present.join(", ");
    let images = if missing.is_empty() {
        Finding::good("images", present, None)
    } else {
        let pulls: Vec<String> = missing.iter().map(|name| format!("docker pull {name}")).collect();
        let remedy = format!("for --env containers: {}; without a registry: make offline-images", pulls.join(", "));
        worse("images", Some(if present.is_empty() { "none".into() } else { present }), remedy)
    };
    vec![engine, images]
}

fn leftovers() -> Finding {
    let mut known: Vec<String> = orphans::known().iter().map(|folder| folder.display().to_string()).collect();
    known.extend(orphans::known_in_engine().into_iter().map(|run| format!("the container engine: {run}")));
    let found = match known.len() {
        0 => "none".to_owned(),
        count => format!("{count}, the first in {}", known[0]),
    };
    Finding::figure("runs cut down whole", found, known.is_empty(), "bankstorm doctor --clean")
}

fn gib(bytes: u64) -> String {
    format!("{:.1} GiB", bytes as f64 / (1024.0 * 1024.0 * 1024.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_comes_with_its_command_and_stops_a_run() {
        let error = EnvironmentError::Missing {
            what: "Java".into(),
            looked_in: "PATH".into(),
            install: "apt-get install default-jre-headless".into(),
        };
        let finding = Finding::missing("Java", &error);
        assert_eq!(finding.remedy.as_deref(), Some("make setup, or: apt-get install default-jre-headless"));
        assert!(!can_run(&[finding]));
    }

    #[test]
    fn figures_carry_a_remedy_only_when_they_are_too_low() {
        assert_eq!(Finding::figure("disk", "9".into(), true, "free").remedy, None);
        let low = Finding::figure("disk", "1".into(), false, "free");
        assert_eq!((low.health, low.remedy.as_deref()), (Health::Worse, Some("free")));
        assert!(can_run(&[low]));
    }
}
