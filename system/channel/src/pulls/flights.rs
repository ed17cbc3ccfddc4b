//! Who may join whose pull.
//!
//! In: accounts that somebody wants pulled. Out: tickets for flights, and who has to fly. Elsewhere: the task that flies (`pulls`).
//!
//! An account is in the map as long as a task flies for it. What the map holds is the flight that has not asked core yet: it is the only
//! one that may be joined.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bankstorm_contracts::AccountNo;
use tokio::sync::Notify;

use super::Landed;
use crate::advance::Origin;

/// What joining met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Joined {
    /// Nobody flies for the account: a task has to.
    New,
    /// One flight has asked core: the new one is next.
    Next,
    /// Another's flight that has not asked yet.
    Other,
}

/// The flights of all accounts.
#[derive(Debug, Default)]
pub(super) struct Flights {
    next: BTreeMap<AccountNo, Option<Arc<Flight>>>,
}

impl Flights {
    /// A ticket for the account's next flight, which is made if there is none.
    pub(super) fn join(&mut self, account: AccountNo, why: Origin) -> (Ticket, Joined) {
        let (next, joined) = match self.next.entry(account) {
            Entry::Vacant(vacant) => (vacant.insert(None), Joined::New),
            Entry::Occupied(occupied) => (occupied.into_mut(), Joined::Next),
        };
        match next {
            Some(flight) => (Ticket::new(flight), Joined::Other),
            None => (Ticket::new(next.insert(Arc::new(Flight::new(why)))), joined),
        }
    }

    /// The flight that is next for an account. Where there is none its task is over, and whoever comes needs a new one.
    pub(super) fn waiting(&mut self, account: AccountNo) -> Option<Arc<Flight>> {
        let flight = self.next.get(&account).cloned().flatten();
        if flight.is_none() {
            self.next.remove(&account);
        }
        flight
    }

    /// The flight is about to ask: nobody joins it any more.
    pub(super) fn depart(&mut self, account: AccountNo, flight: &Arc<Flight>) {
        if let Some(next) = self.next.get_mut(&account)
            && next.as_ref().is_some_and(|next| Arc::ptr_eq(next, flight))
        {
            *next = None;
        }
    }

    /// Takes a flight away that nobody waits for; `false` when somebody does after all.
    pub(super) fn leave(&mut self, account: AccountNo, flight: &Arc<Flight>) -> bool {
        let nobody = flight.state().waiting == 0;
        if nobody {
            self.depart(account, flight);
        }
        nobody
    }
}

/// One pull, and those who wait for its end.
#[derive(Debug)]
pub(super) struct Flight {
    why: Origin,
    state: Mutex<FlightState>,
    end: Notify,
    empty: Notify,
}

#[derive(Debug, Default)]
struct FlightState {
    landed: Option<Landed>,
    waiting: usize,
}

impl Flight {
    fn new(why: Origin) -> Self {
        Self { why, state: Mutex::default(), end: Notify::new(), empty: Notify::new() }
    }

    /// Why it was begun.
    pub(super) fn why(&self) -> Origin {
        self.why.clone()
    }

    /// It has ended.
    pub(super) fn land(&self, landed: Landed) {
        self.state().landed = Some(landed);
        self.end.notify_waiters();
    }

    /// Completes when nobody waits for it; at once if so already.
    pub(super) async fn left(&self) {
        loop {
            let mut empty = std::pin::pin!(self.empty.notified());
            // Registered before the look, so that nobody leaves unseen in between.
            empty.as_mut().enable();
            if self.state().waiting == 0 {
                return;
            }
            empty.await;
        }
    }

    fn state(&self) -> MutexGuard<'_, FlightState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place among those who wait for a flight's end, as long as this lives.
#[derive(Debug)]
pub(super) struct Ticket(Arc<Flight>);

impl Ticket {
    fn new(flight: &Arc<Flight>) -> Self {
        flight.state().waiting += 1;
        Self(Arc::clone(flight))
    }

    /// How the flight ended, once it has.
    pub(super) async fn landed(&self) -> Landed {
        loop {
            let mut end = std::pin::pin!(self.0.end.notified());
            end.as_mut().enable();
            let landed = self.0.state().landed.clone();
            match landed {
                Some(landed) => return landed,
                None => end.await,
            }
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.waiting -= 1;
        if state.waiting == 0 {
            self.0.empty.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bankstorm_contracts::AccountNo;

    use super::{Flights, Joined};
    use crate::advance::Origin;

    const ACCOUNT: AccountNo = AccountNo::new(1_000_001);

    #[test]
    fn s6_a_flight_is_joined_until_it_asks_and_never_after() {
        let mut flights = Flights::default();
        let join = |flights: &mut Flights| flights.join(ACCOUNT, Origin::Read);
        let (first, how) = join(&mut flights);
        assert_eq!(how, Joined::New);
        let (second, how) = join(&mut flights);
        assert_eq!(how, Joined::Other);
        assert!(Arc::ptr_eq(&first.0, &second.0));
        let flying = flights.waiting(ACCOUNT).expect("one waits");
        flights.depart(ACCOUNT, &flying);

        let (third, how) = join(&mut flights);
        assert_eq!(how, Joined::Next, "the task that flies the first flies it too");
        assert!(!Arc::ptr_eq(&first.0, &third.0));
        assert_eq!(join(&mut flights).1, Joined::Other);
        flights.depart(ACCOUNT, &flying);
        assert!(
            flights.waiting(ACCOUNT).is_some_and(|next| Arc::ptr_eq(&next, &third.0)),
            "only its own flight departs"
        );
    }

    #[test]
    fn a_flight_without_anybody_is_taken_away_and_its_task_is_over() {
        let mut flights = Flights::default();
        let (ticket, _) = flights.join(ACCOUNT, Origin::Read);
        let flight = flights.waiting(ACCOUNT).expect("one waits");
        assert!(!flights.leave(ACCOUNT, &flight), "somebody waits");
        drop(ticket);
        assert!(flights.leave(ACCOUNT, &flight));
        assert!(flights.waiting(ACCOUNT).is_none());
        assert_eq!(flights.join(ACCOUNT, Origin::Read).1, Joined::New);
    }
}
