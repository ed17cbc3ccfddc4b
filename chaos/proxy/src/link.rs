//! What the connections of a proxy share: the rules in force, who is open, who has lost something, and what is still on its way.
//!
//! In: rules that come and go, and what passes. Out: what is to be done, connections told that they are reset. Elsewhere: how a rule
//! decides (`rules`), how it is carried out (`socket`, `http`, `postgres`).
//!
//! With no rule in force this costs one load of an atomic for a request, a commit or a piece.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bankstorm_faults::rule::{Hits, Rule, Way};
use nix::time::{ClockId, clock_gettime};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::rules::{Air, Book, Commit, Family, Fate, Picked, Refused};
use crate::settings::Settings;

/// The shared state of one proxy.
#[derive(Debug)]
pub(crate) struct Link {
    settings: Settings,
    state: Mutex<State>,
    /// A bit for each family of effects of which a rule is in force.
    families: AtomicU8,
    /// What is delivered whether or not its caller is still there.
    held: Mutex<JoinSet<()>>,
}

#[derive(Debug)]
struct State {
    book: Book,
    lines: BTreeMap<u64, Arc<Line>>,
    next: u64,
}

/// A connection of a caller, as its sockets know it.
#[derive(Debug)]
pub(crate) struct Line {
    number: u64,
    link: Arc<Link>,
    /// The numbers of the rules to which it lost something.
    lost_to: Mutex<BTreeSet<u64>>,
    reset: Notify,
}

/// A connection that is open while this is held.
#[derive(Debug)]
pub(crate) struct Open(Arc<Line>);

/// A held request, a held answer or a copy, as long as it is to come. Dropped before it has arrived it reached nobody.
#[derive(Debug)]
pub(crate) struct InHand {
    link: Arc<Link>,
    /// The number of the rule that has it.
    rule: u64,
    has_arrived: bool,
}

impl Link {
    pub(crate) fn new(settings: Settings) -> Self {
        let state = State { book: Book::new(settings.protocol), lines: BTreeMap::new(), next: 0 };
        Self { settings, state: Mutex::new(state), families: AtomicU8::new(0), held: Mutex::default() }
    }

    pub(crate) const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// A new connection; `None` where a rule resets it.
    pub(crate) fn open(self: &Arc<Self>) -> Option<Open> {
        let mut state = self.state();
        if state.book.connection(now_ns()) {
            return None;
        }
        let number = state.next;
        state.next += 1;
        let line = Line { number, link: Arc::clone(self), lost_to: Mutex::default(), reset: Notify::new() };
        let line = Arc::new(line);
        state.lines.insert(number, Arc::clone(&line));
        Some(Open(line))
    }

    /// A connection of one's own to the server.
    pub(crate) async fn connect(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(self.settings.upstream.pair()).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// What is done to a request; `key` is asked for only where a rule looks at it.
    pub(crate) fn fate(&self, method: &str, path: &str, key: impl FnOnce() -> Option<String>) -> Fate {
        if !self.has(Family::Requests) {
            return Fate::default();
        }
        self.state().book.request(method, path, key, now_ns())
    }

    /// What was picked is done now, with so many pieces in hand; `false` where its rule was taken away meanwhile, so that it is not.
    pub(crate) fn done(&self, picked: &Picked, in_hand: u64) -> bool {
        self.state().book.done(picked, in_hand, now_ns())
    }

    /// One piece of what was counted as in hand.
    pub(crate) fn in_hand(self: &Arc<Self>, picked: &Picked) -> InHand {
        InHand { link: Arc::clone(self), rule: picked.rule(), has_arrived: false }
    }

    /// What is done to a commit that has come.
    pub(crate) fn commit(&self) -> Option<Commit> {
        if !self.has(Family::Commits) {
            return None;
        }
        self.state().book.commit()
    }

    /// A commit is cut now; `false` where its rule was taken away meanwhile, so that it is not.
    pub(crate) fn cut(&self, commit: Commit) -> bool {
        self.state().book.cut(commit, now_ns())
    }

    /// Takes a rule into force.
    pub(crate) fn put(&self, id: &str, rule: Rule) -> Result<(), Refused> {
        let mut state = self.state();
        let State { book, lines, .. } = &mut *state;
        let resets = book.put(id, rule, lines.len() as u64, now_ns())?;
        if resets {
            lines.values().for_each(|line| line.reset.notify_one());
        }
        self.note_families(book);
        Ok(())
    }

    /// What a rule has met so far.
    pub(crate) fn hits(&self, id: &str) -> Option<Hits> {
        self.state().book.hits(id)
    }

    /// Takes a rule out of force. Connections that lost something to it cannot go on: they are reset. What it has in hand still comes.
    pub(crate) fn take(&self, id: &str) -> Option<Hits> {
        let mut state = self.state();
        let (number, hits) = state.book.take(id)?;
        state.lines.values().filter(|line| line.lost_to().contains(&number)).for_each(|line| line.reset.notify_one());
        self.note_families(&state.book);
        Some(hits)
    }

    /// Delivers something whether or not its caller is still there.
    pub(crate) fn hold(&self, delivery: impl Future<Output = ()> + Send + 'static) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        while held.try_join_next().is_some() {}
        held.spawn(delivery);
    }

    /// Forgets what is held.
    pub(crate) fn let_go(&self) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
    }

    fn note_families(&self, book: &Book) {
        self.families.store(book.families(), Ordering::Release);
    }

    fn has(&self, family: Family) -> bool {
        self.families.load(Ordering::Acquire) & family.bit() != 0
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    /// Whether a rule for bytes is in force.
    pub(crate) fn has_weather(&self) -> bool {
        self.link.has(Family::Bytes)
    }

    /// What happens to a piece, or to the end of a way, which is no piece.
    pub(crate) fn meets(&self, way: Way, is_piece: bool) -> Air {
        let mut state = self.link.state();
        // Under the lock of the rules: whoever takes a rule away finds this line among those that lost to it.
        state.book.piece(way, is_piece, now_ns(), |number| {
            self.lost_to().insert(number);
        })
    }

    /// Whether a request that the proxy sends on a connection of its own gets through.
    pub(crate) fn delivers(&self) -> bool {
        let lost_to = |number| {
            self.lost_to().insert(number);
        };
        !self.has_weather() || self.link.state().book.delivery(now_ns(), lost_to)
    }

    /// Completes when this connection is to be reset.
    pub(crate) async fn is_reset(&self) {
        self.reset.notified().await;
    }

    /// A connection that has lost something, or whose answers are being lost, learns nothing of its end until it is reset.
    pub(crate) async fn keep_if_lost(&self) {
        let is_lost = self.meets(Way::Back, false) == Air::Lost || !self.lost_to().is_empty();
        if is_lost {
            std::future::pending::<()>().await;
        }
    }

    fn lost_to(&self) -> MutexGuard<'_, BTreeSet<u64>> {
        self.lost_to.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    pub(crate) const fn line(&self) -> &Arc<Line> {
        &self.0
    }
}

impl InHand {
    /// It has reached somebody.
    pub(crate) fn arrived(&mut self) {
        if !std::mem::replace(&mut self.has_arrived, true) {
            self.link.state().book.ended(self.rule, true);
        }
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        if !self.has_arrived {
            self.link.state().book.ended(self.rule, false);
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.link.state().lines.remove(&self.0.number);
    }
}

/// CLOCK_MONOTONIC, which all processes of a machine share.
fn now_ns() -> i64 {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("CLOCK_MONOTONIC exists on every host we run on");
    now.tv_sec() * 1_000_000_000 + now.tv_nsec()
}
