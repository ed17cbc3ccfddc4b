//! O2 ok => booked: what was answered ok, at once or when resolved, is in core exactly as answered.
//!
//! In: operations, core's transfers and entries, the channel's transfers. Out: `lost-ack`, `divergence`. Elsewhere: a second posting of the
//! same id (`once`), operations that were not ok (`fail_absent`), the other leg of a transfer (`atomic`).
//!
//! Two operations may have one id: a second click is answered as the first. Memory: the ok operations, about 200 bytes each.

use bankstorm_record::rows::{ChannelTransferRow, CoreEntryRow, CoreTransferRow, OperationRow};
use bankstorm_record::source::{ReadError, Source};

use crate::check::{Check, Context, Tally, shown, uuid};
use crate::ordered::{CoreAt, channel_transfers, core_transfers, money_operations};

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
    user: Option<i64>,
    to: [Option<String>; 2],
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
        "Each operation answered ok, at once or when resolved, has one completed transfer and its customer entry in core, and where a \
         channel answered, one completed transfer there (lost-ack), with the parameters, serial and balance that were answered \
         (divergence)."
    }

    fn fold(&self, source: &dyn Source, context: &Context, tally: &mut Tally) -> Result<(), ReadError> {
        let mut acked = acked(source, tally)?;
        if context.transfers {
            Tally::needs(acked.iter().filter(|op| op.is_transfer()).count() as u64, "operations", "transfers")?;
        }
        acked.sort_unstable_by_key(|op| (op.transfer, op.op));
        against_transfers(&mut acked, source, tally)?;
        if context.transfers {
            against_channel(&mut acked, source, tally)?;
        }
        acked.sort_unstable_by_key(|op| (op.account, op.seq));
        against_entries(&acked, source, tally)
    }
}

fn acked(source: &dyn Source, tally: &mut Tally) -> Result<Vec<Acked>, ReadError> {
    let mut acked = Vec::new();
    let mut last = None;
    for row in money_operations(source) {
        let row: OperationRow = row?;
        if last >= Some(row.op) {
            let problem = format!("op {} (transfer {}) is there twice, or out of order", row.op, uuid(row.transfer));
            return Err(ReadError { file: "operations".to_owned(), problem });
        }
        last = Some(row.op);
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
                user: row.user,
                to: [row.to_bank, row.to_account],
                found: false,
            });
        }
    }
    Ok(acked)
}

fn against_transfers(acked: &mut [Acked], source: &dyn Source, tally: &mut Tally) -> Result<(), ReadError> {
    let mut transfers = core_transfers(source);
    for of_one in acked.chunk_by_mut(|a, b| a.transfer == b.transfer) {
        let (row, _) = transfers.last_with(of_one[0].transfer)?;
        for op in of_one {
            op.judge(row.as_ref(), tally);
        }
    }
    transfers.drain()
}

