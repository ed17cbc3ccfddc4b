//! Rules as text: for people, and for digests.
//!
//! In: a [`Rule`]. Out: its text. Elsewhere: the line around it (`plan`), the JSON that a proxy gets (`rule`).

use std::fmt;
use std::time::Duration;

use crate::rule::{Effect, Keys, Rule, Way};

/// The same for the same rule on every machine, whatever is said to people: a plan's digest is taken of it.
pub(super) fn canonical(rule: &Rule) -> String {
    let ns = |word: &str, duration: &Duration| format!("{word}:{}", duration.as_nanos());
    let effect = match &rule.effect {
        Effect::RequestDrop => "request_drop".to_owned(),
        Effect::RequestHold(delay) => ns("request_hold", delay),
        Effect::RequestTwice(times) => format!("request_twice:{times}"),
        Effect::ResponseDrop => "response_drop".to_owned(),
        Effect::ResponseHold(delay) => ns("response_hold", delay),
        Effect::Delay(delay) => ns("delay", delay),
        Effect::Blackhole => "blackhole".to_owned(),
        Effect::Reset => "reset".to_owned(),
        Effect::Cut(Way::There) => "cut:there".to_owned(),
        Effect::Cut(Way::Back) => "cut:back".to_owned(),
        Effect::CommitCutBefore => "commit_cut_before".to_owned(),
        Effect::CommitCutAfter => "commit_cut_after".to_owned(),
    };
    let of = rule.picks.of.as_ref().map_or_else(|| "-".to_owned(), |of| format!("\"{of}\""));
    let keys = match rule.picks.keys {
        Keys::All => "all".to_owned(),
        Keys::Every(number) => format!("every:{number}"),
        Keys::Share { probability, seed } => format!("share:{probability}:{seed}"),
    };
    let nth = rule.picks.nth.map_or_else(|| "-".to_owned(), |nth| nth.to_string());
    format!("effect={effect} of={of} keys={keys} nth={nth}")
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.effect)?;
        if let Some(of) = &self.picks.of {
            write!(f, ", of {of}")?;
        }
        match self.picks.keys {
            Keys::All => {}
            Keys::Every(number) => write!(f, ", of one key in {number}")?,
            Keys::Share { probability, .. } => write!(f, ", of {probability} of the keys")?,
        }
        match self.picks.nth {
            Some(nth) => write!(f, ", only number {nth} of a key"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RequestDrop => f.write_str("requests never arrive"),
            Self::RequestHold(delay) => write!(f, "requests arrive {delay:?} later"),
            Self::RequestTwice(times) => write!(f, "requests arrive {times} times"),
            Self::ResponseDrop => f.write_str("answers never come back"),
            Self::ResponseHold(delay) => write!(f, "answers come back {delay:?} later"),
            Self::Delay(delay) => write!(f, "bytes come {delay:?} later"),
            Self::Blackhole => f.write_str("bytes vanish"),
            Self::Reset => f.write_str("connections are reset"),
            Self::Cut(Way::There) => f.write_str("bytes vanish on the way there"),
            Self::Cut(Way::Back) => f.write_str("bytes vanish on the way back"),
            Self::CommitCutBefore => f.write_str("connections break before their COMMIT arrives"),
            Self::CommitCutAfter => f.write_str("connections break after their COMMIT was carried out"),
        }
    }
}
