//! O3 fail => absent: what was refused in the end, or was never begun, left no booking in core.
//!
//! In: operations, the channel's transfers, core's transfers and entries. Out: `phantom-booking`. Elsewhere: operations that were ok
//! (`ok_booked`); a second use of an id with other parameters (`param_drift`): whatever stands under those is not this operation's.
//!
//! What the channel itself holds to have ended without a posting counts as well, whether or not anybody asked. Memory: the operations and
//! transfers with such a verdict, about 100 bytes each.

use bankstorm_record::rows::{ChannelTransferRow, CoreEntryRow, CoreTransferRow, OperationRow};
use bankstorm_record::source::{ReadError, Source};

use crate::check::{Check, Context, Tally, shown, uuid};
use crate::ordered::{channel_transfers, core_entries, core_transfers, is_customer, money_operations};

/// O3.
pub struct FailAbsent;

const VIOLATION: &str = "phantom-booking";

/// An operation, or a transfer of the channel, whose last word is that nothing was booked.
struct Refused {
    op: Option<u64>,
    transfer: u128,
    params_hash: Vec<u8>,
    verdict: &'static str,
    /// Nothing more is to be said: it already is a counter-example (one operation counts once), or another request completed the id.
    settled: bool,
}

impl Check for FailAbsent {
    fn id(&self) -> &'static str {
        "O3"
    }

    fn name(&self) -> &'static str {
        "fail_absent"
    }

    fn explains(&self) -> &'static str {
        "No operation that ended failed or rejected, at once or when resolved, and no transfer that the channel holds to be, has a \
         completed transfer with its parameters or a customer entry in core (phantom-booking)."
    }

    fn fold(&self, source: &dyn Source, context: &Context, tally: &mut Tally) -> Result<(), ReadError> {
        let mut refused = refused(source, context, tally)?;
        if context.transfers {
            refused.extend(refused_by_channel(source, tally)?);
        }
        refused.sort_unstable_by_key(|op| (op.transfer, op.op));
        against_transfers(&mut refused, source, tally)?;
        against_entries(&mut refused, source, tally)
    }
}

/// Every verdict is examined; those of ok are none of this check's business.
fn refused(source: &dyn Source, context: &Context, tally: &mut Tally) -> Result<Vec<Refused>, ReadError> {
    let mut refused = Vec::new();
    let mut transfers = 0;
    for row in money_operations(source) {
        let row: OperationRow = row?;
        let Some(resolved) = row.resolved.as_deref() else { continue };
        tally.look();
        transfers += u64::from(row.kind != "deposit");
        let verdict = match resolved {
            "failed" => "failed",
            "rejected" => "rejected",
            _ => continue,
        };
        let OperationRow { op, transfer, params_hash, .. } = row;
        refused.push(Refused { op: Some(op), transfer, params_hash, verdict, settled: false });
    }
    if context.transfers {
        Tally::needs(transfers, "operations", "transfers")?;
    }
    Ok(refused)
}

fn refused_by_channel(source: &dyn Source, tally: &mut Tally) -> Result<Vec<Refused>, ReadError> {
    let mut refused = Vec::new();
    let mut transfers = channel_transfers(source);
    while let Some(row) = transfers.take()? {
        tally.look();
        let verdict = match row.stage.as_str() {
            "failed" => "failed",
            "rejected" => "rejected",
            _ => continue,
        };
        let ChannelTransferRow { transfer, params_hash, .. } = row;
        refused.push(Refused { op: None, transfer, params_hash, verdict, settled: false });
    }
    Ok(refused)
}

fn against_transfers(refused: &mut [Refused], source: &dyn Source, tally: &mut Tally) -> Result<(), ReadError> {
    let mut transfers = core_transfers(source);
    while let Some(row) = transfers.take()? {
        if row.state != "completed" {
            continue;
        }
        for op in of(refused, row.transfer).iter_mut().filter(|op| !op.settled) {
            op.settled = true;
            if op.params_hash == row.params_hash {
                tally.violated(VIOLATION, || format!("{}; core's transfer is completed: {}", op.told(), booked(&row)));
            }
        }
    }
    Ok(())
}

fn against_entries(refused: &mut [Refused], source: &dyn Source, tally: &mut Tally) -> Result<(), ReadError> {
    let mut entries = core_entries(source);
    while let Some(row) = entries.take()? {
        if !is_customer(row.account) {
            continue;
        }
        for op in of(refused, row.transfer).iter_mut().filter(|op| !op.settled) {
            op.settled = true;
            tally.violated(VIOLATION, || format!("{}; core has its entry: {}", op.told(), entry(&row)));
        }
    }
    Ok(())
}

/// The operations of one transfer: one, none, or several where an id was used again.
fn of(refused: &mut [Refused], transfer: u128) -> &mut [Refused] {
    let first = refused.partition_point(|op| op.transfer < transfer);
    let count = refused[first..].iter().take_while(|op| op.transfer == transfer).count();
    &mut refused[first..first + count]
}

fn booked(row: &CoreTransferRow) -> String {
    format!("account {} seq {}, {} won", shown(row.account), shown(row.seq), shown(row.amount))
}