/// Transfers were answered by a channel, which must say the same at the end.
fn against_channel(acked: &mut [Acked], source: &dyn Source, tally: &mut Tally) -> Result<(), ReadError> {
    let mut transfers = channel_transfers(source);
    for of_one in acked.chunk_by_mut(|a, b| a.transfer == b.transfer) {
        let (row, _) = transfers.last_with(of_one[0].transfer)?;
        for op in of_one.iter_mut().filter(|op| !op.found && op.is_transfer()) {
            let found = match &row {
                None => Some((LOST, "the channel has no such transfer".to_owned())),
                Some(row) if row.stage != "completed" => {
                    Some((LOST, format!("the channel's transfer is {}", row.stage)))
                }
                Some(row) => op.differs_in_channel(row).map(|difference| (DIVERGED, difference)),
            };
            if let Some((name, problem)) = found {
                op.found = true;
                tally.violated(name, || format!("{}; {problem}", op.told()));
            }
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
            Some(row) if !op.is_entry(row) => {
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
    fn is_transfer(&self) -> bool {
        matches!(self.kind.as_str(), "transfer" | "outbound")
    }

    /// Holds it against core's transfer, and takes the serial from there where the answer had none (a transfer's need not have one).
    fn judge(&mut self, row: Option<&CoreTransferRow>, tally: &mut Tally) {
        self.found = true;
        match row {
            None => tally.violated(LOST, || format!("{}; core has no such transfer", self.told())),
            Some(row) if row.state != "completed" => tally.violated(LOST, || {
                let reason = row.reason.as_deref().unwrap_or("no reason");
                format!("{}; core's transfer is {} ({reason})", self.told(), row.state)
            }),
            Some(row) => match self.differs_from(row) {
                Some(difference) => tally.violated(DIVERGED, || format!("{}; {difference}", self.told())),
                None => {
                    self.found = false;
                    self.seq = self.seq.or(row.seq);
                    self.balance_after = self.balance_after.or(row.balance_after);
                }
            },
        }
    }

    /// Whether this is the entry of what was answered: a deposit's credit, a transfer's debit.
    fn is_entry(&self, row: &CoreEntryRow) -> bool {
        let (amount, kind) = match self.kind.as_str() {
            "transfer" => (self.amount.checked_neg(), "transfer_out"),
            "outbound" => (self.amount.checked_neg(), "outbound"),
            other => (Some(self.amount), other),
        };
        (Some(row.amount), row.balance_after, row.kind.as_str()) == (amount, self.balance_after, kind)
    }

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
        // A channel's answer names no balance, and need not name a serial.
        let answered = |mine: Option<i64>, core: Option<i64>| if self.is_transfer() { mine.or(core) } else { mine };
        let numbers = [
            ("account", row.account, Some(self.account)),
            ("amount", row.amount, Some(self.amount)),
            ("seq", row.seq, answered(self.seq, row.seq)),
            ("balance_after", row.balance_after, answered(self.balance_after, row.balance_after)),
        ];
        if let Some((field, core, _)) = numbers.into_iter().find(|(_, core, answered)| core != answered) {
            return Some(format!("core's transfer has {field} {}", shown(core)));
        }
        if self.is_transfer() && self.to != [row.party_bank.clone(), row.party_account.clone()] {
            let [bank, account] = [&row.party_bank, &row.party_account].map(|word| word.as_deref().unwrap_or("none"));
            return Some(format!("core's transfer goes to bank {bank}, account {account}"));
        }
        if row.kind != self.kind {
            return Some(format!("core's transfer has kind {}, the operation {}", row.kind, self.kind));
        }
        if row.params_hash != self.params_hash {
            return Some("core's transfer has another params_hash".to_owned());
        }
        answered(self.seq, row.seq).is_none().then(|| "neither the answer nor core's transfer has a serial".to_owned())
    }
}

impl Acked {
    /// The first field in which the channel's transfer is not what was sent and answered.
    fn differs_in_channel(&self, row: &ChannelTransferRow) -> Option<String> {
        let numbers = [
            ("user", Some(row.user), self.user),
            ("account", Some(row.account), Some(self.account)),
            ("amount", Some(row.amount), Some(self.amount)),
            ("seq", row.seq, self.seq),
        ];
        if let Some((field, channel, _)) = numbers.into_iter().find(|(_, channel, sent)| channel != sent) {
            return Some(format!("the channel's transfer has {field} {}", shown(channel)));
        }
        if self.to != [Some(row.to_bank.clone()), Some(row.to_account.clone())] {
            return Some(format!("the channel's transfer goes to bank {}, account {}", row.to_bank, row.to_account));
        }
        (row.params_hash != self.params_hash).then(|| "the channel's transfer has another params_hash".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use crate::bank::{Bank, PAYER, POSTED, assert_only};

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
        assert_only(&bank, &[("O2", "divergence: op 3 "), ("O7", "op 3 was answered ok, and core has it with other")]);
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

    #[test]
    fn a_transfers_answer_is_held_against_its_debit_in_core_and_its_row_in_the_channel() {
        let mut bank = Bank::good();
        bank.operation(POSTED).to_account = Some("another".to_owned());
        assert_only(&bank, &[("O2", "core's transfer goes to bank 088, account 77-1")]);

        let mut bank = Bank::good();
        let id = bank.core_entry(PAYER, 4).transfer;
        bank.channel_transfer(id).user = 8;
        assert_only(&bank, &[("O2", "the channel's transfer has user 8")]);

        let mut bank = Bank::good();
        bank.source.channel_transfers.retain(|row| row.transfer != id);
        bank.assert_fires("O2", "the channel has no such transfer");

        // The serial was answered wrong; without one there is nothing to hold against it.
        let mut bank = Bank::good();
        bank.operation(id).seq = Some(5);
        assert_only(&bank, &[("O2", "core's transfer has seq 4")]);
        bank.operation(id).seq = None;
        bank.assert_all_hold();
    }

    #[test]
    fn a_second_click_is_answered_as_the_first() {
        let mut bank = Bank::good();
        let id = bank.core_entry(PAYER, 4).transfer;
        let mut second = bank.operation(id).clone();
        second.op = 100;
        bank.source.operations.push(second);
        bank.assert_all_hold();
        // The same operation twice is a broken file.
        bank.source.operations.push(bank.source.operations[0].clone());
        assert_eq!(bank.result("O2").verdict, bankstorm_record::run_json::GuaranteeVerdict::Unknown);
    }
}
