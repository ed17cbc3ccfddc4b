//! S4 monotone: the copy only moves forward, in its journal and in what readers see.
//!
//! In: loaded serials, the apply journal, the copy's heads, pages read. Out: `regress`. Elsewhere: whether the rows are there
//! (`no_visible_hole`), whether the copy arrives (`converge`).
//!
//! The journal starts where the bulk load ended, each line goes on where the one before stopped, and the head stands where the last one
//! stopped: else the copy was moved back, or moved past the journal. Of two pages, only reads that did not overlap are compared.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use bankstorm_record::rows::{ApplyJournalRow, PageRow};
use bankstorm_record::source::{ReadError, Source};

use crate::check::{Check, Context, Tally};
use crate::ordered::{apply_journal, channel_accounts, core_accounts, lowest, pages};

/// S4.
pub struct Monotone;

const VIOLATION: &str = "regress";

impl Check for Monotone {
    fn id(&self) -> &'static str {
        "S4"
    }

    fn name(&self) -> &'static str {
        "monotone"
    }

    fn explains(&self) -> &'static str {
        "Each line of the apply journal goes on where the one before stopped, and of two reads one after the other the later never \
         shows less (regress)."
    }

    fn fold(&self, source: &dyn Source, _context: &Context, tally: &mut Tally) -> Result<(), ReadError> {
        let mut accounts = core_accounts(source);
        let mut journal = apply_journal(source);
        let mut heads = channel_accounts(source);
        let mut served = pages(source);
        while let Some(account) = lowest([accounts.account()?, journal.account()?, heads.account()?, served.account()?])
        {
            // An account that core does not know was never loaded.
            let loaded_seq = accounts.last_of(account)?.0.map_or(0, |row| row.loaded_seq);
            let mut stands = loaded_seq;
            while let Some(line) = journal.take_of(account)? {
                tally.look();
                judge_line(&line, stands, tally);
                stands = line.to_seq;
            }
            while let Some(head) = heads.take_of(account)? {
                tally.look();
                if head.last_seq != stands {
                    tally.violated(VIOLATION, || {
                        let last = head.last_seq;
                        format!("account {account}: the copy stands at seq {last}, its journal ends at seq {stands}")
                    });
                }
            }
            let mut seen = Seen::default();
            while let Some(page) = served.take_of(account)? {
                if page.outcome == "ok" {
                    tally.look();
                    seen.judge(page, tally);
                }
            }
        }
        Ok(())
    }
}

fn judge_line(line: &ApplyJournalRow, stands: i64, tally: &mut Tally) {
    if line.from_seq == stands && line.to_seq > line.from_seq {
        return;
    }
    tally.violated(VIOLATION, || {
        format!(
            "account {} journal {} ({} by {}, {}): from seq {} to seq {}, where the copy stood at seq {stands}",
            line.account,
            line.journal_id,
            line.source,
            line.instance,
            cause(line),
            line.from_seq,
            line.to_seq
        )
    });
}

fn cause(line: &ApplyJournalRow) -> String {
    match (&line.topic, line.partition, line.record_offset) {
        (Some(topic), Some(partition), Some(offset)) => format!("{topic}-{partition} offset {offset}"),
        _ => "no record".to_owned(),
    }
}

/// What was shown by reads of one account, in the order in which they began.
#[derive(Default)]
struct Seen {
    /// Reads that may overlap the next one: (completed, as of), earliest first.
    running: BinaryHeap<Reverse<(i64, i64)>>,
    /// The highest serial of the reads that were complete, and when that one was.
    highest: Option<(i64, i64)>,
}

impl Seen {
    fn judge(&mut self, page: PageRow, tally: &mut Tally) {
        while let Some(Reverse((completed, as_of))) = self.running.peek().copied()
            && completed <= page.invoked_ns
        {
            self.running.pop();
            if self.highest.is_none_or(|(highest, _)| as_of > highest) {
                self.highest = Some((as_of, completed));
            }
        }
        if let Some((highest, completed)) = self.highest
            && page.as_of_seq < highest
        {
            tally.violated(VIOLATION, || {
                format!(
                    "account {}: a read of {} begun at {} ns shows seq {}, one completed at {completed} ns showed seq {highest}",
                    page.account, page.instance, page.invoked_ns, page.as_of_seq
                )
            });
        }
        self.running.push(Reverse((page.completed_ns, page.as_of_seq)));
    }
}

#[cfg(test)]
mod tests {
    use crate::bank::{Bank, assert_only};

    #[test]
    fn a_line_that_goes_back() {
        let mut bank = Bank::good();
        let line = bank.journal_line(1_000_001, 5);
        (line.from_seq, line.to_seq) = (4, 4);
        bank.assert_fires("S4", "from seq 4 to seq 4, where the copy stood at seq 4");
    }

    #[test]
    fn a_line_that_skips_and_a_line_that_is_missing() {
        let mut bank = Bank::good();
        bank.journal_line(1_000_001, 4).from_seq = 2;
        assert_only(&bank, &[("S4", "from seq 2 to seq 4, where the copy stood at seq 3")]);
        let mut bank = Bank::good();
        bank.source.apply_journal.retain(|line| (line.account, line.to_seq) != (1_000_001, 5));
        assert_only(&bank, &[("S4", "account 1000001: the copy stands at seq 5, its journal ends at seq 4")]);
    }

    #[test]
    fn a_later_read_that_shows_less_and_an_overlapping_one_that_may() {
        let mut bank = Bank::good();
        let pages: Vec<usize> = bank.pages_of(1_000_002);
        let [first, second] = pages[..2] else { panic!("two pages") };
        let older = bank.source.pages[first].clone();
        let newer = bank.source.pages[second].clone();
        assert!(older.as_of_seq < newer.as_of_seq && older.completed_ns <= newer.invoked_ns, "the bank reads in turn");
        // What the two reads saw changes places.
        let keep = |page: &mut bankstorm_record::rows::PageRow, times: &bankstorm_record::rows::PageRow| {
            (page.invoked_ns, page.completed_ns) = (times.invoked_ns, times.completed_ns);
        };
        bank.source.pages[first] = newer.clone();
        keep(&mut bank.source.pages[first], &older);
        bank.source.pages[second] = older.clone();
        keep(&mut bank.source.pages[second], &newer);
        assert_only(&bank, &[("S4", "regress: account 1000002: a read of channel-0")]);
        bank.source.pages[first].completed_ns = newer.invoked_ns + 1;
        bank.assert_all_hold();
    }
}
