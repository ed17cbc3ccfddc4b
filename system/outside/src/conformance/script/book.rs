//! Who holds what and who waits for whom, as far as answers tell: what keeps scripts to what can end in one way only.
//!
//! In: what sessions ask for, what they were answered. Out: whether a step would wait, whom it would race, whose waits form a circle.
//! Elsewhere: nothing is decided here about the stores; were the book wrong, a run would say that a step neither waited nor ended.

use std::collections::{BTreeMap, BTreeSet};

/// What can be waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Thing {
    /// An id.
    Id(u8),
    /// The row of an account.
    Row(u8),
    /// The row of a transfer that stands.
    Transfer(u8),
    /// A change of a standing transfer that was written. Nobody may wait for it: steps that would have to are left out.
    Change(u8),
    /// A guard.
    Guard(u8),
}

impl Thing {
    /// Whether whoever waits for it takes nothing where it stands in the end.
    fn is_of_an_index(self) -> bool {
        matches!(self, Self::Id(_) | Self::Guard(_))
    }
}

/// What a step asks for.
#[derive(Clone, Debug, Default)]
pub(super) struct Asks {
    /// What it waits for where it has to, in the order in which the server takes it.
    pub(super) things: Vec<Thing>,
    /// How many of them are sent at once.
    pub(super) sent: usize,
    /// Rows that it takes after these where they are free then.
    pub(super) skips: Vec<Thing>,
}

#[derive(Debug)]
struct Waiter {
    asks: Vec<Thing>,
    /// The one that it waits for.
    at: usize,
    /// How many of them the server knows of.
    sent: usize,
    /// Rows that it takes at the end where they are free.
    skips: Vec<Thing>,
    /// The step since which it waits for that one.
    since: usize,
    /// Its place in every queue.
    order: usize,
    /// Nobody awaits it any more: once it has its lock it rolls back.
    dropped: bool,
}

impl Waiter {
    /// How many of what it asks for the server knows of.
    fn known(&self) -> usize {
        if self.at < self.sent { self.sent } else { self.asks.len() }
    }
}

/// The book.
#[derive(Debug, Default)]
pub(super) struct Book {
    holders: BTreeMap<Thing, usize>,
    waiters: BTreeMap<usize, Waiter>,
    /// Things that stand committed.
    pub(super) standing: BTreeSet<Thing>,
    orders: usize,
}

impl Book {
    /// What a session asks for, in the order in which the server takes it; ids that stand are not waited for.
    pub(super) fn held_by_other(&self, session: usize, asks: &[Thing]) -> Option<usize> {
        asks.iter().position(|thing| self.holders.get(thing).is_some_and(|holder| *holder != session))
    }

    /// Whether waiting for these would end in more than one way: a second one would reach for the same thing in the same moment.
    pub(super) fn would_race(&self, session: usize, all: &Asks, at: usize) -> bool {
        let asks = &all.things;
        let mine = self.still_wanted(session, asks[at..].iter().chain(&all.skips));
        let races = self.waiters.iter().any(|(other, waiter)| {
            let in_line = matches!(asks[at], Thing::Row(_)) && waiter.asks.get(waiter.at) == Some(&asks[at]);
            let theirs = self.still_wanted(*other, waiter.asks[waiter.at..].iter().chain(&waiter.skips));
            // One that nobody awaits gives back what it holds as soon as its wait is over.
            let given_back = waiter.dropped && all.skips.iter().any(|thing| self.holders.get(thing) == Some(other));
            given_back || (!in_line && mine.iter().any(|thing| theirs.contains(thing)))
        });
        let circle = self.circle_through(session, asks[at]);
        // A queue in a circle, or a step that nobody awaits: more than one order of victims, or none to be seen.
        let unclear = circle.iter().any(|member| {
            self.waiters
                .get(member)
                .is_some_and(|waiter| waiter.dropped || self.waiting_for(waiter.asks[waiter.at]) > 1)
        });
        let through_dropped = self.waiters.iter().any(|(other, waiter)| {
            waiter.dropped
                && self.leads_to(session, &asks[at..], *other)
                && self.leads_to(*other, &waiter.asks[waiter.at..], session)
        });
        races || unclear || through_dropped || (!circle.is_empty() && self.waiting_for(asks[at]) > 0)
    }

