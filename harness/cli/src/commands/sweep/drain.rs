//! A backlog as it is worked off: counted from the channels' visible logs, with looks at the machine when it begins and when it ends.
//!
//! In: the cell's channels and how many events they have to work off. Out: [`Drained`]. Elsewhere: what is made of it (`cell`).
//!
//! Lines are counted instead of rows: a query every tenth of a second would be part of what is measured.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bankstorm_evidence::sampler::Looks;
use bankstorm_evidence::scrape;
use bankstorm_record::clock::{Origin, monotonic_ns};
use bankstorm_record::marks::SampleRow;

use crate::bank::Bank;
use crate::progress::Phase;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(100);

/// What is waited for, for whoever gives up meanwhile.
#[derive(Default)]
pub(super) struct Stage(Mutex<String>);

impl Stage {
    /// Now it is this.
    pub(super) fn is(&self, what: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = what;
    }

    /// What it is.
    pub(super) fn told(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// How a backlog was worked off.
pub(super) struct Drained {
    /// Until all partitions had their owners, since the channels were ready.
    pub(super) owned_s: f64,
    /// When that was seen, and when the last event was: looks at the machine, the second one's shares being of the time between.
    pub(super) from: SampleRow,
    pub(super) to: SampleRow,
    /// Events that were worked off before the first look.
    pub(super) before: u64,
    /// The most workers seen busy, and slots that ever had work.
    pub(super) busy_workers: u64,
    pub(super) slots_used: u64,
    /// What channels told on average, over the looks with more than a twentieth and less than nineteen of the events done.
    pub(super) means: Option<Means>,
}

/// What channels told on average.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Means {
    /// Workers with work.
    pub(super) busy_workers: f64,
    /// Transactions that were open.
    pub(super) transactions: f64,
    /// Records that were still in the log.
    pub(super) in_log: f64,
    /// Records that were taken from it, and no worker had yet.
    pub(super) waiting: f64,
    /// Workers without work, at the looks at which hardly a record waited and many were in the log.
    pub(super) short: f64,
}

/// Waits until the channels own `partitions` and have worked off `events`.
pub(super) async fn drain(
    bank: &Bank,
    (partitions, workers, events): (u32, u64, u64),
    origin: Origin,
    stage: &Stage,
    shown: &Phase,
) -> Result<Drained, String> {
    let begun = monotonic_ns();
    let mut looks = Looks::new(bank.pids(), origin);
    let mut lines = Lines::of(bank.visible_logs());
    stage.is(format!("the channels do not own all {partitions} partitions"));
    while gauges(bank).await.partitions < u64::from(partitions) {
        tokio::time::sleep(LOOK / 2).await;
    }
    let owned_s = (monotonic_ns() - begun) as f64 / 1e9;
    let (from, before) = (looks.look(), lines.count()?);
    let mut busy = Busy { workers, ..Busy::default() };
    let mut show = tokio::time::interval(shown.pace());
    show.tick().await;
    loop {
        let done = lines.count()?;
        if done >= events {
            break;
        }
        stage.is(format!("{done} of {events} events were worked off"));
        busy.note(gauges(bank).await, done, events);
        tokio::select! {
            biased;
            _ = show.tick() => shown.update(&format!("{done} of {events} events")),
            () = tokio::time::sleep(LOOK) => {}
        }
    }
    let to = looks.look();
    // The last word on slots: they only grow.
    busy.note(gauges(bank).await, events, events);
    let means = busy.means();
    let Busy { most, slots, .. } = busy;
    Ok(Drained { owned_s, from, to, before, busy_workers: most, slots_used: slots, means })
}

/// What channels say of themselves, all together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Gauges {
    partitions: u64,
    in_work: u64,
    slots_used: u64,
    transactions: u64,
    /// Records taken from the log, since the channels are those of this cell.
    taken: u64,
}

async fn gauges(bank: &Bank) -> Gauges {
    let mut all = Gauges::default();
    for (_, url) in &bank.addresses.channels {
        let metrics = scrape(url).await.unwrap_or_default();
        let gauge = |name: &str| metrics.get(name).map_or(0, |value| *value as u64);
        all.partitions += gauge("channel_partitions");
        all.in_work += gauge("channel_in_work");
        all.slots_used += gauge("channel_slots_used");
        all.transactions += gauge("channel_transactions_open");
        all.taken += gauge("channel_records_total");
    }
    all
}

