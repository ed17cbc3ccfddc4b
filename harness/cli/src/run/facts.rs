//! Facts: gathers the figures of a run, fills run.json with them, and has it judged.
//!
//! In: what load, sampler, watchdog and collectors saw. Out: a complete run.json, facts.json and the exit code. Elsewhere: how a run is
//! judged (`crate::judge`).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bankstorm_check::depth::DEEPEST_OF_FIRST;
use bankstorm_check::drain::DRAIN;
use bankstorm_check::objectives::RECOVERY;
use bankstorm_check::overload::{OVERLOAD, overload};
use bankstorm_check::recover::{self, During, Measured, Windows};
use bankstorm_check::validity::{Facts, LogHits, Machine, WarmUp};
use bankstorm_evidence::logs::scan_logs;
use bankstorm_evidence::sampler::{SamplerSummary, summarise};
use bankstorm_load::run::{GeneratorFacts, PacingLag, ThreadFacts};
use bankstorm_load::{DriveResult, figures};
use bankstorm_record::clock::{rfc3339, wall_us};
use bankstorm_record::latency::{CutOffs, Kind};
use bankstorm_record::marks::read_samples;
use bankstorm_record::rows::OperationRow;
use bankstorm_record::run_json::{Latency, ObjectiveResult, SloVerdict, Unit};
use bankstorm_record::save::{sha256_file, write_json, write_run_json};
use bankstorm_scenario::Scenario;
use bankstorm_scenario::resolved::{LatencyKind, Op, SyncMode};

use crate::error::CliError;
use crate::judge::{Declared, StoredFacts};
use crate::progress::Display;

use super::collect::Collected;
use super::load::Loaded;
use super::open::OpenRun;
use super::scroll_lag::scroll_lag_p99_us;
use super::watchdog::Seen;
use super::{following, plan, posting};

/// What a bank without faults needs to settle a transfer that can be posted no more: the poller's margin, its longest pause, its lease.
const SETTLED_IN: Duration = Duration::from_secs(15);

/// Everything that was seen.
pub(crate) struct Findings {
    /// What load left, or why there was none.
    pub(crate) loaded: Loaded,
    /// What was collected afterwards.
    pub(crate) collected: Collected,
    /// What the sampler saw up to the converged copy.
    pub(crate) sampled: SamplerSummary,
    /// What the watchdog saw.
    pub(crate) watchdog: Option<Seen>,
    /// Whether the user asked to stop.
    pub(crate) interrupted: bool,
}

/// Fills run.json with the figures of the run, judges it, and saves everything.
pub(crate) fn judge(open: &mut OpenRun, findings: &Findings, display: &Display) -> Result<u8, CliError> {
    let shown = display.phase("checking");
    let phase = open.phases.begin("check", &open.json.origin);
    figures_of_load(open, &findings.loaded);
    let measured = measured_samples(open);
    open.json.system.cpu_seconds.clone_from(&measured.cpu_seconds);
    open.json.system.memory_peak_bytes.clone_from(&findings.sampled.rss_max_bytes);
    open.json.system.lag_max_records = measured.lag_max;
    open.json.markers.clone_from(&findings.collected.markers);
    let samples = read_samples(&open.folder).unwrap_or_default();
    open.json.posting = posting::spans(&samples, &open.phases.spans(), &open.scenario.load);
    open.json.overload = Measured::of(&open.phases.spans()).and_then(|measured| {
        let operations = &findings.loaded.drive.operations;
        overload(operations, &open.json.posting, &posting::offers(&open.scenario.load), measured)
    });
    following::reckon(open, &samples);
    open.json.digests.history = sha256_file(open.folder.operations()).unwrap_or_default();
    open.json.slo.objectives = asked(open);
    keep_priority(open, &findings.loaded.drive.generator)?;
    let stored = StoredFacts {
        facts: facts(open, findings, &measured)?,
        incomplete: is_incomplete(open, findings),
        declared: Declared::by(&open.scenario),
        problems: problems(open, findings),
        generator: generator(&findings.loaded.drive),
    };
    write_json(open.folder.facts(), &stored).map_err(environment)?;
    let code = crate::judge::judge(&open.folder, &mut open.json, &stored);
    open.phases.end(phase, &open.json.origin);
    drop(shown);
    open.json.exit_code = Some(code);
    open.json.ended_at = Some(rfc3339(wall_us()));
    open.json.phases = open.phases.spans();
    write_run_json(&open.folder, &open.json).map_err(environment)?;
    Ok(u8::try_from(code).expect("exit codes are small"))
}

