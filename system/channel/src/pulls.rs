//! Pulls: an account's copy brought to where core stands now, because somebody asks.
//!
//! In: accounts, and why. Out: how the pull ended, told to all who wait for it. Elsewhere: how entries get into the copy (`advance`, the
//! only way), who asks (`read`, `button`, `sweep`).
//!
//! A pull is a *flight*. Each account has at most one whose question to core is under way and one that has not asked yet; whoever comes
//! joins the latter (`flights`). He never joins the former: its question may have been answered before he came, and what core acknowledged
//! in between would be missing in what he reads (S6). So however many read one account at once, core is asked once for all of them.
//!
//! A flight runs in a task of the process: whoever asked may leave, and what was begun goes on without him. One that has not asked when
//! the last one left never asks.
//!
//! Core is spared (A18): of these flights at most `core_pulls` are between their question and their end, and after `breaker_after`
//! failures of core in a row none is for `breaker_rest`, then one, to see (`breaker`). The wait for a place is the waiting one's own time.
//!
//! An account that could not be pulled is marked dirty for the sweep, in a task as well (`marks`).
//!
//! | counter | counts |
//! |---|---|
//! | `channel_pulls_total` | flights that asked core |
//! | `channel_pulls_joined_total` | those who joined another's flight |
//! | `channel_pulls_unanswered_total` | flights that core gave no answer |
//! | `channel_pulls_blocked_total` | flights that something of the channel's own stood in the way of |
//! | `channel_pulls_refused_total` | pulls that did not ask since the breaker was open |
//! | `channel_pulls_left_total` | flights that nobody waited for any more, before they asked |
//! | `channel_pulls_running` (gauge) | flights between their question and their end |
//! | `channel_pull_seconds` (histogram) | from a flight's question to its end |
//! | `channel_breaker_opened_total` | times that the breaker opened |
//! | `channel_breaker_open` (gauge) | 1 while it lets nobody through, or one to see |
//! | `channel_marks_total`, `channel_marks_failed_total` | accounts marked dirty; those that could not be |

mod breaker;
mod flights;
mod marks;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bankstorm_contracts::{AccountNo, Head};
use bankstorm_outside::bundle::ChannelOutside;
use bankstorm_outside::process::{Metrics, Points, Scope};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use crate::advance::{AdvanceError, Advancer, Origin};
use crate::config::ChannelConfig;
use crate::markers;
use crate::parts::Parts;

use breaker::{Admit, Breaker, Heard, Turned};
use flights::{Flight, Flights, Joined};
use marks::Marks;

/// How a pull ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Landed {
    /// The copy has everything that core had when it was asked.
    Synced(Head),
    /// Core gave no answer, or was not asked since it gave none lately.
    Core(String),
    /// Something of the channel's own stood in the way: a held row, its database, a stop.
    Blocked(String),
}

/// Brings copies to where core stands, a bounded number at once.
#[derive(Debug)]
pub(crate) struct Pulls<O> {
    outside: O,
    config: ChannelConfig,
    advancer: Arc<Advancer<O>>,
    parts: Arc<Parts>,
    places: Semaphore,
    state: Mutex<State>,
    marks: Arc<Marks<O>>,
}

#[derive(Debug)]
struct State {
    flights: Flights,
    breaker: Breaker,
    running: i64,
}

impl<O: ChannelOutside> Pulls<O> {
    /// Pulls through `advancer`; `parts` hears of what is under way.
    pub(crate) fn new(outside: O, config: ChannelConfig, advancer: Arc<Advancer<O>>, parts: Arc<Parts>) -> Arc<Self> {
        let places = Semaphore::new(config.core_pulls.max(1));
        let breaker = Breaker::new(config.breaker_after, config.breaker_rest);
        let state = Mutex::new(State { flights: Flights::default(), breaker, running: 0 });
        let marks = Marks::new(outside.clone(), config.clone(), Arc::clone(&parts));
        Arc::new(Self { outside, config, advancer, parts, places, state, marks })
    }

    /// Pulls an account, and tells how that ended. The flight may be another's, and goes on when this future is dropped once core was
    /// asked. There is no limit of its own beside those of core's calls and the store: callers have theirs.
    pub(crate) async fn pull(self: &Arc<Self>, account: AccountNo, why: Origin) -> Landed {
        let reads = why == Origin::Read;
        let (ticket, joined) = {
            let mut state = self.state();
            if !state.breaker.lets_through(Instant::now()) {
                drop(state);
                return self.refused();
            }
            state.flights.join(account, why)
        };
        match joined {
            Joined::New => self.take_off(account),
            Joined::Next => {}
            Joined::Other => {
                self.outside.metrics().count("channel_pulls_joined_total", 1);
                if reads {
                    self.outside.points().reached(markers::READ_JOINED);
                }
            }
        }
        ticket.landed().await
    }

