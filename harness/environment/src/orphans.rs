//! What a killed reaper left behind: found again by `bankstorm doctor --clean` and by the next start.
//!
//! Every reaper keeps one small file in the user's state folder naming itself and the run's temporary folder; it removes the file
//! last. A file whose reaper no longer lives belongs to a run that was cut down whole. Its processes are recognised by the marker in
//! their environment or by a working folder inside the run's folder, never by a process id, which the kernel may have given anew. What a
//! container engine holds bears labels that name the run and its reaper.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::containers::Patience;
use crate::removal;

/// Set for every process of a run; the value is the run's temporary folder.
pub(crate) const MARKER: &str = "BANKSTORM_RUN_FOLDER";
/// Every temporary folder's name starts so; nothing else is ever removed.
pub(crate) const FOLDER_PREFIX: &str = "bankstorm-";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    reaper_pid: u32,
    /// Start of the reaper in clock ticks since boot: tells it from a later process of the same id.
    reaper_start: u64,
    folder: PathBuf,
}

/// What [`clean`] removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cleaned {
    /// Temporary folders.
    pub folders: Vec<PathBuf>,
    /// Processes that still lived.
    pub processes: usize,
    /// Containers, running or not.
    pub containers: usize,
    /// Networks of containers.
    pub networks: usize,
    /// Volumes of containers.
    pub volumes: usize,
    /// What could not be removed, and why.
    pub left: Vec<String>,
}

/// Where the entries lie: `$XDG_STATE_HOME/bankstorm/running`, else `~/.local/state/bankstorm/running`; for a user who cannot write
/// there, a folder of the user's own in the temporary folder.
#[must_use]
pub fn state_folder() -> PathBuf {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute("XDG_STATE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/state")))
        .map(|home| home.join("bankstorm/running"))
        .filter(|folder| writable(folder))
        .unwrap_or_else(|| std::env::temp_dir().join(format!("bankstorm-state-{}", nix::unistd::geteuid())))
}

fn writable(folder: &Path) -> bool {
    std::fs::create_dir_all(folder).is_ok() && nix::unistd::access(folder, nix::unistd::AccessFlags::W_OK).is_ok()
}

/// Notes that the calling process (a reaper) owns `folder`; answers the entry's file.
pub(crate) fn note(state: &Path, folder: &Path) -> io::Result<PathBuf> {
    std::fs::create_dir_all(state)?;
    let pid = std::process::id();
    let entry = Entry { reaper_pid: pid, reaper_start: started_at(pid).unwrap_or_default(), folder: folder.to_owned() };
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let file = state.join(format!("{name}.json"));
    let draft = state.join(format!("{name}.draft"));
    std::fs::write(&draft, serde_json::to_vec(&entry)?)?;
    std::fs::rename(&draft, &file)?;
    Ok(file)
}

/// Folders of runs whose reaper is gone; empty when there is nothing to clean.
#[must_use]
pub fn known() -> Vec<PathBuf> {
    dead_entries(&state_folder()).into_iter().map(|(_, entry)| entry.folder).collect()
}

/// Names of runs whose reaper is gone and of which the container engine still holds something; empty when no engine answers at once.
#[must_use]
pub fn known_in_engine() -> Vec<String> {
    crate::containers::ownerless_runs()
}

/// Stops the processes and removes the folders and containers of all runs whose reaper is gone, and images of the services that no container
/// uses. An engine that is there and does not answer in time is told of in `left`; one that nobody started is passed over.
#[must_use]
pub fn clean() -> Cleaned {
    clean_with(Patience::Asked)
}

/// As [`clean`] for a start, which needs none of it: an engine that does not answer at once is left alone, and images stay.
pub(crate) fn clear() -> Cleaned {
    clean_with(Patience::Passing)
}

fn clean_with(patience: Patience) -> Cleaned {
    let mut cleaned = clean_in(&state_folder());
    let removed = crate::containers::remove_ownerless(patience);
    (cleaned.containers, cleaned.networks, cleaned.volumes) = (removed.containers, removed.networks, removed.volumes);
    cleaned.left.extend(removed.left);
    cleaned
}

pub(crate) fn clean_in(state: &Path) -> Cleaned {
    let mut cleaned = Cleaned::default();
    for (file, entry) in dead_entries(state) {
        let (stopped, alive) = processes::stop(&entry.folder);
        cleaned.processes += stopped;
        if alive > 0 {
            cleaned.left.push(format!("{alive} processes of {} live on after SIGKILL", entry.folder.display()));
            continue;
        }
        match remove_folder(&entry.folder) {
            Ok(()) => {
                cleaned.folders.push(entry.folder);
                let _ = std::fs::remove_file(file);
            }
            Err(error) => cleaned.left.push(format!("folder {}: {error}", entry.folder.display())),
        }
    }
    cleaned
}