/// machine.json says what the pacer was granted, which nobody knows before it has run.
fn keep_priority(open: &mut OpenRun, generator: &GeneratorFacts) -> Result<(), CliError> {
    let pacer = generator.threads.iter().find(|thread| thread.name == "pacer");
    open.machine.priority = pacer.map(|pacer| pacer.priority.clone());
    write_json(open.folder.machine(), &open.machine).map_err(environment)
}

/// What makes a run inconclusive besides its facts.
fn problems(open: &OpenRun, findings: &Findings) -> Vec<String> {
    let mut problems = findings.collected.problems.clone();
    problems.extend(findings.loaded.unhealed.iter().cloned());
    let given_up = steady_lookups_given_up(open, findings);
    if given_up > 0 && !findings.interrupted && open.lost.is_none() {
        problems.push(format!("{given_up} lookups never saw their deposit in a channel's history, limit 0"));
    }
    problems
}

/// Lookups that found nothing although no fault explains it: while a copy stands still, its customers see nothing new.
fn steady_lookups_given_up(open: &OpenRun, findings: &Findings) -> usize {
    let windows = recover::windows(&open.json.faults, &open.json.recovery);
    let drive = &findings.loaded.drive;
    let given_up: BTreeSet<u64> = drive.lookups_given_up.iter().copied().collect();
    let steady =
        drive.operations.iter().filter(|row| given_up.contains(&row.op) && is_steady(&windows, row, Kind::Visible));
    steady.count()
}

fn generator(drive: &DriveResult) -> serde_json::Value {
    let GeneratorFacts { threads, pacing_lag, ring_full, open_files_max, .. } = &drive.generator;
    let thread = |thread: &ThreadFacts| {
        serde_json::json!({
            "name": thread.name,
            "priority": thread.priority,
            "timer_slack_ns": thread.timer_slack_ns,
            "cpu_share": thread.cpu_ns as f64 / thread.wall_ns.max(1) as f64,
        })
    };
    let lag = |lag: &PacingLag| serde_json::json!({"p50": lag.p50_ns, "p99": lag.p99_ns, "max": lag.max_ns, "count": lag.count});
    let scrolls = &drive.scrolls;
    serde_json::json!({
        "threads": threads.iter().map(thread).collect::<Vec<_>>(),
        "pacing_lag_ns": lag(pacing_lag),
        "ring_full": ring_full,
        "open_files_max": open_files_max,
        "lookups_given_up": drive.lookups_given_up.len(),
        "own_unread": drive.own_unread.len(),
        "scroll": {
            "sessions": scrolls.sessions,
            "begun_again": scrolls.begun_again,
            "asked_again": scrolls.asked_again,
            "deepest": scrolls.deepest,
            "send_lag_ns": lag(&scrolls.send_lag),
        },
    })
}

fn environment(error: impl std::fmt::Display) -> CliError {
    CliError::Environment(error.to_string())
}

/// Whether entries may rightly be missing from topic or copy: load was cut short and the copy had no time to converge.
fn is_incomplete(open: &OpenRun, findings: &Findings) -> bool {
    let converged = findings.collected.converged.is_some_and(|converged| converged.is_complete());
    let waited = open.scenario.phases.resolve + open.scenario.phases.heal;
    let is_open = |row: &OperationRow| {
        row.outcome.is_some() && row.resolved.is_none() && may_move(&open.scenario, &row.kind, waited)
    };
    let unresolved = findings.loaded.drive.operations.iter().any(is_open);
    let cut_off = findings.interrupted || open.lost.is_some() || !findings.loaded.unhealed.is_empty();
    unresolved || (cut_off && !converged)
}

