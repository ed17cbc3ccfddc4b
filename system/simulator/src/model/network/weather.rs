//! What a link is like, and what may happen to a message on it.
//!
//! In: cuts and delays, each until some moment; faults of an nth message. Out: whether something arrives, how late, which fault it meets.
//! Elsewhere: what follows for a call (`network`).

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::model::hook::Hook;

/// What happens to a request on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestFault {
    /// It never arrives.
    Dropped,
    /// It arrives this much later, whether anybody still waits or not.
    Held(Duration),
    /// It arrives, and once more this much later.
    Doubled(Duration),
}

/// What happens to an answer on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerFault {
    /// It never arrives.
    Dropped,
    /// It arrives this much later.
    Held(Duration),
}

/// Which way over a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From the caller.
    Requests,
    /// To the caller.
    Answers,
    /// Either.
    Both,
}

/// The hooks of one way: one for every message, and one for each kind that somebody asked for.
pub(super) struct Hooks<F> {
    all: Hook<F>,
    /// Few or none, so looked through in their order.
    kinds: Mutex<Vec<(String, Hook<F>)>>,
}

impl<F> Default for Hooks<F> {
    fn default() -> Self {
        Self { all: Hook::default(), kinds: Mutex::default() }
    }
}

impl<F> Hooks<F> {
    fn kinds(&self) -> MutexGuard<'_, Vec<(String, Hook<F>)>> {
        self.kinds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What every message meets.
    pub(super) const fn all(&self) -> &Hook<F> {
        &self.all
    }

    /// What messages of a kind meet, counted from the first time that somebody asks for it.
    pub(super) fn of(&self, kind: &str) -> Hook<F> {
        let mut kinds = self.kinds();
        if let Some((_, hook)) = kinds.iter().find(|(known, _)| known == kind) {
            return hook.clone();
        }
        let hook = Hook::default();
        kinds.push((kind.to_owned(), hook.clone()));
        hook
    }

    /// Counts a message; the fault that it meets. One that is due by its kind while another strikes waits for the next of its kind.
    pub(super) fn call(&self, kind: &str) -> Option<F> {
        let fault = self.all.call();
        let kinds = self.kinds();
        let Some((_, hook)) = kinds.iter().find(|(known, _)| known == kind) else { return fault };
        if fault.is_some() {
            hook.pass();
            return fault;
        }
        hook.call()
    }

    /// Forgets what was planned and has not struck.
    pub(super) fn cancel(&self) {
        self.all.cancel();
        self.kinds().iter().for_each(|(_, hook)| hook.cancel());
    }
}

/// What a link is like; each part until some moment.
#[derive(Default)]
pub(super) struct Weather {
    requests_cut: Option<Instant>,
    answers_cut: Option<Instant>,
    slow: Vec<(Duration, Instant)>,
}

impl Weather {
    pub(super) fn is_cut(&self, way: Way) -> bool {
        let until = match way {
            Way::Requests => self.requests_cut,
            Way::Answers => self.answers_cut,
            Way::Both => self.requests_cut.max(self.answers_cut),
        };
        until.is_some_and(|until| Instant::now() < until)
    }

    /// From now on for so long, or until an earlier cut ends.
    pub(super) fn cut(&mut self, way: Way, lasts: Duration) {
        let until = Some(Instant::now() + lasts);
        if matches!(way, Way::Requests | Way::Both) {
            self.requests_cut = self.requests_cut.max(until);
        }
        if matches!(way, Way::Answers | Way::Both) {
            self.answers_cut = self.answers_cut.max(until);
        }
    }

    pub(super) fn slow(&mut self, by: Duration, lasts: Duration) {
        self.slow.push((by, Instant::now() + lasts));
    }

    /// Delays add up, as those of proxies one after the other.
    pub(super) fn slowness(&mut self) -> Duration {
        if self.slow.is_empty() {
            return Duration::ZERO;
        }
        let now = Instant::now();
        self.slow.retain(|(_, until)| now < *until);
        self.slow.iter().map(|(by, _)| *by).sum()
    }
}
