//! The sampler: once a second, the channel's lag, each process's use of the machine, the machine itself and the services' metrics.
//!
//! In: [`Targets`]. Out: `samples.ndjson` as it happens, and a [`SamplerSummary`] when stopped. Elsewhere: the line's form
//! (`record::marks`), what the figures mean for the run's validity (`check`, `cli`).
//!
//! It runs on a thread of its own: librdkafka's calls block, and the load's threads must not wait for them.

mod lag;
mod looks;
mod machine;
mod processes;
mod summary;

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bankstorm_record::clock::Origin;
use bankstorm_record::folder::RunFolder;
use bankstorm_record::marks::{SampleMarks, SampleRow};
use futures_util::future::join_all;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::error::EvidenceError;
use crate::metrics::scrape;

pub use looks::Looks;
pub use summary::{SamplerSummary, summarise};

use self::lag::LagReader;
use self::machine::MachineReader;
use self::processes::ProcessReader;

/// Between two samples.
const EVERY_NS: i64 = 1_000_000_000;
/// How long a stop goes on sampling while there is a lag: a channel that was just started again has first to get its partitions back.
const SETTLE_NS: i64 = 10_000_000_000;
/// Between two samples of a stop.
const SETTLE_PAUSE: Duration = Duration::from_millis(100);
/// How long a stop waits for the sample that is being taken: the limits of one sample together.
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// Process ids by name, kept up to date by whoever restarts processes.
pub type Pids = Arc<Mutex<BTreeMap<String, u32>>>;

/// What is sampled.
#[derive(Clone, Debug, Default)]
pub struct Targets {
    /// Process ids by name; their children count with them. `harness`, this process alone, is always added.
    pub pids: Pids,
    /// Names and base addresses (`http://127.0.0.1:8080`) of processes that have metrics.
    pub metrics: Vec<(String, String)>,
    /// Kafka's bootstrap address; nothing of Kafka is sampled when empty.
    pub kafka: String,
    /// The group whose committed offsets are held against the ends of the entries topic.
    pub group: String,
}

/// A sampler at work. Dropping it ends it too, without a summary.
pub struct Sampler {
    stop: Sender<()>,
    ended: oneshot::Receiver<SamplerSummary>,
}

impl Sampler {
    /// Begins to sample into `samples.ndjson` of `folder`, the first sample at once.
    ///
    /// # Errors
    /// When the file or the thread cannot be made.
    pub fn start(targets: Targets, origin: Origin, folder: &RunFolder) -> Result<Self, EvidenceError> {
        let marks = SampleMarks::samples(folder)?;
        let (stop, stopped) = channel();
        let (tell, ended) = oneshot::channel();
        let work = move || {
            // Nobody may be waiting any more.
            let _ = tell.send(work(targets, origin, marks, &stopped));
        };
        let thread = std::thread::Builder::new().name("sampler".to_owned()).spawn(work);
        thread.map_err(EvidenceError::read("thread sampler"))?;
        Ok(Self { stop, ended })
    }

    /// Takes a last sample, a few more for at most ten seconds while there is a lag, and says what was seen. Should the thread not end within its limit, the summary is empty and says so.
    pub async fn stop(self) -> SamplerSummary {
        // The thread may have ended by itself.
        let _ = self.stop.send(());
        match timeout(STOP_LIMIT, self.ended).await {
            Ok(Ok(summary)) => summary,
            Ok(Err(_)) => SamplerSummary::failed("the sampler's thread ended without a summary".to_owned()),
            Err(_) => SamplerSummary::failed(format!("limit of stopping the sampler hit: {STOP_LIMIT:?}")),
        }
    }
}

