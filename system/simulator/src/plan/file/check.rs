//! Whether a plan can be carried out: everything in it within its limits, every place there.
//!
//! In: a plan, from a file or made smaller. Out: nothing, or the first field that cannot be. Elsewhere: reading (`plan::file`).

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use bankstorm_contracts::channel_api::MAX_REDRIVE;

use super::{PlanError, refuse};
use crate::plan::{
    Action, Again, Fault, Following, Kind, NotStarted, Operation, Payment, Plan, SCHEMA, Terms, Topology, Trigger,
    places_in,
};
use crate::world::MOST_CHANNELS;

/// The longest of anything but a fault, in milliseconds: an hour.
const LONGEST_MS: u64 = 3_600_000;
/// The longest load, in milliseconds: whoever is away for an hour comes back within it.
const LONGEST_LOAD_MS: u64 = 2 * LONGEST_MS;
/// The longest fault, in milliseconds: what still lasts at the heal must leave the bank time to come to rest.
const LONGEST_FAULT_MS: u64 = 60_000;
/// The last call at which a fault may strike.
const LAST_CALL: u64 = 1_000_000;
/// The highest number of an operation.
const LAST_OPERATION: u64 = 1_000_000;
/// The most faults.
const FAULTS: usize = 10_000;
/// The most operations.
const OPERATIONS: usize = 1_000_000;
/// The highest number of a customer.
const LAST_USER: u32 = 1_000_000;
/// The largest amount of money, in won.
const WON: i64 = 1_000_000_000_000;

/// Checks that a plan can be carried out.
///
/// # Errors
/// [`PlanError::Refused`] with the first field that cannot be.
pub fn check(plan: &Plan) -> Result<(), PlanError> {
    within("schema", plan.schema, SCHEMA..=SCHEMA)?;
    check_topology(&plan.topology)?;
    within("the number of faults", plan.faults.len(), 0..=FAULTS)?;
    within("the number of operations", plan.operations.len(), 0..=OPERATIONS)?;
    for (index, fault) in plan.faults.iter().enumerate() {
        check_fault(&format!("faults[{index}]"), fault, &plan.topology)?;
    }
    let mut numbers = BTreeSet::new();
    for (index, operation) in plan.operations.iter().enumerate() {
        let place = format!("operations[{index}]");
        within(&format!("{place}.op"), operation.op, 0..=LAST_OPERATION)?;
        if !numbers.insert(operation.op) {
            refuse(format!("{place}.op"), operation.op, "numbers that differ")?;
        }
        check_operation(&place, operation, &plan.topology)?;
    }
    Ok(())
}

fn within<T: PartialOrd + ToString>(field: &str, value: T, accepted: RangeInclusive<T>) -> Result<(), PlanError> {
    if accepted.contains(&value) {
        return Ok(());
    }
    let (from, to) = accepted.into_inner();
    let (from, to) = (from.to_string(), to.to_string());
    refuse(field.to_owned(), value, &if from == to { from } else { format!("{from} to {to}") })
}

fn check_topology(topology: &Topology) -> Result<(), PlanError> {
    let counts = [
        ("accounts", topology.accounts, 100_000),
        ("partitions", topology.partitions, 1_000),
        ("channels", topology.channels, MOST_CHANNELS as u32),
        ("connections", topology.connections, 1_000),
        ("posting_slots", topology.posting_slots, 1_000),
        ("batch_max", topology.batch_max, 100_000),
        ("relay_rows", topology.relay_rows, 100_000),
        ("workers", topology.workers, 100_000),
        ("transactions", topology.transactions, 1_000),
        ("batch_accounts", topology.batch_accounts, 100_000),
        ("span", topology.span, 1_000_000),
    ];
    for (name, value, most) in counts {
        within(&format!("topology.{name}"), value, 1..=most)?;
    }
    within("topology.load_ms", topology.load_ms, 0..=LONGEST_LOAD_MS)?;
    let times = [
        ("pace_ms", topology.pace_ms, 0),
        ("sync_cost_ms", topology.sync_cost_ms, 0),
        ("relay_poll_ms", topology.relay_poll_ms, 1),
        ("commit_every_ms", topology.commit_every_ms, 1),
    ];
    for (name, value, least) in times {
        within(&format!("topology.{name}"), value, least..=LONGEST_MS)?;
    }
    within("topology.opening_won", topology.opening_won, 0..=WON)?;
    check_following(&topology.following)?;
    check_terms(&topology.transfers, topology.accounts)
}

