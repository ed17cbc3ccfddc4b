//! The phases of a run: what happened from when to when.
//!
//! In: names, as they begin and end. Out: spans for run.json. Elsewhere: what is done in them.

use bankstorm_record::clock::Origin;
use bankstorm_record::run_json::PhaseSpan;

/// The phases so far, in the order in which they began.
#[derive(Debug, Default)]
pub(crate) struct Phases {
    spans: Vec<PhaseSpan>,
}

/// A phase that has begun.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Begun(usize);

impl Phases {
    /// Begins a phase now.
    pub(crate) fn begin(&mut self, name: &str, origin: &Origin) -> Begun {
        let now = origin.elapsed_ns() / 1_000_000;
        self.spans.push(PhaseSpan { name: name.to_owned(), start_ms: now, end_ms: now });
        Begun(self.spans.len() - 1)
    }

    /// Ends it now.
    pub(crate) fn end(&mut self, phase: Begun, origin: &Origin) {
        self.spans[phase.0].end_ms = origin.elapsed_ns() / 1_000_000;
    }

    /// Adds a phase whose moments are known, in nanoseconds since the origin.
    pub(crate) fn add(&mut self, name: &str, start_ns: i64, end_ns: i64) {
        let span = PhaseSpan { name: name.to_owned(), start_ms: start_ns / 1_000_000, end_ms: end_ns / 1_000_000 };
        self.spans.push(span);
    }

    /// All of them.
    pub(crate) fn spans(&self) -> Vec<PhaseSpan> {
        self.spans.clone()
    }
}