fn work(targets: Targets, origin: Origin, marks: SampleMarks, stopped: &Receiver<()>) -> SamplerSummary {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return SamplerSummary::failed(format!("the sampler has no runtime: {error}")),
    };
    let mut readers = Readers::new(targets);
    let mut kept = Kept { marks, rows: Vec::new(), problems: Vec::new() };
    let mut due_ns = origin.elapsed_ns();
    loop {
        kept.keep(readers.sample(&origin, &runtime));
        // A late sample does not make the next ones hurry.
        due_ns = (due_ns + EVERY_NS).max(origin.elapsed_ns());
        let wait = u64::try_from(due_ns - origin.elapsed_ns()).unwrap_or(0);
        match stopped.recv_timeout(Duration::from_nanos(wait)) {
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
            Ok(()) => {
                settle(&mut readers, &origin, &runtime, &mut kept, stopped);
                break;
            }
        }
    }
    let mut summary = summarise(&kept.rows, i64::MIN, i64::MAX);
    summary.problems.extend(kept.problems);
    summary
}

/// The last sample, and a few more while there is a lag or it cannot be read: the channel commits its offsets a moment after it applied the records.
fn settle(
    readers: &mut Readers,
    origin: &Origin,
    runtime: &tokio::runtime::Runtime,
    kept: &mut Kept,
    stopped: &Receiver<()>,
) {
    let until_ns = origin.elapsed_ns() + SETTLE_NS;
    loop {
        let row = readers.sample(origin, runtime);
        let settled = row.lag_records == Some(0);
        kept.keep(row);
        if settled || origin.elapsed_ns() >= until_ns {
            return;
        }
        // Nobody sends a second time: this is a pause that ends early when the sampler is dropped.
        if stopped.recv_timeout(SETTLE_PAUSE) == Err(RecvTimeoutError::Disconnected) {
            return;
        }
    }
}

struct Kept {
    marks: SampleMarks,
    rows: Vec<SampleRow>,
    problems: Vec<String>,
}

impl Kept {
    fn keep(&mut self, row: SampleRow) {
        if let Err(error) = self.marks.mark(&row) {
            self.problems.push(error.to_string());
        }
        self.rows.push(row);
    }
}

struct Readers {
    metrics: Vec<(String, String)>,
    processes: ProcessReader,
    machine: MachineReader,
    lag: Option<LagReader>,
}

impl Readers {
    fn new(targets: Targets) -> Self {
        let Targets { pids, metrics, kafka, group } = targets;
        let lag = (!kafka.is_empty()).then(|| LagReader::new(&kafka, &group));
        Self { metrics, processes: ProcessReader::new(pids), machine: MachineReader::default(), lag }
    }

    fn sample(&mut self, origin: &Origin, runtime: &tokio::runtime::Runtime) -> SampleRow {
        let at_ns = origin.elapsed_ns();
        let mut row = SampleRow { at_ms: at_ns / 1_000_000, ..SampleRow::default() };
        usage(&mut row, &mut self.processes, &mut self.machine, at_ns);
        let scraped = runtime.block_on(join_all(self.metrics.iter().map(|(_, url)| scrape(url))));
        for ((process, _), metrics) in self.metrics.iter().zip(scraped) {
            match metrics {
                Ok(metrics) => {
                    row.metrics.extend(metrics.into_iter().map(|(name, value)| (format!("{process}.{name}"), value)));
                }
                Err(problem) => row.problems.push(format!("{process}: {problem}")),
            }
        }
        match self.lag.as_mut().map(LagReader::read) {
            None => {}
            Some(Ok(lag)) => row.lag_records = Some(lag),
            Some(Err(problem)) => row.problems.push(problem),
        }
        row
    }
}

/// What processes and machine used up to `at_ns`.
fn usage(row: &mut SampleRow, processes: &mut ProcessReader, machine: &mut MachineReader, at_ns: i64) {
    for (name, used) in processes.read(at_ns) {
        row.process_cpu_seconds.insert(name.clone(), used.cpu_s);
        row.process_cpu_percent.extend(used.cores.map(|cores| (name.clone(), cores * 100.0)));
        row.process_rss_bytes.insert(name, used.rss_bytes);
    }
    if let Some(machine) = machine.read() {
        row.cpu_percent = Some(machine.busy * 100.0);
        row.steal_percent = Some(machine.steal * 100.0);
        row.iowait_percent = Some(machine.iowait * 100.0);
    }
}
