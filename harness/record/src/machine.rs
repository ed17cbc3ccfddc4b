//! Machine facts: what a reader must know before comparing this run's figures with another's.
//!
//! In: /proc and a few timed syncs in the run folder. Out: [`Machine`], stored as `machine.json`. Elsewhere: the machine's state each
//! second (`evidence::sampler`). What the platform does not tell is absent.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;

use serde::{Deserialize, Serialize};

use crate::clock::monotonic_ns;
use crate::folder::RunFolder;
use crate::parquet::RecordError;
use crate::save::write_json;

/// How many syncs are timed: enough for a median, short enough (0.2 s where one takes 10 ms) for every run.
const SYNCS: usize = 20;

/// The machine under a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// Operating system and architecture, for example `linux x86_64`.
    pub platform: String,
    /// Kernel release.
    pub kernel: Option<String>,
    /// Processor model.
    pub cpu_model: Option<String>,
    /// Processors that this process may use.
    pub cores: u32,
    /// Memory, in bytes.
    pub memory_bytes: Option<u64>,
    /// Memory that could be had without swapping, in bytes.
    pub memory_available_bytes: Option<u64>,
    /// Load averages over 1, 5 and 15 minutes.
    pub load_average: Option<[f64; 3]>,
    /// Share of processor time that the hypervisor took since boot, 0 to 1.
    pub steal_since_boot: Option<f64>,
    /// Time of one 4 KiB write and fdatasync in the run folder.
    pub fdatasync: Option<SyncTimes>,
    /// Scheduling of this process: policy and nice value, as the pacer found it; filled by the one that sets it.
    pub priority: Option<String>,
    /// What the bank's services ran in: `engine` -> `Docker 20.10.24`, `image postgres` -> name and digest. An image that was not pulled
    /// says `stand-in`. Filled by the one that starts them; empty where they are plain processes.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
}

/// Times of fdatasync, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncTimes {
    /// How many were timed.
    pub count: u32,
    /// Fastest.
    pub min_us: u64,
    /// Median.
    pub p50_us: u64,
    /// Slowest.
    pub max_us: u64,
}

/// Looks at the machine; the run folder must exist.
///
/// # Errors
/// When the syncs in the run folder cannot be done.
pub fn look(folder: &RunFolder) -> Result<Machine, RecordError> {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(u32::MAX));
    Ok(Machine {
        platform: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        kernel: nix::sys::utsname::uname().ok().and_then(|name| name.release().to_str().map(str::to_owned)),
        cpu_model: value_of(&cpuinfo, "model name").map(str::to_owned),
        cores,
        memory_bytes: kib_of(&meminfo, "MemTotal"),
        memory_available_bytes: kib_of(&meminfo, "MemAvailable"),
        load_average: std::fs::read_to_string("/proc/loadavg").ok().and_then(|text| load_average(&text)),
        steal_since_boot: std::fs::read_to_string("/proc/stat").ok().and_then(|text| steal_share(&text)),
        fdatasync: Some(time_syncs(folder)?),
        priority: priority(),
        environment: BTreeMap::new(),
    })
}

/// Looks at the machine and stores `machine.json`.
///
/// # Errors
/// When the run folder cannot be written.
pub fn write_machine(folder: &RunFolder) -> Result<Machine, RecordError> {
    let machine = look(folder)?;
    write_json(folder.machine(), &machine)?;
    Ok(machine)
}

/// The value of the first line `key : value`.
fn value_of<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        (name.trim() == key).then(|| value.trim())
    })
}

fn kib_of(meminfo: &str, key: &str) -> Option<u64> {
    let kib: u64 = value_of(meminfo, key)?.strip_suffix(" kB")?.trim().parse().ok()?;
    kib.checked_mul(1_024)
}

fn load_average(text: &str) -> Option<[f64; 3]> {
    let mut figures = text.split_whitespace().map_while(|figure| figure.parse().ok());
    Some([figures.next()?, figures.next()?, figures.next()?])
}

/// The eighth figure of the line `cpu` over the sum of the first eight (guest time is part of user time).
fn steal_share(stat: &str) -> Option<f64> {
    let line = stat.lines().find(|line| line.starts_with("cpu "))?;
    let ticks: Vec<u64> = line.split_whitespace().skip(1).take(8).map_while(|tick| tick.parse().ok()).collect();
    let steal = *ticks.get(7)?;
    let total: u64 = ticks.iter().sum();
    (total > 0).then(|| steal as f64 / total as f64)
}

/// The scheduling policy and nice value of this process, from field 19 and 41 of its stat line.
fn priority() -> Option<String> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The command stands in parentheses and may hold spaces, so counting begins after it, at field 3.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let policy = match *fields.get(38)? {
        "0" => "other",
        "1" => "fifo",
        "2" => "round robin",
        "3" => "batch",
        "5" => "idle",
        "6" => "deadline",
        _ => "unknown",
    };
    Some(format!("{policy}, nice {}", fields.get(16)?))
}

fn time_syncs(folder: &RunFolder) -> Result<SyncTimes, RecordError> {
    let path = folder.root().join("fdatasync.part");
    let timed = || {
        let mut file = File::create(&path)?;
        let mut times = Vec::with_capacity(SYNCS);
        for _ in 0..SYNCS {
            let start = monotonic_ns();
            file.write_all(&[0x5a; 4_096])?;
            file.sync_data()?;
            times.push(u64::try_from(monotonic_ns() - start).unwrap_or(0) / 1_000);
        }
        std::fs::remove_file(&path)?;
        Ok(times)
    };
    let mut times = timed().map_err(RecordError::io(&path))?;
    times.sort_unstable();
    Ok(SyncTimes { count: SYNCS as u32, min_us: times[0], p50_us: times[SYNCS / 2], max_us: times[SYNCS - 1] })
}

#[cfg(test)]
mod tests {
    use super::{Machine, kib_of, load_average, steal_share, value_of, write_machine};
    use crate::folder::RunFolder;

    #[test]
    fn proc_files_are_understood() {
        assert_eq!(
            value_of("processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\n", "model name"),
            Some("Some CPU @ 2 GHz")
        );
        assert_eq!(kib_of("MemTotal:       1024 kB\nMemFree: 1 kB\n", "MemTotal"), Some(1_048_576));
        assert_eq!(kib_of("MemTotal:       many kB\n", "MemTotal"), None);
        assert_eq!(load_average("0.50 1.25 2.00 1/200 77\n"), Some([0.5, 1.25, 2.0]));
        assert_eq!(load_average("0.50\n"), None);
        assert_eq!(steal_share("cpu  10 0 10 60 0 0 0 20 5 0\ncpu0 1 2\n"), Some(0.2));
        assert_eq!(steal_share("intr 1\n"), None);
    }

    #[test]
    fn the_stored_facts_are_those_that_were_found() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let folder = RunFolder::new(root.path());
        let machine = write_machine(&folder).expect("looked");
        assert!(machine.cores > 0);
        assert!(machine.fdatasync.is_some_and(|times| times.min_us <= times.p50_us && times.p50_us <= times.max_us));
        let stored: Machine = serde_json::from_slice(&std::fs::read(folder.machine()).expect("read")).expect("JSON");
        assert_eq!(stored, machine);
        assert_eq!(std::fs::read_dir(root.path()).expect("listed").count(), 1);
    }
}
