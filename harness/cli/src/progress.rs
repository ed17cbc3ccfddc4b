//! Progress on standard error: spinners that name what is waited for on a terminal, plain lines elsewhere.
//!
//! In: steps of the environment's start, names of phases, live counters. Out: text on standard error. Elsewhere: results on standard
//! output (`report`).

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bankstorm_environment::{PlainProgress, Progress, Quiet};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::args::Live;
use crate::output::note;

/// How this run shows its progress.
#[derive(Clone)]
pub(crate) struct Display {
    form: Form,
}

#[derive(Clone)]
enum Form {
    Moving(Arc<Moving>),
    Plain,
    Off,
}

struct Moving {
    bars: MultiProgress,
    by_name: Mutex<BTreeMap<String, ProgressBar>>,
}

impl Display {
    /// The display for `--live`.
    pub(crate) fn new(live: Live) -> Self {
        let form = match live {
            Live::Auto if std::io::stderr().is_terminal() => {
                Form::Moving(Arc::new(Moving { bars: MultiProgress::new(), by_name: Mutex::default() }))
            }
            Live::Auto | Live::Plain => Form::Plain,
            Live::Off => Form::Off,
        };
        Self { form }
    }

    /// For the environment's start.
    pub(crate) fn start(&self) -> Arc<dyn Progress> {
        match &self.form {
            Form::Moving(moving) => Arc::clone(moving) as Arc<dyn Progress>,
            Form::Plain => Arc::new(PlainProgress),
            Form::Off => Arc::new(Quiet),
        }
    }

    /// One line that stays.
    pub(crate) fn line(&self, text: &str) {
        match &self.form {
            Form::Moving(moving) => {
                // A display that cannot be written to is no reason to end a run.
                let _ = moving.bars.println(text);
            }
            Form::Plain => note(text),
            Form::Off => {}
        }
    }

    /// A phase that takes a while; its text may change until it is dropped.
    pub(crate) fn phase(&self, name: &str) -> Phase {
        match &self.form {
            Form::Moving(moving) => Phase { bar: Some(moving.add(name)), plain: false },
            Form::Plain => {
                note(name);
                Phase { bar: None, plain: true }
            }
            Form::Off => Phase { bar: None, plain: false },
        }
    }
}

/// A phase on the display.
pub(crate) struct Phase {
    bar: Option<ProgressBar>,
    plain: bool,
}

impl Phase {
    /// Changes its text; on a plain display this is one more line, so callers do it every few seconds.
    pub(crate) fn update(&self, text: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(text.to_owned());
        } else if self.plain {
            note(&format!("  {text}"));
        }
    }

    /// Time between updates that suits the display.
    pub(crate) const fn pace(&self) -> Duration {
        if self.plain { Duration::from_secs(5) } else { Duration::from_millis(500) }
    }
}

impl Drop for Phase {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Moving {
    fn add(&self, text: &str) -> ProgressBar {
        let bar = self.bars.add(ProgressBar::new_spinner());
        bar.set_style(ProgressStyle::with_template("{spinner} {msg} ({elapsed})").expect("a fixed template"));
        bar.set_message(text.to_owned());
        bar.enable_steady_tick(Duration::from_millis(100));
        bar
    }

    fn with(&self, name: &str, act: impl FnOnce(&ProgressBar)) {
        let by_name = self.by_name.lock().expect("no panic while the display is locked");
        if let Some(bar) = by_name.get(name) {
            act(bar);
        }
    }
}

impl Progress for Moving {
    fn started(&self, name: &str, waiting_for: &str) {
        let bar = self.add(&format!("{name}: waiting for {waiting_for}"));
        self.by_name.lock().expect("no panic while the display is locked").insert(name.to_owned(), bar);
    }

    fn waiting(&self, name: &str, waiting_for: &str, _so_far: Duration, limit: Duration) {
        self.with(name, |bar| {
            bar.set_message(format!("{name}: waiting for {waiting_for}, at most {} s", limit.as_secs()))
        });
    }

    fn ready(&self, name: &str, took: Duration) {
        self.with(name, ProgressBar::finish_and_clear);
        let _ = self.bars.println(format!("  {name}: ready after {:.1} s", took.as_secs_f64()));
    }

    fn failed(&self, name: &str, reason: &str) {
        self.with(name, ProgressBar::finish_and_clear);
        let _ = self.bars.println(format!("  {name}: {reason}"));
    }
}
