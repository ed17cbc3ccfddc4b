//! Who ended without being asked to: deaths become unplanned faults, and the loss of what the bank cannot be without ends the load.
//!
//! In: deaths from the environment. Out: fault records, and what was lost. Elsewhere: planned faults (they do not exist yet).

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
        let mut channels_left = bank.addresses.channels.len();
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
                let is_channel = death.name.starts_with("channel-");
                channels_left -= usize::from(is_channel);
                let mut noted = noted.lock().expect("no panic while noting");
                noted.deaths.push(fault);
                if (!is_channel || channels_left == 0) && noted.lost.is_none() {
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
        healed_ms: None,
    }
}

fn tail(death: &Death) -> String {
    let lines: Vec<String> = death.last_lines.iter().rev().take(10).rev().map(|line| format!("\n    {line}")).collect();
    lines.concat()
}
