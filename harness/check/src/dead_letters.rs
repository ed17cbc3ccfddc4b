//! T4 dead letters: nothing is put aside too early, nothing that is passed over gets lost, and what is driven again moves nothing back (D1-D3, D38).
//!
//! In: the channel's dead letters, their topic, the entries topic, the group's commits, the copy's heads, the apply journal. Out: `dlt-early`,
//! `dlt-lost`, `dlt-regress`. Elsewhere: when records are done with (`applied`), that no offset is committed ahead of any (`offset_safe`), whether
//! the copy arrives (`converge`).
//!
//! The record on the topic comes before the row (R17): a process that dies in between leaves one without the other, which is counted, and the
//! one who takes over writes another. A record that was dropped may be healed by its successor's gap: so what counts is whether it was in the copy or
//! put aside when the group passed it, unless its event was merely late, which is T3's finding.

use bankstorm_contracts::dead_letter::Class;
use bankstorm_record::rows::{DeadLetterRow, DltRow, GroupCommitRow};
use bankstorm_record::source::{ReadError, Source};

use crate::applied::{Applied, Parked, Record, passed, records};
use crate::check::{Check, Context, Tally};
use crate::offset_safe::TOLERANCE_US;
use crate::ordered::{apply_journal, dead_letter_topic, dead_letters, group_commits};

/// T4.
pub struct DeadLetters;

const EARLY: &str = "dlt-early";
const LOST: &str = "dlt-lost";
/// Rows of the channel's table.
const LETTERS: &str = "letters";
/// Records of the dead-letter topic that no row tells of.
const ALONE: &str = "letters_on_the_topic_alone";

/// What the channel may call permanent besides SQLSTATE classes 22 and 23: what no database was asked about.
const PERMANENT: [&str; 2] = ["unknown_account", "unreadable"];

impl Check for DeadLetters {
    fn id(&self) -> &'static str {
        "T4"
    }

    fn name(&self) -> &'static str {
        "dead_letters"
    }

    fn explains(&self) -> &'static str {
        "A record is put aside for a transient cause after all of its attempts only, and at once only for a cause that trying again cannot mend \
         (dlt-early); each one that is has its letter on the topic, and each record that the group's offsets passed is in the copy or was put aside \
         (dlt-lost); driving one again moves no account back (dlt-regress). How many there are is counted (letters, letters_on_the_topic_alone)."
    }

    fn applies(&self, context: &Context) -> bool {
        context.following.is_some_and(|following| following.has_one_group())
    }

    fn needs_rest(&self) -> bool {
        true
    }

    fn fold(&self, source: &dyn Source, context: &Context, tally: &mut Tally) -> Result<(), ReadError> {
        let following = context.following.unwrap_or_default();
        rows_and_letters(source, following.attempts, tally)?;
        let records = records(source, context)?;
        records.iter().for_each(|_| tally.look());
        let parked = Parked::read(source, context)?;
        if following.origin_wall_us.is_some() {
            passed(source, &records, |record, commit| dropped(record, commit, &parked, tally))?;
        }
        at_rest(source, &records, &parked, tally)?;
        redriven(source, tally)
    }
}

/// The channel's rows and the topic's records, merged.
fn rows_and_letters(source: &dyn Source, attempts: i64, tally: &mut Tally) -> Result<(), ReadError> {
    let mut rows = dead_letters(source);
    let mut letters = dead_letter_topic(source);
    tally.count(LETTERS, 0);
    tally.count(ALONE, 0);
    while let Some(key) = [rows.key()?, letters.key()?].into_iter().flatten().min() {
        let mut kept: Option<DeadLetterRow> = None;
        while let Some(row) = rows.take_if(|found| found == key)? {
            tally.look();
            tally.count(LETTERS, 1);
            early(&place("the channel's row", key), &row.class, row.code.as_deref(), row.attempts, attempts, tally)?;
            kept = Some(row);
        }
        let mut told: Option<DltRow> = None;
        while let Some(letter) = letters.take_if(|found| found == key)? {
            tally.look();
            let place = place("the letter", key);
            early(&place, &letter.class, letter.code.as_deref(), letter.attempts, attempts, tally)?;
            told = Some(letter);
        }
        match (&kept, &told) {
            (Some(_), None) => {
                tally.violated(LOST, || format!("{} has no letter on the topic", place("the channel's row", key)));
            }
            (Some(row), Some(letter)) if (row.account, row.seq) != (letter.account, letter.seq) => {
                tally.violated(LOST, || {
                    let (row, letter) = ((row.account, row.seq), (letter.account, letter.seq));
                    format!("{} is about {row:?} and its letter about {letter:?}", place("the channel's row", key))
                });
            }
            (None, Some(_)) => tally.count(ALONE, 1),
            _ => {}
        }
    }
    Ok(())
}