/// Whether an operation without a verdict may still be posted, or settled, while the evidence is read, so long after load. A deposit may at
/// any time. A transfer's end has a limit: what is open after it is stuck (O5), not late.
fn may_move(scenario: &Scenario, kind: &str, waited: Duration) -> bool {
    let system = &scenario.system;
    match Op::ALL.into_iter().find(|op| op.as_str() == kind) {
        Some(Op::Transfer) => waited <= system.validity + SETTLED_IN,
        Some(Op::Outbound) => waited <= system.validity + system.outbound_expiry + SETTLED_IN,
        Some(Op::Deposit) | None => true,
        // What was read is told at once or never.
        Some(Op::Scroll | Op::Sync) => false,
    }
}

fn figures_of_load(open: &mut OpenRun, loaded: &Loaded) {
    let drive = &loaded.drive;
    let cut_offs = CutOffs::of(&open.phases.spans()).unwrap_or_else(|| drive.cut_offs());
    let ops: Vec<Op> = Op::ALL.into_iter().filter(|op| open.scenario.load.iter().any(|load| load.op == *op)).collect();
    let of = |op: Op| drive.operations.iter().filter(move |row| row.kind == op.as_str());
    for op in &ops {
        open.json.load.insert(op.as_str().to_owned(), figures::counts(of(*op)));
        open.json.latency_us.insert(op.as_str().to_owned(), latencies(*op, |_| of(*op), &cut_offs));
    }
    let Some(measured) = Measured::of(&open.phases.spans()) else { return };
    open.json.recovery = recover::recover(&drive.operations, &open.json.faults, measured);
    let windows = recover::windows(&open.json.faults, &open.json.recovery);
    if windows.is_empty() {
        return;
    }
    for during in During::ALL {
        let of_op = ops.iter().map(|op| {
            let rows = |kind| {
                let (windows, kind) = (&windows, figures::recorded(kind));
                of(*op).filter(move |row| windows.part_of(row, kind) == during)
            };
            (op.as_str().to_owned(), latencies(*op, rows, &cut_offs))
        });
        open.json.latency_during_us.insert(during.as_str().to_owned(), of_op.collect());
    }
}

/// Every latency that the operation has, each of its own rows.
fn latencies<'a, Rows: Iterator<Item = &'a OperationRow>>(
    op: Op,
    rows: impl Fn(LatencyKind) -> Rows,
    cut_offs: &CutOffs,
) -> BTreeMap<String, Latency> {
    let kinds = op.latencies().iter().copied();
    kinds.map(|kind| (kind.as_str().to_owned(), figures::latency(rows(kind), kind, cut_offs))).collect()
}

fn measured_samples(open: &OpenRun) -> SamplerSummary {
    let spans = open.phases.spans();
    let Some(measure) = spans.iter().find(|span| span.name == "measure") else { return SamplerSummary::default() };
    summarise(&read_samples(&open.folder).unwrap_or_default(), measure.start_ms, measure.end_ms)
}

