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
            _ => 0,
        };
        Asks { things: asks, sent, skips }
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
            Act::Lock(..) | Act::Claim(..) | Act::ClaimAndLock(..) => {
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
        Act::Claim(_, wait) => *wait == Wait::Long,
        Act::Lock(_, mode) => *mode == Some(Wait::Long),
        Act::ClaimAndLock(_, wait, _, _) => *wait == Wait::Long,
        _ => false,
    }
}
