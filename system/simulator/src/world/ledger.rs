//! What customers know: every operation's row, every page read, every verdict that was heard.
//!
//! In: answers. Out: rows for the checkers; contradictions between answers. Elsewhere: who asks (`customers`), the checkers (`check`).
//!
//! Two things only those who asked can see: two different terminal verdicts on one id (`verdict-flip`), and one id accepted with two
//! sets of parameters (`param-drift`).

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bankstorm_contracts::core_api::{CoreResponse, Deposit, Verdict};
use bankstorm_contracts::{Outcome, TransferState};
use bankstorm_record::rows::{OperationRow, PageRow};
use tokio::time::Instant;

use super::Violation;
use crate::model::network::CallEnd;

/// What customers know. Shared by all of them.
pub(crate) struct Ledger {
    born: Instant,
    last_ns: AtomicI64,
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    entries: Vec<Entry>,
    pages: Vec<PageRow>,
}

/// One deposit.
struct Entry {
    deposit: Deposit,
    row: OperationRow,
    /// The terminal verdict that was heard first.
    verdict: Option<Verdict>,
    /// Another amount was sent under the same id: a verdict that was asked for may be about that one.
    ambiguous: bool,
    /// The deposit itself was accepted.
    own: Option<Verdict>,
    /// The other amount was accepted.
    other: Option<Verdict>,
    flips: Vec<String>,
    drifts: Vec<String>,
}

/// Who heard something of a deposit's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    /// Its sender.
    Own,
    /// The sender of another amount under the same id.
    Other,
    /// Somebody who asked what became of it.
    Nobody,
}

/// How one request of a deposit ended, as its sender can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ending {
    pub(crate) outcome: Outcome,
    pub(crate) verdict: Option<Verdict>,
}

impl Ending {
    /// What an answer means (D41).
    pub(crate) fn of(answer: &Result<CoreResponse, CallEnd>) -> Self {
        let plain = |outcome| Self { outcome, verdict: None };
        match answer {
            Ok(CoreResponse::Created(verdict) | CoreResponse::Verdict(verdict)) => match verdict.state {
                TransferState::Processing => plain(Outcome::Unknown),
                TransferState::Completed => Self { outcome: Outcome::Ok, verdict: Some(*verdict) },
                TransferState::Rejected => Self { outcome: Outcome::Rejected, verdict: Some(*verdict) },
            },
            Ok(CoreResponse::Problem(problem)) => plain(Outcome::of_http(problem.status, false, Some(problem.kind))),
            Ok(_) => plain(Outcome::Unknown),
            Err(CallEnd::Refused) => plain(Outcome::Failed),
            Err(CallEnd::Lost(_)) => plain(Outcome::Unknown),
        }
    }
}

impl Ledger {
    pub(crate) fn new() -> Self {
        Self { born: Instant::now(), last_ns: AtomicI64::new(-1), book: Mutex::default() }
    }

    /// Nanoseconds since the world began. Virtual time stands still while many things happen one after the other, so each question gets
    /// a later answer than the one before: which came first decides whether two reads overlapped.
    pub(crate) fn now_ns(&self) -> i64 {
        let now = i64::try_from(self.born.elapsed().as_nanos()).unwrap_or(i64::MAX);
        let later = now.max(self.last_ns.load(Ordering::Relaxed) + 1);
        self.last_ns.store(later, Ordering::Relaxed);
        later
    }

    /// A deposit is sent for the first time; its place.
    pub(crate) fn begin(&self, op: u64, deposit: Deposit, intended_ns: i64) -> usize {
        let row = row(op, &deposit, intended_ns, self.now_ns());
        let mut book = self.book();
        let entry = Entry {
            deposit,
            row,
            verdict: None,
            ambiguous: false,
            own: None,
            other: None,
            flips: Vec::new(),
            drifts: Vec::new(),
        };
        book.entries.push(entry);
        book.entries.len() - 1
    }

    /// Something was heard of a deposit's id: by its sender, by the sender of the other amount, or by somebody who asked.
    pub(crate) fn hear(&self, place: usize, whose: Whose, ending: Ending) {
        let Some(verdict) = ending.verdict else { return };
        let mut book = self.book();
        let entry = &mut book.entries[place];
        match &entry.verdict {
            Some(before) if *before != verdict => {
                entry.flips.push(format!("transfer {} was {}, then {}", verdict.id, told(before), told(&verdict)));
            }
            Some(_) => {}
            None => entry.verdict = Some(verdict),
        }
        if verdict.state == TransferState::Completed {
            match whose {
                Whose::Own => entry.own = Some(verdict),
                Whose::Other => entry.other = Some(verdict),
                Whose::Nobody => {}
            }
        }
        entry.compare();
    }

