//! The harness's side of the reaper: start it, ask for children, wait for their exits.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::{Child, Command};
use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;

use super::protocol::{Act, Event, Exit, Request, Seen, Spawn};
use crate::EnvironmentError;
use crate::error::LastLines;
use crate::local::Death;
use crate::orphans;

/// For an answer of the reaper: it does nothing that takes long while it serves.
const ANSWER: Duration = Duration::from_secs(10);
/// For `Finish`: its own limits (3 s), the engine's share (10 s) and the removal of a folder that may hold gigabytes, or tens of thousands
/// of files beside busy cores (`removal`).
const FINISH: Duration = Duration::from_secs(60);

/// A running reaper. Dropping it closes the socket, and the reaper then ends the run by itself.
pub(crate) struct Reaper {
    write: tokio::sync::Mutex<OwnedWriteHalf>,
    shared: Arc<Shared>,
    process: Child,
    folder: PathBuf,
    /// Tells the answers to [`Reaper::tree`] apart.
    next_act: AtomicU64,
}

struct Shared {
    known: Mutex<Known>,
    changed: Notify,
}

#[derive(Default)]
struct Known {
    begun: Option<Result<PathBuf, String>>,
    processes: BTreeMap<String, Process>,
    deaths: Option<UnboundedSender<Death>>,
    /// Deaths before anybody asked for them.
    untold: Vec<Death>,
    /// Answers to [`Reaper::tree`] that nobody took yet.
    acted: BTreeMap<u64, Result<Seen, String>>,
    gone: Option<Vec<String>>,
    closed: bool,
}

struct Process {
    log: PathBuf,
    spawned: Option<Result<u32, String>>,
    exit: Option<(Exit, u64)>,
    /// From ready to the planned stop: an exit in between is a death.
    watched: bool,
}

impl Shared {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `look` finds something; an end of the reaper ends the wait with `None`.
    async fn until<T>(&self, mut look: impl FnMut(&mut Known) -> Option<T>) -> Option<T> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Registered before the look, so that a change in between is not missed.
            changed.as_mut().enable();
            {
                let mut known = self.known();
                if let Some(found) = look(&mut known) {
                    return Some(found);
                }
                if known.closed {
                    return None;
                }
            }
            changed.await;
        }
    }
}

impl Reaper {
    /// Starts the reaper, which makes the run's folder `parent/bankstorm-<name>-XXXXXX`. Its own words go to `log`.
    pub(crate) async fn start(parent: &Path, name: &str, log: Option<&Path>) -> Result<Self, EnvironmentError> {
        let (ours, theirs) =
            std::os::unix::net::UnixStream::pair().map_err(|error| failed(format!("has no socket: {error}")))?;
        ours.set_nonblocking(true).map_err(|error| failed(format!("has no socket: {error}")))?;
        let words = match log {
            Some(path) => Stdio::from(
                OpenOptions::new().create(true).append(true).open(path).map_err(EnvironmentError::io("open", path))?,
            ),
            None => Stdio::null(),
        };
        let program = own_program();
        let process = Command::new(&program)
            .arg(super::ARGUMENT)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(words)
            .spawn()
            .map_err(|error| EnvironmentError::Spawn { name: "reaper".into(), program, reason: error.to_string() })?;
        let stream = UnixStream::from_std(ours).map_err(|error| failed(format!("has no socket: {error}")))?;
        let (read, write) = stream.into_split();
        let shared = Arc::new(Shared { known: Mutex::default(), changed: Notify::new() });
        listen(read, Arc::clone(&shared));
        let write = tokio::sync::Mutex::new(write);
        let mut reaper = Self { write, shared, process, folder: PathBuf::new(), next_act: AtomicU64::new(0) };
        let prefix = format!("{}{}-", orphans::FOLDER_PREFIX, plain(name));
        reaper.ask(&Request::Begin { parent: parent.to_owned(), prefix, state: orphans::state_folder() }).await?;
        reaper.folder = reaper.answer("make the run's folder", |known| known.begun.take()).await?.map_err(failed)?;
        Ok(reaper)
    }

    /// The run's temporary folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Unplanned exits of watched processes, those that nobody was told of yet first; an earlier receiver ends.
    pub(crate) fn deaths(&self) -> UnboundedReceiver<Death> {
        let (sender, receiver) = unbounded_channel();
        let mut known = self.shared.known();
        for death in std::mem::take(&mut known.untold) {
            let _ = sender.send(death);
        }
        known.deaths = (!known.closed).then_some(sender);
        receiver
    }

