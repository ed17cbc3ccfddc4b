//! T1 publish: every entry posted after the bulk load is on the topic, and nothing else is.
//!
//! In: loaded serials, core's entries, the topic, unsent outbox rows (for the witness only). Out: `lost-publish`, `phantom-publish`.
//! Elsewhere: the order of records (`order`).
//!
//! Doubled records are fine: the relay publishes at least once. An unsent outbox row is fine only when its record is on the topic. Memory:
//! 64 bytes a record, since the topic is sorted by partition and core by account.

use bankstorm_record::rows::{CoreEntryRow, TopicRow};
use bankstorm_record::source::{ReadError, Source};

use crate::check::{Check, Context, Tally, shown, uuid};
use crate::ordered::{core_accounts, core_entries, is_customer, lowest};

/// T1.
pub struct Publish;

impl Check for Publish {
    fn id(&self) -> &'static str {
        "T1"
    }

    fn name(&self) -> &'static str {
        "publish"
    }

    fn explains(&self) -> &'static str {
        "Every customer entry posted after the bulk load is on the topic at least once (lost-publish), and every record there is a \
         committed entry, field by field (phantom-publish)."
    }

    fn fold(&self, source: &dyn Source, context: &Context, tally: &mut Tally) -> Result<(), ReadError> {
        let mut unpublished = 0_u64;
        let records = records(source, tally)?;
        let mut rest = records.as_slice();
        let mut accounts = core_accounts(source);
        let mut core = core_entries(source);
        let mut group: Vec<CoreEntryRow> = Vec::new();
        while let Some(account) =
            lowest([accounts.account()?, core.account()?, rest.first().map(|record| record.account)])
        {
            let loaded_seq = accounts.last_of(account)?.0.map_or(0, |row| row.loaded_seq);
            while core.account()? == Some(account) {
                let key = core.key()?;
                group.clear();
                while let Some(row) = core.take_if(|found| Some(found) == key)? {
                    group.push(row);
                }
                let Some(seq) = group[0].seq.filter(|_| is_customer(account)) else { continue };
                phantoms(split(&mut rest, account, Some(seq - 1)), tally);
                let here = split(&mut rest, account, Some(seq));
                phantoms_at(&group, here, tally);
                if seq <= loaded_seq {
                    continue;
                }
                if context.incomplete {
                    unpublished += missing(&group, here).count() as u64;
                } else {
                    lost(&group, here, source, tally)?;
                }
            }
            phantoms(split(&mut rest, account, None), tally);
        }
        // What is on the topic must be booked at any time; what is not there yet can only be held against a run that came to rest.
        if unpublished > 0 && tally.violations() == 0 {
            let problem = format!("the run was cut short before {unpublished} entries were published");
            return Err(ReadError { file: "topic".to_owned(), problem });
        }
        Ok(())
    }
}

/// The part of a topic row that is compared, sorted by account and serial.
struct Record {
    account: i64,
    seq: i64,
    partition: i32,
    offset: i64,
    transfer: u128,
    amount: i64,
    balance_after: i64,
}

fn records(source: &dyn Source, tally: &mut Tally) -> Result<Vec<Record>, ReadError> {
    let mut records = Vec::new();
    for row in source.topic() {
        let row: TopicRow = row?;
        tally.look();
        records.push(Record {
            account: row.account,
            seq: row.seq,
            partition: row.partition,
            offset: row.record_offset,
            transfer: row.transfer,
            amount: row.amount,
            balance_after: row.balance_after,
        });
    }
    records.sort_unstable_by_key(|record| (record.account, record.seq, record.partition, record.offset));
    Ok(records)
}

/// Takes the account's records up to serial `up_to` (all when absent) off the front.
fn split<'a>(rest: &mut &'a [Record], account: i64, up_to: Option<i64>) -> &'a [Record] {
    let is_wanted = |record: &&Record| record.account == account && up_to.is_none_or(|up_to| record.seq <= up_to);
    let (taken, after) = rest.split_at(rest.iter().take_while(is_wanted).count());
    *rest = after;
    taken
}

fn phantoms(records: &[Record], tally: &mut Tally) {
    for record in records {
        tally.violated("phantom-publish", || format!("{}; core has no such entry", record.told()));
    }
}

