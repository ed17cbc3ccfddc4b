//! What a transaction of a channel did, in a line.
//!
//! In: what it had staged. Out: text for the trace. Elsewhere: when it is told (`database::session`), names of things (`trace::told`).

use bankstorm_outside::channel_store::{JournalLine, Letter, Mark, TransferMove};

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

fn mark(mark: &Mark) -> String {
    let what = match (mark.dirty, mark.hole) {
        (false, None) => "clean".to_owned(),
        (true, None) => "dirty".to_owned(),
        (false, Some(seq)) => format!("hole at {seq}"),
        (true, Some(seq)) => format!("dirty, hole at {seq}"),
    };
    format!("{} {what}", account(mark.account))
}

fn letter(letter: &Letter) -> String {
    let of = letter.account.map_or_else(String::new, |no| format!(" of {}", account(no)));
    let (topic, partition, offset, class) = (&letter.topic, letter.partition, letter.offset, letter.class.as_str());
    format!("{topic}/{partition}@{offset}{of} ({class}, {}, {} attempts)", letter.code, letter.attempts)
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
        if !self.marks.is_empty() {
            told.push(format!("marks {}", listed(self.marks.values().map(mark))));
        }
        if !self.letters.is_empty() {
            told.push(format!("parks {}", listed(self.letters.iter().map(letter))));
        }
        if !self.closes.is_empty() {
            let closes = self.closes.iter().map(|(no, seq)| format!("{} up to {seq}", account(*no)));
            told.push(format!("closes letters of {}", listed(closes)));
        }
        if !self.owns.is_empty() {
            let owns = self.owns.iter().map(|((topic, partition), by)| format!("{topic}/{partition} by {by}"));
            told.push(format!("owns {}", listed(owns)));
        }
        match (told.is_empty(), self.entries.len()) {
            (false, _) => told.join("; "),
            (true, 0) => "commits nothing new".to_owned(),
            (true, stored) => format!("stores {stored} entries without a line in the journal"),
        }
    }
}