    /// Process id of the reaper itself; `None` when it has ended.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.process.id()
    }

    /// From now on the reaper also removes what the engine holds of this run.
    pub(crate) async fn guard_containers(&self, engine: &str) -> Result<(), EnvironmentError> {
        self.ask(&Request::Containers { engine: engine.to_owned() }).await
    }

    /// Starts a child; its process id.
    pub(crate) async fn spawn(&self, spawn: Spawn) -> Result<u32, EnvironmentError> {
        let (name, program) = (spawn.name.clone(), spawn.program.clone());
        let process = Process { log: spawn.log.clone(), spawned: None, exit: None, watched: false };
        self.shared.known().processes.insert(name.clone(), process);
        self.ask(&Request::Spawn(spawn)).await?;
        self.answer("start a process", |known| known.processes.get(&name).and_then(|process| process.spawned.clone()))
            .await?
            .map_err(|reason| EnvironmentError::Spawn { name, program, reason })
    }

    /// How `name` ended, if it did.
    pub(crate) fn exit(&self, name: &str) -> Option<Exit> {
        self.shared.known().processes.get(name).and_then(|process| process.exit).map(|(exit, _)| exit)
    }

    /// Waits for the end of `name`, at most `limit`; `None` when it lives on.
    pub(crate) async fn ended(&self, name: &str, limit: Duration) -> Option<Exit> {
        let look = |known: &mut Known| known.processes.get(name).and_then(|process| process.exit);
        timeout(limit, self.shared.until(look)).await.ok().flatten().map(|(exit, _)| exit)
    }

    /// The reaper itself is gone.
    pub(crate) fn lost(&self) -> bool {
        self.shared.known().closed
    }

    /// From now on an exit of `name` is a death, also one that happened since it became ready.
    pub(crate) fn watch(&self, name: &str) {
        let mut known = self.shared.known();
        let Some(process) = known.processes.get_mut(name) else { return };
        process.watched = true;
        if process.exit.is_some() {
            report_death(&mut known, name);
        }
    }

    /// An exit of `name` is planned from now on; whether it was not before.
    pub(crate) fn unwatch(&self, name: &str) -> bool {
        self.shared.known().processes.get_mut(name).is_some_and(|process| std::mem::take(&mut process.watched))
    }

    /// Living processes and their ids.
    pub(crate) fn pids(&self) -> BTreeMap<String, u32> {
        let known = self.shared.known();
        let living = known.processes.iter().filter(|(_, process)| process.exit.is_none());
        living
            .filter_map(|(name, process)| Some((name.clone(), process.spawned.as_ref()?.as_ref().ok().copied()?)))
            .collect()
    }

    /// Sends `signal` to the process group of `name`.
    pub(crate) async fn signal(&self, name: &str, signal: Signal) -> Result<(), EnvironmentError> {
        self.ask(&Request::Signal { name: name.to_owned(), signal: signal as i32 }).await
    }

    /// Does `act` to `name` and all processes below it, and waits until that was seen.
    pub(crate) async fn tree(&self, name: &str, act: Act) -> Result<Seen, EnvironmentError> {
        let id = self.next_act.fetch_add(1, Ordering::Relaxed);
        self.ask(&Request::Act { id, name: name.to_owned(), act }).await?;
        let doing = match act {
            Act::Kill => "kill",
            Act::Pause => "pause",
            Act::Resume => "resume",
        };
        let outcome = self.answer(doing, |known| known.acted.remove(&id)).await?;
        outcome.map_err(|reason| EnvironmentError::Node { doing, node: name.to_owned(), reason })
    }

    /// Stops what still lives, removes the folder, and waits until the reaper is gone too.
    pub(crate) async fn finish(self) -> Result<(), EnvironmentError> {
        self.end(false).await
    }

    /// As [`Reaper::finish`], after a start that failed: requests to the engine may have been given up in the midst.
    pub(crate) async fn give_up(self) -> Result<(), EnvironmentError> {
        self.end(true).await
    }

    async fn end(mut self, latecomers: bool) -> Result<(), EnvironmentError> {
        self.shared.known().processes.values_mut().for_each(|process| process.watched = false);
        let asked = self.ask(&Request::Finish { latecomers }).await;
        let left = match asked {
            Ok(()) => timeout(FINISH, self.shared.until(|known| known.gone.take())).await,
            Err(_) => Ok(None),
        };
        drop(self.write);
        let ended = timeout(ANSWER, self.process.wait()).await.is_ok();
        match left {
            Ok(Some(left)) if left.is_empty() && ended => Ok(()),
            Ok(Some(left)) if ended => Err(EnvironmentError::LeftBehind { what: left.join("; ") }),
            // It was killed: then nobody but we can clean up.
            Ok(None) if ended => clean_after_it(&self.folder),
            // It goes on by itself; nobody waits for that.
            Err(_) => Err(EnvironmentError::LeftBehind {
                what: format!(
                    "the reaper was at work for {} s and may still be, on folder {}; `bankstorm doctor --clean` helps",
                    FINISH.as_secs(),
                    self.folder.display()
                ),
            }),
            Ok(_) => Err(EnvironmentError::LeftBehind {
                what: format!("the reaper did not end within {} s of its last word", ANSWER.as_secs()),
            }),
        }
    }

    async fn ask(&self, request: &Request) -> Result<(), EnvironmentError> {
        let mut line = serde_json::to_vec(request).map_err(|error| failed(format!("cannot be asked: {error}")))?;
        line.push(b'\n');
        let written = timeout(ANSWER, async { self.write.lock().await.write_all(&line).await }).await;
        match written {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(failed(format!("is gone: {error}"))),
            Err(_) => Err(failed(format!("took no request within {} s", ANSWER.as_secs()))),
        }
    }

    async fn answer<T>(&self, to: &str, look: impl FnMut(&mut Known) -> Option<T>) -> Result<T, EnvironmentError> {
        match timeout(ANSWER, self.shared.until(look)).await {
            Ok(Some(answer)) => Ok(answer),
            Ok(None) => Err(failed(format!("ended when asked to {to}; does `main` begin with `reaper::hook()`?"))),
            Err(_) => Err(failed(format!("did not {to} within {} s", ANSWER.as_secs()))),
        }
    }
}

