//! What a process shows: markers, counters, gauges, the visible log, the access log.
//!
//! In: names, numbers, advances, calls. Out: all of them to read. Elsewhere: the process (`process`), what must have been reached (`world`).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bankstorm_contracts::core_api::Purpose;
use bankstorm_contracts::{AccountNo, Seq};
use bankstorm_outside::process::{Access, AccessCall, AccessLog, Metrics, Points, VisibleLog};
use tokio::time::Instant;

use super::ModelScope;

/// Markers and counters, kept as numbers. Clones share them.
#[derive(Clone, Default)]
pub struct ModelMetrics {
    /// In the order of their names. There are few, and they are counted far more often than named anew.
    numbers: Arc<Mutex<Vec<(&'static str, i64)>>>,
}

impl ModelMetrics {
    fn numbers(&self) -> MutexGuard<'_, Vec<(&'static str, i64)>> {
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, name: &'static str, change: impl FnOnce(&mut i64)) {
        let mut numbers = self.numbers();
        let at = match numbers.binary_search_by(|(known, _)| known.cmp(&name)) {
            Ok(at) => at,
            Err(at) => {
                numbers.insert(at, (name, 0));
                at
            }
        };
        change(&mut numbers[at].1);
    }

    /// Every marker's and counter's count and every gauge's last value.
    pub fn all(&self) -> BTreeMap<&'static str, i64> {
        self.numbers().iter().copied().collect()
    }

    /// How often a marker was reached.
    pub fn reached_count(&self, marker: &str) -> u64 {
        let numbers = self.numbers();
        let found = numbers.binary_search_by(|(known, _)| (*known).cmp(marker));
        found.map_or(0, |at| u64::try_from(numbers[at].1).unwrap_or(0))
    }
}

impl Metrics for ModelMetrics {
    fn count(&self, name: &'static str, by: u64) {
        self.change(name, |count| *count = count.saturating_add(i64::try_from(by).unwrap_or(i64::MAX)));
    }

    fn gauge(&self, name: &'static str, value: i64) {
        self.change(name, |gauge| *gauge = value);
    }

    /// Counts; how long things take on virtual time is the models' doing, so nobody asks.
    fn observe(&self, name: &'static str, _value: Duration) {
        self.change(name, |count| *count += 1);
    }
}

impl Points for ModelMetrics {
    fn reached(&self, marker: &'static str) {
        self.change(marker, |count| *count += 1);
    }
}

/// One line of the visible log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VisibleLine {
    /// When, by virtual time.
    pub at: Instant,
    /// Whose.
    pub account: AccountNo,
    /// The last serial that was visible before.
    pub from_seq: Seq,
    /// The last serial that is visible now.
    pub to_seq: Seq,
}

/// What became visible when. Clones share it.
#[derive(Clone, Default)]
pub struct ModelVisible {
    lines: Arc<Mutex<Vec<VisibleLine>>>,
}

impl ModelVisible {
    /// Looks at every line, in order. Nothing may become visible meanwhile: what looks must not call services.
    pub fn with<T>(&self, look: impl FnOnce(&[VisibleLine]) -> T) -> T {
        look(&self.lines.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Every line in order.
    pub fn lines(&self) -> Vec<VisibleLine> {
        self.with(<[VisibleLine]>::to_vec)
    }
}

impl VisibleLog for ModelVisible {
    fn visible(&self, advances: &[(AccountNo, Seq, Seq)]) {
        let at = Instant::now();
        let line = |&(account, from_seq, to_seq): &(AccountNo, Seq, Seq)| VisibleLine { at, account, from_seq, to_seq };
        let lines = advances.iter().map(line);
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).extend(lines);
    }
}

/// One line of core's access log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessLine {
    /// When the call began, by virtual time.
    pub begun: Instant,
    /// When it ended.
    pub ended: Instant,
    /// Who asked.
    pub caller: String,
    /// What.
    pub call: AccessCall,
    /// Of which account, where it was one.
    pub account: Option<AccountNo>,
    /// What for, as the caller said.
    pub purpose: Option<Purpose>,
    /// The HTTP status of the answer; 0 where none was given.
    pub status: u16,
}

/// Who read from core: a file, which outlives the process. Clones share it.
#[derive(Clone, Default)]
pub struct ModelAccess {
    lines: Arc<Mutex<Vec<AccessLine>>>,
    /// Who writes; a process that was killed writes nothing any more.
    writer: Option<ModelScope>,
}

impl ModelAccess {
    /// The same file, as this process writes it.
    pub fn of(&self, writer: &ModelScope) -> Self {
        Self { writer: Some(writer.clone()), ..self.clone() }
    }

    /// Looks at every line, in order. Nobody may read from core meanwhile: what looks must not call services.
    pub fn with<T>(&self, look: impl FnOnce(&[AccessLine]) -> T) -> T {
        look(&self.lines.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl AccessLog for ModelAccess {
    type Begun = Instant;

    fn begun(&self) -> Instant {
        Instant::now()
    }

    fn ended(&self, begun: Instant, access: &Access<'_>) {
        // A kill drops the calls under way; a real process logs none of them.
        if self.writer.as_ref().is_some_and(ModelScope::is_killed) {
            return;
        }
        let Access { caller, call, account, purpose, status } = *access;
        let line =
            AccessLine { begun, ended: Instant::now(), caller: caller.to_owned(), call, account, purpose, status };
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }
}

#[cfg(test)]
mod tests {
    use bankstorm_outside::process::{Access, AccessCall, AccessLog, Metrics, Points};

    use super::{ModelAccess, ModelMetrics, ModelScope};

    #[tokio::test(start_paused = true)]
    async fn a_killed_process_logs_no_call_that_was_under_way() {
        let (file, process) = (ModelAccess::default(), ModelScope::named("core"));
        let access = Access { caller: "channel-0", call: AccessCall::Heads, account: None, purpose: None, status: 200 };
        let writer = file.of(&process);
        let begun = writer.begun();
        writer.ended(begun, &access);
        process.kill();
        writer.ended(begun, &Access { status: 0, ..access });
        file.of(&ModelScope::named("core")).ended(begun, &Access { status: 503, ..access });
        let statuses = file.with(|lines| lines.iter().map(|line| line.status).collect::<Vec<_>>());
        assert_eq!(statuses, [200, 503]);
    }

    #[test]
    fn numbers_are_kept_by_name_whatever_order_they_came_in() {
        let metrics = ModelMetrics::default();
        for name in ["m", "b", "z", "a", "m"] {
            metrics.reached(name);
        }
        metrics.count("b", 5);
        metrics.gauge("level", -3);
        let all: Vec<_> = metrics.all().into_iter().collect();
        assert_eq!(all, [("a", 1), ("b", 6), ("level", -3), ("m", 2), ("z", 1)]);
        assert_eq!([metrics.reached_count("m"), metrics.reached_count("never")], [2, 0]);
    }
}