    /// Those of these that the session does not hold.
    fn still_wanted<'a>(&self, session: usize, things: impl IntoIterator<Item = &'a Thing>) -> Vec<Thing> {
        things.into_iter().filter(|thing| self.holders.get(thing) != Some(&session)).copied().collect()
    }

    /// Whether a session that asks for these would wait for `target` sooner or later, directly or through others.
    pub(super) fn leads_to(&self, session: usize, things: &[Thing], target: usize) -> bool {
        let mut wanted = self.still_wanted(session, things);
        let mut seen = BTreeSet::new();
        while let Some(thing) = wanted.pop() {
            let Some(holder) = self.holders.get(&thing) else { continue };
            if *holder == target {
                return true;
            }
            if seen.insert(*holder)
                && let Some(waiter) = self.waiters.get(holder)
            {
                wanted.extend(self.still_wanted(*holder, &waiter.asks[waiter.at..]));
            }
        }
        false
    }

    /// Whether dropping the future of this waiting session can end in one way only, and in one that models know: a statement that waits
    /// for an id is not followed beyond it; none that nobody awaits comes to stand on a circle.
    pub(super) fn may_be_dropped(&self, session: usize) -> bool {
        let Some(waiter) = self.waiters.get(&session) else { return true };
        let rest = &waiter.asks[waiter.at..waiter.known().max(waiter.at)];
        let beyond_an_id = matches!(rest, [Thing::Id(_), _, ..]);
        let skipped = self.waiters.iter().any(|(other, waiter)| {
            *other != session && waiter.skips.iter().any(|thing| self.holders.get(thing) == Some(&session))
        });
        !beyond_an_id && !skipped && !self.leads_to(session, rest, session)
    }

    /// Whether waiting for it would close a circle.
    pub(super) fn closes_circle(&self, session: usize, thing: Thing) -> bool {
        !self.circle_through(session, thing).is_empty()
    }

    /// The sessions on the way from `thing` back to `session`; empty where the way does not lead back.
    fn circle_through(&self, session: usize, thing: Thing) -> Vec<usize> {
        let mut members = Vec::new();
        let mut thing = thing;
        while let Some(holder) = self.holders.get(&thing) {
            if *holder == session {
                members.push(session);
                return members;
            }
            let Some(waiter) = self.waiters.get(holder) else { break };
            if members.contains(holder) || waiter.at >= waiter.asks.len() {
                break;
            }
            members.push(*holder);
            thing = waiter.asks[waiter.at];
        }
        Vec::new()
    }

    /// The sessions that wait for each other in a circle, with the steps since which they do.
    pub(super) fn circle(&self) -> Vec<(usize, usize)> {
        let circles = self.waiters.iter().map(|(session, waiter)| match waiter.asks.get(waiter.at) {
            Some(thing) => self.circle_through(*session, *thing),
            None => Vec::new(),
        });
        let members = circles.into_iter().find(|members| !members.is_empty()).unwrap_or_default();
        members.into_iter().map(|member| (member, self.waiters[&member].since)).collect()
    }

    /// Whether another one holds it.
    pub(super) fn is_held_by_another(&self, session: usize, thing: Thing) -> bool {
        self.holders.get(&thing).is_some_and(|holder| *holder != session)
    }

    /// Whether a session waits, or a step of it that nobody awaits any more.
    pub(super) fn waits(&self, session: usize) -> bool {
        self.waiters.contains_key(&session)
    }

    /// Whether somebody waits who may look at an index afterwards.
    pub(super) fn somebody_looks(&self) -> bool {
        self.waiters.values().any(|waiter| waiter.asks[waiter.at..].iter().any(|thing| thing.is_of_an_index()))
    }

    /// How many wait for it.
    pub(super) fn waiting_for(&self, thing: Thing) -> usize {
        self.waiters.values().filter(|waiter| waiter.asks.get(waiter.at) == Some(&thing)).count()
    }

    /// A session waits, or soon has what it asks for.
    pub(super) fn wait(&mut self, session: usize, asks: Asks, step: usize) {
        self.orders += 1;
        let Asks { things: asks, sent, skips } = asks;
        let waiter = Waiter { asks, at: 0, sent, skips, since: step, order: self.orders, dropped: false };
        self.waiters.insert(session, waiter);
        self.advance(step);
    }

    /// A session was answered: it holds these.
    pub(super) fn holds(&mut self, session: usize, things: impl IntoIterator<Item = Thing>) {
        self.waiters.remove(&session);
        for thing in things {
            self.holders.insert(thing, session);
        }
    }

    /// The future of a waiting session was dropped: it goes on waiting for what the server knows of.
    pub(super) fn dropped(&mut self, session: usize, step: usize) {
        if let Some(waiter) = self.waiters.get_mut(&session) {
            waiter.asks.truncate(waiter.known());
            waiter.dropped = true;
        }
        self.advance(step);
    }

    /// A transaction ended.
    pub(super) fn release(&mut self, session: usize, step: usize) {
        self.waiters.remove(&session);
        self.holders.retain(|_, holder| *holder != session);
        self.advance(step);
    }

    fn advance(&mut self, step: usize) {
        loop {
            let mut order: Vec<(usize, usize)> =
                self.waiters.iter().map(|(session, waiter)| (waiter.order, *session)).collect();
            order.sort_unstable();
            let mut moved = false;
            for (_, session) in order {
                let waiter = self.waiters.get_mut(&session).expect("listed just now");
                while let Some(thing) = waiter.asks.get(waiter.at) {
                    let stands = thing.is_of_an_index() && self.standing.contains(thing);
                    let holder = self.holders.get(thing);
                    if !stands && holder.is_some_and(|holder| *holder != session) {
                        break;
                    }
                    if !stands {
                        self.holders.insert(*thing, session);
                    }
                    (waiter.at, waiter.since, moved) = (waiter.at + 1, step, true);
                }
                if waiter.at == waiter.asks.len() && waiter.dropped {
                    self.waiters.remove(&session);
                    self.holders.retain(|_, holder| *holder != session);
                    moved = true;
                }
            }
            if !moved {
                return;
            }
        }
    }
}