fn clean_after_it(folder: &Path) -> Result<(), EnvironmentError> {
    let cleaned = orphans::clean();
    if cleaned.left.is_empty() && !folder.exists() {
        return Err(failed("was killed; its processes and folder were removed".into()));
    }
    Err(EnvironmentError::LeftBehind { what: cleaned.left.join("; ") })
}

fn failed(reason: String) -> EnvironmentError {
    EnvironmentError::Reaper { reason }
}

/// The running executable; a rebuild may have replaced the file meanwhile, then the kernel's link still leads to it.
pub(crate) fn own_program() -> PathBuf {
    match std::env::current_exe() {
        Ok(path) if path.exists() => path,
        _ => PathBuf::from("/proc/self/exe"),
    }
}

fn plain(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(40).collect()
}

#[expect(clippy::disallowed_methods, reason = "harness room: reads the reaper's events until it is gone")]
fn listen(read: OwnedReadHalf, shared: Arc<Shared>) {
    tokio::spawn(async move {
        let mut lines = BufReader::new(read).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            match serde_json::from_str(&line) {
                Ok(event) => take_in(&mut shared.known(), event),
                Err(error) => tracing::warn!(line, %error, "the reaper said something unknown"),
            }
            shared.changed.notify_waiters();
        }
        let mut known = shared.known();
        known.closed = true;
        // Whoever waits for deaths learns that there is nobody left to tell of them.
        known.deaths = None;
        drop(known);
        shared.changed.notify_waiters();
    });
}

fn take_in(known: &mut Known, event: Event) {
    match event {
        Event::Ready { folder } => known.begun = Some(Ok(folder)),
        Event::Refused { reason } => known.begun = Some(Err(reason)),
        Event::Spawned { name, pid } => {
            if let Some(process) = known.processes.get_mut(&name) {
                process.spawned = Some(Ok(pid));
            }
        }
        Event::NotSpawned { name, reason } => {
            if let Some(process) = known.processes.get_mut(&name) {
                process.spawned = Some(Err(reason));
            }
        }
        Event::Exited { name, exit, at_ns, .. } => {
            if let Some(process) = known.processes.get_mut(&name) {
                process.exit = Some((exit, at_ns));
                if process.watched {
                    report_death(known, &name);
                }
            }
        }
        Event::Acted { id, outcome } => drop(known.acted.insert(id, outcome)),
        Event::Gone { left } => known.gone = Some(left),
    }
}

fn report_death(known: &mut Known, name: &str) {
    let Some(process) = known.processes.get_mut(name) else { return };
    let (Some((exit, at_monotonic_ns)), Some(Ok(pid))) = (process.exit, process.spawned.clone()) else { return };
    process.watched = false;
    let death =
        Death { name: name.to_owned(), pid, exit, at_monotonic_ns, last_lines: LastLines::of(&process.log).lines };
    tracing::warn!(name, %exit, "a process of the run died");
    match &known.deaths {
        // An error means that nobody listens any more: the harness is about to stop.
        Some(deaths) => drop(deaths.send(death)),
        None => known.untold.push(death),
    }
}
