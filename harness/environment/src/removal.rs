//! Removal of a run's folder, many hands at a time.
//!
//! In: a folder that nobody writes to any more. Out: it is gone, or why not. Elsewhere: which folders may be removed at all (`orphans`).
//!
//! A run leaves ten or twenty thousand files (every database of a cluster has three hundred), and removing one may wait for the disk: a file
//! system that hands freed blocks back at once does so within the removal, file by file. The reaper has a session of its own, and a kernel
//! that shares the processor out by sessions does not let it go on at once after such a wait: beside busy cores it sits out a slice of
//! somebody else, some milliseconds, for every single file. One hand then needs half a minute to more than one for what takes
//! two or three seconds where it is let go on; the waits of many hands pass together.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{Builder, scope};

/// How many folders are removed at a time. Hands wait nearly all of their time, so they may be many more than cores.
const HANDS: usize = 16;

/// Removes `folder` and everything in it; what links in it point at stays.
pub(crate) fn remove(folder: &Path) -> io::Result<()> {
    remove_with(folder, |leaf| {
        // Whatever stays, the last pass finds it and says why.
        let _ = std::fs::remove_dir_all(leaf);
    })
}

/// First the folders without folders in them, by `hand`, then the rest.
fn remove_with(folder: &Path, hand: impl Fn(&Path) + Sync) -> io::Result<()> {
    let mut leaves = Vec::new();
    // A link in the folder's place is removed as a link.
    if std::fs::symlink_metadata(folder)?.is_dir() {
        find_leaves(folder, &mut leaves);
    }
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some(leaf) = leaves.get(next.fetch_add(1, Ordering::Relaxed)) {
            hand(leaf);
        }
    };
    scope(|scope| {
        for _ in 0..HANDS.min(leaves.len()) {
            // Where no more threads are to be had, fewer do.
            if Builder::new().spawn_scoped(scope, work).is_err() {
                break;
            }
        }
    });
    std::fs::remove_dir_all(folder)
}

/// Folders that cannot be read are left to the last pass.
fn find_leaves(folder: &Path, leaves: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let mut has_folders = false;
    for entry in entries.flatten() {
        // A link to a folder is none: what it points at is not ours.
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            has_folders = true;
            find_leaves(&entry.path(), leaves);
        }
    }
    if !has_folders {
        leaves.push(folder.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::sync::{Condvar, Mutex};
    use std::time::Duration;

    use super::*;

    /// Fewer hands than these would have to wait in turn for nearly every file.
    const TOGETHER: usize = 8;
    /// For the others to come; only a removal that goes one by one waits so long.
    const MEET: Duration = Duration::from_secs(10);

    fn databases(folder: &Path, count: usize) {
        for number in 0..count {
            let database = folder.join(format!("postgres-core/base/{number}"));
            std::fs::create_dir_all(&database).expect("make folder");
            std::fs::write(database.join("1259"), "rows").expect("write");
        }
        std::fs::write(folder.join("postgres-core/postmaster.pid"), "1\n").expect("write");
    }

    #[test]
    fn many_databases_are_removed_at_a_time() {
        let home = tempfile::tempdir().expect("temporary folder");
        let folder = home.path().join("bankstorm-x");
        databases(&folder, 2 * TOGETHER);
        // Each hand that has taken a folder waits there until so many others have one too.
        let (taken, changed) = (Mutex::new(0), Condvar::new());
        let met = Mutex::new(Vec::new());
        let removed = remove_with(&folder, |leaf| {
            let mut count = taken.lock().expect("no panic");
            *count += 1;
            changed.notify_all();
            let (mut count, waited) =
                changed.wait_timeout_while(count, MEET, |count| *count < TOGETHER).expect("no panic");
            met.lock().expect("no panic").push(!waited.timed_out());
            // In vain once is enough.
            *count = TOGETHER;
            drop(count);
            std::fs::remove_dir_all(leaf).expect("removed");
        });
        removed.expect("removed");
        let met = met.into_inner().expect("no panic");
        assert_eq!(met.len(), 2 * TOGETHER);
        assert!(met.iter().all(|met| *met), "one waited for the others in vain: {met:?}");
        assert!(!folder.exists());
    }

    #[test]
    fn everything_goes_and_what_links_point_at_stays() {
        let home = tempfile::tempdir().expect("temporary folder");
        let (folder, foreign) = (home.path().join("bankstorm-x"), home.path().join("foreign"));
        databases(&folder, 3);
        std::fs::create_dir(&foreign).expect("make folder");
        std::fs::write(foreign.join("kept"), "").expect("write");
        std::fs::create_dir_all(folder.join("postgres-core/pg_tblspc")).expect("make folder");
        symlink(&foreign, folder.join("postgres-core/pg_tblspc/1")).expect("link");
        symlink(&foreign, folder.join("link")).expect("link");
        remove(&folder).expect("removed");
        assert!(!folder.exists() && foreign.join("kept").exists());
    }

    #[test]
    fn a_folder_that_is_not_there_is_told_of() {
        let home = tempfile::tempdir().expect("temporary folder");
        let error = remove(&home.path().join("bankstorm-gone")).expect_err("nothing to remove");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
