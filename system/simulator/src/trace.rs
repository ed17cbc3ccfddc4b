//! Who did what when, in virtual time: what `replay` prints.
//!
//! In: notes of the models and of the world, the services' own log lines. Out: [`Line`]s in order. Elsewhere: how they are shown
//! (the command line).
//!
//! A seed runs on one thread, so the recorder is that thread's. While none is installed a note costs one look and its text is never made.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

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
}

thread_local! {
    static ON: Cell<bool> = const { Cell::new(false) };
    static WHO: Cell<&'static str> = const { Cell::new(WORLD) };
    static RECORDER: RefCell<Option<Recorder>> = const { RefCell::new(None) };
}

/// Begins to record on this thread. Called inside the world's runtime.
pub(crate) fn install() {
    RECORDER.set(Some(Recorder { born: Instant::now(), lines: Vec::new() }));
    ON.set(true);
}

/// Ends recording; what was recorded, nothing when nothing was installed.
pub(crate) fn take() -> Vec<Line> {
    ON.set(false);
    RECORDER.take().map(|recorder| recorder.lines).unwrap_or_default()
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

fn record(who: &'static str, what: String) {
    RECORDER.with_borrow_mut(|recorder| {
        if let Some(recorder) = recorder {
            recorder.lines.push(Line { at: recorder.born.elapsed(), who, what });
        }
    });
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{acting, install, note, take};

    #[tokio::test(start_paused = true)]
    async fn notes_have_their_time_and_their_process_and_cost_nothing_unasked() {
        note(|| unreachable!("nobody records"));
        install();
        tokio::time::sleep(Duration::from_millis(1500)).await;
        {
            let _core = acting("core");
            note(|| "posts".to_owned());
        }
        note(|| "ends".to_owned());
        let shown: Vec<_> = take().iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["     1.500 s  core              posts", "     1.500 s  world             ends"]);
    }
}
