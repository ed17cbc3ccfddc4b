//! What can go wrong between "start" and "everything is gone"; each says who, what was waited for, and what to try.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::reaper::Exit;

/// Why the environment did not come up, was lost, or did not go away. The command line ends with exit code 3.
#[derive(Debug, thiserror::Error)]
pub enum EnvironmentError {
    /// A program or a set of jars is not on this machine.
    #[error(
        "{what} was not found (looked in {looked_in}). `make setup` installs what is missing; here that is: {install}"
    )]
    Missing {
        /// The program and the version it must have.
        what: String,
        /// Places that were tried, in order.
        looked_in: String,
        /// Package or command that brings it.
        install: String,
    },
    /// A process ended before it was ready.
    #[error("{name} ended ({exit}) while it was waited for {waiting_for}{log}")]
    Died {
        /// Process.
        name: String,
        /// What would have made it ready.
        waiting_for: String,
        /// Exit code or signal.
        exit: Exit,
        /// Its last words.
        log: LastLines,
    },
    /// A process lives but did not become ready within its limit.
    #[error("{name} was not ready within {} s: still waiting for {waiting_for}{log}", limit.as_secs_f64())]
    Limit {
        /// Process.
        name: String,
        /// What would have made it ready.
        waiting_for: String,
        /// The limit that was hit.
        limit: Duration,
        /// Its last words.
        log: LastLines,
    },
    /// A process was ready but refused what the start asked of it.
    #[error("{name} refused {asked}: {reason}{log}")]
    Refused {
        /// Process.
        name: String,
        /// What was asked.
        asked: String,
        /// Its answer.
        reason: String,
        /// Its last words.
        log: LastLines,
    },
    /// A program could not be executed at all.
    #[error("{name} could not be started from {program}: {reason}", program = program.display())]
    Spawn {
        /// Process.
        name: String,
        /// Path of the program.
        program: PathBuf,
        /// The operating system's reason.
        reason: String,
    },
    /// The harness is root and there is no user to run PostgreSQL as.
    #[error(
        "PostgreSQL refuses to run as root, and this machine has no user `postgres`. \
         Install the package postgresql (it makes the user), or run as an ordinary user"
    )]
    NoPostgresUser,
    /// The user that PostgreSQL runs as cannot enter the folder that holds its data.
    #[error(
        "PostgreSQL runs as user `postgres` here, which may not enter {}; \
         set TMPDIR to a folder whose parents everybody may enter, such as /tmp",
        folder.display()
    )]
    Unreachable {
        /// First folder on the way that is closed to others.
        folder: PathBuf,
    },
    /// The needs contradict themselves or ask for what `local` does not have.
    #[error("{field} = {value}: {accepted}")]
    Needs {
        /// Field of [`crate::Needs`] or [`crate::ServiceSpec`].
        field: &'static str,
        /// Its value.
        value: String,
        /// What would be accepted.
        accepted: &'static str,
    },
    /// The process that holds all others was lost or did not answer. It removes the rest by itself, or the next start does.
    #[error("the reaper (parent of all processes of the run) {reason}")]
    Reaper {
        /// What happened, and the limit if one was hit.
        reason: String,
    },
    /// What tells of ends and removes the run is gone, so nothing is waited for any more.
    #[error("the environment was lost while {name} was waited for ({waiting_for}): {reason}")]
    Lost {
        /// Node.
        name: String,
        /// What would have made it ready.
        waiting_for: String,
        /// What ended, and how.
        reason: String,
    },
    /// A file or folder operation of the start failed.
    #[error("could not {doing} {}: {source}{hint}", path.display(), hint = disk_hint(source))]
    Io {
        /// The verb.
        doing: &'static str,
        /// On which path.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// No free loopback port, or the caller's one was taken each time.
    #[error("no free loopback port for {name} after {tries} tries; the last log lines say which one was taken{log}")]
    Ports {
        /// Process.
        name: String,
        /// How often a new port was tried.
        tries: u32,
        /// Its last words.
        log: LastLines,
    },
    /// A port that was free when it was given to a process was taken when the process came to bind it.
    #[error(
        "{name} found its port taken by another process, which was free when the run began: start the run again{log}"
    )]
    PortTaken {
        /// Process.
        name: String,
        /// Its last words.
        log: LastLines,
    },
    /// What was to be done to a node was not done.
    #[error("could not {doing} {node}: {reason}")]
    Node {
        /// The verb.
        doing: &'static str,
        /// The node's name.
        node: String,
        /// Why not, and what to try.
        reason: String,
    },
    /// No container engine answers.
    #[error(
        "no container engine answers at {address} ({chosen}): {reason}. Start it (`systemctl start docker`, or `dockerd` as root), or set \
         DOCKER_HOST to the one that runs; `--env local` needs none"
    )]
    NoEngine {
        /// The address that was tried.
        address: String,
        /// Where the address comes from.
        chosen: &'static str,
        /// What happened.
        reason: String,
    },
    /// An engine is there, but this user may not use it.
    #[error(
        "this user may not use the container engine at {address}: permission denied. Join the group docker \
         (`sudo usermod -aG docker $USER`, then log in again), or run as root"
    )]
    EngineDenied {
        /// The address that was tried.
        address: String,
    },
    /// The engine refused something.
    #[error("the container engine could not {doing}: {reason}")]
    Engine {
        /// The verb and its object.
        doing: String,
        /// The engine's words.
        reason: String,
    },
    /// An image is not there and cannot be fetched.
    #[error(
        "image {image} is not there and could not be fetched: {reason}. Fetch it (`docker pull {image}`), build stand-ins where no \
         registry is reachable (`make offline-images`), or name another image in the scenario ([images]) or in {variable}"
    )]
    NoImage {
        /// Name and tag.
        image: String,
        /// The registry's or the engine's words.
        reason: String,
        /// Environment variable that names another image.
        variable: &'static str,
    },
    /// An image for other machines.
    #[error(
        "image {image} is made for {has}, and this engine runs {engine}: fetch it for this machine (`docker pull --platform {engine} {image}`)"
    )]
    WrongPlatform {
        /// Name and tag.
        image: String,
        /// System and architecture of the image.
        has: String,
        /// Those of the engine.
        engine: String,
    },
    /// The image of our services could not be built.
    #[error("could not build the image {image} around the running executable: {reason}")]
    ImageBuild {
        /// Name and tag.
        image: String,
        /// The engine's words.
        reason: String,
    },
    /// The executable does not run in the services' image.
    #[error(
        "the running executable does not run in the image {image}, most often because this machine's C library is newer than the image's. \
         Build it inside (`make image`) and set BANKSTORM_IMAGE_SERVICES to what that prints. The loader says: {reason}"
    )]
    ImageUnfit {
        /// Name and tag.
        image: String,
        /// The loader's words.
        reason: String,
    },
    /// Something outlived the stop.
    #[error("the environment did not go away cleanly: {what}")]
    LeftBehind {
        /// Processes or folders, and the limits that were hit.
        what: String,
    },
}

