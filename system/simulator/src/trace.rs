//! Who did what when, in virtual time: what `replay` prints.
//!
//! In: notes of the models and of the world, the services' own log lines. Out: [`Line`]s in order. Elsewhere: how they are shown
//! (the command line).
//!
//! A seed runs on one thread, so the recorder is that thread's. While none is installed a note costs one look and its text is never made.
//! A note takes no time, draws nothing and wakes nobody: a world is the same with and without.

mod log_lines;
#[cfg(test)]
mod tests;
pub(crate) mod told;

use std::cell::{Cell, RefCell};
use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use log_lines::Listening;
pub use told::{Kinded, Told};

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Since the world began.
    pub at: Duration,
    /// In which process; the world itself otherwise.
    pub who: &'static str,
    /// What.
    pub what: String,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>10.3} s  {:<17} {}", self.at.as_secs_f64(), self.who, self.what)
    }
}

/// Whoever is no process.
const WORLD: &str = "world";

struct Recorder {
    born: Instant,
    lines: Vec<Line>,
    /// What is known to happen at a later moment.
    later: Vec<Line>,
    /// What to say when a planned fault strikes, by its tag.
    faults: Vec<String>,
    /// Last, so that nobody notes anything any more when it ends.
    _listening: Listening,
}

thread_local! {
    static ON: Cell<bool> = const { Cell::new(false) };
    static WHO: Cell<&'static str> = const { Cell::new(WORLD) };
    static RECORDER: RefCell<Option<Recorder>> = const { RefCell::new(None) };
}

/// Begins to record on this thread, the services' log lines too. Called inside the world's runtime.
pub(crate) fn install() {
    // Before the new one listens: they end in the opposite order of their beginning.
    drop(take());
    let (lines, later, faults) = (Vec::new(), Vec::new(), Vec::new());
    RECORDER.set(Some(Recorder { born: Instant::now(), lines, later, faults, _listening: Listening::begin() }));
    ON.set(true);
}

/// Ends recording; what was recorded, nothing when nothing was installed.
pub(crate) fn take() -> Vec<Line> {
    ON.set(false);
    let Some(Recorder { mut lines, later, .. }) = RECORDER.take() else { return Vec::new() };
    let end = lines.last().map_or(Duration::ZERO, |line| line.at);
    lines.extend(later.into_iter().filter(|line| line.at <= end));
    lines.sort_by_key(|line| line.at);
    lines
}

/// Notes something; `what` is only asked while somebody records.
pub(crate) fn note(what: impl FnOnce() -> String) {
    if ON.get() {
        record(WHO.get(), what());
    }
}

/// Notes something of somebody who is named.
pub(crate) fn note_of(who: &'static str, what: impl FnOnce() -> String) {
    if ON.get() {
        record(who, what());
    }
}

/// Notes what will happen at a moment, in the world's name: nobody has to wait for it.
pub(crate) fn note_at(at: Instant, what: impl FnOnce() -> String) {
    if ON.get() {
        let what = what();
        with(|recorder| recorder.later.push(Line { at: at - recorder.born, who: WORLD, what }));
    }
}

/// The text of something that may be gone when it is to be noted; none while nobody records.
pub(crate) fn text(of: &impl Told) -> Option<String> {
    ON.get().then(|| of.told())
}

/// Says what planned faults are, by their tags.
pub(crate) fn plan_faults(faults: impl FnOnce() -> Vec<String>) {
    if ON.get() {
        let faults = faults();
        with(|recorder| recorder.faults = faults);
    }
}

/// A planned fault strikes.
pub(crate) fn strikes(tag: usize) {
    if ON.get() {
        let told = with(|recorder| recorder.faults.get(tag).cloned()).flatten();
        told.into_iter().for_each(|told| record(WORLD, told));
    }
}

/// Whoever acts; `otherwise` if that is no process.
pub(crate) fn actor(otherwise: &'static str) -> &'static str {
    let who = WHO.get();
    if who == WORLD { otherwise } else { who }
}

fn with<T>(what: impl FnOnce(&mut Recorder) -> T) -> Option<T> {
    RECORDER.with_borrow_mut(|recorder| recorder.as_mut().map(what))
}

fn record(who: &'static str, what: String) {
    with(|recorder| recorder.lines.push(Line { at: recorder.born.elapsed(), who, what }));
}

/// Says who acts while it lives.
pub(crate) struct Acting(&'static str);

/// `who` acts from now on, until the guard is dropped.
pub(crate) fn acting(who: &'static str) -> Acting {
    Acting(WHO.replace(who))
}

impl Drop for Acting {
    fn drop(&mut self) {
        WHO.set(self.0);
    }
}