/// `group` is core's entry at a serial (several where core itself is wrong), `here` are the records of that serial.
fn phantoms_at(group: &[CoreEntryRow], here: &[Record], tally: &mut Tally) {
    for record in here {
        if !group.iter().any(|entry| record.is(entry)) {
            tally.violated("phantom-publish", || {
                let entry = &group[0];
                format!(
                    "{}; core's entry there is transfer {}, {} won, balance {}",
                    record.told(),
                    uuid(entry.transfer),
                    entry.amount,
                    shown(entry.balance_after)
                )
            });
        }
    }
}

/// Core's entries at a serial that no record carries.
fn missing<'a>(group: &'a [CoreEntryRow], here: &'a [Record]) -> impl Iterator<Item = &'a CoreEntryRow> {
    group.iter().filter(|entry| !here.iter().any(|record| record.is(entry)))
}

fn lost(group: &[CoreEntryRow], here: &[Record], source: &dyn Source, tally: &mut Tally) -> Result<(), ReadError> {
    group.iter().for_each(|_| tally.look());
    for entry in missing(group, here) {
        let waits = if tally.violations() == 0 { still_in_outbox(entry, source)? } else { "" };
        tally.violated("lost-publish", || {
            format!(
                "account {} seq {} (transfer {}, {} won) is not on the topic{waits}",
                entry.account,
                shown(entry.seq),
                uuid(entry.transfer),
                entry.amount
            )
        });
    }
    Ok(())
}

/// Whether the outbox still holds it: a pass of its own, for the first finding only.
fn still_in_outbox(entry: &CoreEntryRow, source: &dyn Source) -> Result<&'static str, ReadError> {
    for row in source.core_outbox() {
        let row = row?;
        if (row.account, Some(row.seq), row.transfer) == (entry.account, entry.seq, entry.transfer) {
            return Ok("; its outbox row is still unsent");
        }
    }
    Ok("; the outbox does not hold it either")
}

impl Record {
    fn is(&self, entry: &CoreEntryRow) -> bool {
        (self.transfer, self.amount, Some(self.balance_after)) == (entry.transfer, entry.amount, entry.balance_after)
    }

    fn told(&self) -> String {
        format!(
            "partition {} offset {}: account {} seq {}, transfer {}, {} won, balance {}",
            self.partition,
            self.offset,
            self.account,
            self.seq,
            uuid(self.transfer),
            self.amount,
            self.balance_after
        )
    }
}

#[cfg(test)]
mod tests {
    use bankstorm_record::rows::CoreOutboxRow;

    use crate::bank::{Bank, assert_only};

    #[test]
    fn an_entry_that_was_never_published() {
        let mut bank = Bank::good();
        bank.source.topic.retain(|row| (row.account, row.seq) != (1_000_001, 5));
        assert_only(&bank, &[("T1", "the outbox does not hold it either")]);
        let transfer = bank.core_entry(1_000_001, 5).transfer;
        bank.source.core_outbox.push(CoreOutboxRow { account: 1_000_001, seq: 5, transfer });
        assert_only(&bank, &[("T1", "lost-publish: account 1000001 seq 5 (")]);
        assert!(bank.result("T1").first.expect("witness").ends_with("its outbox row is still unsent"));
    }

    #[test]
    fn loaded_entries_need_no_record_and_published_ones_no_empty_outbox() {
        let mut bank = Bank::good();
        let transfer = bank.core_entry(1_000_001, 5).transfer;
        bank.source.core_outbox.push(CoreOutboxRow { account: 1_000_001, seq: 5, transfer });
        bank.assert_all_hold();
    }

    #[test]
    fn a_record_of_an_entry_that_core_lost_or_never_had() {
        let mut bank = Bank::good();
        let last = bank.source.topic.last_mut().expect("a record");
        last.seq = 77;
        let found = bank.result("T1");
        assert_eq!(found.violations, 2, "the phantom, and the entry that it should have been");
        bank.assert_fires("T1", "publish: ");
    }

    #[test]
    fn a_record_with_another_amount() {
        let mut bank = Bank::good();
        bank.source.topic[0].amount += 1;
        bank.assert_fires("T1", "phantom-publish: partition 0 offset 0");
        bank.assert_holds(&["T2", "S1", "O2"]);
    }

    #[test]
    fn a_record_that_was_published_twice_is_fine() {
        let mut bank = Bank::good();
        let mut again = bank.source.topic.last().expect("a record").clone();
        again.record_offset += 1;
        bank.source.topic.push(again);
        bank.assert_all_hold();
    }
}
