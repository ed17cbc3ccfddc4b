//! One measurement: the copy taken back, the backlog published into a topic of its own, channels with the cell's settings, the time they
//! take, and whether the copy is then what core has.
//!
//! In: a job, the bank, the backlog. Out: [`Outcome`]. Elsewhere: the next one (`sweep`), the waiting (`drain`), the reckoning (`sizing`).

use std::collections::BTreeMap;

use bankstorm_adapters::postgres;
use bankstorm_channel::ChannelConfig;
use bankstorm_contracts::{AccountNo, Entry};
use bankstorm_evidence::read_copy;
use bankstorm_evidence::visible::Stamps;
use bankstorm_record::clock::Origin;
use bankstorm_record::marks::SampleRow;
use bankstorm_record::sweep_json::{BoundBy, CellFigures, CellVerdict};
use bankstorm_scenario::Scenario;
use bankstorm_sizing::agrees::{Found, agrees};
use bankstorm_sizing::bound::{Limits, judge};
use bankstorm_sizing::chance;
use bankstorm_sizing::order::Job;
use bankstorm_sizing::predict::{events, predicted_per_s, workers_total};
use bankstorm_sizing::rate::{between_percentiles, lasted_s, overall};

use crate::bank::Bank;
use crate::progress::Phase;

use super::backlog::{Backlog, publish};
use super::drain::{Drained, Stage, drain};
use super::open::OpenSweep;

/// What became of a measurement.
pub(super) struct Outcome {
    /// The word.
    pub(super) verdict: CellVerdict,
    /// Why there is no figure.
    pub(super) reason: Option<String>,
    /// What was found.
    pub(super) figures: Option<CellFigures>,
    /// What bound it.
    pub(super) bound_by: Option<BoundBy>,
}

impl Outcome {
    /// It did not finish.
    pub(super) fn dnf(reason: String) -> Self {
        Self { verdict: CellVerdict::Dnf, reason: Some(reason), figures: None, bound_by: None }
    }

    fn failed(reason: String) -> Self {
        Self { verdict: CellVerdict::Failed, ..Self::dnf(reason) }
    }
}

/// A measurement and what it needs.
pub(super) struct Measuring<'a> {
    pub(super) open: &'a OpenSweep,
    pub(super) bank: &'a Bank,
    pub(super) backlog: &'a Backlog,
    pub(super) job: &'a Job,
    pub(super) begun: Origin,
    pub(super) shown: &'a Phase,
}

impl Measuring<'_> {
    /// What is to be worked off.
    pub(super) fn events(&self) -> &[Entry] {
        let count = usize::try_from(events(&self.job.cell, self.open.sizes())).expect("a backlog fits into memory");
        &self.backlog.entries[..count.min(self.backlog.entries.len())]
    }

    /// Measures; whatever goes wrong is the cell's.
    pub(super) async fn measure(&self) -> Outcome {
        let (stage, budget) = (Stage::default(), self.open.sweep.budget);
        let topic = format!("sweep.{}", self.job.id);
        let drained = tokio::time::timeout(budget, self.work_off(&topic, &stage)).await;
        let outcome = match drained {
            Err(_) => Outcome::dnf(format!("its budget of {} s was spent: {}", budget.as_secs(), stage.told())),
            Ok(Err(problem)) => Outcome::dnf(problem),
            Ok(Ok(drained)) => self.found(&drained).await.unwrap_or_else(Outcome::dnf),
        };
        // It only takes up room; the run's folder goes in the end.
        if let Err(error) = self.bank.remove_topic(&topic).await {
            tracing::warn!(%error, topic, "removing a cell's topic");
        }
        outcome
    }

    /// Up to the last event.
    async fn work_off(&self, topic: &str, stage: &Stage) -> Result<Drained, String> {
        let Self { bank, job, .. } = self;
        stage.is("the copy is being taken back".to_owned());
        let rewound = postgres::channel::rewind(&bank.addresses.channel_databases[0], self.backlog.after).await;
        rewound.map_err(|error| format!("taking the copy back: {error}"))?;
        for (_, log) in bank.visible_logs() {
            // Written by the channels of the cell before; what is left of it would be taken for this one's.
            gone(std::fs::remove_file(&log)).map_err(|error| format!("removing {}: {error}", log.display()))?;
        }
        stage.is("its topic is being filled".to_owned());
        bank.create_topic(topic, job.cell.partitions).await.map_err(|error| error.to_string())?;
        let published = publish(&bank.addresses.kafka, topic, self.events()).await;
        published.map_err(|error| format!("publishing the backlog: {error}"))?;
        stage.is("its channels are being started".to_owned());
        bank.start_channels(&self.scenario(), topic).await.map_err(|error| error.to_string())?;
        let events = self.events().len() as u64;
        let asked = (job.cell.partitions, workers_total(&job.cell).min(events), events);
        drain(bank, asked, self.begun, stage, self.shown).await
    }

    /// The scenario with the cell's settings.
    fn scenario(&self) -> Scenario {
        let cell = &self.job.cell;
        let mut scenario = self.open.scenario.clone();
        let modes = &self.open.sweep.worker_modes;
        let mode = modes.iter().find(|mode| mode.as_str() == cell.worker_mode);
        scenario.system.worker_mode = *mode.expect("cells have the grid's modes");
        scenario.system.sync_cost = std::time::Duration::from_micros(cell.sync_cost_us);
        (scenario.system.partitions, scenario.system.workers) = (cell.partitions, cell.workers);
        scenario
    }

    /// What the rows and the looks say, once the channels are gone.
    async fn found(&self, drained: &Drained) -> Result<Outcome, String> {
        self.bank.end_channels().await.map_err(|error| error.to_string())?;
        let stamps = Stamps::read(&self.bank.visible_logs(), self.begun).map_err(|error| error.to_string())?;
        let (mut moments, stamps): (Vec<i64>, Vec<_>) =
            stamps.rows().map(|row| (row.at_ns, (AccountNo::new(row.account), row.to_seq))).unzip();
        let copy = read_copy(&self.bank.addresses.channel_databases[0], self.backlog.after).await;
        let copy = copy.map_err(|error| error.to_string())?;
        let found = Found {
            entries: &copy.entries,
            heads: &copy.heads,
            journal: &copy.journal,
            stamps: &stamps,
            letters: copy.letters,
            earlier: copy.earlier,
            loaded: self.backlog.loaded,
        };
        let rows_checked = match agrees(self.events(), &found) {
            Ok(rows) => rows,
            Err(problem) => return Ok(Outcome::failed(problem)),
        };
        let busy_keys = self.events().len() as u64;
        let predicted_per_s = predicted_per_s(&self.job.cell, busy_keys);
        let owned_ns = drained.from.at_ms * 1_000_000;
        let rate =
            if predicted_per_s.is_some() { between_percentiles(&mut moments) } else { overall(&moments, owned_ns) };
        let (Some(events_per_s), Some(drained_s)) = (rate, lasted_s(&moments, owned_ns)) else {
            return Err("its events became visible in one instant: there is no rate".to_owned());
        };
        let means = drained.means;
        let figures = CellFigures {
            busy_keys,
            events_per_s,
            predicted_per_s,
            drained_s: drained_s.max(0.001),
            owned_s: drained.owned_s,
            busy_workers: drained.busy_workers,
            busy_workers_mean: means.map(|means| means.busy_workers),
            busy_by_chance: Some(chance::busy_workers(&self.job.cell, busy_keys)),
            transactions_mean: means.map(|means| means.transactions),
            in_log_mean: means.map(|means| means.in_log),
            waiting_mean: means.map(|means| means.waiting),
            short_mean: means.map(|means| means.short),
            slots_used: drained.slots_used,
            rows_checked,
            ..used(drained, busy_keys)
        };
        let channels = u64::from(self.open.scenario.system.channel_instances);
        let transactions = ChannelConfig::default().transactions as u64 * channels;
        let limits = Limits { transactions, cores: self.open.machine.cores };
        let judged = judge(&self.job.cell, &figures, limits);
        Ok(Outcome {
            verdict: judged.verdict,
            reason: judged.reason,
            figures: Some(figures),
            bound_by: judged.bound_by,
        })
    }
}

