//! One row per planned operation, from what pacer and senders saw.
//!
//! In: the plan, what was seen in any order. Out: rows sorted by `op`; what nobody saw is missed. Elsewhere: visible times (`evidence`),
//! verdicts on unknown outcomes (`resolve`).

use bankstorm_contracts::Outcome;
use bankstorm_customers::{Plan, PlannedOperation};
use bankstorm_record::clock::Origin;
use bankstorm_record::rows::OperationRow;

use crate::pacer::nanos;
use crate::sender::Seen;

/// The rows. `start_ns` is by CLOCK_MONOTONIC, `ring_full` sorted.
pub(crate) fn rows(
    plan: &Plan,
    origin: &Origin,
    start_ns: i64,
    mut seen: Vec<Seen>,
    ring_full: &[u64],
) -> Vec<OperationRow> {
    seen.sort_by_key(Seen::op);
    let mut seen = seen.into_iter().peekable();
    plan.operations()
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
        .collect()
}

/// The row of an operation that was never begun.
fn missed_row(planned: &PlannedOperation, intended_ns: i64) -> OperationRow {
    OperationRow {
        op: planned.op,
        load: planned.load,
        kind: "deposit".to_owned(),
        phase: planned.phase.as_str().to_owned(),
        transfer: planned.deposit.id.0.as_u128(),
        account: planned.deposit.account.get(),
        amount: planned.deposit.amount.get(),
        params_hash: planned.deposit.params_hash().0.to_vec(),
        intended_ns,
        sent_ns: None,
        acked_ns: None,
        visible_ns: None,
        visible_is_upper_bound: false,
        outcome: None,
        resolved: None,
        seq: None,
        balance_after: None,
        detail: None,
        http_status: None,
    }
}

fn filled(row: OperationRow, origin: &Origin, seen: Seen) -> OperationRow {
    match seen {
        Seen::Missed { why, .. } => OperationRow { detail: Some(why.to_owned()), ..row },
        Seen::Begun { sent_ns, acked_ns, ending, .. } => {
            let word = ending.outcome.as_str().to_owned();
            OperationRow {
                sent_ns: sent_ns.map(|stamp| origin.moment(stamp)),
                acked_ns: Some(origin.moment(acked_ns)),
                resolved: (ending.outcome != Outcome::Unknown).then(|| word.clone()),
                outcome: Some(word),
                seq: ending.seq,
                balance_after: ending.balance_after,
                detail: ending.detail,
                http_status: ending.status.map(u32::from),
                ..row
            }
        }
    }
}
