//! O2 ok => booked: what was answered ok, at once or when resolved, is in core exactly as answered.
//!
//! In: operations, core's transfers and entries. Out: `lost-ack`, `divergence`. Elsewhere: a second posting of the same id (`once`),
//! operations that were not ok (`fail_absent`).
//!
//! Memory: the ok operations, about 130 bytes each.

use bankstorm_record::rows::{CoreEntryRow, CoreTransferRow, OperationRow};
use bankstorm_record::source::{ReadError, Source};

use crate::check::{Check, Context, Tally, shown, uuid};
use crate::ordered::{CoreAt, core_transfers};

/// O2.
pub struct OkBooked;

const LOST: &str = "lost-ack";
const DIVERGED: &str = "divergence";

/// An operation that was answered ok.
struct Acked {
    op: u64,
    transfer: u128,
    account: i64,
    amount: i64,
    seq: Option<i64>,
    balance_after: Option<i64>,
    kind: String,
    params_hash: Vec<u8>,
    /// It already is a counter-example: one operation counts once.
    found: bool,
}

impl Check for OkBooked {
    fn id(&self) -> &'static str {
        "O2"
    }

    fn name(&self) -> &'static str {
        "ok_booked"
    }

    fn explains(&self) -> &'static str {
        "Each operation answered ok, at once or when resolved, has one completed transfer and one customer entry in core (lost-ack), \
         with the parameters, serial and balance that were answered (divergence)."
    }

    fn fold(&self, source: &dyn Source, _context: &Context, tally: &mut Tally) -> Result<(), ReadError> {
        let mut acked = acked(source, tally)?;
        acked.sort_unstable_by_key(|op| op.transfer);
        if let Some(pair) = acked.windows(2).find(|pair| pair[0].transfer == pair[1].transfer) {
            let [a, b] = [pair[0].op, pair[1].op];
            let problem = format!("op {a} and op {b} are both transfer {}", uuid(pair[0].transfer));
            return Err(ReadError { file: "operations".to_owned(), problem });
        }
        against_transfers(&mut acked, source, tally)?;
        acked.sort_unstable_by_key(|op| (op.account, op.seq));
        against_entries(&acked, source, tally)
    }
}

fn acked(source: &dyn Source, tally: &mut Tally) -> Result<Vec<Acked>, ReadError> {
    let mut acked = Vec::new();
    for row in source.operations() {
        let row: OperationRow = row?;
        let is_ok = |word: &Option<String>| word.as_deref() == Some("ok");
        if is_ok(&row.outcome) || is_ok(&row.resolved) {
            tally.look();
            acked.push(Acked {
                op: row.op,
                transfer: row.transfer,
                account: row.account,
                amount: row.amount,
                seq: row.seq,
                balance_after: row.balance_after,
                kind: row.kind,
                params_hash: row.params_hash,
                found: false,
            });
        }
    }
    Ok(acked)
}

fn against_transfers(acked: &mut [Acked], source: &dyn Source, tally: &mut Tally) -> Result<(), ReadError> {
    let mut transfers = core_transfers(source);
    for op in acked {
        while transfers.take_if(|key| key < op.transfer)?.is_some() {}
        let mut row = None;
        while let Some(found) = transfers.take_if(|key| key == op.transfer)? {
            row = Some(found);
        }
        op.found = true;
        match row {
            None => tally.violated(LOST, || format!("{}; core has no such transfer", op.told())),
            Some(row) if row.state != "completed" => tally.violated(LOST, || {
                let reason = row.reason.as_deref().unwrap_or("no reason");
                format!("{}; core's transfer is {} ({reason})", op.told(), row.state)
            }),
            Some(row) => match op.differs_from(&row) {
                Some(difference) => tally.violated(DIVERGED, || format!("{}; {difference}", op.told())),
                None => op.found = false,
            },
        }
    }
    transfers.drain()
}