fn facts(open: &OpenRun, findings: &Findings, measured: &SamplerSummary) -> Result<Facts, CliError> {
    let rows = &findings.loaded.drive.operations;
    let count = |wanted: fn(&OperationRow) -> bool| rows.iter().filter(|row| wanted(row)).count() as u64;
    let windows = recover::windows(&open.json.faults, &open.json.recovery);
    // The generator is judged by what it did while the bank was itself, or by all of it where the bank never was.
    let steady = open.json.latency_during_us.get(During::Steady.as_str());
    let steady = steady.filter(|steady| steady.values().any(|latencies| latencies["send_lag"].count > 0));
    let parts = steady.map(|_| &windows);
    let steady = steady.unwrap_or(&open.json.latency_us);
    // A page that waits for the one before, or for a connection, is written late by the bank's doing: those who scroll have a lag of the generator's alone.
    let apart = |op: &&String| op.as_str() != Op::Scroll.as_str();
    let send_lags = steady.keys().filter(apart).map(|op| &steady[op]["send_lag"]).filter(|send_lag| send_lag.count > 0);
    let scroll_lag = scroll_lag_p99_us(rows, &findings.loaded.drive.scroll_lags, parts);
    let send_lag_p99 = |lag: &Latency| lag.without_missed.as_ref().map_or(lag.p99, |sent| sent.p99);
    let response = open.scenario.slo.iter().filter(|objective| objective.latency == LatencyKind::Response);
    let polls = open.scenario.system.sync != SyncMode::Events;
    let logs = scan_logs(&open.folder).map_err(environment)?;
    Ok(Facts {
        planned: rows.len() as u64,
        sent: count(|row| row.sent_ns.is_some()),
        missed: count(|row| row.outcome.is_none()),
        unresolved: count(|row| row.outcome.is_some() && row.resolved.is_none()),
        missing_visible: count(|row| {
            row.resolved.as_deref() == Some("ok") && row.visible_ns.is_none() && !row.is_read()
        }),
        send_lag_p99_us: send_lags.map(send_lag_p99).chain(scroll_lag).max(),
        tightest_response_limit_us: response.map(|objective| micros(objective.limit)).min(),
        generator_cpu_share: Some(findings.loaded.drive.generator.cpu_share_max),
        wall_step_us: findings.watchdog.map(|seen| seen.wall_step_us),
        wall_drift_us: findings.watchdog.map(|seen| seen.wall_drift_us),
        stall_max_us: findings.watchdog.map(|seen| seen.stall_max_us),
        warm_up: warm_up(findings, &windows, Kind::Response, |row| row.acked_ns),
        warm_up_visible: warm_up(findings, &windows, Kind::Visible, |row| row.visible_ns),
        // Channels that ask core read no records, and commit none.
        lag_end_records: if polls { Some(0) } else { findings.sampled.lag_end },
        logs_scanned: std::fs::read_dir(open.folder.logs()).map_or(0, |logs| logs.count() as u64),
        log_hits: logs
            .into_iter()
            .map(|(log, hits)| LogHits {
                log,
                lines: hits.count,
                first: hits.first.into_iter().next().unwrap_or_default(),
            })
            .collect(),
        interrupted: findings.interrupted,
        environment_lost: open.lost.clone(),
        planned_faults: open.json.faults.iter().filter(|fault| fault.planned).count() as u64,
        faults_without_witness: plan::without_witness(open),
        markers: open.scenario.markers.iter().map(|name| (name.clone(), fired(open, name))).collect(),
        evidence_mismatches: Vec::new(),
        machine: machine(open, measured),
        disturbed: windows.disturbed(rows),
        in_flight_max: Some(figures::in_flight_max(rows.iter().filter(|row| is_steady(&windows, row, Kind::Response)))),
        connections: Some(open.scenario.load.iter().map(|load| u64::from(load.connections)).sum()),
        fault_problems: plan::problems(open, findings.interrupted),
    })
}

fn is_steady(windows: &Windows, row: &OperationRow, kind: Kind) -> bool {
    windows.part_of(row, kind) == During::Steady
}

fn fired(open: &OpenRun, marker: &str) -> u64 {
    // Of alternatives, all that fired.
    marker.split('|').filter_map(|name| open.json.markers.get(name)).sum()
}

