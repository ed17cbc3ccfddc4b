//! What faults do to a bank: to its nodes, to the rows of its copy, to its topics.
//!
//! In: a place. Out: a witness. Elsewhere: how nodes are broken (`environment`), when (`chaos/faults`).

use bankstorm_adapters::postgres;
use bankstorm_contracts::AccountNo;
use bankstorm_environment::{EnvironmentError, Topic, Witness, grow_topics};
use bankstorm_faults::nodes::{self, Nodes};
use bankstorm_record::clock::monotonic_ns;

use super::Bank;

/// Whose entries are refused: the first account, which is also the hot one where there is one.
const POISONED: AccountNo = AccountNo::new(AccountNo::FIRST_CUSTOMER);

impl Bank {
    /// The database of the first account.
    fn poisoned(&self) -> &str {
        &self.addresses.channel_databases[0]
    }

    fn seen(&self, result: Result<Witness, EnvironmentError>) -> Result<nodes::Witness, String> {
        *self.pids.lock().expect("no panic while noting pids") = self.environment.pids();
        let Witness { what, at_monotonic_ns } = result.map_err(|error| error.to_string())?;
        Ok(nodes::Witness { what, at_ns: i64::try_from(at_monotonic_ns).unwrap_or(i64::MAX) })
    }
}

impl Nodes for Bank {
    async fn kill(&self, place: &str) -> Result<nodes::Witness, String> {
        self.seen(self.environment.kill(place).await)
    }

    async fn pause(&self, place: &str) -> Result<nodes::Witness, String> {
        self.seen(self.environment.pause(place).await)
    }

    async fn resume(&self, place: &str) -> Result<nodes::Witness, String> {
        self.seen(self.environment.resume(place).await)
    }

    async fn restart(&self, place: &str) -> Result<nodes::Witness, String> {
        self.seen(self.environment.restart(place).await)
    }

    async fn poison(&self, _place: &str) -> Result<nodes::Witness, String> {
        postgres::channel::poison(self.poisoned(), POISONED).await.map_err(|error| error.to_string())?;
        Ok(now(format!("entries of account {POISONED} are refused with SQLSTATE 23514")))
    }

    async fn cure(&self, _place: &str) -> Result<nodes::Witness, String> {
        postgres::channel::cure(self.poisoned()).await.map_err(|error| error.to_string())?;
        Ok(now(format!("entries of account {POISONED} are taken again")))
    }

    async fn grow(&self, _place: &str) -> Result<nodes::Witness, String> {
        let grown = self.topics.iter().map(|topic| Topic { partitions: topic.partitions * 2, ..topic.clone() });
        let grown: Vec<Topic> = grown.collect();
        grow_topics(&self.addresses.kafka, self.brokers, &grown).await?;
        let told: Vec<String> = grown.iter().map(|topic| format!("{} {}", topic.name, topic.partitions)).collect();
        Ok(now(format!("partitions: {}", told.join(", "))))
    }
}

fn now(what: String) -> nodes::Witness {
    nodes::Witness { what, at_ns: monotonic_ns() }
}
