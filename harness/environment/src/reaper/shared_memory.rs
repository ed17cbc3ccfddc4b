//! What a PostgreSQL server leaves in the kernel when SIGKILL ended it: a System V shared memory segment.
//!
//! In: a run's folder, whose processes are gone. Out: nothing is left in the kernel. The server notes its segment in `postmaster.pid`
//! (line 1 its process id, line 7 key and id); an orderly end, also an immediate one, removes both.

use std::path::Path;
use std::process::{Command, Stdio};

/// Folders below a run's folder that are looked into.
const DEPTH: u32 = 3;

/// A segment and the server that made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Segment {
    maker: u32,
    key: u64,
    id: u64,
}

/// Removes the segments of all servers whose data lies below `folder` and whose processes are gone.
pub(crate) fn release(folder: &Path) {
    let mut notes = Vec::new();
    find(folder, DEPTH, &mut notes);
    for segment in notes.iter().filter_map(|note| noted(note)).filter(|segment| is_abandoned(*segment)) {
        // By command: the call itself has no safe wrapper, and this happens once in a run at most.
        let mut command = Command::new("ipcrm");
        command.args(["-m", &segment.id.to_string()]).stdin(Stdio::null()).stdout(Stdio::null());
        match command.status() {
            Ok(status) if status.success() => {}
            other => eprintln!("reaper: shared memory {} of a killed PostgreSQL stays: {other:?}", segment.id),
        }
    }
}

fn find(folder: &Path, depth: u32, notes: &mut Vec<String>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        if entry.file_name() == "postmaster.pid" {
            notes.extend(std::fs::read_to_string(entry.path()));
        } else if depth > 1 && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            find(&entry.path(), depth - 1, notes);
        }
    }
}

fn noted(text: &str) -> Option<Segment> {
    let mut lines = text.lines();
    let maker = lines.next()?.trim().parse().ok()?;
    let mut numbers = lines.nth(5)?.split_whitespace();
    Some(Segment { maker, key: numbers.next()?.parse().ok()?, id: numbers.next()?.parse().ok()? })
}

/// Whether it is still that segment and nobody uses it: ids and keys are given anew.
#[cfg(target_os = "linux")]
fn is_abandoned(segment: Segment) -> bool {
    std::fs::read_to_string("/proc/sysvipc/shm").is_ok_and(|table| abandoned_in(&table, segment))
}

/// Elsewhere the note has to be believed; the system keeps a segment as long as somebody is attached.
#[cfg(not(target_os = "linux"))]
fn is_abandoned(_segment: Segment) -> bool {
    true
}

/// Columns: key, shmid, perms, size, cpid (who made it), lpid, nattch (how many are attached), ...
#[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "needs /proc"))]
fn abandoned_in(table: &str, segment: Segment) -> bool {
    table.lines().skip(1).any(|line| {
        let columns: Vec<i64> = line.split_whitespace().map_while(|column| column.parse().ok()).collect();
        let [key, id, _perms, _size, maker, _last, attached, ..] = columns[..] else { return false };
        // The kernel prints the key with a sign, PostgreSQL without one.
        (u64::from(key as u32), id, maker, attached) == (segment.key, segment.id as i64, i64::from(segment.maker), 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTE: &str =
        "4711\n/tmp/bankstorm-x/postgres-core\n1763800000\n15007\n\n127.0.0.1\n  4227858433       32\nready   \n";
    const TABLE: &str = "       key      shmid perms                  size  cpid  lpid nattch   uid\n\
        -67108863         32   600                    56  4711  4720      0   101\n";

    #[test]
    fn the_servers_note_is_read() {
        assert_eq!(noted(NOTE), Some(Segment { maker: 4_711, key: 4_227_858_433, id: 32 }));
        assert_eq!(noted("4711\n/tmp\n"), None);
    }

    #[test]
    fn only_the_very_segment_that_nobody_uses_is_abandoned() {
        let segment = noted(NOTE).expect("a note");
        assert!(abandoned_in(TABLE, segment));
        assert!(!abandoned_in(&TABLE.replace("     0   101", "     3   101"), segment), "somebody uses it");
        assert!(!abandoned_in(TABLE, Segment { maker: 1, ..segment }), "another server's");
        assert!(!abandoned_in(TABLE, Segment { key: 1, ..segment }));
        assert!(!abandoned_in(TABLE, Segment { id: 33, ..segment }));
    }
}
