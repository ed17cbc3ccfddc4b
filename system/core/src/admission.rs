//! How much core takes on at all, and from one caller.
//!
//! In: callers' names. Out: tickets, or whose limit is reached. Elsewhere: what a refusal says (`service`), where tickets stay until
//! the answer, or until a hold is committed (`queue::Asker`).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many requests core has taken on and not answered.
#[derive(Debug)]
pub(crate) struct Admission {
    limit: usize,
    caller_limit: usize,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    /// Those who have something in work, and no others.
    callers: BTreeMap<String, usize>,
}

/// Whose limit is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// Core's.
    Core,
    /// This caller's.
    Caller,
}

/// A place among the admitted; given back when dropped.
#[derive(Debug)]
pub(crate) struct Ticket {
    taken: Arc<Mutex<Taken>>,
    caller: String,
}

impl Admission {
    /// At most `limit` at once, and `caller_limit` of one caller.
    pub(crate) fn new(limit: usize, caller_limit: usize) -> Self {
        Self { limit, caller_limit, taken: Arc::default() }
    }

    /// A place, unless all are taken, or all that one caller may take.
    pub(crate) fn admit(&self, caller: &str) -> Result<Ticket, Full> {
        let mut taken = lock(&self.taken);
        if taken.all >= self.limit {
            return Err(Full::Core);
        }
        if taken.callers.get(caller).copied().unwrap_or(0) >= self.caller_limit {
            return Err(Full::Caller);
        }
        taken.all += 1;
        *taken.callers.entry(caller.to_owned()).or_insert(0) += 1;
        Ok(Ticket { taken: Arc::clone(&self.taken), caller: caller.to_owned() })
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut taken = lock(&self.taken);
        taken.all -= 1;
        if let Some(count) = taken.callers.get_mut(&self.caller) {
            *count -= 1;
            if *count == 0 {
                taken.callers.remove(&self.caller);
            }
        }
    }
}

fn lock(taken: &Mutex<Taken>) -> MutexGuard<'_, Taken> {
    // No code under this lock panics half-way.
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::{Admission, Full, lock};

    #[test]
    fn places_are_given_back() {
        let admission = Admission::new(2, 2);
        let one = admission.admit("a").expect("a place");
        let _two = admission.admit("b").expect("a place");
        assert_eq!(admission.admit("c").err(), Some(Full::Core));
        drop(one);
        assert!(admission.admit("c").is_ok());
    }

    #[test]
    fn a_caller_at_his_limit_keeps_nobody_else_out_a18() {
        let admission = Admission::new(9, 2);
        let mine: Vec<_> = (0..2).map(|_| admission.admit("greedy").expect("a place")).collect();
        assert_eq!(admission.admit("greedy").err(), Some(Full::Caller));
        assert!(admission.admit("modest").is_ok());
        drop(mine);
        assert!(admission.admit("greedy").is_ok());
        assert!(lock(&admission.taken).callers.is_empty(), "who has nothing in work is not remembered");
    }
}
