//! Inside the reaper: one loop over exits and requests, then the sweep.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::signal::unix::{Signal as SignalStream, SignalKind, signal};

use super::protocol::{Event, Exit, Request, Spawn};
use super::{containers, sweep, tree};
use crate::containers::leftovers::Expect;
use crate::orphans;

/// A child that has not been waited for yet.
pub(super) struct Child {
    pub(super) name: String,
    pub(super) last_signal: Option<Signal>,
}

/// What the reaper knows.
pub(super) struct State {
    /// By process id, which is also the process group.
    pub(super) children: BTreeMap<i32, Child>,
    folder: PathBuf,
    entry: PathBuf,
    /// Address of the engine that may hold containers of the run.
    engine: Option<String>,
}

/// Runs the reaper to its end on the socket that is standard input.
pub(super) fn run() -> io::Result<()> {
    // Ctrl-C goes to the whole foreground group of the terminal; a session of its own is out of its reach. This fails only for a
    // leader of a group, which a fresh child is not.
    nix::unistd::setsid()?;
    // Grandchildren (PostgreSQL's backends make sessions of their own) come to us when their parent dies.
    #[cfg(target_os = "linux")]
    nix::sys::prctl::set_child_subreaper(true)?;
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(serve())
}

async fn serve() -> io::Result<()> {
    let socket = std::os::unix::net::UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    socket.set_nonblocking(true)?;
    let (read, mut write) = UnixStream::from_std(socket)?.into_split();
    // Handlers, not SIG_IGN: children would inherit an ignored signal and could not be stopped by it.
    let _held = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup(), SignalKind::pipe()]
        .into_iter()
        .map(signal)
        .collect::<io::Result<Vec<SignalStream>>>()?;
    let mut exits = signal(SignalKind::child())?;
    let mut lines = BufReader::new(read).lines();

    let Some(mut state) = begin(&mut lines, &mut write).await? else { return Ok(()) };
    let asked = requests(&mut state, &mut lines, &mut write, &mut exits).await;
    // A harness that was cut off may have asked the engine for something that comes into being a second later.
    let expect = if asked == Some(Expect::Little) { Expect::Little } else { Expect::Latecomers };
    let mut left = sweep::everything(&mut state, &mut exits).await;
    if let Some(engine) = &state.engine {
        left.extend(containers::remove(engine, &state.folder, expect).await);
    }
    let left = tidy(&state, left);
    if asked.is_some() {
        // The harness may be gone by now; then nobody is left to be told.
        let _ = send(&mut write, &Event::Gone { left }).await;
    }
    Ok(())
}

/// Makes the folder and its registry entry. `None` when that failed or the harness left before asking.
async fn begin(lines: &mut Lines<BufReader<OwnedReadHalf>>, write: &mut OwnedWriteHalf) -> io::Result<Option<State>> {
    let Some(line) = lines.next_line().await? else { return Ok(None) };
    let Ok(Request::Begin { parent, prefix, state }) = serde_json::from_str(&line) else {
        send(write, &Event::Refused { reason: format!("does not understand: {line}") }).await?;
        return Ok(None);
    };
    match make_folder(&parent, &prefix, &state) {
        Ok((folder, entry)) => {
            send(write, &Event::Ready { folder: folder.clone() }).await?;
            Ok(Some(State { children: BTreeMap::new(), folder, entry, engine: None }))
        }
        Err(reason) => {
            send(write, &Event::Refused { reason }).await?;
            Ok(None)
        }
    }
}

fn make_folder(parent: &Path, prefix: &str, state: &Path) -> Result<(PathBuf, PathBuf), String> {
    let folder = nix::unistd::mkdtemp(&parent.join(format!("{prefix}XXXXXX")))
        .map_err(|error| format!("could not make a folder in {}: {error}", parent.display()))?;
    let prepared = folder.canonicalize().and_then(|real| {
        // Others may pass through (PostgreSQL's user must reach its data) but not look around.
        std::fs::set_permissions(&real, std::fs::Permissions::from_mode(0o711))?;
        let entry = orphans::note(state, &real)?;
        Ok((real, entry))
    });
    prepared.map_err(|error| {
        let _ = std::fs::remove_dir(&folder);
        format!("could not note the run under {}: {error}", state.display())
    })
}