/// What the machine did between the two looks. Where most of the events were over by the first, they say nothing of an event.
fn used(drained: &Drained, events: u64) -> CellFigures {
    let left = events.saturating_sub(drained.before);
    if left * 2 < events {
        return CellFigures::default();
    }
    let Drained { from, to, .. } = drained;
    let share = |percent: Option<f64>| percent.map(|percent| percent / 100.0);
    CellFigures {
        cpu_seconds: between(from, to),
        looked_s: Some((to.at_ms - from.at_ms) as f64 / 1e3),
        cpu_events: left,
        machine_busy: share(to.cpu_percent),
        machine_iowait: share(to.iowait_percent),
        machine_steal: share(to.steal_percent),
        ..CellFigures::default()
    }
}

/// Whether a file is gone: that it never was is as good.
fn gone(removed: std::io::Result<()>) -> std::io::Result<()> {
    removed.or_else(|error| if error.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

fn between(from: &SampleRow, to: &SampleRow) -> BTreeMap<String, f64> {
    let seconds = to.process_cpu_seconds.iter();
    seconds
        .filter_map(|(name, used)| Some((name.clone(), (used - from.process_cpu_seconds.get(name)?).max(0.0))))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bankstorm_record::marks::SampleRow;

    use super::{Drained, gone, used};

    fn look(at_ms: i64, core_s: f64, busy: f64) -> SampleRow {
        let process_cpu_seconds = BTreeMap::from([("core".to_owned(), core_s)]);
        SampleRow { at_ms, process_cpu_seconds, cpu_percent: Some(busy), ..SampleRow::default() }
    }

    #[test]
    fn what_was_used_is_of_the_events_between_the_looks() {
        let mut drained = Drained {
            owned_s: 1.0,
            from: look(1_000, 2.0, 5.0),
            to: look(3_500, 3.5, 80.0),
            before: 100,
            busy_workers: 1,
            slots_used: 1,
            means: None,
        };
        let figures = used(&drained, 1_000);
        assert_eq!((figures.cpu_seconds["core"], figures.cpu_events, figures.machine_busy), (1.5, 900, Some(0.8)));
        assert_eq!(figures.looked_s, Some(2.5), "seconds of the looks, not of the cell");
        drained.before = 600;
        let late = used(&drained, 1_000);
        assert!(late.cpu_seconds.is_empty() && late.machine_busy.is_none(), "most of it was over");
        assert_eq!(late.looked_s, None);
    }

    #[test]
    fn a_log_that_stays_is_not_gone() {
        let root = tempfile::tempdir().expect("a temporary folder");
        assert!(gone(std::fs::remove_file(root.path().join("never"))).is_ok());
        assert!(gone(std::fs::remove_file(root.path())).is_err(), "it stands there still");
    }
}
