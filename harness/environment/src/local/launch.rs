//! What every start has in common: spawn, wait with a limit, tell of it, and turn trouble into an error with the last log lines.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::time::{Instant, sleep, timeout_at};

use crate::EnvironmentError;
use crate::error::LastLines;
use crate::progress::{self, Progress};
use crate::reaper::{Reaper, Spawn};

/// Between two looks at something that has no event (a log line, a port).
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Borrowed from the environment while something starts.
pub(super) struct Launcher<'a> {
    pub(super) reaper: &'a Reaper,
    pub(super) logs: &'a Path,
    pub(super) progress: &'a dyn Progress,
}

impl Launcher<'_> {
    /// The log file of `name`.
    pub(super) fn log(&self, name: &str) -> PathBuf {
        self.logs.join(format!("{name}.log"))
    }

    /// The last lines that `name` wrote.
    pub(super) fn last_lines(&self, name: &str) -> LastLines {
        LastLines::of(&self.log(name))
    }

    /// A child of `name` that runs `program`; the rest is filled in by the caller.
    pub(super) fn child(&self, name: &str, program: &Path, args: Vec<String>) -> Spawn {
        Spawn {
            name: name.to_owned(),
            program: program.to_owned(),
            args,
            inherit_env: true,
            env: std::collections::BTreeMap::new(),
            cwd: None,
            user: None,
            log: self.log(name),
            append_log: true,
            last_signal: Signal::SIGTERM as i32,
        }
    }

    /// Runs a step that ends by itself and must end well.
    pub(super) async fn run_to_end(&self, step: Spawn, doing: &str, limit: Duration) -> Result<(), EnvironmentError> {
        let name = step.name.clone();
        self.progress.started(&name, doing);
        self.reaper.spawn(step).await?;
        let exit = self.told(&name, doing, limit, self.reaper.ended(&name, limit)).await;
        match exit {
            Some(crate::Exit::Code(0)) => Ok(()),
            Some(exit) => {
                Err(EnvironmentError::Died { waiting_for: doing.to_owned(), exit, log: self.last_lines(&name), name })
            }
            None if self.reaper.lost() => Err(EnvironmentError::Reaper { reason: "was lost during the start".into() }),
            None => Err(self.overrun(&name, doing, limit)),
        }
    }

    /// Looks again and again until `look` finds something, `name` ends, or the limit is hit.
    pub(super) async fn until<T, Look: Future<Output = Option<T>>>(
        &self,
        name: &str,
        waiting_for: &str,
        limit: Duration,
        mut look: impl FnMut() -> Look,
    ) -> Result<T, EnvironmentError> {
        let deadline = Instant::now() + limit;
        let looking = async {
            loop {
                if let Some(exit) = self.reaper.exit(name) {
                    return Err(EnvironmentError::Died {
                        name: name.to_owned(),
                        waiting_for: waiting_for.to_owned(),
                        exit,
                        log: self.last_lines(name),
                    });
                }
                if self.reaper.lost() {
                    return Err(EnvironmentError::Reaper { reason: "was lost during the start".into() });
                }
                // One look may hang; it ends with the limit of the whole wait.
                match timeout_at(deadline, look()).await {
                    Ok(Some(found)) => return Ok(found),
                    Ok(None) if Instant::now() < deadline => sleep(LOOK_AGAIN).await,
                    Ok(None) | Err(_) => return Err(self.overrun(name, waiting_for, limit)),
                }
            }
        };
        self.told(name, waiting_for, limit, looking).await
    }

    fn overrun(&self, name: &str, waiting_for: &str, limit: Duration) -> EnvironmentError {
        EnvironmentError::Limit {
            name: name.to_owned(),
            waiting_for: waiting_for.to_owned(),
            limit,
            log: self.last_lines(name),
        }
    }

    /// Waits for `what` and says every few seconds that it still does.
    async fn told<T>(&self, name: &str, waiting_for: &str, limit: Duration, what: impl Future<Output = T>) -> T {
        progress::told(self.progress, name, waiting_for, limit, what).await
    }

    /// Wraps the whole start of `name`: tells when it is ready or why it is not.
    pub(super) async fn telling<T>(
        &self,
        name: &str,
        start: impl Future<Output = Result<T, EnvironmentError>>,
    ) -> Result<T, EnvironmentError> {
        progress::telling(self.progress, name, start).await
    }
}

/// Length of a log by now; what a later attempt writes comes after it.
pub(crate) fn log_length(log: &Path) -> u64 {
    std::fs::metadata(log).map_or(0, |metadata| metadata.len())
}

/// Whether the log of a process contains `needle` after its first `from` bytes.
pub(crate) fn log_contains(log: &Path, from: u64, needle: &str) -> bool {
    let read = || {
        let mut file = File::open(log)?;
        file.seek(SeekFrom::Start(from))?;
        let mut raw = Vec::new();
        file.read_to_end(&mut raw)?;
        Ok::<_, std::io::Error>(raw)
    };
    read().is_ok_and(|raw| String::from_utf8_lossy(&raw).contains(needle))
}
