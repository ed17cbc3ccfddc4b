//! Runs a script on a store.
//!
//! In: a fixture, steps. Out: a transcript. Elsewhere: what a step does (`step`), what could end in two ways (`book`).
//!
//! Nothing is timed. After a step that waits, and after each that ends a transaction, the fixture is asked until every session has either
//! been answered or is seen to wait. Steps with a short wait are awaited: nobody can end their wait before its limit.

mod sense;
mod step;
mod took;

use std::collections::{BTreeMap, BTreeSet};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use tokio::time::timeout;

pub(super) use self::step::record_text;

use self::sense::waits_long;
use self::step::Answer;
use super::book::{Book, Thing};
use super::{ACCOUNTS, Act, Cut, IDS, Kind, Read, SESSIONS, ScriptFixture, Step, Subject, Transcript, Unsettled, View};

/// How long a step, or settling, may take: beyond it the script is stuck, which the transcript says.
const LIMIT: Duration = Duration::from_secs(20);
/// Deadlocks of one script. Whoever still waits after one is about to look, so that a second one has any of its members as its victim.
const DEADLOCKS: u8 = 1;

/// A session.
enum Slot<T> {
    /// No transaction.
    Empty,
    /// A transaction without a step in work.
    Open(T),
    /// A step in work.
    Busy(LocalBoxFuture<'static, (Option<T>, Answer)>),
    /// Not used any more.
    Retired,
}

/// What is known of a session's transaction.
#[derive(Clone, Default)]
struct Known {
    view: View,
    /// A step was sent: the server knows of it.
    started: bool,
    /// Its connection was ended.
    dead: bool,
    /// A step failed.
    failed: bool,
    /// The transfer that its last step opens, with its guard.
    opening: Option<(u8, Option<u8>)>,
}

struct Runner<'a, S: Subject, F> {
    fixture: &'a F,
    slots: Vec<Slot<S::Tx>>,
    known: Vec<Known>,
    book: Book,
    /// Transfers whose holds are open, as committed.
    open_holds: BTreeSet<u8>,
    /// Open transfers of the channel by their guards, as committed.
    guarding: BTreeMap<u8, u8>,
    /// The last circle of waits: who, since which step.
    circle: Vec<(usize, usize)>,
    index: usize,
    /// Answers of the present step, by session.
    answers: BTreeMap<usize, String>,
    deadlocks: u8,
    transcript: Transcript,
}

/// Runs a script; naps are those that another run of it found.
pub async fn run<S: Subject, F: ScriptFixture<S>>(fixture: &F, script: &[Step], naps: &BTreeSet<usize>) -> Transcript {
    let mut runner: Runner<'_, S, F> = Runner {
        fixture,
        slots: (0..SESSIONS).map(|_| Slot::Empty).collect(),
        known: vec![Known::default(); SESSIONS],
        book: Book::default(),
        open_holds: BTreeSet::new(),
        guarding: BTreeMap::new(),
        circle: Vec::new(),
        index: 0,
        answers: BTreeMap::new(),
        deadlocks: 0,
        transcript: Transcript::default(),
    };
    runner.book.standing = (0..ACCOUNTS).map(Thing::Row).collect();
    for (index, step) in script.iter().enumerate() {
        runner.index = index;
        if naps.contains(&index) {
            runner.nap().await;
        }
        if let Err(stuck) = runner.take(step).await {
            runner.transcript.lines.push(format!("#{index} {step} -> STUCK: {stuck}"));
            runner.count("stuck", "");
            break;
        }
    }
    runner.end().await;
    runner.transcript
}