fn place(what: &str, (partition, offset): (i32, i64)) -> String {
    format!("{what} of partition {partition} offset {offset}")
}

/// Whether it was put aside before it might be.
fn early(
    place: &str,
    class: &str,
    code: Option<&str>,
    attempts: i64,
    limit: i64,
    tally: &mut Tally,
) -> Result<(), ReadError> {
    match Class::from_word(class) {
        Some(Class::Transient) if attempts < limit => {
            tally.violated(EARLY, || {
                let code = code.unwrap_or("no code");
                format!("{place}: put aside for a transient cause ({code}) after {attempts} of {limit} attempts")
            });
        }
        Some(Class::Permanent) if !is_permanent(code.unwrap_or_default()) => {
            tally.violated(EARLY, || {
                let code = code.unwrap_or("none");
                format!("{place}: put aside as permanent, and code {code} is no such cause")
            });
        }
        Some(_) => {}
        None => {
            return Err(ReadError { file: "dead_letter".to_owned(), problem: format!("{place}: class is {class:?}") });
        }
    }
    Ok(())
}

fn is_permanent(code: &str) -> bool {
    let is_sqlstate = code.len() == 5 && (code.starts_with("22") || code.starts_with("23"));
    is_sqlstate || PERMANENT.contains(&code)
}

/// Whether the group passed a record that nobody had applied or put aside, and that something else healed later.
fn dropped(record: &Record, commit: &GroupCommitRow, parked: &Parked, tally: &mut Tally) {
    let until_us = commit.at_us.saturating_add(TOLERANCE_US);
    let is_late = matches!(record.applied, Applied::At(at_us) if at_us > until_us);
    if is_late && !record.is_by_event && parked.at(record).is_none() {
        tally.violated(LOST, || {
            format!(
                "{}: passed by offset {} at {} us, never put aside, and not in the copy until something else brought it",
                record.told(),
                commit.committed_offset,
                commit.at_us
            )
        });
    }
}

/// What the group's last offsets passed, against what the copy has.
fn at_rest(source: &dyn Source, records: &[Record], parked: &Parked, tally: &mut Tally) -> Result<(), ReadError> {
    // Partition -> the offset that was committed last.
    let mut ends: Vec<(i32, i64)> = Vec::new();
    let mut commits = group_commits(source);
    while let Some(commit) = commits.take()? {
        match ends.last_mut().filter(|end| end.0 == commit.partition) {
            Some(end) => end.1 = commit.committed_offset,
            None => ends.push((commit.partition, commit.committed_offset)),
        }
    }
    for record in records {
        let end = ends.binary_search_by_key(&record.partition, |end| end.0).map_or(0, |index| ends[index].1);
        if record.offset < end && !record.is_in_copy && parked.at(record).is_none() {
            tally.violated(LOST, || {
                format!(
                    "{}: the group's offset is {end}, the copy does not have it, and it was never put aside",
                    record.told()
                )
            });
        }
    }
    Ok(())
}