    /// Another amount goes out under the deposit's id.
    pub(crate) fn other_amount(&self, place: usize) {
        self.book().entries[place].ambiguous = true;
    }

    /// How the deposit ended for its sender, after all its tries.
    pub(crate) fn end(&self, place: usize, ending: Ending) {
        let now = self.now_ns();
        let mut book = self.book();
        let entry = &mut book.entries[place];
        entry.row.acked_ns = Some(now);
        entry.row.outcome = Some(ending.outcome.as_str().to_owned());
        entry.tell(ending);
    }

    /// What is to be asked about at the end: deposits without a verdict. With `doubtful`, also those that were told that nothing was
    /// done: the network may have doubled their requests.
    pub(crate) fn open(&self, doubtful: bool) -> Vec<(usize, Deposit)> {
        let book = self.book();
        let is_open = |entry: &Entry| match entry.row.resolved.as_deref() {
            None => true,
            Some("failed") => doubtful,
            Some(_) => false,
        };
        let open = book.entries.iter().enumerate().filter(|(_, entry)| is_open(entry));
        open.map(|(place, entry)| (place, entry.deposit.clone())).collect()
    }

    /// A verdict that was asked for at the end. Where another amount was sent under the id, `completed` does not say which of the two
    /// was booked, so that the deposit stays open; it is settled all the same, since an id has one verdict.
    pub(crate) fn resolve(&self, place: usize, ending: Ending) {
        self.hear(place, Whose::Nobody, ending);
        let mut book = self.book();
        let entry = &mut book.entries[place];
        if !entry.ambiguous || ending.outcome == Outcome::Rejected {
            entry.tell(ending);
        } else if ending.verdict.is_some() {
            // It was told that nothing was done; a doubled request of either amount was booked after all.
            entry.row.resolved = None;
        }
    }

    /// A page was read, or not.
    pub(crate) fn page(&self, row: PageRow) {
        self.book().pages.push(row);
    }

    /// The rows: operations by number, pages by account and time.
    pub(crate) fn rows(&self) -> (Vec<OperationRow>, Vec<PageRow>) {
        let book = self.book();
        let mut operations: Vec<_> = book.entries.iter().map(|entry| entry.row.clone()).collect();
        operations.sort_by_key(|row| row.op);
        let mut pages = book.pages.clone();
        pages.sort_by_key(|row| (row.account, row.invoked_ns));
        (operations, pages)
    }

    /// Contradictions that customers met.
    pub(crate) fn contradictions(&self) -> Vec<Violation> {
        let book = self.book();
        let collect = |check: &str, name: &str, found: Vec<&String>| {
            let first = found.first().map(|first| (*first).clone())?;
            Some(Violation { check: check.to_owned(), name: name.to_owned(), count: found.len() as u64, first })
        };
        let flips = collect("O4", "verdict-flip", book.entries.iter().flat_map(|entry| &entry.flips).collect());
        let drifts = collect("O7", "param-drift", book.entries.iter().flat_map(|entry| &entry.drifts).collect());
        flips.into_iter().chain(drifts).collect()
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn tell(&mut self, ending: Ending) {
        if ending.outcome == Outcome::Unknown {
            return;
        }
        self.row.resolved = Some(ending.outcome.as_str().to_owned());
        self.row.seq = ending.verdict.and_then(|verdict| verdict.seq);
        self.row.balance_after = ending.verdict.and_then(|verdict| verdict.balance_after).map(|balance| balance.get());
    }

    /// Both amounts accepted is one too many.
    fn compare(&mut self) {
        if let (Some(own), Some(other), true) = (self.own, self.other, self.drifts.is_empty()) {
            let both = format!("{}, and another amount {}", told(&own), told(&other));
            self.drifts.push(format!("transfer {} was accepted with two sets of parameters: {both}", own.id));
        }
    }
}

fn told(verdict: &Verdict) -> String {
    let seq = verdict.seq.map_or_else(String::new, |seq| format!(" with seq {seq}"));
    format!("{}{seq}", verdict.state.as_str())
}

fn row(op: u64, deposit: &Deposit, intended_ns: i64, sent_ns: i64) -> OperationRow {
    OperationRow {
        op,
        load: 0,
        kind: "deposit".to_owned(),
        phase: "measure".to_owned(),
        transfer: deposit.id.0.as_u128(),
        account: deposit.account.get(),
        amount: deposit.amount.get(),
        params_hash: deposit.params_hash().0.to_vec(),
        intended_ns,
        sent_ns: Some(sent_ns),
        acked_ns: None,
        visible_ns: None,
        visible_is_upper_bound: false,
        outcome: None,
        resolved: None,
        seq: None,
        balance_after: None,
        detail: None,
        http_status: None,
    }
}
