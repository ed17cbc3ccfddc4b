//! Deposits and transfers that wait for a posting slot, who waits for their answers, and how equal ids collapse.
//!
//! In: jobs. Out: whatever waits, at once (no waiting window: a fixed one only adds itself to every answer). Elsewhere: what is done with
//! a batch (`posting`), how much is taken on at all (`admission`).

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bankstorm_contracts::TransferId;
use bankstorm_contracts::core_api::CoreResponse;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use crate::admission::Ticket;
use crate::book::Order;

/// Somebody who waits for an answer. He may have gone; his request is posted all the same.
#[derive(Debug)]
pub(crate) struct Asker {
    reply: oneshot::Sender<CoreResponse>,
    ticket: Option<Ticket>,
}

impl Asker {
    /// An asker and where his answer arrives.
    pub(crate) fn new(ticket: Ticket) -> (Self, oneshot::Receiver<CoreResponse>) {
        let (reply, answer) = oneshot::channel();
        (Self { reply, ticket: Some(ticket) }, answer)
    }

    /// Whether he does not wait any more.
    pub(crate) fn is_gone(&self) -> bool {
        self.reply.is_closed()
    }

    /// Gives his place at the door back, before his answer.
    fn leave_the_door(&mut self) {
        drop(self.ticket.take());
    }

    /// Answers him.
    pub(crate) fn answer(self, response: CoreResponse) {
        // An error means that he is gone, which is his right.
        let _ = self.reply.send(response);
    }
}

/// A deposit or transfer in work.
#[derive(Debug)]
pub(crate) struct Job {
    /// What is to be posted.
    pub(crate) order: Order,
    /// Who asked first.
    pub(crate) asker: Asker,
    /// Who asked for the very same while it waited.
    pub(crate) followers: Vec<Asker>,
    /// When it arrived and was taken on. A transfer's validity runs from here (D31).
    pub(crate) since: Instant,
}

impl Job {
    /// A job that nobody follows yet.
    pub(crate) const fn new(order: Order, asker: Asker, since: Instant) -> Self {
        Self { order, asker, followers: Vec::new(), since }
    }

    /// How many wait for its answer.
    pub(crate) const fn waiting(&self) -> usize {
        1 + self.followers.len()
    }

    /// Gives everybody's place at the door back: core has done its work, and only somebody else's answer is waited for.
    pub(crate) fn leave_the_door(&mut self) {
        self.asker.leave_the_door();
        self.followers.iter_mut().for_each(Asker::leave_the_door);
    }

    /// Answers everybody. Followers posted nothing themselves: a 201 is a replay to them.
    pub(crate) fn answer(self, response: CoreResponse) {
        for follower in self.followers {
            follower.answer(match response.clone() {
                CoreResponse::Created(verdict) => CoreResponse::Verdict(verdict),
                other => other,
            });
        }
        self.asker.answer(response);
    }
}

/// Jobs with distinct ids, and those that must come after them.
#[derive(Debug, Default)]
pub(crate) struct Collapsed {
    /// One per id, in order of arrival.
    pub(crate) jobs: Vec<Job>,
    /// The same id with other parameters. Which of them the id is bound to is for the ledger to say, so these are tried after it.
    pub(crate) later: Vec<Job>,
    /// How many became followers.
    pub(crate) collapsed: usize,
}

/// One job per id (D37): the naive one-statement form posts an id twice when it comes twice.
pub(crate) fn collapse(jobs: Vec<Job>) -> Collapsed {
    let mut places: BTreeMap<TransferId, usize> = BTreeMap::new();
    let mut result = Collapsed::default();
    for job in jobs {
        let Some(&place) = places.get(&job.order.id()) else {
            places.insert(job.order.id(), result.jobs.len());
            result.jobs.push(job);
            continue;
        };
        let first = &mut result.jobs[place];
        if first.order.hash == job.order.hash {
            first.followers.push(job.asker);
            first.followers.extend(job.followers);
            result.collapsed += 1;
        } else {
            result.later.push(job);
        }
    }
    result
}

/// The queue. Its length is bounded by [`crate::admission::Admission`].
#[derive(Debug)]
pub(crate) struct Queue<T> {
    state: Mutex<State<T>>,
    arrived: Notify,
}

#[derive(Debug)]
struct State<T> {
    waiting: VecDeque<T>,
    closed: bool,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { state: Mutex::new(State { waiting: VecDeque::new(), closed: false }), arrived: Notify::new() }
    }
}

