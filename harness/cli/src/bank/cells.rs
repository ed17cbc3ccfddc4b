//! The bank of a sweep: its channels end and begin anew, with other settings, while everything else stays up.
//!
//! In: a scenario with a cell's settings, a topic. Out: channels that follow that topic, or none. Elsewhere: which cell is next
//! (`commands/sweep`), how processes are started and killed (`environment`).

use std::path::{Path, PathBuf};

use bankstorm_environment::{Topic, create_topics, remove_topics};
use bankstorm_scenario::Scenario;

use super::{Bank, lost, specs};
use crate::error::CliError;

impl Bank {
    /// Kills every channel that runs; one that ended by itself meanwhile is gone as well, and the list of deaths tells of it. What they had
    /// open at their database may outlive them for a moment.
    pub(crate) async fn end_channels(&self) -> Result<(), CliError> {
        for (name, _) in &self.addresses.channels {
            let runs = || self.environment.pids().contains_key(name);
            if runs()
                && let Err(error) = self.environment.kill(name).await
                && runs()
            {
                return Err(lost(error));
            }
        }
        self.note_pids();
        Ok(())
    }

    /// Starts all channels as `scenario` has them, on `topic` and in the group of that name.
    pub(crate) async fn start_channels(&self, scenario: &Scenario, topic: &str) -> Result<(), CliError> {
        let named = (0..).zip(&self.addresses.channels);
        let specs = named.map(|(index, (name, _))| {
            let mut spec = specs::channel(self.environment.as_ref(), scenario, (index, name.as_str()));
            spec.args.extend([format!("--topic={topic}"), format!("--group={topic}")]);
            spec
        });
        let started = self.environment.start_services(specs.collect()).await.map_err(lost);
        self.note_pids();
        started
    }

    /// A topic of its own for a cell.
    pub(crate) async fn create_topic(&self, name: &str, partitions: u32) -> Result<(), CliError> {
        let topic = Topic { name: name.to_owned(), partitions };
        create_topics(&self.addresses.kafka, self.brokers, &[topic]).await.map_err(lost)
    }

    /// Takes a cell's topic away.
    pub(crate) async fn remove_topic(&self, name: &str) -> Result<(), CliError> {
        remove_topics(&self.addresses.kafka, &[name]).await.map_err(lost)
    }

    /// The raw visible log of every channel, by its name.
    pub(crate) fn visible_logs(&self) -> Vec<(String, PathBuf)> {
        self.addresses.channels.iter().map(|(name, _)| (name.clone(), self.visible_log(name))).collect()
    }

    /// Where the bank's data lies, gone after the run.
    pub(crate) fn temporary(&self) -> &Path {
        self.environment.folder()
    }

    fn note_pids(&self) {
        *self.pids.lock().expect("no panic while noting pids") = self.environment.pids();
    }
}
