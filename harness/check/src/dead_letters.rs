//! T4 dead letters: nothing is put aside too early, nothing that is passed over gets lost, and what is driven again moves nothing back (D1-D3, D38).
//!
//! In: the channel's dead letters, their topic, the entries topic, the group's commits, the copy's heads, the apply journal. Out: `dlt-early`,
//! `dlt-lost`, `dlt-regress`, `dlt-open`, `mark-left`. Elsewhere: when records are done with (`applied`), that no offset is committed ahead of any (`offset_safe`), whether
//! the copy arrives (`converge`).
//!
//! The record on the topic comes before the row (R17): a process that dies in between leaves one without the other, which is counted, and the
//! one who takes over writes another. A record that was dropped may be healed by its successor's gap: so what counts is whether it was in the copy or
//! put aside when the group passed it, unless its event was merely late, which is T3's finding.

mod left;

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
const PERMANENT: [&str; 2] = ["unknown_to_core", "unreadable"];
/// What passes by itself in the channel's words (`channel::advance::AdvanceError::code`): no attempt, however often it happens (D38).
const PASSING: [&str; 9] = [
    "store_unavailable",
    "no_answer_from_core",
    "commit_unknown",
    "lock_timeout",
    "deadlock",
    "held",
    "pull_ended",
    "fenced",
    "letter",
];
/// The same as the database says it: without a connection, without room, being shut down.
const PASSING_CLASSES: [&str; 3] = ["08", "53", "57"];
/// And by single codes: a lock not to be had, a deadlock.
const PASSING_STATES: [&str; 2] = ["55P03", "40P01"];

impl Check for DeadLetters {
    fn id(&self) -> &'static str {
        "T4"
    }

    fn name(&self) -> &'static str {
        "dead_letters"
    }

    fn explains(&self) -> &'static str {
        "A record is put aside for a transient cause after all of its attempts only, never for one that passes by itself, such as an outage, and at \
         once only for a cause that trying again cannot mend (dlt-early); each one that is has its letter on the topic, and each record that the group's offsets passed is in the copy or was put aside \
         (dlt-lost); driving one again moves no account back (dlt-regress). In the end a bank that mends its copies has closed each letter that its account overtook \
         (dlt-open) and unmarked each account whose copy equals core (mark-left). How many there are is counted (letters, letters_on_the_topic_alone, \
         letters_open, marks_left)."
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
        redriven(source, tally)?;
        left::judge(source, following.tidies, tally)
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
            // The letter of a record that cannot be read has no serial; the row has the one that it was parked at.
            (Some(row), Some(letter))
                if row.account != letter.account
                    || (row.seq != letter.seq
                        && (letter.seq.is_some() || letter.code.as_deref() != Some("unreadable"))) =>
            {
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
        Some(Class::Transient) if code.is_some_and(passes) => {
            tally.violated(EARLY, || {
                let code = code.unwrap_or_default();
                format!("{place}: put aside after {attempts} attempts for what passes by itself ({code})")
            });
        }
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

fn passes(code: &str) -> bool {
    let is_of_class = code.len() == 5 && PASSING_CLASSES.iter().any(|class| code.starts_with(class));
    is_of_class || PASSING_STATES.contains(&code) || PASSING.contains(&code)
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
mod tests;
