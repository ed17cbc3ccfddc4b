//! T3 offset safe: the group never commits an offset past a record that is not done with (D16).
//!
//! In: the group's commits, the topic, and when each record was done with (`applied`). Out: `commit-ahead`. Elsewhere: dead letters themselves
//! (`dead_letters`), who may apply what (`ownership`).
//!
//! Of several commits that pass a record the first is judged: with it, so are all. Moments are compared as wall time, with a millisecond between
//! clocks of one host; brokers stamp in whole milliseconds.

use bankstorm_record::source::{ReadError, Source};

use crate::applied::{Applied, Parked, passed, records};
use crate::check::{Check, Context, Tally};

/// T3.
pub struct OffsetSafe;

/// Between the clocks of two processes of one host, and what a broker's stamp leaves off.
pub(crate) const TOLERANCE_US: i64 = 1_000;

/// Records that commits passed.
const PASSED: &str = "passed_judged";
/// Records whose advance nobody can say the moment of.
const UNKNOWN: &str = "passed_without_moment";

impl Check for OffsetSafe {
    fn id(&self) -> &'static str {
        "T3"
    }

    fn name(&self) -> &'static str {
        "offset_safe"
    }

    fn explains(&self) -> &'static str {
        "When the group commits an offset, the entry of every record below it is in the copy, or the record has been put aside (commit-ahead). \
         How many records commits passed is counted (passed_judged), and of how many nobody knows the moment (passed_without_moment)."
    }

    fn applies(&self, context: &Context) -> bool {
        context.following.is_some_and(|following| following.origin_wall_us.is_some() && following.has_one_group())
    }

    fn needs_rest(&self) -> bool {
        true
    }

    fn fold(&self, source: &dyn Source, context: &Context, tally: &mut Tally) -> Result<(), ReadError> {
        let records = records(source, context)?;
        records.iter().for_each(|_| tally.look());
        let parked = Parked::read(source, context)?;
        let (mut judged, mut unknown) = (0, 0);
        let commits = passed(source, &records, |record, commit| {
            let until_us = commit.at_us.saturating_add(TOLERANCE_US);
            let told = match record.applied {
                Applied::Unknown => {
                    unknown += 1;
                    return;
                }
                Applied::Before => None,
                Applied::At(at_us) => (at_us > until_us).then(|| format!("in the copy at {at_us} us")),
                Applied::Never => Some("never in the copy".to_owned()),
            };
            judged += 1;
            if let Some(told) = told
                && parked.at(record).is_none_or(|parked_us| parked_us > until_us)
            {
                tally.violated("commit-ahead", || {
                    let aside = parked
                        .at(record)
                        .map_or("and never put aside".to_owned(), |at| format!("put aside at {at} us"));
                    let (offset, at_us) = (commit.committed_offset, commit.at_us);
                    format!("{}: passed by offset {offset} committed at {at_us} us, {told}, {aside}", record.told())
                });
            }
        })?;
        tally.count(PASSED, judged);
        tally.count(UNKNOWN, unknown);
        Tally::needs(
            commits + u64::from(records.is_empty()),
            "group_commit",
            "records, of which a group commits offsets",
        )
    }
}

#[cfg(test)]
mod tests {
    use bankstorm_record::run_json::GuaranteeVerdict;

    use crate::bank::{Bank, DECLARED, FOLLOWED, assert_only};
    use crate::check::{Check, Context, Leap};
    use crate::following::Following;

    fn verdict(bank: &Bank, context: Context) -> (GuaranteeVerdict, String) {
        let found = super::OffsetSafe.run(&bank.source, &context);
        (found.verdict, found.first.unwrap_or_default())
    }

    #[test]
    fn d16_an_offset_committed_before_its_record_was_applied() {
        let mut bank = Bank::good();
        let at_us = bank.group_commit(0).at_us;
        // Seq 5 at offset 1, stamped 2 ms before the commit.
        bank.group_commit(0).at_us = at_us - 3_001;
        assert_only(
            &bank,
            &[("T3", "commit-ahead: partition 2 offset 1 (account 1000202 seq 5): passed by offset 2 committed at ")],
        );
        bank.assert_fires("T3", "and never put aside");
        bank.group_commit(0).at_us = at_us - 3_000;
        bank.assert_all_hold();
    }

    #[test]
    fn a_later_commit_of_the_same_offset_excuses_nothing() {
        let mut bank = Bank::good();
        let mut early = bank.group_commit(0).clone();
        early.at_us -= 50_000;
        bank.source.group_commits.insert(0, early);
        assert_eq!(verdict(&bank, DECLARED).0, GuaranteeVerdict::Violated);
        assert_eq!(bank.result("T3").violations, 2, "both records that it passed");
    }

    #[test]
    fn put_aside_in_time_is_done_with() {
        let mut bank = Bank::good();
        let at_us = bank.group_commit(1).at_us;
        bank.source.dead_letters[0].parked_us = at_us + 1_001;
        assert_only(&bank, &[("T3", "partition 2 offset 3 (account 1000202 seq 7): passed by offset 4")]);
        bank.source.dead_letters[0].parked_us = at_us + 1_000;
        bank.assert_all_hold();
    }