fn check_following(following: &Following) -> Result<(), PlanError> {
    let place = "topology.following";
    // What is behind at the heal must be found and mended within the world's patience.
    let times = [
        ("read_budget_ms", following.read_budget_ms, LONGEST_FAULT_MS),
        ("manual_every_ms", following.manual_every_ms, LONGEST_FAULT_MS),
        ("sweep_every_ms", following.sweep_every_ms, 20_000),
        ("attempts_for_ms", following.attempts_for_ms, 20_000),
        ("redrive_every_ms", following.redrive_every_ms, 20_000),
    ];
    for (name, value, most) in times {
        within(&format!("{place}.{name}"), value, 1..=most)?;
    }
    let counts = [
        ("core_pulls", following.core_pulls, 1, 1_000),
        ("sweep_accounts", following.sweep_accounts, 1, 10_000),
        ("attempts", following.attempts, 1, 100),
        ("redrive_most", following.redrive_most, 0, 1_000),
    ];
    for (name, value, least, most) in counts {
        within(&format!("{place}.{name}"), value, least..=most)?;
    }
    Ok(())
}

fn check_terms(terms: &Terms, accounts: u32) -> Result<(), PlanError> {
    let place = "topology.transfers";
    // What is open at the heal must be settled within the world's patience.
    let times = [
        ("call_limit_ms", terms.call_limit_ms, LONGEST_FAULT_MS),
        ("validity_ms", terms.validity_ms, LONGEST_FAULT_MS),
        ("poll_every_ms", terms.poll_every_ms, 10_000),
        ("poll_retry_ms", terms.poll_retry_ms, 10_000),
        ("outbound_answer_ms", terms.outbound_answer_ms, LONGEST_FAULT_MS),
        ("outbound_expiry_ms", terms.outbound_expiry_ms, LONGEST_FAULT_MS),
        ("outbound_scan_ms", terms.outbound_scan_ms, 30_000),
    ];
    for (name, value, most) in times {
        within(&format!("{place}.{name}"), value, 1..=most)?;
    }
    for (index, status) in terms.statuses.iter().enumerate() {
        within(&format!("{place}.statuses[{index}].account"), status.account, 0..=accounts - 1)?;
    }
    let banks = &terms.banks;
    let told = u64::from(banks.late_permille) + u64::from(banks.never_permille) + u64::from(banks.twice_permille);
    within(&format!("{place}.banks: the sum of late, never and twice"), told, 0..=1_000)?;
    within(&format!("{place}.banks.refused_permille"), banks.refused_permille, 0..=1_000)?;
    within(&format!("{place}.banks.late_ms"), banks.late_ms, 0..=LONGEST_FAULT_MS)
}

fn check_fault(place: &str, fault: &Fault, topology: &Topology) -> Result<(), PlanError> {
    let needs = fault.kind.needs();
    match fault.trigger {
        Trigger::AtMs(at) if needs.at => within(&format!("{place}.trigger.at_ms"), at, 0..=topology.load_ms)?,
        Trigger::Nth(nth) if !needs.at => within(&format!("{place}.trigger.nth"), nth, 1..=LAST_CALL)?,
        Trigger::AtMs(_) => refuse(format!("{place}.trigger"), "at_ms", "nth, for this kind")?,
        Trigger::Nth(_) => refuse(format!("{place}.trigger"), "nth", "at_ms, for this kind")?,
    }
    if needs.lasts {
        // These end at the heal at the latest.
        let is_healed = matches!(fault.kind, Kind::NodeKill | Kind::NodePause | Kind::LinkCut);
        let longest = if is_healed { LONGEST_LOAD_MS } else { LONGEST_FAULT_MS };
        within(&format!("{place}.lasts_ms"), fault.lasts_ms, 1..=longest)?;
    } else if fault.lasts_ms != 0 {
        refuse(format!("{place}.lasts_ms"), fault.lasts_ms, "nothing: this kind takes no time")?;
    }
    if needs.amount.is_empty() && fault.amount != 0 {
        refuse(format!("{place}.amount"), fault.amount, "nothing: this kind takes no amount")?;
    }
    within(&format!("{place}.amount"), fault.amount, amounts(fault.kind, topology))?;
    let places = places_in(fault.kind, topology);
    if !places.contains(&fault.place) {
        refuse(format!("{place}.place"), format!("{:?}", fault.place), &places.join(", "))?;
    }
    if repeats_transfers(fault) && topology.transfers.not_started == NotStarted::Final {
        let accepted =
            "another place, or topology.transfers.not_started \"fenced\": what core began nothing of may come again";
        refuse(format!("{place}.place"), format!("{:?}", fault.place), accepted)?;
    }
    Ok(())
}

