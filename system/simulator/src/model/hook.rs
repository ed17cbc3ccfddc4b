//! Where a fault gets into a model: the nth call of a kind does something else.
//!
//! In: a plan (which call, which fault). Out: the fault due at this call, and how many came. Elsewhere: what the fault does (each model).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[derive(Debug)]
struct State<F> {
    calls: u64,
    fired: u64,
    planned: BTreeMap<u64, F>,
}

/// The plan of one kind of call. Clones share it.
#[derive(Clone, Debug)]
pub struct Hook<F> {
    state: Arc<Mutex<State<F>>>,
}

impl<F> Default for Hook<F> {
    fn default() -> Self {
        Self { state: Arc::new(Mutex::new(State { calls: 0, fired: 0, planned: BTreeMap::new() })) }
    }
}

impl<F> Hook<F> {
    fn state(&self) -> MutexGuard<'_, State<F>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The `nth` call from now on (1 is the next one) meets `fault`.
    pub fn plan(&self, nth: u64, fault: F) {
        let mut state = self.state();
        let call = state.calls + nth;
        state.planned.insert(call, fault);
    }

    /// How many planned faults were met: the witness that they happened.
    pub fn fired(&self) -> u64 {
        self.state().fired
    }

    /// Counts a call; the fault that it meets.
    pub(crate) fn call(&self) -> Option<F> {
        let mut state = self.state();
        state.calls += 1;
        let call = state.calls;
        let fault = state.planned.remove(&call);
        state.fired += u64::from(fault.is_some());
        fault
    }
}

/// What happens to a commit instead of a plain answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitFault {
    /// The database says no; nothing was written.
    Failed,
    /// The connection breaks before the commit arrives; nothing was written, and nobody can tell.
    UnknownBefore,
    /// The connection breaks after the commit happened; everything was written, and nobody can tell.
    UnknownAfter,
}

/// The connection of a transaction breaks at a step: nothing is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dropped;