fn against_entries(acked: &[Acked], source: &dyn Source, tally: &mut Tally) -> Result<(), ReadError> {
    let mut core = CoreAt::new(source);
    for op in acked.iter().filter(|op| !op.found) {
        // An ok without a serial was found above, since core's completed transfer has one.
        let Some(seq) = op.seq else { continue };
        let rows = core.seek((op.account, seq))?;
        match rows.iter().find(|row| row.transfer == op.transfer) {
            None => tally.violated(LOST, || format!("{}; core {}", op.told(), stands_there(rows))),
            Some(row) if (row.amount, row.balance_after, &row.kind) != (op.amount, op.balance_after, &op.kind) => {
                tally.violated(DIVERGED, || {
                    let balance = shown(row.balance_after);
                    format!("{}; core's entry there has {} won, balance {balance}, {}", op.told(), row.amount, row.kind)
                });
            }
            Some(_) => {}
        }
    }
    core.drain()
}

fn stands_there(rows: &[CoreEntryRow]) -> String {
    match rows.first() {
        None => "has no entry there".to_owned(),
        Some(row) => format!("has transfer {} there", uuid(row.transfer)),
    }
}

impl Acked {
    fn told(&self) -> String {
        format!(
            "op {} (transfer {}) was answered ok: account {} seq {}, {} won, balance {}",
            self.op,
            uuid(self.transfer),
            self.account,
            shown(self.seq),
            self.amount,
            shown(self.balance_after)
        )
    }

    /// The first field in which core's transfer is not what was sent and answered.
    fn differs_from(&self, row: &CoreTransferRow) -> Option<String> {
        let numbers = [
            ("account", row.account, Some(self.account)),
            ("amount", row.amount, Some(self.amount)),
            ("seq", row.seq, self.seq),
            ("balance_after", row.balance_after, self.balance_after),
        ];
        if let Some((field, core, _)) = numbers.into_iter().find(|(_, core, answered)| core != answered) {
            return Some(format!("core's transfer has {field} {}", shown(core)));
        }
        if row.kind != self.kind {
            return Some(format!("core's transfer has kind {}, the operation {}", row.kind, self.kind));
        }
        if row.params_hash != self.params_hash {
            return Some("core's transfer has another params_hash".to_owned());
        }
        self.seq.is_none().then(|| "neither the answer nor core's transfer has a serial".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use crate::bank::{Bank, assert_only};

    #[test]
    fn an_answer_that_core_booked_with_another_amount() {
        let mut bank = Bank::good();
        bank.operation_of(1_000_000, 4).amount += 1;
        assert_only(&bank, &[("O2", "divergence: op 0 ")]);
    }

    #[test]
    fn other_parameters_under_the_same_id() {
        let mut bank = Bank::good();
        bank.transfer_of(1_000_001, 5).params_hash[0] ^= 1;
        assert_only(&bank, &[("O2", "divergence: op 3 ")]);
        assert!(bank.result("O2").first.expect("witness").ends_with("core's transfer has another params_hash"));
    }

    #[test]
    fn an_acked_transfer_that_core_holds_as_rejected() {
        let mut bank = Bank::good();
        let row = bank.transfer_of(1_000_000, 5);
        row.state = "rejected".to_owned();
        row.reason = Some("not_received".to_owned());
        bank.assert_fires("O2", "core's transfer is rejected (not_received)");
    }

    #[test]
    fn an_unknown_outcome_that_was_resolved_ok_counts_as_answered() {
        let mut bank = Bank::good();
        let op = bank.operation_of(1_000_000, 5);
        op.outcome = Some("unknown".to_owned());
        bank.assert_all_hold();
        let id = bank.core_entry(1_000_000, 5).transfer;
        bank.source.core_transfers.retain(|row| row.transfer != id);
        bank.assert_fires("O2", "lost-ack: op 1 ");
    }

    #[test]
    fn an_unresolved_operation_promises_nothing() {
        let mut bank = Bank::good();
        bank.operation_of(1_000_000, 5).outcome = Some("unknown".to_owned());
        bank.operation_of(1_000_000, 5).resolved = None;
        bank.operation_of(1_000_000, 5).amount = 1;
        assert_only(&bank, &[]);
    }
}
