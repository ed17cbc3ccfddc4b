//! One row per planned operation, from what pacer and senders saw, and one for each that a customer sent again under another id.
//!
//! In: the plan, what was seen in any order. Out: rows sorted by `op`; what nobody saw is missed. Elsewhere: visible times (`evidence`),
//! verdicts on unknown outcomes (`resolve`).

use bankstorm_contracts::Outcome;
use bankstorm_customers::{Plan, PlannedOperation};
use bankstorm_record::clock::Origin;
use bankstorm_record::rows::OperationRow;

use crate::pacer::nanos;
use crate::sender::Seen;
use crate::watch::Again;

/// The rows: those of the plan, then those of what was sent again under another id. `start_ns` is by CLOCK_MONOTONIC, `ring_full` sorted.
pub(crate) fn rows(
    plan: &Plan,
    origin: &Origin,
    start_ns: i64,
    mut seen: Vec<Seen>,
    ring_full: &[u64],
    mut again: Vec<Again>,
) -> Vec<OperationRow> {
    seen.sort_by_key(Seen::op);
    let mut seen = seen.into_iter().peekable();
    let mut rows: Vec<OperationRow> = plan
        .operations()
        .map(|planned| {
            let row = missed_row(&planned, origin.moment(start_ns + nanos(planned.due)));
            match seen.next_if(|seen| seen.op() == planned.op) {
                Some(seen) => filled(row, origin, seen),
                None if ring_full.binary_search(&planned.op).is_ok() => {
                    OperationRow { detail: Some("the ring to the senders was full".to_owned()), ..row }
                }
                None => OperationRow { detail: Some("the load was ended early".to_owned()), ..row },
            }
        })
        .collect();
    again.sort_by_key(|again| (again.intended_ns, again.of));
    for again in again {
        let row = again_row(&rows, origin, again);
        rows.push(row);
    }
    rows
}

/// The row of what a customer sent again: the same intent, under another id.
fn again_row(rows: &[OperationRow], origin: &Origin, again: Again) -> OperationRow {
    let of = &rows[usize::try_from(again.of).expect("an index")];
    let row = OperationRow {
        op: rows.len() as u64,
        load: of.load,
        kind: of.kind.clone(),
        phase: of.phase.clone(),
        transfer: again.transfer.0.as_u128(),
        account: of.account,
        amount: of.amount,
        params_hash: of.params_hash.clone(),
        intended_ns: origin.moment(again.intended_ns),
        user: of.user,
        to_bank: of.to_bank.clone(),
        to_account: of.to_account.clone(),
        intent: of.intent,
        ..OperationRow::default()
    };
    filled(row, origin, again.seen)
}

/// The row of an operation that was never begun.
fn missed_row(planned: &PlannedOperation, intended_ns: i64) -> OperationRow {
    OperationRow {
        op: planned.op,
        load: planned.load,
        kind: planned.kind.as_str().to_owned(),
        phase: planned.phase.as_str().to_owned(),
        transfer: planned.id().0.as_u128(),
        account: planned.account().get(),
        amount: planned.amount().get(),
        params_hash: planned.params_hash().0.to_vec(),
        intended_ns,
        user: planned.user().map(|user| user.0),
        to_bank: planned.to().map(|to| to.bank.clone()),
        to_account: planned.to().map(|to| to.account.clone()),
        intent: planned.user().map(|_| planned.intent),
        ..OperationRow::default()
    }
}

fn filled(row: OperationRow, origin: &Origin, seen: Seen) -> OperationRow {
    match seen {
        Seen::Missed { why, .. } => OperationRow { detail: Some(why.to_owned()), ..row },
        Seen::Begun { sent_ns, acked_ns, ending, attempts, .. } => {
            let word = ending.outcome.as_str().to_owned();
            let resolved = match ending.outcome {
                // A read leaves nothing behind: one that was not answered is settled, nothing came of it.
                Outcome::Unknown if row.is_read() => Some(Outcome::Failed.as_str().to_owned()),
                Outcome::Unknown => None,
                _ => Some(word.clone()),
            };
            OperationRow {
                sent_ns: sent_ns.map(|stamp| origin.moment(stamp)),
                acked_ns: Some(origin.moment(acked_ns)),
                resolved,
                outcome: Some(word),
                seq: ending.seq,
                balance_after: ending.balance_after,
                detail: ending.detail,
                http_status: ending.status.map(u32::from),
                attempts: Some(attempts),
                ..row
            }
        }
    }
}
