//! What the machine was short of.
//!
//! In: CPU figures of the measured phase. Out: a sentence that names the bound resource and its figure. Elsewhere: when it is asked for
//! (`sane_harness`, `validity`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::sane_harness::percent;

/// CPU taken by the hypervisor, as a share of the machine: above, it is the first thing to tell.
pub const STEAL_SHARE_MAX: f64 = 0.05;
/// CPU busy, as a share of the machine: above, the CPU is what was short.
pub const BUSY_SHARE_MAX: f64 = 0.85;
/// CPU of one process, as a share of one core: above, a single-threaded part of it may be what was short.
pub const PROCESS_SHARE_MAX: f64 = 0.85;
/// How many processes are named.
const NAMED: usize = 3;

/// How busy the machine was.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// Its cores.
    pub cores: u32,
    /// Busy CPU of all cores, as a share (0 to 1).
    pub busy_share: f64,
    /// CPU that the hypervisor took, as a share of all cores (0 to 1).
    pub steal_share: f64,
    /// Process -> CPU as a share of one core (may exceed 1): "core's PostgreSQL" -> 0.61.
    pub processes: BTreeMap<String, f64>,
}

impl Machine {
    /// The bound resource, with its figure.
    pub fn bound_resource(&self) -> String {
        let busiest = self.busiest();
        let most = busiest.first().map_or(0.0, |process| process.1);
        let used: Vec<String> =
            busiest.iter().map(|(name, share)| format!("{name} used {} of a core", percent(*share))).collect();
        let used = if used.is_empty() { String::new() } else { format!(" ({})", used.join(", ")) };
        let busy = percent(self.busy_share);
        if self.steal_share > STEAL_SHARE_MAX {
            format!(
                "bound by the host: {} of the CPU was taken by others; machine CPU {busy} busy{used}",
                percent(self.steal_share)
            )
        } else if self.busy_share > BUSY_SHARE_MAX {
            format!("bound by the machine's CPU: {busy} of {} cores busy{used}", self.cores)
        } else if most > PROCESS_SHARE_MAX {
            format!("bound by one process's CPU: machine CPU {busy} busy{used}")
        } else {
            format!("not bound by CPU: machine CPU {busy} busy{used}, so waits of disk, locks or connections")
        }
    }

    fn busiest(&self) -> Vec<(&str, f64)> {
        let mut processes: Vec<(&str, f64)> =
            self.processes.iter().map(|(name, share)| (name.as_str(), *share)).collect();
        processes.sort_by(|a, b| b.1.total_cmp(&a.1));
        processes.truncate(NAMED);
        processes
    }
}

#[cfg(test)]
mod tests {
    use super::Machine;

    fn machine(busy_share: f64, steal_share: f64, core: f64) -> Machine {
        let processes = [("core's PostgreSQL", 0.61), ("core", core), ("channel-0", 0.2), ("kafka-1", 0.1)];
        let processes = processes.map(|(name, share)| (name.to_owned(), share)).into();
        Machine { cores: 2, busy_share, steal_share, processes }
    }

    #[test]
    fn the_busiest_processes_are_named_with_what_was_short() {
        assert_eq!(
            machine(0.98, 0.0, 0.4).bound_resource(),
            "bound by the machine's CPU: 98 % of 2 cores busy (core's PostgreSQL used 61 % of a core, core used 40 % of a core, \
             channel-0 used 20 % of a core)"
        );
        assert!(machine(0.98, 0.2, 0.4).bound_resource().starts_with("bound by the host: 20 % of the CPU"));
        assert!(
            machine(0.7, 0.0, 0.97)
                .bound_resource()
                .contains("one process's CPU: machine CPU 70 % busy (core used 97 %")
        );
        assert!(machine(0.4, 0.0, 0.4).bound_resource().starts_with("not bound by CPU: machine CPU 40 % busy"));
    }
}