/// Serves until the harness is gone (`None`) or says `Finish`; then what may still come into being in the engine.
async fn requests(
    state: &mut State,
    lines: &mut Lines<BufReader<OwnedReadHalf>>,
    write: &mut OwnedWriteHalf,
    exits: &mut SignalStream,
) -> Option<Expect> {
    loop {
        // Exits first: a name must be free again before a request reuses it.
        let events = tokio::select! {
            biased;
            _ = exits.recv() => collect(state).0,
            line = lines.next_line() => match line {
                Ok(Some(line)) => match serde_json::from_str(&line) {
                    Ok(Request::Finish { latecomers: true }) => return Some(Expect::Latecomers),
                    Ok(Request::Finish { latecomers: false }) => return Some(Expect::Little),
                    Ok(Request::Act { id, name, act }) => tree::act(state, id, &name, act).await,
                    Ok(request) => obey(state, request).into_iter().collect(),
                    Err(error) => {
                        eprintln!("reaper: does not understand {line}: {error}");
                        return None;
                    }
                },
                Ok(None) | Err(_) => return None,
            },
        };
        for event in events {
            if send(write, &event).await.is_err() {
                return None;
            }
        }
    }
}

fn obey(state: &mut State, request: Request) -> Option<Event> {
    match request {
        Request::Spawn(spawn) => Some(match start(state, &spawn) {
            Ok(pid) => Event::Spawned { name: spawn.name, pid },
            Err(error) => Event::NotSpawned { name: spawn.name, reason: error.to_string() },
        }),
        Request::Containers { engine } => {
            state.engine = Some(engine);
            None
        }
        Request::Signal { name, signal } => {
            let target = state.children.iter().find(|(_, child)| child.name == name).map(|(pid, _)| *pid);
            if let (Some(pid), Ok(signal)) = (target, Signal::try_from(signal)) {
                // ESRCH: it ended meanwhile, and its exit is on the way.
                let _ = killpg(Pid::from_raw(pid), signal);
            }
            None
        }
        // `Begin` comes once, the others were handled by the caller.
        Request::Begin { .. } | Request::Act { .. } | Request::Finish { .. } => None,
    }
}

fn start(state: &mut State, spawn: &Spawn) -> io::Result<u32> {
    let log = open_log(&spawn.log, spawn.append_log)?;
    let mut command = Command::new(&spawn.program);
    command.args(&spawn.args).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).process_group(0);
    if !spawn.inherit_env {
        command.env_clear();
    }
    command.envs(&spawn.env).env(orphans::MARKER, &state.folder);
    if let Some(cwd) = &spawn.cwd {
        command.current_dir(cwd);
    }
    if let Some((uid, gid)) = spawn.user {
        command.gid(gid).uid(uid);
    }
    let pid = command.spawn()?.id();
    let child = Child { name: spawn.name.clone(), last_signal: Signal::try_from(spawn.last_signal).ok() };
    state.children.insert(pid as i32, child);
    Ok(pid)
}

fn open_log(path: &Path, append: bool) -> io::Result<File> {
    if !append {
        File::create(path)?;
    }
    // Always appending: several steps of one process write here, and a person may truncate it.
    OpenOptions::new().create(true).append(true).open(path)
}

/// Collects every exit there is: those of our children become events, those of adopted grandchildren are just collected. The second
/// value says whether any child is left.
pub(super) fn collect(state: &mut State) -> (Vec<Event>, bool) {
    let mut events = Vec::new();
    loop {
        let (pid, exit) = match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, code)) => (pid, Exit::Code(code)),
            Ok(WaitStatus::Signaled(pid, signal, _)) => (pid, Exit::Signal(signal as i32)),
            Ok(WaitStatus::StillAlive) => return (events, true),
            Ok(_) | Err(Errno::EINTR) => continue,
            Err(_) => return (events, false),
        };
        if let Some(child) = state.children.remove(&pid.as_raw()) {
            let pid = pid.as_raw() as u32;
            events.push(Event::Exited { name: child.name, pid, exit, at_ns: super::monotonic_ns() });
        }
    }
}

/// Removes the folder and then the registry entry, which stays while there is something to find by it.
fn tidy(state: &State, mut left: Vec<String>) -> Vec<String> {
    if let Err(error) = orphans::remove_folder(&state.folder) {
        left.push(format!("folder {}: {error}", state.folder.display()));
    }
    if left.is_empty() {
        let _ = std::fs::remove_file(&state.entry);
    }
    for what in &left {
        eprintln!("reaper: left behind: {what}");
    }
    left
}

async fn send(write: &mut OwnedWriteHalf, event: &Event) -> io::Result<()> {
    let mut line = serde_json::to_vec(event)?;
    line.push(b'\n');
    write.write_all(&line).await
}