impl<S: Subject, F: ScriptFixture<S>> Runner<'_, S, F> {
    /// Lets time pass for those who wait.
    async fn nap(&mut self) {
        let mut nap = pin!(self.fixture.nap());
        loop {
            tokio::select! {
                biased;
                () = &mut nap => return,
                (session, tx, answer) = any_answer(&mut self.slots) => self.took(session, tx, answer),
            }
        }
    }

    /// One step: its line, and those of whoever it set free.
    async fn take(&mut self, step: &Step) -> Result<(), String> {
        let session = step.session;
        let own = match &step.act {
            Act::Read(read) => Some(self.read(*read).await?),
            act => match self.act(session, act).await? {
                // Left out.
                None => return Ok(()),
                Some(said) => said,
            },
        };
        let own = own.or_else(|| self.answers.remove(&session)).unwrap_or_else(|| "waits".to_owned());
        let outcome = if matches!(step.act, Act::Read(_)) { "" } else { first_word(&own) };
        self.count(&name(&step.act), outcome);
        self.transcript.lines.push(format!("#{} {step} -> {own}", self.index));
        for (session, answer) in std::mem::take(&mut self.answers) {
            self.count("set free", first_word(&answer));
            self.transcript.lines.push(format!("      s{session} <- {answer}"));
        }
        Ok(())
    }

    async fn read(&mut self, read: Read) -> Result<String, String> {
        let store = self.fixture.reader();
        match within("a read", S::read(&store, read)).await? {
            Ok(text) => Ok(text),
            Err(error) => Ok(super::class(&error)),
        }
    }

    /// `None` when the step is left out; else what is said of it, where that is not its answer.
    async fn act(&mut self, session: usize, act: &Act) -> Result<Option<Option<String>>, String> {
        let done = Ok(Some(Some("done".to_owned())));
        let slot = &mut self.slots[session];
        match (act, std::mem::replace(slot, Slot::Empty)) {
            (Act::Begin, Slot::Empty) => {
                let store = self.fixture.store(session);
                match within("begin", S::begin(&store)).await? {
                    Ok(tx) => {
                        self.slots[session] = Slot::Open(tx);
                        self.known[session] = Known::default();
                        done
                    }
                    Err(error) => Ok(Some(Some(super::class(&error)))),
                }
            }
            (Act::Cancel, Slot::Busy(waiting)) if self.book.may_be_dropped(session) => {
                drop(waiting);
                self.slots[session] = Slot::Retired;
                self.book.dropped(session, self.index);
                self.settle().await?;
                done
            }
            (Act::Drop, Slot::Open(tx)) => {
                drop(tx);
                self.book.release(session, self.index);
                self.settle().await?;
                done
            }
            (Act::Kill, slot @ (Slot::Open(_) | Slot::Busy(_)))
                if self.known[session].started && !self.known[session].dead && !self.known[session].failed =>
            {
                self.slots[session] = slot;
                self.fixture.kill(session).await;
                self.known[session].dead = true;
                self.book.release(session, self.index);
                self.settle().await?;
                done
            }
            (Act::Begin | Act::Cancel | Act::Drop | Act::Kill | Act::Read(_), slot) => {
                self.slots[session] = slot;
                Ok(None)
            }
            (act, Slot::Open(tx)) => self.ask(session, act, tx).await,
            (_, slot) => {
                self.slots[session] = slot;
                Ok(None)
            }
        }
    }

    /// A step that the store answers.
    async fn ask(&mut self, session: usize, act: &Act, tx: S::Tx) -> Result<Option<Option<String>>, String> {
        let asks = self.asks(session, act);
        if !self.makes_sense(session, act, &asks) {
            self.slots[session] = Slot::Open(tx);
            return Ok(None);
        }
        if let Some(cut) = cut(act) {
            self.fixture.cut(session, cut);
        }
        self.known[session].started = true;
        self.known[session].opening = match act {
            Act::Open(id, guard, _) => Some((*id, *guard)),
            _ => None,
        };
        self.slots[session] = Slot::Busy(step::start::<S>(tx, act, &self.known[session]));
        let spoilt = self.known[session].failed || self.known[session].dead;
        if waits_long(act) && !spoilt {
            self.book.wait(session, asks, self.index);
            self.settle().await?;
            return Ok(Some(None));
        }
        let (who, tx, answer) = within("a step", any_answer(&mut self.slots)).await?;
        let settled = answer.effect.goes_on();
        self.took(who, tx, answer);
        if !settled || who != session {
            self.settle().await?;
        }
        Ok(Some(None))
    }

    /// Completes when every session has been answered or waits, and no deadlock is left.
    async fn settle(&mut self) -> Result<(), String> {
        loop {
            let circle = self.book.circle();
            if !circle.is_empty() {
                // Kept, since the victim's answer may be taken after that of whom it set free.
                self.circle = circle;
            }
            let unsettled = self.unsettled();
            let answered = tokio::select! {
                biased;
                answered = any_answer(&mut self.slots) => Some(answered),
                settled = within("settling", self.fixture.settled(&unsettled)) => {
                    settled??;
                    None
                }
            };
            if let Some((session, tx, answer)) = answered {
                self.took(session, tx, answer);
                continue;
            }
            if self.book.circle().is_empty() {
                return Ok(());
            }
            let (session, tx, answer) = within("a deadlock's victim", any_answer(&mut self.slots)).await?;
            self.took(session, tx, answer);
        }
    }

    fn unsettled(&self) -> Unsettled {
        let mut unsettled = Unsettled::default();
        for (session, slot) in self.slots.iter().enumerate() {
            match slot {
                Slot::Busy(_) => unsettled.busy.push(session),
                Slot::Open(_) => unsettled.idle.push(session),
                Slot::Empty | Slot::Retired => unsettled.ended.push(session),
            }
        }
        unsettled
    }

    /// Drops all that is open, and reads what stands.
    async fn end(&mut self) {
        for step in [Slot::is_busy, Slot::is_open] {
            for session in 0..SESSIONS {
                if step(&self.slots[session]) {
                    self.slots[session] = Slot::Empty;
                    self.book.release(session, self.index);
                }
            }
        }
        let settled = within("the end", self.fixture.settled(&self.unsettled())).await;
        if let Err(stuck) | Ok(Err(stuck)) = settled {
            self.transcript.lines.push(format!("end -> STUCK: {stuck}"));
        }
        let entries = (0..=ACCOUNTS).map(|place| Read::Entries(place, if S::KIND == Kind::Core { 0 } else { 90 }));
        let transfers = (0..IDS).map(Read::Transfer);
        for read in [Read::Heads, Read::Unsent(100), Read::Holds].into_iter().chain(entries).chain(transfers) {
            let text = self.read(read).await.unwrap_or_else(|stuck| format!("STUCK: {stuck}"));
            self.transcript.lines.push(format!("end {read:?} -> {text}"));
        }
    }

    fn count(&mut self, what: &str, outcome: &str) {
        let key = if outcome.is_empty() { what.to_owned() } else { format!("{what}: {outcome}") };
        *self.transcript.counts.entry(key).or_default() += 1;
    }
}