#[derive(Debug, Default)]
struct Busy {
    /// Those that could have work at once.
    workers: u64,
    most: u64,
    slots: u64,
    sums: Sums,
    count: u32,
}

/// Over the looks that count.
#[derive(Debug, Default, PartialEq, Eq)]
struct Sums {
    in_work: u64,
    transactions: u64,
    in_log: u64,
    waiting: u64,
    short: u64,
}

impl Busy {
    fn note(&mut self, gauges: Gauges, done: u64, events: u64) {
        self.most = self.most.max(gauges.in_work);
        self.slots = self.slots.max(gauges.slots_used);
        // A channel that did not answer in time says nothing.
        if gauges.partitions > 0 && done * 20 >= events && done * 20 <= events * 19 {
            let idle = self.workers.saturating_sub(gauges.in_work);
            let in_log = events.saturating_sub(gauges.taken);
            let waiting = gauges.taken.saturating_sub(done + gauges.in_work);
            self.sums.in_work += gauges.in_work;
            self.sums.transactions += gauges.transactions;
            self.sums.in_log += in_log;
            self.sums.waiting += waiting;
            self.sums.short += if waiting < self.workers && in_log > idle { idle } else { 0 };
            self.count += 1;
        }
    }

    fn means(&self) -> Option<Means> {
        let mean = |sum: u64| sum as f64 / f64::from(self.count);
        let Sums { in_work, transactions, in_log, waiting, short } = self.sums;
        (self.count > 0).then(|| Means {
            busy_workers: mean(in_work),
            transactions: mean(transactions),
            in_log: mean(in_log),
            waiting: mean(waiting),
            short: mean(short),
        })
    }
}

/// Lines of files that grow.
struct Lines {
    files: Vec<(PathBuf, Option<File>)>,
    seen: u64,
}

impl Lines {
    fn of(logs: Vec<(String, PathBuf)>) -> Self {
        Self { files: logs.into_iter().map(|(_, path)| (path, None)).collect(), seen: 0 }
    }

    /// How many there are by now; a file that is not there yet has none.
    fn count(&mut self) -> Result<u64, String> {
        let mut buffer = vec![0; 1 << 16];
        for (path, file) in &mut self.files {
            if file.is_none() {
                *file = File::open(&*path).ok();
            }
            let Some(file) = file else { continue };
            loop {
                let read = file.read(&mut buffer).map_err(|error| format!("{}: {error}", path.display()))?;
                if read == 0 {
                    break;
                }
                self.seen += buffer[..read].iter().filter(|byte| **byte == b'\n').count() as u64;
            }
        }
        Ok(self.seen)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::{Busy, Gauges, Lines, Means};

    #[test]
    fn lines_are_counted_as_they_come_and_half_a_line_is_none() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let paths = ["a", "b"].map(|name| (name.to_owned(), root.path().join(name)));
        let mut lines = Lines::of(paths.to_vec());
        assert_eq!(lines.count(), Ok(0), "no file yet");
        let mut file = std::fs::File::create(root.path().join("a")).expect("made");
        file.write_all(b"1 2 3\n4 5").expect("written");
        assert_eq!(lines.count(), Ok(1));
        std::fs::write(root.path().join("b"), "x\n".repeat(40_000)).expect("written");
        file.write_all(b" 6\n").expect("written");
        assert_eq!(lines.count(), Ok(40_002));
        assert_eq!(lines.count(), Ok(40_002));
    }

    #[test]
    fn the_mean_is_of_the_looks_between_the_ends_and_of_those_that_were_answered() {
        let mut busy = Busy { workers: 100, ..Busy::default() };
        let gauges = |in_work| Gauges { partitions: 2, in_work, slots_used: 7, transactions: 3, taken: 800 };
        assert_eq!(busy.means(), None);
        for (gauges, done) in
            [(gauges(90), 10), (gauges(10), 500), (Gauges::default(), 600), (gauges(20), 700), (gauges(99), 990)]
        {
            busy.note(gauges, done, 1_000);
        }
        assert_eq!((busy.most, busy.slots, busy.count), (99, 7, 2));
        // 800 of 1,000 were taken: 500 and 10, then 700 and 20, of them are through or in work.
        // At the second look 80 were waiting for 100 workers, of whom 80 had nothing, while 200 were in the log.
        let means = Means { busy_workers: 15.0, transactions: 3.0, in_log: 200.0, waiting: 185.0, short: 40.0 };
        assert_eq!(busy.means(), Some(means));
    }
}
