//! The engine's events: every end of a container of the run, as it happens.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use nix::sys::signal::Signal;
use testcontainers_modules::testcontainers::bollard::models::EventMessage;
use testcontainers_modules::testcontainers::bollard::query_parameters::EventsOptionsBuilder;
use tokio::task::JoinHandle;

use super::engine::words;
use super::leftovers::RUN;
use super::run::Run;
use crate::error::LastLines;
use crate::local::Death;
use crate::reaper::{Exit, monotonic_ns};

/// After an end, for the last of its output to reach the log file.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// Exit codes from here on are a signal's number above it, as shells count.
const SIGNALLED: i32 = 128;

/// Follows the events until the engine ends them; then the deaths end too.
#[expect(clippy::disallowed_methods, reason = "harness room: reads the engine's events until it is gone")]
pub(super) fn follow(run: &Arc<Run>) -> JoinHandle<()> {
    let run = Arc::clone(run);
    tokio::spawn(async move {
        let filters = [("type", vec!["container".to_owned()]), ("event", vec!["die".to_owned()])]
            .into_iter()
            .chain([("label", vec![format!("{RUN}={}", run.name)])]);
        // From a moment before: the request itself takes time, and no container of this run is older.
        let since = nix::time::clock_gettime(nix::time::ClockId::CLOCK_REALTIME).map_or(0, |now| now.tv_sec()) - 1;
        let options = EventsOptionsBuilder::new().since(&since.to_string()).filters(&filters.collect()).build();
        let mut events = std::pin::pin!(run.engine.docker.events(Some(options)));
        let reason = loop {
            match events.next().await {
                Some(Ok(event)) => take_in(&run, event).await,
                Some(Err(error)) => break words(&error),
                None => break "it closed the connection".to_owned(),
            }
        };
        let reason = format!("the events of the engine at {} ended: {reason}", run.engine.address);
        tracing::warn!(reason, "the run is lost");
        run.nodes.lose(&reason);
    })
}

async fn take_in(run: &Arc<Run>, event: EventMessage) {
    let at_monotonic_ns = monotonic_ns();
    let attributes = event.actor.and_then(|actor| actor.attributes).unwrap_or_default();
    let Some(node) = attributes.get("name").and_then(|name| run.node_of(name)) else { return };
    if let Some(code) = attributes.get("exitCode").and_then(|code| code.parse().ok()) {
        return ended(run, node, exit_of(code), at_monotonic_ns, event.time_nano);
    }
    // An engine that does not say how it ended is asked.
    let Some(entry) = run.nodes.get(node).filter(|entry| !entry.id.is_empty()) else { return };
    match run.state(&entry.id).await {
        Ok(state) if state.running == Some(false) => drop(run.note_end(node, &state)),
        Ok(_) => {}
        Err(error) => tracing::warn!(node, %error, "how it ended is not known"),
    }
}

/// Notes how `node` ended, `ended` in the engine's nanoseconds since 1970; an end of an earlier life is passed over, and one that nobody
/// planned is told once its last words are in the log.
#[expect(clippy::disallowed_methods, reason = "harness room: waits for the end of one log")]
pub(super) fn ended(run: &Arc<Run>, node: &str, exit: Exit, at_monotonic_ns: u64, ended: Option<i64>) {
    let unplanned = run.nodes.change(node, |entry| entry.end(exit, at_monotonic_ns, ended));
    let Some(Some(pid)) = unplanned else { return };
    let (run, name) = (Arc::clone(run), node.to_owned());
    tokio::spawn(async move {
        last_words(&run, &name).await;
        let last_lines = LastLines::of(&run.log(&name)).lines;
        run.nodes.tell(Death { name, pid, exit, at_monotonic_ns, last_lines });
    });
}

/// Waits until the log of a container that ended is complete.
pub(super) async fn last_words(run: &Run, node: &str) {
    run.nodes.until(node, LAST_WORDS, |entry| entry.log_ended.then_some(())).await;
}

/// The engine's exit code as the end of a process. A process that itself returns 137 looks like one that was killed.
pub(super) fn exit_of(code: i32) -> Exit {
    match Signal::try_from(code - SIGNALLED) {
        Ok(signal) if code > SIGNALLED => Exit::Signal(signal as i32),
        _ => Exit::Code(code),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engines_codes_become_exits() {
        assert_eq!(exit_of(0), Exit::Code(0));
        assert_eq!(exit_of(7), Exit::Code(7));
        assert_eq!(exit_of(137), Exit::Signal(9));
        assert_eq!(exit_of(143), Exit::Signal(15));
        assert_eq!(exit_of(128), Exit::Code(128));
        assert_eq!(exit_of(255), Exit::Code(255));
    }
}
