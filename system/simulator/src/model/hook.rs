//! Where a fault gets into a model: the nth call of a kind does something else.
//!
//! In: a plan (which call, which fault). Out: the fault due at this call, how many came, and when. Elsewhere: what the fault does (each
//! model).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use crate::trace;

pub use super::database::{CommitFault, StepFault};

#[derive(Debug)]
struct Planned<F> {
    fault: F,
    tag: Option<usize>,
}

#[derive(Debug)]
struct State<F> {
    calls: u64,
    fired: u64,
    planned: BTreeMap<u64, Planned<F>>,
    struck: Vec<(usize, Instant)>,
}

/// The plan of one kind of call. Clones share it.
#[derive(Debug)]
pub struct Hook<F> {
    state: Arc<Mutex<State<F>>>,
}

impl<F> Clone for Hook<F> {
    fn clone(&self) -> Self {
        Self { state: Arc::clone(&self.state) }
    }
}

impl<F> Default for Hook<F> {
    fn default() -> Self {
        let state = State { calls: 0, fired: 0, planned: BTreeMap::new(), struck: Vec::new() };
        Self { state: Arc::new(Mutex::new(state)) }
    }
}

impl<F> Hook<F> {
    fn state(&self) -> MutexGuard<'_, State<F>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The `nth` call from now on (1 is the next one) meets `fault`; the next free one after it if that call already meets another.
    pub fn plan(&self, nth: u64, fault: F) {
        self.add(nth, Planned { fault, tag: None });
    }

    /// Like [`Self::plan`]; when it strikes, [`Self::struck`] says so under `tag`.
    pub fn plan_tagged(&self, nth: u64, fault: F, tag: usize) {
        self.add(nth, Planned { fault, tag: Some(tag) });
    }

    fn add(&self, nth: u64, planned: Planned<F>) {
        let mut state = self.state();
        let mut call = state.calls.saturating_add(nth.max(1));
        while state.planned.contains_key(&call) {
            call += 1;
        }
        state.planned.insert(call, planned);
    }

    /// Forgets what was planned and has not struck.
    pub fn cancel(&self) {
        self.state().planned.clear();
    }

    /// How many planned faults were met: the witness that they happened.
    pub fn fired(&self) -> u64 {
        self.state().fired
    }

    /// The tags of faults that struck, in order, each with its virtual time.
    pub fn struck(&self) -> Vec<(usize, Instant)> {
        self.state().struck.clone()
    }

    /// Counts a call that meets a fault of another hook: one that is due here waits for the next free call.
    pub(crate) fn pass(&self) {
        let waits = {
            let mut state = self.state();
            state.calls += 1;
            let call = state.calls;
            state.planned.remove(&call)
        };
        if let Some(planned) = waits {
            self.add(1, planned);
        }
    }

    /// Counts a call; the fault that it meets.
    pub(crate) fn call(&self) -> Option<F> {
        let mut state = self.state();
        state.calls += 1;
        if state.planned.is_empty() {
            return None;
        }
        let call = state.calls;
        let Planned { fault, tag } = state.planned.remove(&call)?;
        state.fired += 1;
        if let Some(tag) = tag {
            state.struck.push((tag, Instant::now()));
            trace::strikes(tag);
        }
        Some(fault)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::{Instant, sleep};

    use super::Hook;

    #[tokio::test(start_paused = true)]
    async fn no_fault_overwrites_another_and_each_tells_when_it_struck() {
        let hook = Hook::default();
        let born = Instant::now();
        assert_eq!(hook.call(), None);
        hook.plan_tagged(2, 'a', 7);
        hook.plan_tagged(2, 'b', 8);
        hook.plan(3, 'c');
        let mut met = Vec::new();
        for _ in 0..5 {
            sleep(Duration::from_millis(10)).await;
            met.push(hook.call());
        }
        assert_eq!(met, [None, Some('a'), Some('b'), Some('c'), None]);
        assert_eq!(hook.fired(), 3);
        let struck: Vec<_> = hook.struck().iter().map(|(tag, at)| (*tag, (*at - born).as_millis())).collect();
        assert_eq!(struck, [(7, 20), (8, 30)]);
    }

    #[test]
    fn what_is_due_while_another_strikes_waits_for_the_next_free_call() {
        let hook = Hook::default();
        hook.plan(2, 'a');
        hook.plan(3, 'b');
        hook.pass();
        hook.pass();
        assert_eq!([hook.call(), hook.call(), hook.call()], [Some('b'), Some('a'), None]);
    }

    #[test]
    fn what_is_cancelled_never_strikes() {
        let hook = Hook::default();
        hook.plan(1, 'a');
        hook.plan(2, 'b');
        assert_eq!(hook.call(), Some('a'));
        hook.cancel();
        assert_eq!((hook.call(), hook.fired()), (None, 1));
        hook.plan(1, 'c');
        assert_eq!(hook.call(), Some('c'), "counted from when it was planned");
    }
}
