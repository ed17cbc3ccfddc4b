//! What a transaction of the channel writes, as columns for one statement per table.

use bankstorm_contracts::{AccountNo, Entry, Head, Seq};
use bankstorm_outside::channel_store::{AdvanceWrites, JournalLine, Letter, Mark, TransferMove};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio_postgres::Error;

use super::statements::Statements;
use crate::postgres::columns::{Column, column, run};
use crate::postgres::pool::Lease;

/// The rows of each table, column by column; empty tables are left out.
pub(super) struct Columns {
    entries: Vec<Column>,
    heads: Vec<Column>,
    journal: Vec<Column>,
    moves: Vec<Column>,
    marks: Vec<Column>,
    letters: Vec<Column>,
    closes: Vec<Column>,
}

impl Columns {
    /// `instance` is who the journal says it was.
    pub(super) fn of(writes: &AdvanceWrites, instance: &str) -> Self {
        Self {
            entries: entries(&writes.entries),
            heads: heads(&writes.heads),
            journal: journal(&writes.journal, instance),
            moves: moves(&writes.transfers),
            marks: marks(&writes.marks),
            letters: letters(&writes.letters),
            closes: closes(&writes.closes),
        }
    }

    /// The statements, to be polled together.
    pub(super) fn statements<'a>(&'a self, lease: &'a Lease<Statements>) -> Vec<BoxFuture<'a, Result<(), Error>>> {
        let sql = lease.statements();
        [
            (&sql.entries, &self.entries),
            (&sql.heads, &self.heads),
            (&sql.journal, &self.journal),
            (&sql.moves, &self.moves),
            (&sql.marks, &self.marks),
            (&sql.letters, &self.letters),
            // Behind the letters: one that is kept and overtaken in one step is closed.
            (&sql.closes, &self.closes),
            (&sql.holes, &self.closes),
        ]
        .into_iter()
        .filter(|(_, columns)| !columns.is_empty())
        .map(|(statement, columns)| run(lease, statement, columns).boxed())
        .collect()
    }
}

fn entries(entries: &[Entry]) -> Vec<Column> {
    if entries.is_empty() {
        return Vec::new();
    }
    vec![
        column(entries, |entry| entry.account.get()),
        column(entries, |entry| entry.seq),
        column(entries, |entry| entry.transfer.0),
        column(entries, |entry| entry.amount.get()),
        column(entries, |entry| entry.balance_after.get()),
        column(entries, |entry| entry.kind.as_str()),
        column(entries, |entry| entry.posted_at.0),
    ]
}

fn heads(heads: &[(Seq, Head)]) -> Vec<Column> {
    if heads.is_empty() {
        return Vec::new();
    }
    vec![
        column(heads, |(_, head)| head.account.get()),
        column(heads, |(from, _)| *from),
        column(heads, |(_, head)| head.seq),
        column(heads, |(_, head)| head.balance.get()),
    ]
}

fn journal(lines: &[JournalLine], instance: &str) -> Vec<Column> {
    if lines.is_empty() {
        return Vec::new();
    }
    vec![
        column(lines, |line| line.account.get()),
        column(lines, |line| line.from_seq),
        column(lines, |line| line.to_seq),
        column(lines, |line| line.source.as_str()),
        column(lines, |line| line.cause.as_ref().map(|cause| cause.topic.clone())),
        column(lines, |line| line.cause.as_ref().map(|cause| cause.partition)),
        column(lines, |line| line.cause.as_ref().map(|cause| cause.offset)),
        column(lines, |line| line.cause.as_ref().and_then(|cause| cause.generation)),
        Box::new(instance.to_owned()),
    ]
}

fn moves(moves: &[TransferMove]) -> Vec<Column> {
    if moves.is_empty() {
        return Vec::new();
    }
    vec![
        column(moves, |moved| moved.id.0),
        column(moves, |moved| moved.stage.as_str()),
        column(moves, |moved| moved.stage.is_terminal()),
        column(moves, |moved| moved.reason.map(|reason| reason.as_str())),
        column(moves, |moved| moved.seq),
    ]
}

fn marks(marks: &[Mark]) -> Vec<Column> {
    if marks.is_empty() {
        return Vec::new();
    }
    vec![column(marks, |mark| mark.account.get()), column(marks, |mark| mark.dirty), column(marks, |mark| mark.hole)]
}

fn letters(letters: &[Letter]) -> Vec<Column> {
    if letters.is_empty() {
        return Vec::new();
    }
    vec![
        column(letters, |letter| letter.topic.clone()),
        column(letters, |letter| letter.partition),
        column(letters, |letter| letter.offset),
        column(letters, |letter| letter.account.map(AccountNo::get)),
        column(letters, |letter| letter.seq),
        column(letters, |letter| letter.class.as_str()),
        column(letters, |letter| storable(&letter.code)),
        column(letters, |letter| storable(&letter.detail)),
        column(letters, |letter| i32::try_from(letter.attempts).unwrap_or(i32::MAX)),
    ]
}

/// A text that PostgreSQL takes: what failed may have had a NUL in it, and a letter must not fail for the reason that it tells.
fn storable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

fn closes(closes: &[(AccountNo, Seq)]) -> Vec<Column> {
    if closes.is_empty() {
        return Vec::new();
    }
    vec![column(closes, |(account, _)| account.get()), column(closes, |(_, seq)| *seq)]
}
