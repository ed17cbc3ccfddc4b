//! O5 resolved: at the end nothing is left open.
//!
//! In: operations, the channel's transfers, core's transfers and holds. Out: `stuck-pending`. Elsewhere: what the verdicts are worth (`verdict`,
//! `ok_booked`, `fail_absent`); how long the end waits for them (`evidence::converge`).
//!
//! An operation whose outcome nobody could tell counts as settled once its id has a verdict in a store, whoever asked for it: where two sets
//! of parameters share an id, the verdict does not say which of them it is about. Memory: 24 bytes an unresolved operation.

use bankstorm_record::source::{ReadError, Source};

use crate::check::{Check, Context, Tally, uuid};
use crate::ordered::{Ordered, channel_transfers, core_holds, core_transfers, money_operations};

/// O5.
pub struct Resolved;

const VIOLATION: &str = "stuck-pending";

impl Check for Resolved {
    fn id(&self) -> &'static str {
        "O5"
    }

    fn name(&self) -> &'static str {
        "resolved"
    }

    fn explains(&self) -> &'static str {
        "At the end every operation whose outcome was unknown has a verdict, every transfer of the channel and of core is settled, and no hold \
         is open (stuck-pending)."
    }

    fn needs_rest(&self) -> bool {
        true
    }

    fn fold(&self, source: &dyn Source, context: &Context, tally: &mut Tally) -> Result<(), ReadError> {
        let unresolved = unresolved(source, tally)?;
        let mut core = core_transfers(source);
        let declared = context.transfers;
        let mut channel = declared.then(|| channel_transfers(source));
        let mut holds = (declared || context.outbound).then(|| core_holds(source));
        let mut rest = unresolved.as_slice();
        let mut stored = 0_u64;
        loop {
            let in_channel = channel.as_mut().map(Ordered::key).transpose()?.flatten();
            let held = holds.as_mut().map(Ordered::key).transpose()?.flatten();
            let next = [rest.first().map(|op| op.0), core.key()?, in_channel, held].into_iter().flatten().min();
            let Some(id) = next else { break };
            let (of_it, after) = rest.split_at(rest.iter().take_while(|op| op.0 == id).count());
            rest = after;
            let core = core.last_with(id)?.0.map(|row| row.state);
            let stage = match &mut channel {
                Some(channel) => channel.last_with(id)?.0.map(|row| row.stage),
                None => None,
            };
            let hold = match &mut holds {
                Some(holds) => holds.last_with(id)?.0.map(|row| row.state),
                None => None,
            };
            tally.look();
            stored += u64::from(stage.is_some());
            if let Some(problem) = problem(of_it, core.as_deref(), stage.as_deref(), hold.as_deref()) {
                tally.violated(VIOLATION, || format!("transfer {}: {problem}", uuid(id)));
            }
        }
        if declared { Tally::needs(stored, "channel_transfer", "transfers") } else { Ok(()) }
    }
}

/// (transfer, operation) of what was sent, with an unknown outcome, and never resolved.
fn unresolved(source: &dyn Source, tally: &mut Tally) -> Result<Vec<(u128, u64)>, ReadError> {
    let mut unresolved = Vec::new();
    for row in money_operations(source) {
        let row = row?;
        tally.look();
        if row.outcome.as_deref() == Some("unknown") && row.resolved.is_none() {
            unresolved.push((row.transfer, row.op));
        }
    }
    unresolved.sort_unstable();
    Ok(unresolved)
}

fn problem(unresolved: &[(u128, u64)], core: Option<&str>, stage: Option<&str>, hold: Option<&str>) -> Option<String> {
    let is_settled = |stage: &str| matches!(stage, "completed" | "rejected" | "failed");
    if let Some(stage) = stage.filter(|stage| !is_settled(stage)) {
        let core = core.map_or_else(|| "core does not know it".to_owned(), |state| format!("core has it as {state}"));
        return Some(format!("still {stage} in the channel; {core}"));
    }
    if let Some(state) = core.filter(|state| !is_settled(state)) {
        let hold = hold.map_or_else(|| "no hold".to_owned(), |hold| format!("a hold that is {hold}"));
        return Some(format!("still {state} in core, with {hold}"));
    }
    if hold == Some("held") {
        return Some("its hold is still open".to_owned());
    }
    let (_, op) = unresolved.first().filter(|_| core.is_none() && stage.is_none())?;
    Some(format!("op {op} has an unknown outcome, and neither store knows the id"))
}

#[cfg(test)]
mod tests {
    use bankstorm_record::run_json::GuaranteeVerdict;

    use crate::bank::{Bank, DECLARED, LOST, POSTED, REFUSED, VOIDED, assert_only};
    use crate::check::{Check, Context};

    #[test]
    fn a_transfer_that_nobody_settled() {
        let mut bank = Bank::good();
        let row = bank.channel_transfer(LOST);
        (row.stage, row.reason, row.settled_commit, row.settled_txid) = ("unknown".to_owned(), None, None, None);
        bank.assert_fires("O5", "still unknown in the channel; core has it as rejected");
        // P8 off, and the request was lost on the way: core never heard of it, and the customer is blocked for ever.
        bank.source.core_transfers.retain(|row| row.transfer != LOST);
        bank.assert_fires("O5", "still unknown in the channel; core does not know it");
    }

    #[test]
    fn a_hold_that_is_still_open() {
        let mut bank = Bank::good();
        bank.leave_open(VOIDED);
        bank.assert_fires("O5", "still unknown in the channel; core has it as processing");
        bank.channel_transfer(VOIDED).stage = "rejected".to_owned();
        bank.assert_fires("O5", "still processing in core, with a hold that is held");
        let mut bank = Bank::good();
        (bank.hold(POSTED).state, bank.hold(POSTED).ended_seq) = ("held".to_owned(), None);
        bank.assert_fires("O5", "its hold is still open");
    }

    #[test]
    fn an_operation_without_an_end_unless_its_id_has_one() {
        let mut bank = Bank::good();
        let op = bank.operation(REFUSED);
        (op.outcome, op.resolved) = (Some("unknown".to_owned()), None);
        bank.assert_all_hold();
        let mut lost = bank.operation_of(1_000_000, 5).clone();
        (lost.op, lost.transfer) = (100, 77);
        (lost.outcome, lost.resolved, lost.seq) = (Some("unknown".to_owned()), None, None);
        bank.source.operations.push(lost);
        assert_only(&bank, &[("O5", "op 100 has an unknown outcome, and neither store knows the id")]);
    }

    #[test]
    fn a_run_that_was_cut_short_says_nothing_about_the_end() {
        let mut bank = Bank::good();
        bank.leave_open(VOIDED);
        let found = super::Resolved.run(&bank.source, &Context { incomplete: true, ..DECLARED });
        assert_eq!(found.verdict, GuaranteeVerdict::Unknown);
    }
}
