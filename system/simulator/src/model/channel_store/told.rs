//! What a transaction of a channel did, in a line.
//!
//! In: what it had staged. Out: text for the trace. Elsewhere: when it is told (`database::session`), names of things (`trace::told`).

use bankstorm_outside::channel_store::{JournalLine, TransferMove};

use super::tx::Staged;
use crate::trace::Told;
use crate::trace::told::{account, listed, transfer};

fn line(line: &JournalLine) -> String {
    let source = line.source.as_str();
    let cause = line.cause.as_ref().map_or_else(String::new, |cause| {
        let (topic, partition, offset) = (&cause.topic, cause.partition, cause.offset);
        format!(" {topic}/{partition}@{offset}")
    });
    format!("{}: {} -> {} ({source}{cause})", account(line.account), line.from_seq, line.to_seq)
}

fn step(step: &TransferMove) -> String {
    let reason = step.reason.map_or_else(String::new, |reason| format!(" ({})", reason.as_str()));
    format!("{} {}{reason}", transfer(step.id), step.stage.as_str())
}

impl Told for Staged {
    fn told(&self) -> String {
        let mut told = Vec::new();
        if !self.journal.is_empty() {
            told.push(format!("copies {}", listed(self.journal.iter().map(line))));
        }
        if !self.opened.is_empty() {
            told.push(format!("opens {}", listed(self.opened.keys().map(|id| transfer(*id)))));
        }
        if !self.moves.is_empty() {
            told.push(format!("makes {}", listed(self.moves.iter().map(step))));
        }
        match (told.is_empty(), self.entries.len()) {
            (false, _) => told.join("; "),
            (true, 0) => "commits nothing new".to_owned(),
            (true, stored) => format!("stores {stored} entries without a line in the journal"),
        }
    }
}
