//! What a transaction of a channel did, in a line.
//!
//! In: what it had staged. Out: text for the trace. Elsewhere: when it is told (`database::session`), names of things (`trace::told`).

use bankstorm_outside::channel_store::JournalLine;

use super::tx::Staged;
use crate::trace::Told;
use crate::trace::told::{account, listed};

fn step(line: &JournalLine) -> String {
    let (cause, source) = (&line.cause, line.source.as_str());
    let (topic, partition, offset) = (&cause.topic, cause.partition, cause.offset);
    format!("{}: {} -> {} ({source} {topic}/{partition}@{offset})", account(line.account), line.from_seq, line.to_seq)
}

impl Told for Staged {
    fn told(&self) -> String {
        if !self.journal.is_empty() {
            return format!("copies {}", listed(self.journal.iter().map(step)));
        }
        match self.entries.len() {
            0 => "commits nothing new".to_owned(),
            stored => format!("stores {stored} entries without a line in the journal"),
        }
    }
}