/// Whether a fault may bring core a transfer a second time.
pub(crate) fn repeats_transfers(fault: &Fault) -> bool {
    let to_core = fault.place.starts_with("channel-")
        && fault.place.split(':').next().is_some_and(|link| link.ends_with(">core"));
    let of_transfers = fault.place.split_once(':').is_none_or(|(_, kind)| kind == "transfer");
    fault.kind == Kind::RequestDoubled && to_core && of_transfers
}

/// What `amount` may be.
fn amounts(kind: Kind, topology: &Topology) -> RangeInclusive<i64> {
    const DAY_MS: i64 = 86_400_000;
    match kind {
        Kind::LinkCut => 0..=2,
        Kind::StepRefused => 0..=3,
        Kind::RecordDamaged => 0..=1,
        Kind::PartitionsAdded => 1..=100,
        Kind::RowHeld | Kind::AccountRefused => 0..=i64::from(topology.accounts) - 1,
        Kind::ConnectionsTaken => 1..=i64::from(topology.connections),
        Kind::ClockStep => -DAY_MS..=DAY_MS,
        Kind::LinkSlow => 1..=LONGEST_MS.cast_signed(),
        _ => 0..=0,
    }
}

fn check_operation(place: &str, operation: &Operation, topology: &Topology) -> Result<(), PlanError> {
    within(&format!("{place}.at_ms"), operation.at_ms, 0..=topology.load_ms)?;
    match &operation.action {
        Action::Deposit { won, patience_ms, retries, again } => {
            within(&format!("{place}.won"), *won, 1..=WON)?;
            within(&format!("{place}.retries"), *retries, 0..=1_000)?;
            // All tries together end within the longest time.
            within(&format!("{place}.patience_ms"), *patience_ms, 1..=LONGEST_MS / (u64::from(*retries) + 1))?;
            let (word, after) = match again {
                None => return Ok(()),
                Some(Again::Same(after)) => ("same", after),
                Some(Again::Other(after)) => ("other", after),
                Some(Again::Resolve(after)) => ("resolve", after),
            };
            within(&format!("{place}.again.{word}"), *after, 0..=LONGEST_MS)
        }
        Action::Transfer { to, pay } => {
            if *to == operation.account {
                refuse(format!("{place}.to"), to, "another account than the one that pays")?;
            }
            check_payment(place, pay, topology)
        }
        Action::Outbound { pay } => check_payment(place, pay, topology),
        Action::Scroll { channel, pages, limit } => {
            within(&format!("{place}.channel"), *channel, 0..=topology.channels - 1)?;
            within(&format!("{place}.pages"), *pages, 1..=10_000)?;
            within(&format!("{place}.limit"), *limit, 1..=100)
        }
        Action::Sync { channel } => within(&format!("{place}.channel"), *channel, 0..=topology.channels - 1),
        Action::Redrive { channel, limit } => {
            within(&format!("{place}.channel"), *channel, 0..=topology.channels - 1)?;
            within(&format!("{place}.limit"), *limit, 1..=MAX_REDRIVE)
        }
    }
}

fn check_payment(place: &str, pay: &Payment, topology: &Topology) -> Result<(), PlanError> {
    within(&format!("{place}.user"), pay.user, 1..=LAST_USER)?;
    within(&format!("{place}.won"), pay.won, 1..=WON - 1)?;
    within(&format!("{place}.channel"), pay.channel, 0..=topology.channels - 1)?;
    if let Some(elsewhere) = pay.elsewhere {
        within(&format!("{place}.elsewhere"), elsewhere, 0..=topology.channels - 1)?;
    }
    within(&format!("{place}.retries"), pay.retries, 0..=1_000)?;
    within(&format!("{place}.patience_ms"), pay.patience_ms, 1..=LONGEST_MS / (u64::from(pay.retries) + 1))?;
    within(&format!("{place}.reads"), pay.reads, 0..=1_000)?;
    within(&format!("{place}.looks"), pay.looks, 0..=1_000)?;
    match pay.again {
        None => Ok(()),
        Some(twice) => within(&format!("{place}.again.{}", twice.word()), twice.after_ms(), 0..=LONGEST_MS),
    }
}