impl<T> Slot<T> {
    fn is_busy(&self) -> bool {
        matches!(self, Self::Busy(_))
    }

    fn is_open(&self) -> bool {
        matches!(self, Self::Open(_))
    }
}

/// The next answer of any session.
async fn any_answer<T>(slots: &mut [Slot<T>]) -> (usize, Option<T>, Answer) {
    poll_fn(|context| {
        for (session, slot) in slots.iter_mut().enumerate() {
            let Slot::Busy(step) = slot else { continue };
            if let Poll::Ready((tx, answer)) = step.as_mut().poll(context) {
                return Poll::Ready((session, tx, answer));
            }
        }
        Poll::Pending
    })
    .await
}

async fn within<T>(what: &str, event: impl Future<Output = T>) -> Result<T, String> {
    timeout(LIMIT, pin!(event)).await.map_err(|_| format!("{what}: not within {LIMIT:?}"))
}

fn first_word(text: &str) -> &str {
    text.split([' ', ':']).next().unwrap_or_default()
}

fn cut(act: &Act) -> Option<Cut> {
    match act {
        Act::CutBefore => Some(Cut::Before),
        Act::CutAfter => Some(Cut::After),
        _ => None,
    }
}

/// The step without its parameters.
fn name(act: &Act) -> String {
    let text = format!("{act:?}");
    let head = text.split(['(', ' ']).next().unwrap_or_default().to_owned();
    match act {
        Act::Write(what) | Act::WriteAndCommit(what) => format!("{head} {what:?}"),
        Act::Lock(_, mode) => format!("{head} {mode:?}"),
        Act::Claim(_, wait) | Act::Reopen(_, wait) | Act::Open(_, _, wait) | Act::LockTransfers(_, wait) => {
            format!("{head} {wait:?}")
        }
        Act::Read(Read::Entries(..)) => format!("{head} Entries"),
        Act::Read(Read::Heads) => format!("{head} Heads"),
        Act::Read(Read::Unsent(_)) => format!("{head} Unsent"),
        Act::Read(Read::MarkSent(_)) => format!("{head} MarkSent"),
        Act::Read(Read::Transfer(_)) => format!("{head} Transfer"),
        Act::Read(Read::Holds) => format!("{head} Holds"),
        Act::Read(Read::TakeDue(_)) => format!("{head} TakeDue"),
        _ => head,
    }
}
