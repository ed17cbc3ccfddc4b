//! The rules in force, in the order in which they were put: who is picked by which, and what each has met.
//!
//! In: rules, and what comes by: requests, commits, connections, pieces. Out: what is done to each, and counts. Elsewhere: rules as values
//! (`faults::rule`), how it is done (`socket`, `http`, `postgres`).
//!
//! Pure: time comes in as a number, and only to be noted. Every rule sees all that comes by; what is done is decided by the first that
//! picks.

mod check;
mod keys;
mod path;
#[cfg(test)]
mod tests;

use std::time::Duration;

use bankstorm_faults::rule::{Effect, Hits, Rule, Way};

pub(crate) use self::check::Refused;
use self::keys::KeyBook;
use self::path::Pattern;
use crate::settings::Protocol;

/// What an effect is done to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// Requests and answers of HTTP.
    Requests,
    /// Commits of PostgreSQL.
    Commits,
    /// Connections and pieces of bytes.
    Bytes,
}

/// What happens to a piece of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Air {
    /// It passes.
    Clear,
    /// It passes this much later.
    Late(Duration),
    /// It vanishes.
    Lost,
}

/// A commit that was picked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Commit {
    /// By which rule.
    rule: u64,
    /// Whether it reaches the server.
    pub(crate) reaches: bool,
}

/// All rules in force.
#[derive(Debug)]
pub(crate) struct Book {
    protocol: Protocol,
    rules: Vec<InForce>,
    next: u64,
}

#[derive(Debug)]
struct InForce {
    id: String,
    /// No two rules of a proxy have the same, however often an id comes back.
    number: u64,
    rule: Rule,
    of: Option<Pattern>,
    keys: KeyBook,
    hits: Hits,
}

impl Family {
    /// Its bit among others.
    pub(crate) const fn bit(self) -> u8 {
        match self {
            Self::Requests => 1,
            Self::Commits => 2,
            Self::Bytes => 4,
        }
    }

    pub(crate) const fn of(effect: &Effect) -> Self {
        match effect {
            Effect::RequestDrop
            | Effect::RequestHold(_)
            | Effect::RequestTwice(_)
            | Effect::ResponseDrop
            | Effect::ResponseHold(_) => Self::Requests,
            Effect::CommitCutBefore | Effect::CommitCutAfter => Self::Commits,
            Effect::Delay(_) | Effect::Blackhole | Effect::Reset | Effect::Cut(_) => Self::Bytes,
        }
    }
}

impl Book {
    pub(crate) const fn new(protocol: Protocol) -> Self {
        Self { protocol, rules: Vec::new(), next: 0 }
    }

    /// Takes a rule into force, while `open` connections are open; says whether these are to be reset. Putting the same rule under the same
    /// id again changes nothing: whoever did not get the answer may ask again.
    pub(crate) fn put(&mut self, id: &str, rule: Rule, open: u64, now_ns: i64) -> Result<bool, Refused> {
        let of = check::of(&rule, self.protocol)?;
        if let Some(there) = self.rules.iter().find(|there| there.id == id) {
            return if there.rule == rule { Ok(false) } else { Err(Refused::Taken { id: id.to_owned() }) };
        }
        let family = Family::of(&rule.effect);
        let seen = if family == Family::Bytes { open } else { 0 };
        let resets = rule.effect == Effect::Reset;
        let keys = KeyBook::new(rule.picks.keys, rule.picks.nth);
        let hits = Hits { seen, ..Hits::default() };
        let mut put = InForce { id: id.to_owned(), number: self.next, rule, of, keys, hits };
        if resets && open > 0 {
            put.hit(None, open, now_ns);
        }
        self.next += 1;
        self.rules.push(put);
        Ok(resets)
    }

    /// What a rule has met so far.
    pub(crate) fn hits(&self, id: &str) -> Option<Hits> {
        self.rules.iter().find(|there| there.id == id).map(InForce::counts)
    }