impl EnvironmentError {
    /// Without the log lines below it.
    pub(crate) fn first_line(&self) -> String {
        self.to_string().lines().next().unwrap_or_default().to_owned()
    }

    /// What is the matter, without address, cause and remedy: for a column of a list.
    #[must_use]
    pub fn in_brief(&self) -> String {
        let line = self.first_line();
        let said = line.split(['(', ';']).next().and_then(|said| said.split(": ").next());
        said.unwrap_or_default().trim().to_owned()
    }

    /// An [`EnvironmentError::Io`] from its parts.
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { doing, path, source }
    }
}

fn disk_hint(source: &std::io::Error) -> &'static str {
    match source.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            ". The disk is full: free some space or set TMPDIR to another one"
        }
        _ => "",
    }
}

/// The end of a process's log, shown below the message that needs it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LastLines {
    /// Where the whole log lies (it may go with the temporary folder).
    pub file: PathBuf,
    /// The last lines, oldest first.
    pub lines: Vec<String>,
}

impl LastLines {
    /// How many lines an error shows.
    pub const SHOWN: usize = 20;
    /// No more of the file's end is read than this many bytes.
    const READ_BYTES: u64 = 32 * 1024;

    /// Reads the end of `file`; a file that cannot be read has no lines.
    #[must_use]
    pub fn of(file: &Path) -> Self {
        let text = read_end(file, Self::READ_BYTES).unwrap_or_default();
        let mut lines: Vec<String> = text.lines().rev().take(Self::SHOWN).map(str::to_owned).collect();
        lines.reverse();
        Self { file: file.to_owned(), lines }
    }
}

fn read_end(file: &Path, bytes: u64) -> std::io::Result<String> {
    use std::io::{Read, Seek, SeekFrom};
    let mut file = std::fs::File::open(file)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(bytes)))?;
    let mut raw = Vec::new();
    file.read_to_end(&mut raw)?;
    Ok(String::from_utf8_lossy(&raw).into_owned())
}

impl fmt::Display for LastLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.lines.is_empty() {
            return write!(f, "; it wrote nothing to {}", self.file.display());
        }
        write!(f, "; last lines of {}:", self.file.display())?;
        for line in &self.lines {
            write!(f, "\n    {line}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_shows_the_end_of_the_log_and_where_it_lies() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let log = folder.path().join("core.log");
        let text: String = (1..=50).map(|n| format!("line {n}\n")).collect();
        std::fs::write(&log, text).expect("write log");
        let error = EnvironmentError::Died {
            name: "core".into(),
            waiting_for: "readyz".into(),
            exit: Exit::Code(2),
            log: LastLines::of(&log),
        };
        let shown = error.to_string();
        assert!(
            shown.starts_with("core ended (exit code 2) while it was waited for readyz; last lines of "),
            "{shown}"
        );
        assert!(shown.contains("line 31\n") && shown.ends_with("line 50"), "{shown}");
        assert!(!shown.contains("line 30\n"), "{shown}");
    }

    #[test]
    fn a_full_disk_is_named() {
        let source = std::io::Error::from(std::io::ErrorKind::StorageFull);
        let shown = EnvironmentError::io("write", Path::new("/tmp/x"))(source).to_string();
        assert!(shown.contains("could not write /tmp/x") && shown.contains("TMPDIR"), "{shown}");
    }
}