    /// Marks an account dirty, so that the sweep looks at it first. Does not wait.
    pub(crate) fn mark(&self, account: AccountNo) {
        self.marks.mark(account);
    }

    /// Core answered somebody who asks beside the pulls: their failures are in a row no more.
    pub(crate) fn core_answered(&self) {
        self.state().breaker.answered();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refused(&self) -> Landed {
        self.outside.metrics().count("channel_pulls_refused_total", 1);
        Landed::Core("core gave no answers lately".to_owned())
    }

    /// Starts the task that flies an account's flights, one after the other, until there is none.
    fn take_off(self: &Arc<Self>, account: AccountNo) {
        let (pulls, part) = (Arc::clone(self), self.parts.begin());
        self.outside.scope().spawn("channel-pull", async move {
            let _part = part;
            loop {
                let next = pulls.state().flights.waiting(account);
                let Some(flight) = next else { return };
                pulls.fly(account, &flight).await;
            }
        });
    }

    /// One flight, from its wait for a place to its end.
    async fn fly(&self, account: AccountNo, flight: &Arc<Flight>) {
        let place = tokio::select! {
            biased;
            () = self.outside.scope().stopping() => {
                self.state().flights.depart(account, flight);
                flight.land(Landed::Blocked("the channel is stopping".to_owned()));
                return;
            }
            () = flight.left() => {
                // Somebody may have come in the meantime: then it goes on.
                if self.state().flights.leave(account, flight) {
                    self.outside.metrics().count("channel_pulls_left_total", 1);
                }
                return;
            }
            place = self.places.acquire() => place.expect("the semaphore is never closed"),
        };
        let admit = {
            let mut state = self.state();
            // From here on nobody joins: core is about to be asked.
            state.flights.depart(account, flight);
            let admit = state.breaker.admit(Instant::now());
            state.running += i64::from(admit.is_some());
            admit
        };
        let landed = match admit {
            Some(admit) => self.ask(account, flight.why(), admit, place).await,
            None => self.refused(),
        };
        flight.land(landed);
    }

    /// Asks core and brings the copy there.
    async fn ask(&self, account: AccountNo, why: Origin, admit: Admit, place: SemaphorePermit<'_>) -> Landed {
        let (metrics, begun) = (self.outside.metrics(), Instant::now());
        metrics.count("channel_pulls_total", 1);
        metrics.gauge("channel_pulls_running", self.state().running);
        let until = Some(begun + self.config.pull_limit);
        let pulled = self.advancer.pull_to_core(account, why, until).await;
        drop(place);
        metrics.observe("channel_pull_seconds", begun.elapsed());
        self.judge(admit, heard(&pulled));
        match pulled {
            Ok(head) => Landed::Synced(head),
            Err(AdvanceError::Core(error)) => {
                metrics.count("channel_pulls_unanswered_total", 1);
                Landed::Core(error.to_string())
            }
            Err(error) => {
                metrics.count("channel_pulls_blocked_total", 1);
                tracing::warn!(%error, %account, "an account was not pulled");
                Landed::Blocked(error.to_string())
            }
        }
    }

    fn judge(&self, admit: Admit, heard: Heard) {
        let (turned, running) = {
            let mut state = self.state();
            state.running -= 1;
            (state.breaker.judge(admit, heard, Instant::now()), state.running)
        };
        let (points, metrics) = (self.outside.points(), self.outside.metrics());
        metrics.gauge("channel_pulls_running", running);
        match turned {
            Turned::Not => {}
            Turned::Closed => {
                metrics.gauge("channel_breaker_open", 0);
                tracing::info!("core answers again");
            }
            Turned::Opened => {
                points.reached(markers::BREAKER_OPEN);
                metrics.count("channel_breaker_opened_total", 1);
                metrics.gauge("channel_breaker_open", 1);
                tracing::warn!(rest = ?self.config.breaker_rest, "core gives no answers; nobody asks it for a while");
            }
        }
    }
}

/// What a pull says of core.
const fn heard(pulled: &Result<Head, AdvanceError>) -> Heard {
    match pulled {
        Err(AdvanceError::Core(_)) => Heard::Nothing,
        Ok(_)
        | Err(
            AdvanceError::CoreBehind { .. }
            | AdvanceError::CoreOutOfLine { .. }
            | AdvanceError::ChainBroken { .. }
            | AdvanceError::PullEnded { .. }
            | AdvanceError::UnknownToCore(_),
        ) => Heard::Answer,
        // The store may have failed before core was asked.
        Err(_) => Heard::Unsaid,
    }
}