fn entry(row: &CoreEntryRow) -> String {
    format!("account {} seq {}, {} won", row.account, shown(row.seq), row.amount)
}

impl Refused {
    fn told(&self) -> String {
        let (id, verdict) = (uuid(self.transfer), self.verdict);
        match self.op {
            Some(op) => format!("op {op} (transfer {id}) ended {verdict}"),
            None => format!("transfer {id} is {verdict} in the channel"),
        }
    }
}

#[cfg(test)]
mod tests {
    use bankstorm_record::run_json::GuaranteeVerdict;

    use crate::bank::{Bank, LOST, assert_only};

    const TOMBSTONE: [u8; 32] = [0; 32];

    /// One more operation of the account, which ended so, and its tombstone in core. Gives its id.
    fn refuse(bank: &mut Bank, account: i64, verdict: &str) -> u128 {
        let mut op = bank.operation_of(account, 5).clone();
        op.op = bank.source.operations.len() as u64;
        op.transfer += 1_000_000;
        op.params_hash[0] ^= 1;
        (op.outcome, op.resolved) = (Some("unknown".to_owned()), Some(verdict.to_owned()));
        (op.seq, op.balance_after) = (None, None);
        let mut row = bank.transfer_of(account, 5).clone();
        (row.transfer, row.params_hash, row.reason) =
            (op.transfer, TOMBSTONE.to_vec(), Some("not_received".to_owned()));
        (row.kind, row.state) = ("tombstone".to_owned(), "rejected".to_owned());
        (row.account, row.amount, row.seq, row.balance_after) = (None, None, None, None);
        let id = op.transfer;
        bank.source.operations.push(op);
        bank.source.core_transfers.push(row);
        bank.source.core_transfers.sort_by_key(|row| row.transfer);
        id
    }

    #[test]
    fn a_refusal_that_core_knows_of_is_no_finding() {
        let mut bank = Bank::good();
        refuse(&mut bank, 1_000_001, "rejected");
        refuse(&mut bank, 1_000_002, "failed");
        bank.assert_all_hold();
        // Nothing at all in core is the other way to have no effect.
        bank.source.core_transfers.retain(|row| row.params_hash != TOMBSTONE || row.transfer == LOST);
        bank.assert_all_hold();
        let money = crate::ordered::money_operations(&bank.source).count();
        assert!(money < bank.source.operations.len(), "reads are no operations of this check");
        assert_eq!(bank.result("O3").examined, (money + bank.source.channel_transfers.len()) as u64);
    }

    #[test]
    fn a_booking_that_was_answered_failed_at_once_or_when_resolved() {
        for (outcome, resolved) in [("failed", "failed"), ("unknown", "failed"), ("unknown", "rejected")] {
            let mut bank = Bank::good();
            let op = bank.operation_of(1_000_000, 5);
            (op.outcome, op.resolved) = (Some(outcome.to_owned()), Some(resolved.to_owned()));
            assert_only(&bank, &[("O3", "phantom-booking: op 1 ")]);
            let first = bank.result("O3").first.expect("a witness");
            let told = format!("ended {resolved}; core's transfer is completed: account 1000000 seq 5, ");
            assert!(first.contains(&told), "{first}");
        }
    }

    #[test]
    fn a_late_booking_behind_a_tombstone() {
        let mut bank = Bank::good();
        let id = refuse(&mut bank, 1_000_001, "rejected");
        // The tombstone stays, and both legs are posted nevertheless.
        bank.post_under(1_000_001, id, 77);
        bank.assert_fires("O3", "core has its entry: account 1000001 seq 6, 77 won");
        assert_eq!(bank.result("O3").violations, 1);
        bank.assert_fires("L4", "rejected, and booked");
        bank.assert_holds(&["L1", "L2", "L3", "O1", "O2", "S1", "S3", "S5", "T1", "T2"]);
    }

    #[test]
    fn a_booking_of_the_same_id_with_other_parameters_is_not_its_own() {
        let mut bank = Bank::good();
        let booked = bank.operation_of(1_000_000, 5).clone();
        let mut drifted = booked;
        drifted.op = 100;
        drifted.amount += 1;
        drifted.params_hash[0] ^= 1;
        drifted.outcome = Some("failed".to_owned());
        drifted.resolved = drifted.outcome.clone();
        bank.source.operations.push(drifted.clone());
        bank.assert_all_hold();
        // The same parameters are its own, whoever answered ok to them.
        drifted.op = 101;
        drifted.params_hash[0] ^= 1;
        bank.source.operations.push(drifted);
        assert_only(&bank, &[("O3", "phantom-booking: op 101 ")]);
    }

    #[test]
    fn an_unresolved_operation_may_be_booked_or_not() {
        let mut bank = Bank::good();
        let op = bank.operation_of(1_000_000, 5);
        (op.outcome, op.resolved) = (Some("unknown".to_owned()), None);
        bank.assert_all_hold();
        for op in &mut bank.source.operations {
            op.resolved = None;
        }
        assert_eq!(bank.result("O3").verdict, GuaranteeVerdict::Unknown, "there was no verdict to look at");
    }
}
