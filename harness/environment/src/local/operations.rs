//! What is done to a running node, and what proves that it was.
//!
//! In: a node's name. Out: a [`Witness`], or an error that says why not. Elsewhere: the signals themselves and the look at the processes
//! (`reaper/tree`).

use std::time::Duration;

use tokio::time::Instant;

use super::Local;
use super::nodes::Entry;
use crate::environment::Witness;
use crate::progress::Quiet;
use crate::reaper::{Act, Exit, Seen, monotonic_ns};
use crate::{EnvironmentError, Signal, limits};

/// For an end by SIGKILL after an orderly one overran its limit.
const FORCED_LIMIT: Duration = Duration::from_secs(5);

impl Local {
    pub(super) async fn kill_node(&self, name: &str) -> Result<Witness, EnvironmentError> {
        self.running("kill", name)?;
        let watched = self.reaper.unwatch(name);
        let not_by_us = || {
            if watched {
                self.reaper.watch(name);
            }
        };
        let seen = self.reaper.tree(name, Act::Kill).await.inspect_err(|_| not_by_us())?;
        match self.reaper.exit(name) {
            Some(Exit::Signal(signal)) if signal == Signal::SIGKILL as i32 => {
                self.nodes.set_paused(name, false);
                Ok(witness(&seen, &format!("process {} killed by SIGKILL{}", seen.pid, below(seen.below))))
            }
            exit => {
                // It was faster: a death that nobody planned.
                not_by_us();
                let reason = match exit {
                    Some(exit) => format!("it had ended before, by itself ({exit})"),
                    None => "its end was not seen".to_owned(),
                };
                Err(EnvironmentError::Node { doing: "kill", node: name.to_owned(), reason })
            }
        }
    }

    pub(super) async fn pause_node(&self, name: &str) -> Result<Witness, EnvironmentError> {
        self.running("pause", name)?;
        // Noted before, so that a stop knows it even when the answer was not waited for.
        self.nodes.set_paused(name, true);
        match self.reaper.tree(name, Act::Pause).await {
            Ok(seen) => {
                Ok(witness(&seen, &format!("process {} stands still (state T){}", seen.pid, below(seen.below))))
            }
            Err(error) => {
                // Half a node must not stay frozen.
                if self.reaper.tree(name, Act::Resume).await.is_ok() {
                    self.nodes.set_paused(name, false);
                }
                Err(error)
            }
        }
    }

    pub(super) async fn resume_node(&self, name: &str) -> Result<Witness, EnvironmentError> {
        self.running("resume", name)?;
        let seen = self.reaper.tree(name, Act::Resume).await?;
        self.nodes.set_paused(name, false);
        Ok(witness(&seen, &format!("process {} goes on (none in state T){}", seen.pid, below(seen.below))))
    }

    pub(super) async fn restart_node(&self, name: &str) -> Result<Witness, EnvironmentError> {
        let entry = self.nodes.get(name).ok_or_else(|| unknown("restart", name))?;
        let mut forced = String::new();
        if self.reaper.pids().contains_key(name) {
            forced = self.end_in_order(name, &entry).await?;
        }
        self.nodes.set_paused(name, false);
        let begun = Instant::now();
        // Whoever restarts a node tells of it; a start's progress lines would come in the midst of a run.
        let pid = entry.plan.start(&self.launcher(&Quiet), limits::of(entry.plan.kind).again).await?;
        self.reaper.watch(name);
        let took = begun.elapsed().as_secs_f64();
        let at_monotonic_ns = monotonic_ns();
        Ok(Witness { what: format!("process {pid}, ready after {took:.1} s{forced}"), at_monotonic_ns })
    }

    /// Ends a node as an operator would; answers what to add to the witness when that was not enough.
    async fn end_in_order(&self, name: &str, entry: &Entry) -> Result<String, EnvironmentError> {
        if entry.paused {
            self.resume_node(name).await?;
        }
        self.reaper.unwatch(name);
        let kind = entry.plan.kind;
        let (signal, limit) = (limits::stop_signal(kind), limits::of(kind).stop);
        self.reaper.signal(name, signal).await?;
        if let Some(exit) = self.reaper.ended(name, limit).await {
            // SIGKILL comes from us after the limit; before it, it is as unexpected as any other signal.
            return Ok(match exit {
                Exit::Signal(number) if number == Signal::SIGKILL as i32 => format!(" (the one before: {exit})"),
                exit => limits::after_stop(exit, signal),
            });
        }
        self.reaper.tree(name, Act::Kill).await?;
        if self.reaper.ended(name, FORCED_LIMIT).await.is_none() {
            let reason = format!("it lives {} s after SIGKILL", FORCED_LIMIT.as_secs());
            return Err(EnvironmentError::Node { doing: "restart", node: name.to_owned(), reason });
        }
        Ok(limits::after_stop(Exit::Signal(Signal::SIGKILL as i32), signal))
    }

    fn running(&self, doing: &'static str, name: &str) -> Result<(), EnvironmentError> {
        if self.nodes.get(name).is_none() {
            return Err(unknown(doing, name));
        }
        if self.reaper.pids().contains_key(name) {
            return Ok(());
        }
        let reason = "it does not run; `restart` starts it again".to_owned();
        Err(EnvironmentError::Node { doing, node: name.to_owned(), reason })
    }
}

/// No such node was ever started.
pub(super) fn unknown(doing: &'static str, name: &str) -> EnvironmentError {
    let reason = "no node of that name was started; `nodes()` names all of them".to_owned();
    EnvironmentError::Node { doing, node: name.to_owned(), reason }
}

fn witness(seen: &Seen, what: &str) -> Witness {
    Witness { what: what.to_owned(), at_monotonic_ns: seen.at_ns }
}

fn below(processes: usize) -> String {
    match processes {
        0 => String::new(),
        1 => ", with 1 process below it".to_owned(),
        more => format!(", with {more} processes below it"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processes_below_are_counted_in_words() {
        assert_eq!(below(0), "");
        assert_eq!(below(1), ", with 1 process below it");
        assert_eq!(below(9), ", with 9 processes below it");
    }
}