fn dead_entries(state: &Path) -> Vec<(PathBuf, Entry)> {
    let Ok(files) = std::fs::read_dir(state) else { return Vec::new() };
    files
        .flatten()
        .map(|file| file.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .filter_map(|path| {
            let entry: Entry = serde_json::from_slice(&std::fs::read(&path).ok()?).ok()?;
            Some((path, entry))
        })
        .filter(|(_, entry)| is_gone(entry.reaper_pid, entry.reaper_start))
        .collect()
}

/// Removes a run's folder; one that is gone already is fine.
pub(crate) fn remove_folder(folder: &Path) -> io::Result<()> {
    let ours = folder.file_name().is_some_and(|name| name.to_string_lossy().starts_with(FOLDER_PREFIX));
    if !ours || !folder.is_absolute() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a folder of a run"));
    }
    crate::reaper::shared_memory::release(folder);
    match removal::remove(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Start of a living process that is not a zombie.
#[cfg(target_os = "linux")]
pub(crate) fn started_at(pid: u32) -> Option<u64> {
    let stat = procfs::process::Process::new(pid as i32).ok()?.stat().ok()?;
    (stat.state != 'Z').then_some(stat.starttime)
}

/// Without /proc a living process counts as the same one: then at worst something stays for the next start.
#[cfg(not(target_os = "linux"))]
pub(crate) fn started_at(pid: u32) -> Option<u64> {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid as i32), None).is_ok().then_some(0)
}

/// Whether a process that started at that moment is surely there no more. One that cannot be looked at (another user's, where /proc is
/// closed) counts as there.
#[cfg(target_os = "linux")]
pub(crate) fn is_gone(pid: u32, start: u64) -> bool {
    let Ok(pid) = i32::try_from(pid) else { return false };
    let asked = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), None);
    if asked == Err(nix::errno::Errno::ESRCH) {
        return true;
    }
    let stat = procfs::process::Process::new(pid).and_then(|process| process.stat());
    // A zombie owns nothing any more. A start of 0 was never read.
    stat.is_ok_and(|stat| stat.state == 'Z' || (start != 0 && stat.starttime != start))
}

/// Without /proc a living process counts as the same one.
#[cfg(not(target_os = "linux"))]
pub(crate) fn is_gone(pid: u32, _start: u64) -> bool {
    let Ok(pid) = i32::try_from(pid) else { return false };
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), None) == Err(nix::errno::Errno::ESRCH)
}

#[cfg(target_os = "linux")]
mod processes {
    //! The processes of a run, by what they carry.

    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::path::Path;
    use std::time::Duration;

    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;
    use procfs::process::Process;

    const PAUSE: Duration = Duration::from_millis(20);
    /// Rounds of `PAUSE` for PostgreSQL's immediate shutdown, then for SIGKILL.
    const ROUNDS: u32 = 100;

    /// Stops everything that belongs to `folder`: (how many there were, how many live on).
    pub(super) fn stop(folder: &Path) -> (usize, usize) {
        let found = of(folder);
        // PostgreSQL gives its shared memory back on SIGQUIT; to the others it is as good as any signal.
        for signal in [Signal::SIGQUIT, Signal::SIGKILL] {
            for _ in 0..ROUNDS {
                let alive = of(folder);
                if alive.is_empty() {
                    return (found.len(), 0);
                }
                for pid in alive {
                    let _ = kill(Pid::from_raw(pid), signal);
                    let _ = kill(Pid::from_raw(pid), Signal::SIGCONT);
                }
                pause();
            }
        }
        (found.len(), of(folder).len())
    }

    fn of(folder: &Path) -> Vec<i32> {
        let own = std::process::id() as i32;
        let Ok(all) = procfs::process::all_processes() else { return Vec::new() };
        all.flatten()
            .filter(|process| process.pid != own && belongs(process, folder))
            .map(|process| process.pid)
            .collect()
    }

    fn belongs(process: &Process, folder: &Path) -> bool {
        // Zombies have neither a working folder nor an environment.
        let inside =
            process.cwd().is_ok_and(|cwd| cwd.as_os_str().as_bytes().starts_with(folder.as_os_str().as_bytes()));
        inside
            || process.environ().is_ok_and(|environment| {
                environment.get(OsStr::new(super::MARKER)).is_some_and(|value| value == folder.as_os_str())
            })
    }

    #[expect(clippy::disallowed_methods, reason = "waits for foreign processes to end; there is no event for that")]
    fn pause() {
        std::thread::sleep(PAUSE);
    }
}

#[cfg(not(target_os = "linux"))]
mod processes {
    //! Without /proc the processes of a killed reaper cannot be told from others; the folder is removed all the same.

    pub(super) fn stop(_folder: &std::path::Path) -> (usize, usize) {
        (0, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_of_a_living_owner_is_left_alone_and_a_dead_one_is_cleaned() {
        let home = tempfile::tempdir().expect("temporary folder");
        let folder = home.path().join("bankstorm-x");
        std::fs::create_dir_all(folder.join("core")).expect("make folder");
        let file = note(home.path(), &folder).expect("note");
        assert_eq!(clean_in(home.path()), Cleaned::default());
        assert!(folder.exists());

        let mut entry: Entry = serde_json::from_slice(&std::fs::read(&file).expect("read")).expect("decode");
        entry.reaper_start += 1;
        std::fs::write(&file, serde_json::to_vec(&entry).expect("encode")).expect("write");
        let cleaned = clean_in(home.path());
        assert_eq!(cleaned.folders, vec![folder.clone()]);
        assert!(!folder.exists() && !file.exists());
    }

    #[test]
    fn nothing_but_folders_of_runs_is_removed() {
        let home = tempfile::tempdir().expect("temporary folder");
        assert!(remove_folder(home.path()).is_err());
        assert!(remove_folder(Path::new("bankstorm-relative")).is_err());
        assert!(home.path().exists());
        assert!(remove_folder(&home.path().join("bankstorm-gone")).is_ok());
    }
}
