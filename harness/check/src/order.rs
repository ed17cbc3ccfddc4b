//! T2 order: an account's records stand on one partition, and their first occurrences in the order of serials.
//!
//! In: the topic, in the order in which the log gave it. Out: `send-inversion`. Elsewhere: whether every entry is there (`publish`).
//!
//! A record again (the relay publishes at least once) is no first occurrence. The order judged is the file's, since that is how the log
//! was read; should the offsets fall while no inversion shows, the file is broken and nothing is known. Memory: a few words an account.

use std::collections::BTreeMap;

use bankstorm_record::rows::TopicRow;
use bankstorm_record::source::{ReadError, Source};

use crate::check::{Check, Context, Tally, shown};

/// T2.
pub struct Order;

const VIOLATION: &str = "send-inversion";

impl Check for Order {
    fn id(&self) -> &'static str {
        "T2"
    }

    fn name(&self) -> &'static str {
        "order"
    }

    fn explains(&self) -> &'static str {
        "All records of an account are on one partition under its own key, and the first occurrences of its serials rise \
         (send-inversion)."
    }

    fn applies(&self, context: &Context) -> bool {
        !context.topic_grew
    }

    fn fold(&self, source: &dyn Source, _context: &Context, tally: &mut Tally) -> Result<(), ReadError> {
        let mut accounts: BTreeMap<i64, Sent> = BTreeMap::new();
        let mut disorder = None;
        let mut before: Option<(i32, i64)> = None;
        for (row, number) in source.topic().zip(1_u64..) {
            let row = row?;
            tally.look();
            let place = (row.partition, row.record_offset);
            if let Some(before) = before.filter(|before| place <= *before && disorder.is_none()) {
                let problem = format!("row {number} is out of order: partition and offset {place:?} after {before:?}");
                disorder = Some(ReadError { file: "topic".to_owned(), problem });
            }
            before = Some(place);
            judge(&row, &mut accounts, tally);
        }
        match disorder {
            Some(disorder) if tally.violations() == 0 => Err(disorder),
            _ => Ok(()),
        }
    }
}

/// What was sent of one account so far.
struct Sent {
    partition: i32,
    /// The highest serial, and its offset.
    highest: (i64, i64),
    /// Serials seen, as ranges: one, unless serials were skipped.
    seen: Vec<(i64, i64)>,
}

fn judge(row: &TopicRow, accounts: &mut BTreeMap<i64, Sent>, tally: &mut Tally) {
    let place = || format!("account {}, partition {} offset {}", row.account, row.partition, row.record_offset);
    if row.key_account != Some(row.account) {
        tally.violated(VIOLATION, || format!("{}: seq {} has the key {}", place(), row.seq, shown(row.key_account)));
    }
    let sent = accounts.entry(row.account).or_insert_with(|| Sent {
        partition: row.partition,
        highest: (row.seq, row.record_offset),
        seen: Vec::with_capacity(1),
    });
    if sent.partition != row.partition {
        tally.violated(VIOLATION, || {
            format!("{}: seq {}, after seq {} on partition {}", place(), row.seq, sent.highest.0, sent.partition)
        });
        sent.partition = row.partition;
    }
    if !sent.is_first(row.seq) {
        return;
    }
    let (highest, offset) = sent.highest;
    if row.seq < highest {
        tally.violated(VIOLATION, || {
            format!("{}: seq {} first appears after seq {highest} at offset {offset}", place(), row.seq)
        });
    } else {
        sent.highest = (row.seq, row.record_offset);
    }
}

impl Sent {
    /// Whether the serial was not seen before; it is from now on.
    fn is_first(&mut self, seq: i64) -> bool {
        if self.seen.iter().any(|(low, high)| (*low..=*high).contains(&seq)) {
            return false;
        }
        match self.seen.iter_mut().find(|(_, high)| high.checked_add(1) == Some(seq)) {
            Some(range) => range.1 = seq,
            None => self.seen.push((seq, seq)),
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use bankstorm_record::run_json::GuaranteeVerdict;

    use crate::bank::{Bank, assert_only};

    #[test]
    fn two_records_of_an_account_swapped_in_place() {
        let mut bank = Bank::good();
        bank.swap_records(1_000_001, 4, 5);
        assert_only(&bank, &[("T2", "seq 4 first appears after seq 5 at offset ")]);
    }

    #[test]
    fn two_rows_swapped_with_their_offsets() {
        let mut bank = Bank::good();
        let [a, b] = [4, 5].map(|seq| bank.record_at(1_000_001, seq));
        bank.source.topic.swap(a, b);
        assert_only(&bank, &[("T2", "seq 4 first appears after seq 5 at offset ")]);
    }

    #[test]
    fn records_of_two_accounts_out_of_order_are_unknown_not_holds() {
        let mut bank = Bank::good();
        let a = bank.record_at(1_000_000, 5);
        let b = bank.record_at(1_000_002, 4);
        assert_eq!(a.abs_diff(b), 1, "neighbours of different accounts");
        bank.source.topic.swap(a, b);
        let found = bank.result("T2");
        assert_eq!(found.verdict, GuaranteeVerdict::Unknown);
        assert!(found.first.expect("a reason").starts_with("topic: row "));
    }

    #[test]
    fn an_account_on_two_partitions_and_a_foreign_key() {
        let mut bank = Bank::good();
        let index = bank.record_at(1_000_000, 5);
        let mut moved = bank.source.topic.remove(index);
        (moved.partition, moved.record_offset) = (9, 0);
        bank.source.topic.push(moved);
        assert_only(
            &bank,
            &[("T2", "send-inversion: account 1000000, partition 9 offset 0: seq 5, after seq 4 on partition 0")],
        );
        let mut bank = Bank::good();
        bank.source.topic[0].key_account = None;
        assert_only(&bank, &[("T2", "has the key none")]);
    }

    #[test]
    fn a_retry_that_repeats_older_records_is_no_inversion() {
        let mut bank = Bank::good();
        let again: Vec<_> =
            bank.source.topic.iter().filter(|row| row.account == 1_000_001).cloned().map(|row| (row, 100)).collect();
        for (mut row, offset) in again {
            row.record_offset += offset;
            bank.source.topic.push(row);
        }
        bank.source.topic.sort_by_key(|row| (row.partition, row.record_offset));
        bank.assert_all_hold();
    }
}
