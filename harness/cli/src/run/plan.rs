//! Whether faults went as planned: what did not spoils the run, since it shows something else than its scenario.
//!
//! In: fault records, recovery times, the plan. Out: sentences for V2. Elsewhere: how faults are carried out (`faults`), the verdict
//! (`check::witnessed`).

use bankstorm_check::recover::Measured;
use bankstorm_record::run_json::{FaultRecord, RecoveryRecord};

use super::open::OpenRun;

/// Planned faults that nothing proves, each with the cause.
pub(super) fn without_witness(open: &OpenRun) -> Vec<String> {
    let unproved = open.json.faults.iter().filter(|fault| fault.planned && fault.witnessed.is_none());
    unproved
        .map(|fault| {
            let cause = fault.problem.as_deref().unwrap_or("its moment never came: load ended before");
            format!("{} happened ({cause})", named(fault))
        })
        .collect()
}

/// What else went not as planned, a node that ended by itself included: a run during which one did shows something else than its
/// scenario. An interrupted run is inconclusive anyway.
pub(super) fn problems(open: &OpenRun, interrupted: bool) -> Vec<String> {
    if interrupted {
        return Vec::new();
    }
    let deaths = open.json.faults.iter().filter(|fault| !fault.planned);
    let deaths = deaths.map(|death| format!("{} ended by itself, which no fault had planned", death.place));
    let proved = open.json.faults.iter().filter(|fault| fault.planned && fault.witnessed.is_some());
    deaths
        .chain(proved.filter_map(|fault| problem(open, fault).map(|said| format!("{}: {said}", named(fault)))))
        .collect()
}

fn problem(open: &OpenRun, fault: &FaultRecord) -> Option<String> {
    let load_ended_ms = Measured::of(&open.json.phases).map_or(i64::MAX, |measured| measured.ended_ns / 1_000_000);
    let planned = open.scenario.faults.iter().find(|planned| planned.id == fault.id)?;
    // What lasts until the heal phase is healed after load by plan, and nobody waits for the bank to recover under load.
    let ends_under_load = planned.lasts.is_some() || fault.kind == "node.restart";
    match fault.healed_ms {
        None => Some(fault.problem.clone().unwrap_or_else(|| "it was not healed".to_owned())),
        Some(healed_ms) if ends_under_load && healed_ms > load_ended_ms => {
            Some(format!("it was healed {} ms after load had ended", healed_ms - load_ended_ms))
        }
        Some(_) if fault.problem.is_some() => fault.problem.clone(),
        Some(_) if ends_under_load && open.scenario.recovery_slo.is_empty() => unrecovered(open, fault),
        Some(_) => None,
    }
}

/// Without objectives of recovery nobody else would say that the bank never came back.
fn unrecovered(open: &OpenRun, fault: &FaultRecord) -> Option<String> {
    let recovery = open.json.recovery.iter().find(|recovery| recovery.fault == fault.id);
    if recovery.and_then(RecoveryRecord::recovered_ms).is_some() {
        return None;
    }
    Some("the bank was not itself again when load ended, so what came after it was not judged: lengthen phases.measure, or set objectives recovery.*".to_owned())
}

fn named(fault: &FaultRecord) -> String {
    format!("{} ({} {})", fault.id, fault.kind, fault.place)
}
