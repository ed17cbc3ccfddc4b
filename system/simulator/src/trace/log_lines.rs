//! The services' own log lines, as lines of the trace.
//!
//! In: `tracing` events at info and above. Out: notes of whoever acts. Elsewhere: what services log (`core`, `channel`), where lines go
//! (`trace`).

use std::fmt::{self, Write};

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::{Interest, NoSubscriber, Subscriber};
use tracing::{Dispatch, Event, Level, Metadata, callsite, dispatcher};

use super::note;

/// Listens on this thread, until it is dropped.
pub(super) struct Listening {
    thread: Option<dispatcher::DefaultGuard>,
    /// While there are two, `tracing` asks all of them about an event that it meets for the first time. It would ask the one of the thread
    /// that meets it otherwise, and if that thread has none it would forget the event for every thread.
    two: Option<[Dispatch; 2]>,
}

impl Listening {
    pub(super) fn begin() -> Self {
        let two = [Dispatch::new(NoSubscriber::default()), Dispatch::new(LogLines)];
        Self { thread: Some(dispatcher::set_default(&two[1])), two: Some(two) }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        drop(self.thread.take());
        drop(self.two.take());
        // Nobody listens any more: events cost one look again.
        callsite::rebuild_interest_cache();
    }
}

struct LogLines;

impl LogLines {
    fn hears(of: &Metadata<'_>) -> bool {
        of.is_event() && *of.level() <= Level::INFO
    }
}

impl Subscriber for LogLines {
    fn register_callsite(&self, of: &'static Metadata<'static>) -> Interest {
        if Self::hears(of) { Interest::sometimes() } else { Interest::never() }
    }

    fn enabled(&self, of: &Metadata<'_>) -> bool {
        Self::hears(of)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::INFO)
    }

    fn event(&self, event: &Event<'_>) {
        let mut said = Said::default();
        event.record(&mut said);
        note(|| {
            let Said { message, fields } = said;
            if fields.is_empty() { format!("log: {message}") } else { format!("log: {message} ({fields})") }
        });
    }

    // Spans are never enabled.
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// What an event says.
#[derive(Default)]
struct Said {
    message: String,
    fields: String,
}

impl Said {
    fn put(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        // Writing to a string does not fail.
        let _ = if field.name() == "message" {
            self.message.write_fmt(value)
        } else {
            let comma = if self.fields.is_empty() { "" } else { ", " };
            write!(self.fields, "{comma}{}={value}", field.name())
        };
    }
}

impl Visit for Said {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format_args!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, format_args!("{value}"));
    }
}
