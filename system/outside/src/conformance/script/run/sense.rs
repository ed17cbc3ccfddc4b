//! Whether a step makes sense where it stands.
//!
//! In: an act, what is known of its session, the book. Out: what it asks for, and whether it ends in one way only. Elsewhere: who holds and
//! waits (`book`), running it (`run`).

use super::super::book::{Asks, Thing};
use super::super::{Act, Kind, ScriptFixture, Subject, Wait};
use super::{DEADLOCKS, Runner};

impl<S: Subject, F: ScriptFixture<S>> Runner<'_, S, F> {
    /// What a step asks for.
    pub(super) fn asks(&self, session: usize, act: &Act) -> Asks {
        let (mut asks, mut skips) = (Vec::new(), Vec::new());
        let ids = |asks: &mut Vec<Thing>, claims: &[(u8, bool)]| {
            let mut ids: Vec<u8> = claims.iter().map(|(id, _)| *id).collect();
            ids.sort_unstable();
            asks.extend(ids.into_iter().map(Thing::Id).filter(|id| !self.book.standing.contains(id)));
        };
        let stands = |place: &u8| {
            self.book.standing.contains(&Thing::Row(*place)) || self.known[session].view.heads.contains_key(place)
        };
        let rows = |asks: &mut Vec<Thing>, places: &[u8]| {
            let mut places = places.to_vec();
            places.sort_unstable();
            let (there, missing): (Vec<u8>, Vec<u8>) = places.into_iter().partition(stands);
            asks.extend(there.into_iter().map(Thing::Row));
            let sent = asks.len();
            if S::KIND == Kind::Channel {
                asks.extend(missing.into_iter().map(Thing::Row));
            }
            sent
        };
        let sent = match act {
            Act::Claim(claims, _) => {
                ids(&mut asks, claims);
                asks.len()
            }
            Act::Lock(places, mode) => {
                let sent = rows(&mut asks, places);
                if mode.is_none() {
                    asks.clear();
                }
                sent
            }
            Act::ClaimAndLock(claims, _, places, mode) => {
                ids(&mut asks, claims);
                rows(if mode.is_some() { &mut asks } else { &mut skips }, places);
                asks.len()
            }
            Act::Reopen(ids, _) => {
                asks.extend(ids.iter().filter(|id| self.open_holds.contains(*id)).map(|id| Thing::Transfer(*id)));
                asks.sort_unstable();
                asks.len()
            }
            Act::LockTransfers(ids, _) => {
                let stands = |id: &&u8| self.book.standing.contains(&Thing::Id(**id));
                asks.extend(ids.iter().filter(stands).map(|id| Thing::Transfer(*id)));
                asks.sort_unstable();
                asks.len()
            }
            Act::Open(id, guard, _) => {
                asks.extend(self.way_in(session, *id, *guard));
                asks.len()
            }
            _ => 0,
        };
        Asks { things: asks, sent, skips }
    }

    /// What opening a transfer waits for, or takes where nobody is in its way.
    fn way_in(&self, session: usize, id: u8, guard: Option<u8>) -> Vec<Thing> {
        let (id, guard) = (Thing::Id(id), guard.map(Thing::Guard));
        if self.book.standing.contains(&id) {
            return Vec::new();
        }
        if self.book.is_held_by_another(session, id) {
            return vec![id];
        }
        match guard {
            Some(guard) if self.book.standing.contains(&guard) => Vec::new(),
            Some(guard) if self.book.is_held_by_another(session, guard) => vec![guard],
            _ => [id].into_iter().chain(guard).collect(),
        }
    }

    /// Whether opening a transfer ends in one way only.
    fn opens_clearly(&self, session: usize, id: u8, guard: Option<u8>) -> bool {
        let view = &self.known[session].view;
        let own = guard.is_some_and(|guard| {
            let moved = self.guarding.get(&guard).is_some_and(|open| view.stepped.contains(open));
            moved || view.opened.values().any(|taken| *taken == Some(guard))
        });
        // Whoever comes second to what somebody waits for would meet him.
        let met = self.known.iter().enumerate().any(|(other, known)| {
            let same = |(opens, under): (u8, Option<u8>)| opens == id || (guard.is_some() && under == guard);
            other != session && self.book.waits(other) && known.opening.is_some_and(same)
        });
        let guarding = guard.and_then(|guard| self.guarding.get(&guard));
        let mut standing = [id].into_iter().chain(guarding.copied());
        let uncertain = standing.any(|id| self.book.is_held_by_another(session, Thing::Change(id)));
        // Two waits, one after the other, are more than the book can follow.
        let twice = self.book.is_held_by_another(session, Thing::Id(id))
            && guard.map(Thing::Guard).is_some_and(|guard| {
                self.book.standing.contains(&guard) || self.book.is_held_by_another(session, guard)
            });
        !(view.opened.contains_key(&id) || own || met || uncertain || twice)
    }

    /// Whether a write may come now: one that settles a standing transfer stops whoever looks at it, which the book does not follow.
    fn writes_clearly(&self, session: usize) -> bool {
        let view = &self.known[session].view;
        (view.reopened.is_empty() && view.transfers.is_empty()) || !self.book.somebody_looks()
    }

    /// What a step does not say in one way only, whoever else is there.
    fn is_clear(&self, session: usize, act: &Act) -> bool {
        let view = &self.known[session].view;
        match act {
            Act::Claim(claims, _) | Act::ClaimAndLock(claims, _, _, _) => {
                !claims.iter().any(|(id, _)| self.book.is_held_by_another(session, Thing::Change(*id)))
            }
            Act::Reopen(ids, _) => ids.iter().all(|id| !view.placed.contains(id)),
            Act::LockTransfers(ids, _) => ids.iter().all(|id| !view.opened.contains_key(id)),
            Act::Open(id, guard, _) => self.opens_clearly(session, *id, *guard),
            Act::Write(_) | Act::WriteAndCommit(_) => self.writes_clearly(session),
            _ => true,
        }
    }

    /// Whether a step ends in one way only.
    pub(super) fn makes_sense(&self, session: usize, act: &Act, asks: &Asks) -> bool {
        let known = &self.known[session];
        if known.failed || known.dead {
            // One more step than needed shows what a spoilt transaction says; the book knows nothing of it.
            return match act {
                Act::CutBefore | Act::CutAfter => false,
                Act::Write(what) => known.failed || !S::silent(&S::rows(&known.view, *what).0),
                _ => true,
            };
        }
        if !self.is_clear(session, act) {
            return false;
        }
        match act {
            Act::CutBefore | Act::CutAfter | Act::Commit | Act::WriteAndCommit(_) => {
                // Whoever waits for a row that moved on follows it out of line.
                let held = if S::KIND == Kind::Channel { known.view.heads.keys() } else { Default::default() };
                let touched = match act {
                    Act::WriteAndCommit(_) => known.view.heads.keys(),
                    _ => Default::default(),
                };
                let mut rows = known.view.moved.iter().chain(held).chain(touched);
                let quiet = rows.all(|place| self.book.waiting_for(Thing::Row(*place)) < 2);
                quiet && (known.started || matches!(act, Act::Commit | Act::WriteAndCommit(_)))
            }
            Act::ClaimAndLock(_, wait, _, Some(row_wait)) if wait != row_wait => false,
            Act::Lock(..)
            | Act::Claim(..)
            | Act::ClaimAndLock(..)
            | Act::Reopen(..)
            | Act::LockTransfers(..)
            | Act::Open(..) => {
                let things = &asks.things;
                let missing =
                    things.iter().filter(|thing| matches!(thing, Thing::Row(_)) && !self.book.standing.contains(thing));
                // A row that is being made is waited for in another way than one that stands: one at a time.
                if missing.count() > 1 {
                    return false;
                }
                match self.book.held_by_other(session, things) {
                    Some(at) => {
                        // One that closes only later, when somebody goes on to its next row, may have a queue on it by then.
                        let circle = self.book.closes_circle(session, things[at]);
                        if waits_long(act) {
                            let clear = circle || !self.book.leads_to(session, &things[at..], session);
                            clear && !self.book.would_race(session, asks, at) && (!circle || self.deadlocks < DEADLOCKS)
                        } else {
                            // Another one on the circle may look for deadlocks just then.
                            !circle
                        }
                    }
                    None => true,
                }
            }
            _ => true,
        }
    }
}

/// Whether somebody else has to end its wait.
pub(super) fn waits_long(act: &Act) -> bool {
    match act {
        Act::Claim(_, wait) | Act::Reopen(_, wait) | Act::LockTransfers(_, wait) | Act::Open(_, _, wait) => {
            *wait == Wait::Long
        }
        Act::Lock(_, mode) => *mode == Some(Wait::Long),
        Act::ClaimAndLock(_, wait, _, _) => *wait == Wait::Long,
        _ => false,
    }
}