    #[test]
    fn a_record_that_another_path_overtook_is_done_with() {
        let mut bank = Bank::good();
        // Its own letter gone, seq 7 was in the copy with seq 8 before the next commit, and not before this one.
        bank.source.dead_letters.remove(0);
        bank.source.dead_letter_topic.remove(0);
        bank.assert_fires("T3", "partition 2 offset 3 (account 1000202 seq 7): passed by offset 4");
        let overtaken = bank.group_commit(2).at_us;
        bank.group_commit(1).at_us = overtaken;
        assert_eq!(verdict(&bank, DECLARED).0, GuaranteeVerdict::Holds);
    }

    #[test]
    fn a_stamp_that_died_leaves_the_commit_or_nothing() {
        let mut bank = Bank::good();
        bank.source.visible.retain(|stamp| stamp.to_seq != 5);
        assert_eq!(verdict(&bank, DECLARED).0, GuaranteeVerdict::Holds);
        assert_eq!(bank.result("T3").figures["passed_without_moment"], 1);
        let following = Following { commits_are_moments: true, ..DECLARED.following.expect("declared") };
        let context = Context { following: Some(following), ..DECLARED };
        for to_seq in [6, 8, 9, 10] {
            bank.journal_line(FOLLOWED, to_seq).commit = None;
        }
        let late = bank.group_commit(0).at_us + 1_001;
        bank.journal_line(FOLLOWED, 5).commit = Some(late);
        assert!(verdict(&bank, context.clone()).1.contains("offset 1 (account 1000202 seq 5)"));
        bank.journal_line(FOLLOWED, 5).commit = Some(late - 1);
        assert_eq!(verdict(&bank, context.clone()).0, GuaranteeVerdict::Holds);
        // A database's clock that was set says nothing.
        bank.journal_line(FOLLOWED, 5).commit = Some(late);
        let leaps = vec![Leap { at_ns: 0, by_ns: 1 }];
        assert_eq!(verdict(&bank, Context { leaps, ..context }).0, GuaranteeVerdict::Holds);
    }

    #[test]
    fn r08_a_writer_that_was_paused_before_its_stamp_makes_no_commit_early_unless_it_read_the_record() {
        let following = Following { commits_are_moments: true, ..DECLARED.following.expect("declared") };
        let context = Context { following: Some(following), ..DECLARED };
        let mut bank = Bank::good();
        // Seq 5 at offset 1, which the group passes with its first commit; stamped two seconds later, and so is all above it.
        let passed = bank.group_commit(0).at_us;
        for stamp in bank.source.visible.iter_mut().filter(|stamp| stamp.account == FOLLOWED && stamp.to_seq >= 5) {
            stamp.at_ns += 2_000_000_000;
        }
        for (to_seq, commit) in [(4, -2), (5, -1), (6, 1), (8, 15_000), (9, 90_000), (10, 190_000)] {
            let line = bank.journal_line(FOLLOWED, to_seq);
            (line.commit, line.source) = (Some(passed + commit), "answer".to_owned());
        }
        bank.source.dead_letters[1].parked_us = passed;
        assert_eq!(verdict(&bank, context.clone()), (GuaranteeVerdict::Holds, String::new()));
        let mut late = bank.clone();
        late.journal_line(FOLLOWED, 5).commit = Some(passed + 1_001);
        for (to_seq, commit) in [(6, 1_002), (8, 15_000)] {
            late.journal_line(FOLLOWED, to_seq).commit = Some(passed + commit);
        }
        let (found, first) = verdict(&late, context.clone());
        assert_eq!(found, GuaranteeVerdict::Violated);
        assert!(first.contains("offset 1 (account 1000202 seq 5)"), "{first}");
        for line in bank.source.apply_journal.iter_mut().filter(|line| line.account == FOLLOWED) {
            line.source = "event".to_owned();
        }
        assert_eq!(
            verdict(&bank, context).0,
            GuaranteeVerdict::Violated,
            "whoever reads the record commits after its stamp"
        );
    }

    #[test]
    fn by_a_clock_that_was_set_only_that_it_was_put_aside_is_known() {
        let mut bank = Bank::good();
        bank.source.dead_letters[0].parked_us += 3_600_000_000;
        assert_eq!(verdict(&bank, DECLARED).0, GuaranteeVerdict::Violated);
        let context = Context { leaps: vec![Leap { at_ns: 0, by_ns: 1 }], ..DECLARED };
        assert_eq!(verdict(&bank, context).0, GuaranteeVerdict::Holds);
    }

    #[test]
    fn what_a_model_knows_counts_before_any_stamp() {
        let mut bank = Bank::good();
        let at_us = bank.group_commit(0).at_us;
        bank.journal_line(FOLLOWED, 5).committed_us = Some(at_us + 1_001);
        bank.assert_fires("T3", "offset 1 (account 1000202 seq 5)");
        bank.journal_line(FOLLOWED, 5).committed_us = Some(at_us);
        bank.source.visible.iter_mut().filter(|stamp| stamp.to_seq == 5).for_each(|stamp| stamp.at_ns += 1_000_000_000);
        bank.sort_stamps();
        assert_eq!(verdict(&bank, DECLARED).0, GuaranteeVerdict::Holds, "a process paused before it could stamp");
    }

    #[test]
    fn a_record_that_no_commit_passed_may_wait_and_without_commits_nobody_can_tell() {
        let mut bank = Bank::good();
        bank.source.group_commits.truncate(1);
        assert_eq!(verdict(&bank, DECLARED).0, GuaranteeVerdict::Holds);
        bank.source.group_commits.clear();
        assert_eq!(verdict(&bank, DECLARED).0, GuaranteeVerdict::Unknown);
    }
}
