//! Who ended without being asked to: deaths become unplanned faults, and the loss of what the bank cannot be without ends the load.
//!
//! In: deaths from the environment. Out: fault records, and what was lost. Elsewhere: planned faults (`faults`), whose deaths the environment
//! does not report.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use bankstorm_environment::Death;
use bankstorm_load::Stop;
use bankstorm_record::clock::Origin;
use bankstorm_record::marks::FaultMarks;
use bankstorm_record::run_json::FaultRecord;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinHandle;

use crate::bank::Bank;
use crate::output::note;

use super::open::OpenRun;

/// What the watch saw.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watched {
    /// Every death.
    pub(crate) deaths: Vec<FaultRecord>,
    /// The first death that the bank cannot do without.
    pub(crate) lost: Option<String>,
}

/// A watch on the bank's processes.
pub(crate) struct Watch {
    seen: Arc<Mutex<Watched>>,
    task: JoinHandle<()>,
}

impl Watch {
    /// Watches from now on; raises `stop` when the bank is lost.
    pub(crate) fn begin(mut deaths: UnboundedReceiver<Death>, open: &OpenRun, bank: &Bank, stop: Arc<Stop>) -> Self {
        let seen = Arc::new(Mutex::new(Watched::default()));
        let noted = Arc::clone(&seen);
        let origin = open.json.origin;
        let mut living = Living::new(bank.pids(), open.scenario.system.kafka_brokers);
        let mut marks = FaultMarks::faults(&open.folder);
        #[expect(clippy::disallowed_methods, reason = "the harness's own task; ended by Watch::end")]
        let task = tokio::spawn(async move {
            while let Some(death) = deaths.recv().await {
                let fault = unplanned(&death, &origin, noted.lock().expect("no panic while noting").deaths.len());
                if let Ok(marks) = &mut marks
                    && let Err(error) = marks.mark(&fault)
                {
                    tracing::warn!(%error, "faults.ndjson");
                }
                note(&format!("{} ended by itself: {}", death.name, death.exit));
                let ends_the_bank = living.ends_the_bank(&death);
                let mut noted = noted.lock().expect("no panic while noting");
                noted.deaths.push(fault);
                if ends_the_bank && noted.lost.is_none() {
                    noted.lost = Some(format!("{} ended by itself: {}{}", death.name, death.exit, tail(&death)));
                    stop.raise();
                }
            }
            // Nobody tells of deaths any more, or ends the bank should this process be killed.
            let mut noted = noted.lock().expect("no panic while noting");
            noted.lost.get_or_insert_with(|| {
                "nobody watches the bank any more: the reaper (or the container engine) ended by itself; should anything be left, \
                 `bankstorm doctor --clean` removes it"
                    .to_owned()
            });
            stop.raise();
        });
        Self { seen, task }
    }

    /// Ends the watch.
    pub(crate) async fn end(self) -> Watched {
        self.task.abort();
        // An aborted task says so; nothing else can have ended it.
        let _ = self.task.await;
        self.seen.lock().expect("no panic while noting").clone()
    }
}

/// Who is left of those of whom there are several.
struct Living {
    /// Up to date but for deaths that nobody planned.
    pids: Arc<Mutex<BTreeMap<String, u32>>>,
    dead: BTreeMap<String, u32>,
    brokers: u32,
}

impl Living {
    const fn new(pids: Arc<Mutex<BTreeMap<String, u32>>>, brokers: u32) -> Self {
        Self { pids, dead: BTreeMap::new(), brokers }
    }

    /// Takes a death in, and says whether there is no bank without it: the last channel, the majority of the brokers, or one of which
    /// there is but one. Nodes that a planned fault holds down do not count as left either.
    fn ends_the_bank(&mut self, death: &Death) -> bool {
        self.dead.insert(death.name.clone(), death.pid);
        let pids = self.pids.lock().unwrap_or_else(PoisonError::into_inner);
        let left = |kind: &str| {
            let alive = pids.iter().filter(|(name, pid)| name.starts_with(kind) && self.dead.get(*name) != Some(*pid));
            u32::try_from(alive.count()).unwrap_or(u32::MAX)
        };
        match death.name.as_str() {
            name if name.starts_with("channel-") => left("channel-") == 0,
            name if name.starts_with("kafka-") => left("kafka-") <= self.brokers / 2,
            _ => true,
        }
    }
}

fn unplanned(death: &Death, origin: &Origin, number: usize) -> FaultRecord {
    let at_ns = i64::try_from(death.at_monotonic_ns).unwrap_or(i64::MAX);
    FaultRecord {
        id: format!("unplanned-{number}"),
        kind: "node.death".to_owned(),
        place: death.name.clone(),
        planned: false,
        fired: true,
        witnessed: Some(format!("process {} {}", death.pid, death.exit)),
        started_ms: Some(origin.moment(at_ns) / 1_000_000),
        ..FaultRecord::default()
    }
}

fn tail(death: &Death) -> String {
    let lines: Vec<String> = death.last_lines.iter().rev().take(10).rev().map(|line| format!("\n    {line}")).collect();
    lines.concat()
}

#[cfg(test)]
mod tests {
    use bankstorm_environment::Exit;

    use super::*;

    fn death(name: &str, pid: u32) -> Death {
        Death { name: name.to_owned(), pid, exit: Exit::Code(1), at_monotonic_ns: 0, last_lines: Vec::new() }
    }

    #[test]
    fn the_last_channel_and_the_majority_of_brokers_end_the_bank() {
        let pids: BTreeMap<String, u32> =
            [("channel-0", 1), ("channel-1", 2), ("kafka-1", 3), ("kafka-2", 4), ("kafka-3", 5)]
                .map(|(name, pid)| (name.to_owned(), pid))
                .into();
        let pids = Arc::new(Mutex::new(pids));
        let mut living = Living::new(Arc::clone(&pids), 3);
        assert!(!living.ends_the_bank(&death("channel-0", 1)));
        assert!(!living.ends_the_bank(&death("kafka-1", 3)));
        assert!(living.ends_the_bank(&death("core", 9)));
        // A planned fault has started channel-0 again, then holds channel-1 down when the new channel-0 dies too.
        pids.lock().expect("ours alone").insert("channel-0".to_owned(), 11);
        pids.lock().expect("ours alone").remove("channel-1");
        assert!(living.ends_the_bank(&death("channel-0", 11)));
        pids.lock().expect("ours alone").remove("kafka-2");
        assert!(living.ends_the_bank(&death("kafka-3", 5)));
    }
}