/// What driving letters again wrote.
fn redriven(source: &dyn Source, tally: &mut Tally) -> Result<(), ReadError> {
    let mut journal = apply_journal(source);
    let mut stands: Option<(i64, i64)> = None;
    while let Some(line) = journal.take()? {
        let before = stands.filter(|(account, _)| *account == line.account).map_or(line.from_seq, |(_, seq)| seq);
        if line.source == "redrive" && line.to_seq <= before.max(line.from_seq) {
            tally.violated("dlt-regress", || {
                format!(
                    "account {} journal {}: driven again from seq {} to seq {}, where the copy stood at seq {before}",
                    line.account, line.journal_id, line.from_seq, line.to_seq
                )
            });
        }
        stands = Some((line.account, before.max(line.to_seq)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use bankstorm_record::run_json::GuaranteeVerdict;

    use crate::bank::{Bank, FOLLOWED, assert_only};

    #[test]
    fn d38_a_transient_cause_needs_all_of_its_attempts() {
        let mut bank = Bank::good();
        bank.source.dead_letters[1].attempts = 2;
        assert_only(
            &bank,
            &[(
                "T4",
                "dlt-early: the channel's row of partition 2 offset 5: put aside for a transient cause (55P03) after 2 of 3",
            )],
        );
        let mut bank = Bank::good();
        bank.source.dead_letter_topic[1].attempts = 2;
        assert_only(&bank, &[("T4", "dlt-early: the letter of partition 2 offset 5")]);
    }

    #[test]
    fn d38_only_what_no_attempt_can_mend_is_permanent() {
        for (code, is_early) in [
            ("22003", false),
            ("23514", false),
            ("unreadable", false),
            ("unknown_account", false),
            ("chain_break", true),
            ("40001", true),
            ("220", true),
            ("55P03", true),
            ("", true),
        ] {
            let mut bank = Bank::good();
            bank.source.dead_letters[0].code = Some(code.to_owned()).filter(|code| !code.is_empty());
            match is_early {
                true => bank
                    .assert_fires("T4", "dlt-early: the channel's row of partition 2 offset 3: put aside as permanent"),
                false => bank.assert_all_hold(),
            }
        }
        let mut bank = Bank::good();
        bank.source.dead_letters[0].class = "odd".to_owned();
        assert_eq!(bank.result("T4").verdict, GuaranteeVerdict::Unknown);
    }

    #[test]
    fn d02_each_row_has_its_letter_and_a_letter_alone_is_counted() {
        let mut bank = Bank::good();
        bank.source.dead_letter_topic.remove(1);
        assert_only(&bank, &[("T4", "dlt-lost: the channel's row of partition 2 offset 5 has no letter on the topic")]);
        let mut bank = Bank::good();
        bank.source.dead_letter_topic[0].seq = Some(8);
        assert_only(&bank, &[("T4", "dlt-lost: the channel's row of partition 2 offset 3 is about ")]);
        let mut bank = Bank::good();
        let mut alone = bank.source.dead_letter_topic[1].clone();
        alone.record_offset += 1;
        bank.source.dead_letter_topic.push(alone);
        bank.assert_all_hold();
        let figures = bank.result("T4").figures;
        assert_eq!((figures["letters"], figures["letters_on_the_topic_alone"]), (2, 1));
    }

    #[test]
    fn a09_a_record_that_was_dropped_is_lost_even_where_its_successor_healed_the_account() {
        let mut bank = Bank::good();
        bank.source.dead_letters.remove(0);
        bank.source.dead_letter_topic.remove(0);
        bank.assert_fires("T4", "dlt-lost: partition 2 offset 3 (account 1000202 seq 7): passed by offset 4");
        // Merely late, by its own event: that is T3's finding alone.
        bank.journal_line(FOLLOWED, 8).source = "event".to_owned();
        assert_only(&bank, &[("T3", "commit-ahead")]);
    }

    #[test]
    fn a09_a_record_that_was_passed_and_never_came() {
        let mut bank = Bank::good();
        bank.copy_lags_behind(FOLLOWED);
        bank.assert_holds(&["T3", "T4"]);
        let end = bank.group_commit(3);
        end.committed_offset = 7;
        bank.assert_fires("T4", "dlt-lost: partition 2 offset 6 (account 1000202 seq 10): the group's offset is 7");
        bank.assert_fires("T3", "never in the copy, and never put aside");
        // The group went back to it afterwards: it will be read again.
        let mut back = bank.group_commit(3).clone();
        back.committed_offset = 6;
        bank.source.group_commits.push(back);
        bank.assert_holds(&["T4"]);
    }

    #[test]
    fn d02_driving_a_letter_again_moves_no_account_back() {
        let mut bank = Bank::good();
        let line = bank.journal_line(FOLLOWED, 9);
        (line.from_seq, line.to_seq) = (6, 7);
        bank.assert_fires("T4", "dlt-regress: account 1000202 journal ");
        bank.assert_fires("T4", "driven again from seq 6 to seq 7, where the copy stood at seq 8");
    }
}
