//! T5 ownership: who lost a partition applies nothing of it any more (D36).
//!
//! In: the apply journal. Out: `zombie-write`. Elsewhere: whether what it wrote was right (`no_garbage`, `monotone`).
//!
//! Lines are judged in the order of their commits. Where any line of a partition lacks its place among them, the journal's own numbers stand in for
//! all: they are drawn behind the fence as well. Where some name a generation and others do not, those others may be anybody's: nobody can tell.
//! Memory: 32 bytes a line that a record caused.

use bankstorm_record::source::{ReadError, Source};

use crate::check::{Check, Context, Tally};
use crate::ordered::apply_journal;

/// T5.
pub struct Ownership;

/// Lines caused by a record that do not say on whose behalf.
const WITHOUT: &str = "without_generation";
/// Lines that were held against the generations before them.
const JUDGED: &str = "advances_judged";

/// A line that a record caused.
#[derive(Clone, Copy)]
struct Line {
    partition: i32,
    generation: i32,
    commit: Option<i64>,
    journal_id: i64,
    account: i64,
}

impl Check for Ownership {
    fn id(&self) -> &'static str {
        "T5"
    }

    fn name(&self) -> &'static str {
        "ownership"
    }

    fn explains(&self) -> &'static str {
        "Of the advances that one partition's records caused, none is made on behalf of a generation of the group that is older than one before it \
         (zombie-write). Where others name one, those that name none leave it unknown. How many were judged and how many name none is counted \
         (advances_judged, without_generation)."
    }

    fn applies(&self, context: &Context) -> bool {
        context.following.is_some_and(|following| following.has_one_group())
    }

    fn fold(&self, source: &dyn Source, _context: &Context, tally: &mut Tally) -> Result<(), ReadError> {
        let mut without = 0;
        let mut lines: Vec<Line> = Vec::new();
        let mut journal = apply_journal(source);
        while let Some(row) = journal.take()? {
            tally.look();
            let (Some(partition), Some(_)) = (row.partition, row.record_offset) else { continue };
            let Some(generation) = row.generation else {
                without += 1;
                continue;
            };
            let (commit, journal_id, account) = (row.commit, row.journal_id, row.account);
            lines.push(Line { partition, generation, commit, journal_id, account });
        }
        tally.count(WITHOUT, without);
        tally.count(JUDGED, lines.len() as u64);
        lines.sort_unstable_by_key(|line| line.partition);
        for of_partition in lines.chunk_by_mut(|a, b| a.partition == b.partition) {
            let have_places = of_partition.iter().all(|line| line.commit.is_some());
            // Commits of one moment have no order: the older generation may have been first.
            of_partition
                .sort_unstable_by_key(|line| (line.commit.filter(|_| have_places), line.generation, line.journal_id));
            if !have_places {
                of_partition.sort_unstable_by_key(|line| line.journal_id);
            }
            judge(of_partition, tally);
        }
        if without > 0 && !lines.is_empty() && tally.violations() == 0 {
            let (file, judged) = ("apply_journal".to_owned(), lines.len());
            let problem = format!(
                "{without} advances by records name no generation, and {judged} do: whose they were cannot be told"
            );
            return Err(ReadError { file, problem });
        }
        Ok(())
    }
}

fn judge(lines: &[Line], tally: &mut Tally) {
    let mut highest: Option<Line> = None;
    for line in lines {
        match highest {
            Some(before) if line.generation < before.generation => tally.violated("zombie-write", || {
                format!(
                    "partition {}: journal {} (account {}) was written for generation {}, after journal {} for generation {}",
                    line.partition, line.journal_id, line.account, line.generation, before.journal_id, before.generation
                )
            }),
            _ => highest = Some(*line),
        }
    }
}

#[cfg(test)]
mod tests {
    use bankstorm_record::run_json::GuaranteeVerdict;

    use crate::bank::{Bank, FOLLOWED, assert_only};

    #[test]
    fn d36_a_zombie_writes_after_its_successor() {
        let mut bank = Bank::good();
        bank.journal_line(FOLLOWED, 6).generation = Some(0);
        let told = "zombie-write: partition 2: journal ";
        assert_only(&bank, &[("T5", told)]);
        bank.assert_fires("T5", "was written for generation 0, after journal ");
        // Before its successor it was nobody's zombie.
        bank.journal_line(FOLLOWED, 6).commit = Some(0);
        bank.assert_all_hold();
    }

    #[test]
    fn another_partition_has_another_owner() {
        let mut bank = Bank::good();
        for line in bank.source.apply_journal.iter_mut().filter(|line| line.partition == Some(1)) {
            line.generation = Some(7);
        }
        bank.assert_all_hold();
    }

    #[test]
    fn commits_of_one_moment_have_no_order() {
        let mut bank = Bank::good();
        let commit = bank.journal_line(FOLLOWED, 5).commit;
        let line = bank.journal_line(FOLLOWED, 6);
        (line.generation, line.commit) = (Some(0), commit);
        bank.journal_line(FOLLOWED, 4).generation = Some(0);
        bank.assert_all_hold();
    }

    #[test]
    fn without_places_the_journals_numbers_tell_the_order() {
        let mut bank = Bank::good();
        bank.journal_line(FOLLOWED, 4).commit = None;
        let line = bank.journal_line(FOLLOWED, 6);
        (line.generation, line.commit) = (Some(0), Some(0));
        assert_only(&bank, &[("T5", "zombie-write")]);
    }

    #[test]
    fn d36_among_advances_with_generations_one_without_may_be_a_zombies() {
        let mut bank = Bank::good();
        bank.journal_line(FOLLOWED, 6).generation = None;
        let found = bank.result("T5");
        assert_eq!((found.verdict, found.figures["without_generation"]), (GuaranteeVerdict::Unknown, 1));
        assert!(found.first.expect("a reason").contains("1 advances by records name no generation"));
        // A zombie that is seen is one whatever others say.
        let mut seen = bank.clone();
        seen.journal_line(FOLLOWED, 5).generation = Some(0);
        seen.assert_fires("T5", "zombie-write");
        // Where nobody names one, the fence is not told of.
        let mut old = Bank::good();
        old.source.apply_journal.iter_mut().for_each(|line| line.generation = None);
        old.assert_all_hold();
        let line = bank.journal_line(FOLLOWED, 6);
        (line.generation, line.partition, line.record_offset) = (Some(0), None, None);
        bank.assert_all_hold();
    }
}
