//! Who ended without being asked to: deaths become unplanned faults, and the loss of what the bank cannot be without ends the load.
//!
//! In: deaths from the environment. Out: fault records, and what was lost. Elsewhere: planned faults (`faults`), whose deaths the environment
//! does not report.

use std::sync::{Arc, Mutex};

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
        let mut left = Left { channels: bank.addresses.channels.len(), brokers: open.scenario.system.kafka_brokers };
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
                let ends_the_bank = left.ends_the_bank(&death.name);
                let mut noted = noted.lock().expect("no panic while noting");
                noted.deaths.push(fault);
                if ends_the_bank && noted.lost.is_none() {
                    noted.lost = Some(format!("{} ended by itself: {}{}", death.name, death.exit, tail(&death)));
                    stop.raise();
                }
            }
            // Without the reaper nobody tells of deaths any more, and nobody ends the bank should this process be killed.
            let mut noted = noted.lock().expect("no panic while noting");
            noted.lost.get_or_insert_with(|| "the reaper ended by itself".to_owned());
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

/// What the bank can still spare.
struct Left {
    channels: usize,
    brokers: u32,
}

impl Left {
    /// Takes a dead node off, and says whether there is no bank without it: one channel of several and one broker of three can be spared.
    fn ends_the_bank(&mut self, name: &str) -> bool {
        if name.starts_with("channel-") {
            self.channels = self.channels.saturating_sub(1);
            self.channels == 0
        } else if name.starts_with("kafka-") {
            self.brokers = self.brokers.saturating_sub(1);
            self.brokers < 2
        } else {
            true
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