    /// Takes a rule out of force: its number, and what it has met.
    pub(crate) fn take(&mut self, id: &str) -> Option<(u64, Hits)> {
        let place = self.rules.iter().position(|there| there.id == id)?;
        let taken = self.rules.remove(place);
        Some((taken.number, taken.counts()))
    }

    /// The families of the rules in force, as bits.
    pub(crate) fn families(&self) -> u8 {
        self.rules.iter().fold(0, |bits, there| bits | Family::of(&there.rule.effect).bit())
    }

    /// What is done to a request. `key` is asked for once, and only where a rule names the request.
    pub(crate) fn request(
        &mut self,
        method: &str,
        path: &str,
        key: impl FnOnce() -> Option<String>,
        now_ns: i64,
    ) -> Option<Effect> {
        let names = |there: &InForce| {
            Family::of(&there.rule.effect) == Family::Requests
                && there.of.as_ref().is_none_or(|of| of.names(method, path))
        };
        if !self.rules.iter().any(names) {
            return None;
        }
        let key = key();
        let mut decided = None;
        for there in self.rules.iter_mut().filter(|there| names(there)) {
            there.hits.seen += 1;
            if there.keys.picks(key.as_deref()) && decided.is_none() {
                there.hit(key.as_deref(), 1, now_ns);
                decided = Some(there.rule.effect);
            }
        }
        decided
    }

    /// Whether a commit that has come is cut, and by which rule.
    pub(crate) fn commit(&mut self) -> Option<Commit> {
        let mut decided = None;
        for there in &mut self.rules {
            let reaches = match there.rule.effect {
                Effect::CommitCutBefore => false,
                Effect::CommitCutAfter => true,
                _ => continue,
            };
            there.hits.seen += 1;
            if there.keys.picks(None) && decided.is_none() {
                decided = Some(Commit { rule: there.number, reaches });
            }
        }
        decided
    }

    /// A commit was cut. Whether one is cut after it reached the server shows only with the server's answer, so this is told apart.
    pub(crate) fn cut(&mut self, commit: Commit, now_ns: i64) {
        if let Some(there) = self.rules.iter_mut().find(|there| there.number == commit.rule) {
            there.hit(None, 1, now_ns);
        }
    }

    /// Whether a new connection is reset.
    pub(crate) fn connection(&mut self, now_ns: i64) -> bool {
        let mut is_reset = false;
        for there in &mut self.rules {
            if Family::of(&there.rule.effect) != Family::Bytes {
                continue;
            }
            there.hits.seen += 1;
            if there.rule.effect == Effect::Reset && !is_reset {
                there.hit(None, 1, now_ns);
                is_reset = true;
            }
        }
        is_reset
    }

    /// What happens to a piece, and by which rule; the end of a way is none and is not counted.
    pub(crate) fn piece(&mut self, way: Way, is_piece: bool, now_ns: i64) -> Option<(u64, Air)> {
        let decides = |there: &&mut InForce| air(&there.rule.effect, way).is_some();
        let there = self.rules.iter_mut().find(decides)?;
        if is_piece {
            there.hit(None, 1, now_ns);
        }
        Some((there.number, air(&there.rule.effect, way)?))
    }
}

/// What an effect is to the pieces of a way.
fn air(effect: &Effect, way: Way) -> Option<Air> {
    match effect {
        Effect::Delay(delay) => Some(Air::Late(*delay)),
        Effect::Blackhole => Some(Air::Lost),
        Effect::Cut(cut) => (*cut == way).then_some(Air::Lost),
        _ => None,
    }
}

impl InForce {
    fn hit(&mut self, key: Option<&str>, times: u64, now_ns: i64) {
        if self.hits.first_ns.is_none() {
            self.hits.first_ns = Some(now_ns);
            self.hits.first_key = key.map(str::to_owned);
        }
        self.hits.hits += times;
        if Family::of(&self.rule.effect) != Family::Bytes {
            self.keys.hit(key);
        }
    }

    fn counts(&self) -> Hits {
        Hits { keys: self.keys.hits(), ..self.hits.clone() }
    }
}
