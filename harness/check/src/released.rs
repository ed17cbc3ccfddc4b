//! O8 released: a transfer is told as completed only with its row (A6).
//!
//! In: the channel's transfers, its entries, the apply journal. Out: `released-early`. Elsewhere: whether the row is right (`no_garbage`),
//! transfers that are never settled (`resolved`), rows that are there before their transfer is settled (`scroll`).
//!
//! Settling and storing in one transaction is one id. Of two transactions the commits are compared, since ids only tell who wrote first: the
//! settling one must not be the earlier. Memory: 72 bytes a completed transfer, 40 bytes a journal line of one account.

use bankstorm_record::rows::{ApplyJournalRow, ChannelEntryRow};
use bankstorm_record::source::{ReadError, Source};

use crate::check::{Check, Context, Tally, shown, uuid};
use crate::ordered::{AccountKey, Ordered, apply_journal, channel_entries, channel_transfers};

/// O8.
pub struct Released;

/// Completed transfers that were judged: with none it holds without a case.
const COMPLETED: &str = "completed_judged";

/// A transfer that is completed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Completed {
    account: i64,
    seq: Option<i64>,
    transfer: u128,
    settled: Transaction,
}

/// A transaction of the channel's database.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Transaction {
    id: i64,
    /// Its place among all commits, where the database keeps it.
    commit: Option<i64>,
}

/// What an advance stored: from (exclusive), to, in which transaction.
type Line = (i64, i64, Transaction);

impl Check for Released {
    fn id(&self) -> &'static str {
        "O8"
    }

    fn name(&self) -> &'static str {
        "released"
    }

    fn explains(&self) -> &'static str {
        "The transaction that completed a transfer in the channel is not before the one that stored its row in the copy \
         (released-early); completed_judged tells of how many."
    }

    fn applies(&self, context: &Context) -> bool {
        context.transfers
    }

    fn fold(&self, source: &dyn Source, _context: &Context, tally: &mut Tally) -> Result<(), ReadError> {
        let completed = completed(source, tally)?;
        let mut journal = apply_journal(source);
        let mut copy = channel_entries(source);
        for of_account in completed.chunk_by(|a, b| a.account == b.account) {
            let account = of_account[0].account;
            let lines = lines_of(account, &mut journal)?;
            while copy.take_if(|key| key.0 < account)?.is_some() {}
            for transfer in of_account {
                let row = row_at(transfer, &mut copy)?;
                if let Some(problem) = problem(transfer, row.as_ref(), &lines)? {
                    tally.violated("released-early", || {
                        format!(
                            "transfer {} (account {account} seq {}): {problem}",
                            uuid(transfer.transfer),
                            shown(transfer.seq)
                        )
                    });
                }
            }
        }
        journal.drain()?;
        copy.drain()
    }
}

fn completed(source: &dyn Source, tally: &mut Tally) -> Result<Vec<Completed>, ReadError> {
    let mut completed = Vec::new();
    let mut transfers = channel_transfers(source);
    while let Some(row) = transfers.take()? {
        tally.look();
        if row.stage != "completed" {
            continue;
        }
        let id = row.settled_txid.ok_or_else(|| {
            let problem = format!("transfer {} is completed, by nobody knows which transaction", uuid(row.transfer));
            ReadError { file: "channel_transfer".to_owned(), problem }
        })?;
        let settled = Transaction { id, commit: row.settled_commit };
        completed.push(Completed { account: row.account, seq: row.seq, transfer: row.transfer, settled });
    }
    Tally::needs(tally.examined(), "channel_transfer", "transfers")?;
    tally.count(COMPLETED, completed.len() as u64);
    completed.sort_unstable();
    Ok(completed)
}

fn lines_of(account: i64, journal: &mut Ordered<'_, ApplyJournalRow, AccountKey>) -> Result<Vec<Line>, ReadError> {
    while journal.take_if(|key| key.0 < account)?.is_some() {}
    let mut lines = Vec::new();
    while let Some(line) = journal.take_of(account)? {
        lines.push((line.from_seq, line.to_seq, Transaction { id: line.txid, commit: line.commit }));
    }
    Ok(lines)
}

/// The row of a transfer at its serial, if it is there; serials are asked for in rising order.
fn row_at(
    transfer: &Completed,
    copy: &mut Ordered<'_, ChannelEntryRow, AccountKey>,
) -> Result<Option<ChannelEntryRow>, ReadError> {
    let key = (transfer.account, transfer.seq.unwrap_or(i64::MIN));
    while copy.take_if(|found| found < key)?.is_some() {}
    while let Some(row) = copy.take_if(|found| found == key)? {
        if row.transfer == transfer.transfer {
            return Ok(Some(row));
        }
    }
    Ok(None)
}