impl<T> Queue<T> {
    /// Puts a job last; gives it back once the queue is closed. The number that waits now, otherwise.
    pub(crate) fn push(&self, job: T) -> Result<usize, T> {
        let mut state = self.state();
        if state.closed {
            return Err(job);
        }
        state.waiting.push_back(job);
        let depth = state.waiting.len();
        drop(state);
        self.arrived.notify_one();
        Ok(depth)
    }

    /// What waits now, at most `most`, and how many wait still.
    pub(crate) fn take(&self, most: usize) -> (Vec<T>, usize) {
        let mut state = self.state();
        let count = most.min(state.waiting.len());
        let taken = state.waiting.drain(..count).collect();
        let depth = state.waiting.len();
        drop(state);
        if depth > 0 {
            // More than one batch waits: another slot may be asleep.
            self.arrived.notify_one();
        }
        (taken, depth)
    }

    /// Completes when something may have arrived.
    pub(crate) async fn arrived(&self) {
        self.arrived.notified().await;
    }

    /// Closes the queue if nothing waits, so that no job can be left behind in it.
    pub(crate) fn close_if_empty(&self) -> bool {
        let mut state = self.state();
        state.closed |= state.waiting.is_empty();
        state.closed
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        // No code under this lock panics half-way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use bankstorm_contracts::core_api::{CoreResponse, Deposit, Party, Verdict};
    use bankstorm_contracts::{AccountNo, TransferId, TransferState, Won};
    use tokio::time::Instant;
    use uuid::Uuid;

    use super::{Asker, Job, Queue, collapse};
    use crate::admission::Admission;
    use crate::book::{Order, What};

    type Answer = tokio::sync::oneshot::Receiver<CoreResponse>;

    fn job(admission: &Admission, id: u128, amount: i64) -> (Job, Answer) {
        let (asker, answer) = Asker::new(admission.admit("me").expect("a place"));
        let deposit = Deposit {
            id: TransferId(Uuid::from_u128(id)),
            account: AccountNo::new(1_000_001),
            amount: Won::new(amount),
            from: Party { bank: "088".to_owned(), account: "7".to_owned() },
        };
        (Job::new(Order::deposit(deposit), asker, Instant::now()), answer)
    }

    #[test]
    fn equal_ids_collapse_and_other_parameters_come_later() {
        let admission = Admission::new(9, 9);
        let (jobs, mut answers): (Vec<_>, Vec<_>) =
            [(1, 10), (2, 10), (1, 10), (1, 99)].map(|(id, amount)| job(&admission, id, amount)).into_iter().unzip();
        let collapsed = collapse(jobs);
        assert_eq!((collapsed.jobs.len(), collapsed.later.len(), collapsed.collapsed), (2, 1, 1));
        assert!(matches!(&collapsed.later[0].order.what, What::Deposit(deposit) if deposit.amount == Won::new(99)));

        let verdict = Verdict {
            id: TransferId(Uuid::from_u128(1)),
            state: TransferState::Completed,
            reason: None,
            seq: Some(2),
            balance_after: Some(Won::new(10)),
            posted_at: None,
            params_hash: None,
        };
        let first = collapsed.jobs.into_iter().next().expect("id 1");
        first.answer(CoreResponse::Created(verdict));
        assert_eq!(answers[0].try_recv().expect("answered"), CoreResponse::Created(verdict));
        assert_eq!(answers[2].try_recv().expect("answered"), CoreResponse::Verdict(verdict));
        assert!(answers[3].try_recv().is_err(), "other parameters are not the first one's business");
    }

    #[test]
    fn a_closed_queue_has_nothing_in_it_and_takes_nothing() {
        let queue = Queue::default();
        assert_eq!(queue.push('a'), Ok(1));
        assert_eq!(queue.push('b'), Ok(2));
        assert!(!queue.close_if_empty());
        assert_eq!(queue.take(1), (vec!['a'], 1));
        assert_eq!(queue.take(9), (vec!['b'], 0));
        assert!(queue.close_if_empty());
        assert_eq!(queue.push('c'), Err('c'));
    }

    #[tokio::test]
    async fn an_arrival_before_the_wait_is_not_missed() {
        let queue = Queue::default();
        queue.push('a').expect("open");
        queue.arrived().await;
    }
}