fn micros(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Medians of a latency: of the warm-up's last two seconds, and of the measured phase.
fn warm_up(
    findings: &Findings,
    windows: &Windows,
    kind: Kind,
    end_ns: fn(&OperationRow) -> Option<i64>,
) -> Option<WarmUp> {
    let drive = &findings.loaded.drive;
    let tail_from = drive.measure_ns - 2_000_000_000;
    let is_tail = |row: &&OperationRow| row.phase == "warm_up" && row.intended_ns >= tail_from;
    let tail_p50_us = median_us(drive.operations.iter().filter(is_tail), end_ns)?;
    let measured = drive.operations.iter().filter(|row| row.phase == "measure" && is_steady(windows, row, kind));
    let measure_p50_us = median_us(measured, end_ns)?;
    Some(WarmUp { tail_p50_us, measure_p50_us })
}

fn median_us<'a>(
    rows: impl Iterator<Item = &'a OperationRow>,
    end_ns: fn(&OperationRow) -> Option<i64>,
) -> Option<u64> {
    let mut took: Vec<i64> = rows.filter_map(|row| Some(end_ns(row)? - row.intended_ns)).collect();
    took.sort_unstable();
    took.get(took.len() / 2).map(|ns| u64::try_from(ns / 1_000).unwrap_or(0))
}

fn machine(open: &OpenRun, measured: &SamplerSummary) -> Option<Machine> {
    let seconds = if measured.span_s > 0.0 { measured.span_s } else { return None };
    Some(Machine {
        cores: open.machine.cores,
        busy_share: measured.machine_busy_mean?,
        steal_share: measured.machine_steal_mean.unwrap_or(0.0),
        processes: measured.cpu_seconds.iter().map(|(name, cpu)| (name.clone(), cpu / seconds)).collect(),
    })
}

/// The objectives of the scenario, not judged yet.
fn asked(open: &OpenRun) -> Vec<ObjectiveResult> {
    let asked = |name: &str, limit_us, during: &str, unit| ObjectiveResult {
        name: name.to_owned(),
        limit_us,
        during: during.to_owned(),
        measured_us: None,
        verdict: SloVerdict::Unmeasured,
        unit,
        note: None,
    };
    let time = |name: &str, limit, during: &str| asked(name, micros(limit), during, Unit::Us);
    let latencies = open.scenario.slo.iter().map(|one| time(&one.name, one.limit, one.during.as_str()));
    let recovery = open.scenario.recovery_slo.iter().map(|one| time(&one.name, one.limit, RECOVERY));
    let greater = &open.scenario.overload_slo;
    let under_overload = [
        greater.posting_p99.map(|limit| asked("overload.posting_p99", limit, OVERLOAD, Unit::Permille)),
        greater.recovery.map(|limit| time("overload.recovery", limit, OVERLOAD)),
        greater.unrefused.map(|limit| asked("overload.unrefused", limit, OVERLOAD, Unit::Count)),
    ];
    let depth = open.scenario.scroll_slo.deepest_of_first;
    let share = open.scenario.drain_slo.of_predicted.map(|share| (share * 1_000.0).round() as u64);
    let followed = [
        depth.map(|limit| asked(&format!("scroll.{DEEPEST_OF_FIRST}"), limit, "scroll", Unit::Permille)),
        share.map(|limit| asked("drain.of_predicted", limit, DRAIN, Unit::Permille)),
    ];
    latencies.chain(recovery).chain(under_overload.into_iter().chain(followed).flatten()).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::may_move;

    #[test]
    fn a_transfer_that_is_open_after_every_limit_is_stuck_and_a_deposit_never_is() {
        let smoke = "[[load]]\nop = \"deposit\"\nrate = \"10/s\"\n";
        let scenario = bankstorm_scenario::parse("t.toml", smoke, &[], None).expect("accepted");
        // Validity 5 s, expiry of holds 60 s.
        for (kind, waited_s, moves) in [
            ("transfer", 20, true),
            ("transfer", 21, false),
            ("outbound", 80, true),
            ("outbound", 81, false),
            ("deposit", 9_999, true),
        ] {
            assert_eq!(may_move(&scenario, kind, Duration::from_secs(waited_s)), moves, "{kind} {waited_s}");
        }
    }
}
