//! The changes of rows about how the channel follows core.
//!
//! In: a source, a draw. Out: the same source with one row changed, and what was done. Elsewhere: other files (`changes`), which of these nobody
//! has to notice (`UNGUARDED`).

use bankstorm_record::rows::{CoreAccessRow, DeadLetterRow, DltRow, GroupCommitRow, SyncRow};
use bankstorm_record::source::MemorySource;

use super::changes::Change;
use super::{Draw, mutate};

const HOUR_US: i64 = 3_600_000_000;

const ACCESS: &[Change<CoreAccessRow>] = &[
    ("times", |row, by| row.begun_ns += by.abs()),
    ("times", |row, by| row.ended_ns += by),
    ("caller", |row, _| row.caller.push('x')),
    ("call", |row, _| row.call = if row.call == "heads" { "entries" } else { "heads" }.to_owned()),
    ("account", |row, by| row.account = row.account.map(|account| account + by)),
    ("no purpose", |row, _| row.purpose = None),
    ("status", |row, _| row.status = 500),
];

const SYNC: &[Change<SyncRow>] = &[
    ("promise", |row, by| row.account += by),
    ("read", |row, by| row.invoked_ns += by.abs()),
    ("read", |row, by| row.completed_ns += by),
    ("read", |row, _| row.instance.push('x')),
    ("read", |row, _| row.op = None),
    ("outcome", |row, _| row.outcome = "unknown".to_owned()),
    ("result", |row, _| row.result = None),
    ("promise", |row, by| row.as_of_seq += by),
];

const LETTER: &[Change<DeadLetterRow>] = &[
    ("place", |row, by| row.partition += by as i32),
    ("place", |row, by| row.record_offset += by),
    ("about", |row, by| row.account = row.account.map(|account| account + by)),
    ("about", |row, _| row.account = None),
    ("about", |row, by| row.seq = row.seq.map(|seq| seq + by)),
    ("class", |row, _| row.class.push('x')),
    ("class", |row, _| row.class = other_class(&row.class)),
    ("code", |row, _| row.code = None),
    ("outage", |row, _| row.code = Some("store_unavailable".to_owned())),
    ("attempts", |row, by| row.attempts -= by.abs()),
    ("more attempts", |row, by| row.attempts += by.abs()),
    ("still open", |row, _| row.closed_us = None),
    ("parked", |row, _| row.parked_us += HOUR_US),
    ("end", |row, _| row.detail = Some("x".to_owned())),
    ("end", |row, by| row.redrives += by),
    ("end", |row, by| row.parked_us -= by.abs()),
    ("end", |row, by| row.closed_us = row.closed_us.map(|at| at + by)),
    ("end", |row, _| row.closed_by = None),
];

const DLT: &[Change<DltRow>] = &[
    ("about", |row, by| row.partition += by as i32),
    ("about", |row, by| row.record_offset += by),
    ("about", |row, by| row.account = row.account.map(|account| account + by)),
    ("about", |row, _| row.seq = None),
    ("class", |row, _| row.class.push('x')),
    ("class", |row, _| row.class = other_class(&row.class)),
    ("code", |row, _| row.code = None),
    ("outage", |row, _| row.code = Some("57P01".to_owned())),
    ("attempts", |row, by| row.attempts -= by.abs()),
    ("more attempts", |row, by| row.attempts += by.abs()),
    ("place", |row, by| row.dlt_partition += by as i32),
    ("place", |row, by| row.dlt_offset += by),
    ("place", |row, by| row.timestamp_us += by),
];

const COMMIT: &[Change<GroupCommitRow>] = &[
    ("partition", |row, by| row.partition += by as i32),
    ("further", |row, by| row.committed_offset += by.abs()),
    ("back", |row, by| row.committed_offset -= by.abs()),
    ("later", |row, by| row.at_us += by.abs()),
    ("sooner", |row, _| row.at_us -= HOUR_US),
];

fn other_class(class: &str) -> String {
    if class == "transient" { "permanent" } else { "transient" }.to_owned()
}

/// Changes a row of the first of these files, the second and so on.
pub(super) fn apply(source: &mut MemorySource, file: usize, draw: Draw) -> String {
    match file {
        0 => {
            let class = |row: &CoreAccessRow| match (row.purpose.as_deref(), row.call.as_str()) {
                (Some("read"), _) => "read ",
                (Some("manual"), "heads") => "button's ",
                _ => "other ",
            };
            let done = mutate(&mut source.core_access, |row| class(row).to_owned() + "core_access", ACCESS, draw);
            if done.ends_with("doubled") { done } else { done.replace("button's ", "other ") }
        }
        1 => {
            let class = |row: &SyncRow| if row.result.as_deref() == Some("synced") { "" } else { "other " };
            let done = mutate(&mut source.syncs, |row| class(row).to_owned() + "sync", SYNC, draw);
            if done.ends_with(".promise") { done } else { done.replace("other ", "") }
        }
        2 => {
            let class = |row: &DeadLetterRow| row.class.clone() + " dead_letter";
            common(mutate(&mut source.dead_letters, class, LETTER, draw))
        }
        3 => {
            let class = |row: &DltRow| row.class.clone() + " dlt";
            common(mutate(&mut source.dead_letter_topic, class, DLT, draw))
        }
        _ => mutate(&mut source.group_commits, |_| "group_commit".to_owned(), COMMIT, draw),
    }
}

/// Only attempts and codes are guarded differently, by class.
fn common(done: String) -> String {
    if done.ends_with("attempts") || done.ends_with(".code") {
        return done;
    }
    done.split_once(' ').map_or_else(|| done.clone(), |(_, rest)| rest.to_owned())
}
