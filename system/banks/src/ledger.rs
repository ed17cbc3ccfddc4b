//! What stands at the banks, and whose turn it is.
//!
//! In: the book. Out: one answer per id, decided once. Elsewhere: which answer (`service`), where the book is kept (`adapters`).
//!
//! The book is the truth, memory only its copy. An append whose end nobody knows leaves its id in doubt: the book is read again before
//! anything is said about that id. Where two lines speak of one id, the first stands.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bankstorm_contracts::TransferId;
use bankstorm_contracts::banks_api::{Credit, CreditAnswer, CreditState};
use bankstorm_outside::bank_network::BankBook;
use bankstorm_outside::core_api::CallError;
use tokio::sync::Notify;
use tokio::time::timeout;

/// The definite answer on an id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    /// What became of it.
    pub(crate) state: CreditState,
    /// The credit; `None` where a cancel came before anything was decided.
    pub(crate) credit: Option<Credit>,
}

/// All answers, and the ids that are in work.
#[derive(Debug)]
pub(crate) struct Ledger<B> {
    book: B,
    memory: Mutex<Memory>,
    /// Rings when the book was read, and when a turn ends.
    changed: Notify,
}

#[derive(Debug, Default)]
struct Memory {
    open: bool,
    standing: BTreeMap<TransferId, Standing>,
    doubtful: BTreeSet<TransferId>,
    busy: BTreeSet<TransferId>,
}

/// The right to decide on one id; whoever else wants it waits until this is dropped.
pub(crate) struct Turn<'a, B> {
    ledger: &'a Ledger<B>,
    id: TransferId,
}

impl<B> Drop for Turn<'_, B> {
    fn drop(&mut self) {
        self.ledger.memory().busy.remove(&self.id);
        self.ledger.changed.notify_waiters();
    }
}

impl<B> Ledger<B> {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn until<T>(&self, mut met: impl FnMut(&mut Memory) -> Option<T>) -> T {
        loop {
            let mut changed = pin!(self.changed.notified());
            // Registered before the look, so that a change in between is not missed.
            changed.as_mut().enable();
            if let Some(found) = met(&mut self.memory()) {
                return found;
            }
            changed.await;
        }
    }
}

impl<B: BankBook> Ledger<B> {
    /// A ledger whose book was not read yet.
    pub(crate) fn new(book: B) -> Self {
        Self { book, memory: Mutex::default(), changed: Notify::new() }
    }

    /// Reads the book; the number of answers that stand.
    pub(crate) async fn open(&self) -> Result<usize, CallError> {
        let standing = first_lines(self.book.read().await?);
        let stand = standing.len();
        let mut memory = self.memory();
        memory.standing = standing;
        memory.open = true;
        drop(memory);
        self.changed.notify_waiters();
        Ok(stand)
    }

    /// Waits until the book was read, at most `limit`; whether it was.
    pub(crate) async fn opened(&self, limit: Duration) -> bool {
        timeout(limit, self.until(|memory| memory.open.then_some(()))).await.is_ok()
    }

    /// Waits for the turn of this id. Whoever has it meanwhile waits for nothing but the book.
    pub(crate) async fn turn(&self, id: TransferId) -> Turn<'_, B> {
        self.until(|memory| memory.busy.insert(id).then_some(())).await;
        Turn { ledger: self, id }
    }
}

impl<B: BankBook> Turn<'_, B> {
    /// The answer that stands on this id.
    pub(crate) async fn standing(&self) -> Result<Option<Standing>, CallError> {
        if self.ledger.memory().doubtful.contains(&self.id) {
            let found = first_lines(self.ledger.book.read().await?).remove(&self.id);
            let mut memory = self.ledger.memory();
            memory.doubtful.remove(&self.id);
            if let Some(standing) = found {
                memory.standing.insert(self.id, standing);
            }
        }
        Ok(self.ledger.memory().standing.get(&self.id).cloned())
    }

    /// Decides. Only after [`Turn::standing`] found nothing; an error leaves open whether it stands.
    pub(crate) async fn decide(&self, state: CreditState, credit: Option<&Credit>) -> Result<(), CallError> {
        // In doubt from before the append: whoever drops this future there leaves it so.
        self.ledger.memory().doubtful.insert(self.id);
        self.ledger.book.append(CreditAnswer { id: self.id, state }, credit).await?;
        let mut memory = self.ledger.memory();
        memory.doubtful.remove(&self.id);
        memory.standing.insert(self.id, Standing { state, credit: credit.cloned() });
        Ok(())
    }
}

fn first_lines(lines: Vec<(CreditAnswer, Option<Credit>)>) -> BTreeMap<TransferId, Standing> {
    let mut standing = BTreeMap::new();
    for (answer, credit) in lines {
        let line = Standing { state: answer.state, credit };
        let first = standing.entry(answer.id).or_insert_with(|| line.clone());
        if *first != line {
            tracing::error!(id = %answer.id, ?first, ?line, "the book contradicts itself; the first line stands");
        }
    }
    standing
}
