//! The rules in force, in the order in which they were put: who is picked by which, and what each has met.
//!
//! In: rules, and what comes by: requests, commits, connections, pieces. Out: what is done to each, and counts. Elsewhere: rules as values
//! (`faults::rule`), which of several is done to a request (`fate`), how it is done (`socket`, `http`, `postgres`).
//!
//! Pure: time comes in as a number, and only to be noted. Every rule sees all that comes by, and picks as if it were alone; one that picks
//! what another is done to counts that too. A hit is counted when it was done. What is picked and not yet done when its rule is taken
//! away is not done any more; what a rule has in hand then is counted to its end.

mod check;
mod fate;
mod keys;
mod path;
#[cfg(test)]
mod tests;

use std::time::Duration;

use bankstorm_faults::rule::{Effect, Hits, Rule, Way};

pub(crate) use self::check::Refused;
pub(crate) use self::fate::{Fate, Picked};
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
    /// Taken away, and told of until nothing is in hand any more.
    leaving: Vec<InForce>,
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

impl Air {
    /// Both: what is lost is lost, and what is late twice is that much later.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Lost, _) | (_, Self::Lost) => Self::Lost,
            (Self::Late(one), Self::Late(more)) => Self::Late(one + more),
            (Self::Clear, air) | (air, Self::Clear) => air,
        }
    }
}

impl Book {
    pub(crate) const fn new(protocol: Protocol) -> Self {
        Self { protocol, rules: Vec::new(), leaving: Vec::new(), next: 0 }
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

    /// What a rule has met so far, also one that was taken away and has something in hand.
    pub(crate) fn hits(&self, id: &str) -> Option<Hits> {
        self.rules.iter().chain(&self.leaving).find(|there| there.id == id).map(InForce::counts)
    }

    /// Takes a rule out of force: its number, and what it has met. One that has something in hand is told of again, until once without.
    pub(crate) fn take(&mut self, id: &str) -> Option<(u64, Hits)> {
        let place = |rules: &[InForce]| rules.iter().position(|there| there.id == id);
        let taken = match place(&self.rules) {
            Some(place) => self.rules.remove(place),
            None => self.leaving.remove(place(&self.leaving)?),
        };
        let told = (taken.number, taken.counts());
        if taken.hits.in_hand > 0 {
            self.leaving.push(taken);
        }
        Some(told)
    }

    /// The families of the rules in force, as bits.
    pub(crate) fn families(&self) -> u8 {
        self.rules.iter().fold(0, |bits, there| bits | Family::of(&there.rule.effect).bit())
    }

    /// What was picked is done now, with so many pieces of it in hand; `false` where its rule was taken away meanwhile, so that it is not.
    pub(crate) fn done(&mut self, picked: &Picked, in_hand: u64, now_ns: i64) -> bool {
        let Some(there) = self.rules.iter_mut().find(|there| there.number == picked.rule()) else { return false };
        there.hit(picked.key(), 1, now_ns);
        there.hits.in_hand += in_hand;
        true
    }

    /// A piece of what a rule has in hand came to its end, and to somebody or to nobody.
    pub(crate) fn ended(&mut self, rule: u64, has_arrived: bool) {
        let mut all = self.rules.iter_mut().chain(&mut self.leaving);
        if let Some(there) = all.find(|there| there.number == rule) {
            there.hits.in_hand = there.hits.in_hand.saturating_sub(1);
            there.hits.undelivered += u64::from(!has_arrived);
        }
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
            if !there.keys.picks(None) {
                continue;
            }
            there.hits.overruled += u64::from(decided.is_some());
            decided.get_or_insert(Commit { rule: there.number, reaches });
        }
        decided
    }

    /// A commit is cut now; `false` where its rule was taken away meanwhile, so that it is not. Whether one is cut after it reached the
    /// server shows only with the server's answer, so this is told apart.
    pub(crate) fn cut(&mut self, commit: Commit, now_ns: i64) -> bool {
        let there = self.rules.iter_mut().find(|there| there.number == commit.rule);
        there.map(|there| there.hit(None, 1, now_ns)).is_some()
    }

    /// Whether a new connection is reset.
    pub(crate) fn connection(&mut self, now_ns: i64) -> bool {
        let mut is_reset = false;
        for there in &mut self.rules {
            if Family::of(&there.rule.effect) != Family::Bytes {
                continue;
            }
            there.hits.seen += 1;
            if there.rule.effect == Effect::Reset {
                there.hit(None, 1, now_ns);
                is_reset = true;
            }
        }
        is_reset
    }

    /// What happens to a piece, by all rules together: one that loses it is done, and those that delay add up. The end of a way is no piece
    /// and is not counted. `lost_to` is told the number of each rule that loses it.
    pub(crate) fn piece(&mut self, way: Way, is_piece: bool, now_ns: i64, mut lost_to: impl FnMut(u64)) -> Air {
        let is_lost = self.loses(way);
        let mut met = Air::Clear;
        for there in &mut self.rules {
            let Some(air) = air(&there.rule.effect, way) else { continue };
            met = met.and(air);
            if air == Air::Lost {
                lost_to(there.number);
            }
            match is_piece {
                true if is_lost && air != Air::Lost => there.hits.overruled += 1,
                true => there.hit(None, 1, now_ns),
                false => {}
            }
        }
        met
    }

    /// Whether something that the proxy sends on a connection of its own gets through: to what resets connections it is one, and to what
    /// loses the way there a piece. Whatever is late on this link was so when it came.
    pub(crate) fn delivery(&mut self, now_ns: i64, lost_to: impl FnMut(u64)) -> bool {
        if self.rules.iter().any(|there| there.rule.effect == Effect::Reset) {
            return !self.connection(now_ns);
        }
        let is_lost = self.loses(Way::There);
        if is_lost {
            self.piece(Way::There, true, now_ns, lost_to);
        }
        !is_lost
    }

    fn loses(&self, way: Way) -> bool {
        self.rules.iter().any(|there| air(&there.rule.effect, way) == Some(Air::Lost))
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