fn problem(transfer: &Completed, row: Option<&ChannelEntryRow>, lines: &[Line]) -> Result<Option<String>, ReadError> {
    let settled = transfer.settled;
    let Some(seq) = transfer.seq.filter(|_| row.is_some()) else {
        return Ok(Some(format!("completed by transaction {}, and its row is not in the copy", settled.id)));
    };
    // The journal rises unless S4 says otherwise; then a look at every line is worth it.
    let guess = lines.partition_point(|line| line.1 < seq);
    let covers = |line: &&Line| line.0 < seq && seq <= line.1;
    let Some(line) = lines.get(guess).filter(covers).or_else(|| lines.iter().find(covers)) else {
        return Ok(Some(format!("completed by transaction {}, and no advance stored its row", settled.id)));
    };
    let stored = line.2;
    if settled == stored {
        return Ok(None);
    }
    match (settled.commit, stored.commit) {
        // Two transactions have two places.
        (Some(first), Some(second)) if settled.id != stored.id && first != second => Ok((first < second).then(|| {
            format!("completed by transaction {}, its row was stored by {}, which was later", settled.id, stored.id)
        })),
        _ => {
            let problem = format!("transfer {}: whether it or its row was first is not known", uuid(transfer.transfer));
            Err(ReadError { file: "apply_journal".to_owned(), problem })
        }
    }
}

#[cfg(test)]
mod tests {
    use bankstorm_record::run_json::GuaranteeVerdict;

    use crate::bank::{Bank, PAYER, POSTED, assert_only};

    #[test]
    fn how_many_were_judged_is_told() {
        let judged = |bank: &Bank| bank.result("O8").figures.get("completed_judged").copied();
        assert_eq!(judged(&Bank::good()), Some(3));
        let mut bank = Bank::good();
        bank.source.channel_transfers.retain(|row| row.stage != "completed");
        assert_eq!(judged(&bank), Some(0), "it holds, and without a case");
    }

    #[test]
    fn settled_by_a_transaction_before_the_one_that_stored_the_row() {
        let mut bank = Bank::good();
        let line = bank.journal_line(PAYER, 6);
        let (stored, commit) = (line.txid, line.commit.expect("it is known"));
        // Ids only say who wrote first: the settling one may have the higher.
        for other in [stored - 1, stored + 1] {
            let transfer = bank.channel_transfer(POSTED);
            (transfer.settled_txid, transfer.settled_commit) = (Some(other), Some(commit - 1));
            assert_only(&bank, &[("O8", "released-early: transfer ")]);
            // After it is no early release: the row was there first.
            bank.channel_transfer(POSTED).settled_commit = Some(commit + 1);
            bank.assert_all_hold();
        }
    }

    #[test]
    fn without_the_order_of_commits_nobody_can_tell_of_two_transactions() {
        let mut bank = Bank::good();
        bank.journal_line(PAYER, 6).commit = None;
        bank.channel_transfer(POSTED).settled_commit = None;
        bank.assert_holds(&["O8"]);
        bank.journal_line(PAYER, 6).txid += 1;
        assert_eq!(bank.result("O8").verdict, GuaranteeVerdict::Unknown);
        // Nor can anybody where one transaction has two places, or two have one.
        for (txid, commit) in [(0, 1), (1, 0)] {
            let mut bank = Bank::good();
            let line = bank.journal_line(PAYER, 6);
            (line.txid, line.commit) = (line.txid + txid, line.commit.map(|at| at + commit));
            assert_eq!(bank.result("O8").verdict, GuaranteeVerdict::Unknown);
        }
    }

    #[test]
    fn settled_and_the_row_never_came() {
        let mut bank = Bank::good();
        bank.copy_lags_behind(PAYER);
        bank.assert_fires("O8", "and its row is not in the copy");
        bank.assert_fires("S5", "lost-copy: account 1000100");
    }

    #[test]
    fn a_row_that_no_advance_stored() {
        let mut bank = Bank::good();
        bank.source.apply_journal.retain(|line| (line.account, line.to_seq) != (PAYER, 6));
        bank.assert_fires("O8", "and no advance stored its row");
        bank.assert_fires("S4", "regress: account 1000100");
    }
}
