//! Processes with their children: processor time and resident memory.
//!
//! In: process ids by name, as they are at the moment, /proc. Out: [`Use`] by name; a process that has ended is absent. Time of children
//! that have ended counts with the parent that waited for them, as PostgreSQL's postmaster does. A process that was started again goes
//! on where the last look at the one before it left off, so that its time never falls. Memory that processes of one tree share counts once,
//! as the one of them has it that shares most: thirty sessions of a PostgreSQL map the same buffers.

use std::collections::BTreeMap;

use super::Pids;

/// What this process is called. Its children are the bank, which is counted by itself.
const HARNESS: &str = "harness";

/// What a process and its children have used.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Use {
    /// Processor seconds since its start.
    pub(super) cpu_s: f64,
    /// Processors used since the read before: 1.0 is one core; absent at the first read.
    pub(super) cores: Option<f64>,
    /// Resident memory.
    pub(super) rss_bytes: u64,
}

/// One living process.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Process {
    pub(super) pid: u32,
    pub(super) parent: u32,
    pub(super) cpu_s: f64,
    pub(super) waited_cpu_s: f64,
    pub(super) rss_bytes: u64,
    /// Of it, what others may map too: files, shared memory.
    pub(super) shared_bytes: u64,
}

pub(super) struct ProcessReader {
    pids: Pids,
    before: BTreeMap<String, (i64, f64)>,
    lives: BTreeMap<String, Life>,
}

/// The process that bears a name now.
#[derive(Clone, Copy, Debug, Default)]
struct Life {
    pid: u32,
    /// Processor seconds of those that bore the name before.
    earlier_s: f64,
    /// Its own, as last seen.
    seen_s: f64,
}

impl ProcessReader {
    pub(super) fn new(pids: Pids) -> Self {
        Self { pids, before: BTreeMap::new(), lives: BTreeMap::new() }
    }

    /// What each process has used up to now, `at_ns`.
    pub(super) fn read(&mut self, at_ns: i64) -> BTreeMap<String, Use> {
        let living = living();
        let mut samples = BTreeMap::new();
        let pids = self.pids.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        for (name, pid) in pids {
            let Some(mut sample) = tree(&living, pid) else { continue };
            let life = self.lives.entry(name.clone()).or_default();
            if life.pid != pid {
                *life = Life { pid, earlier_s: life.earlier_s + life.seen_s, seen_s: 0.0 };
            }
            life.seen_s = sample.cpu_s;
            sample.cpu_s += life.earlier_s;
            samples.insert(name, sample);
        }
        let own = living.iter().find(|process| process.pid == std::process::id());
        samples.extend(own.map(|own| (HARNESS.to_owned(), alone(own))));
        for (name, sample) in &mut samples {
            if let Some((before_ns, before_s)) = self.before.insert(name.clone(), (at_ns, sample.cpu_s)) {
                let seconds = (at_ns - before_ns) as f64 / 1e9;
                sample.cores = (seconds > 0.0).then(|| (sample.cpu_s - before_s).max(0.0) / seconds);
            }
        }
        samples
    }
}

fn alone(process: &Process) -> Use {
    Use { cpu_s: process.cpu_s, cores: None, rss_bytes: process.rss_bytes }
}

/// A process and all below it.
pub(super) fn tree(living: &[Process], root: u32) -> Option<Use> {
    living.iter().find(|process| process.pid == root)?;
    let mut members = vec![root];
    let mut sample = Use::default();
    let mut shared_most = 0;
    while let Some(pid) = members.pop() {
        for process in living.iter().filter(|process| process.pid == pid) {
            sample.cpu_s += process.cpu_s + process.waited_cpu_s;
            sample.rss_bytes += process.rss_bytes.saturating_sub(process.shared_bytes);
            shared_most = shared_most.max(process.shared_bytes);
        }
        members.extend(living.iter().filter(|process| process.parent == pid && process.pid != pid).map(|one| one.pid));
    }
    sample.rss_bytes += shared_most;
    Some(sample)
}

#[cfg(target_os = "linux")]
fn living() -> Vec<Process> {
    let Ok(all) = procfs::process::all_processes() else { return Vec::new() };
    let ticks = procfs::ticks_per_second() as f64;
    let page = procfs::page_size();
    // A process that ends between the listing and the reading is left out.
    all.filter_map(|process| process.ok().and_then(|process| Some((process.stat().ok()?, process.statm().ok()?))))
        .map(|(stat, memory)| Process {
            pid: u32::try_from(stat.pid).unwrap_or(0),
            parent: u32::try_from(stat.ppid).unwrap_or(0),
            cpu_s: (stat.utime + stat.stime) as f64 / ticks,
            waited_cpu_s: (stat.cutime + stat.cstime).max(0) as f64 / ticks,
            rss_bytes: memory.resident * page,
            shared_bytes: memory.shared * page,
        })
        .collect()
}

#[cfg(not(target_os = "linux"))]
const fn living() -> Vec<Process> {
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::{Pids, Process, ProcessReader, tree};

    #[test]
    fn children_count_with_their_parent() {
        let process =
            |pid, parent, cpu_s| Process { pid, parent, cpu_s, waited_cpu_s: 0.5, rss_bytes: 10, shared_bytes: 0 };
        let living =
            [process(1, 0, 9.0), process(7, 1, 1.0), process(8, 7, 2.0), process(9, 8, 4.0), process(10, 1, 8.0)];
        let sample = tree(&living, 7).expect("it lives");
        assert_eq!((sample.cpu_s, sample.rss_bytes), (8.5, 30));
        assert_eq!(tree(&living, 11), None);
    }

    #[test]
    fn what_a_tree_shares_counts_once() {
        let session =
            |pid, rss_bytes| Process { pid, parent: 7, rss_bytes, shared_bytes: rss_bytes - 4, ..Process::default() };
        let postmaster = Process { pid: 7, parent: 1, rss_bytes: 20, shared_bytes: 15, ..Process::default() };
        // 5 + 4 + 4 of their own, and the 96 that one of them maps.
        let sample = tree(&[postmaster, session(8, 100), session(9, 50)], 7).expect("it lives");
        assert_eq!(sample.rss_bytes, 5 + 4 + 4 + 96);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_is_seen_and_its_share_is_of_the_time_between() {
        let pids = Pids::default();
        pids.lock().expect("ours alone").insert("itself".to_owned(), std::process::id());
        let mut reader = ProcessReader::new(Pids::clone(&pids));
        let first = reader.read(0);
        assert_eq!(first["harness"].cores, None);
        assert!(first["itself"].rss_bytes > 0);
        let second = reader.read(1_000_000_000);
        assert!(second["harness"].cores.is_some_and(|cores| cores >= 0.0));
        // Another process takes the name over: the time of the first one stays.
        pids.lock().expect("ours alone").insert("itself".to_owned(), 1);
        let third = reader.read(2_000_000_000);
        assert!(third["itself"].cpu_s >= second["itself"].cpu_s, "{third:?}");
    }
}
