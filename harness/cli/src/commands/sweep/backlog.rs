//! The backlog of a sweep: posted once through core by the scenario's load, read once, published into every cell's topic.
//!
//! In: a bank, whose channels are ended first. Out: [`Backlog`]: core's entries, one an account. Elsewhere: the load itself (`load`), the
//! form and the key of a record, which are core's own (`contracts::event`, `core::publishing`).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bankstorm_adapters::kafka::KafkaLog;
use bankstorm_contracts::{Entry, Seq, event};
use bankstorm_customers::Plan;
use bankstorm_evidence::{read_backlog, read_unsent};
use bankstorm_load::run::Tuning;
use bankstorm_load::{DriveInput, Tally};
use bankstorm_outside::log::{EventLog, EventProducer, LogError, Outgoing};
use bankstorm_record::clock::Origin;
use futures_util::future::try_join_all;

use crate::bank::Bank;
use crate::progress::{Display, Phase};
use crate::stop::Interrupt;

use super::open::OpenSweep;

/// The plan begins this long after its threads were started.
const HEAD_START_NS: i64 = 300_000_000;
/// How long core may take, once load has ended, to hand over what it posted.
const UNSENT_LIMIT: Duration = Duration::from_secs(60);
const UNSENT_LOOK: Duration = Duration::from_millis(200);
/// Records on their way at once.
const CHUNK: usize = 5_000;

/// What core posted.
pub(super) struct Backlog {
    /// In the order in which they were posted, one an account.
    pub(super) entries: Vec<Entry>,
    /// The serial at which every account stood before.
    pub(super) after: Seq,
    /// Entries of all accounts up to that serial.
    pub(super) loaded: u64,
}

/// Ends the channels, drives the load, and reads what core made of it.
pub(super) async fn post(
    open: &OpenSweep,
    bank: &Bank,
    display: &Display,
    stop: &Interrupt,
) -> Result<Backlog, String> {
    bank.end_channels().await.map_err(|error| error.to_string())?;
    drive(open, bank, display, stop).await?;
    sent(bank).await?;
    let accounts = &open.scenario.accounts;
    let after = Seq::from(accounts.history_depth);
    let entries = read_backlog(&bank.addresses.core_database, after).await.map_err(|error| error.to_string())?;
    one_an_account(&entries, after)?;
    let wanted = open.sweep.events.max(open.sweep.free_events);
    if (entries.len() as u64) < wanted {
        let posted = entries.len();
        return Err(format!(
            "core posted {posted} of the load's deposits, and cells need {wanted}; a lower rate may help"
        ));
    }
    display.line(&format!("core posted {} deposits, one an account", entries.len()));
    Ok(Backlog { entries, after, loaded: accounts.count * u64::from(accounts.history_depth) })
}

async fn drive(open: &OpenSweep, bank: &Bank, display: &Display, stop: &Interrupt) -> Result<(), String> {
    let plan = Arc::new(Plan::new(&open.scenario));
    let counts = plan.counts();
    let planned = counts.warm_up + counts.measure;
    let phase = display.phase(&format!("posting {planned} deposits through core"));
    let (origin, tally) = (Origin::now(), Arc::new(Tally::new()));
    let input = DriveInput {
        plan,
        core_url: bank.addresses.core_url.clone(),
        channels: bank.load_channels(),
        origin,
        start_at_ns: origin.elapsed_ns() + HEAD_START_NS,
        stop: Arc::clone(&stop.load),
        tally: Arc::clone(&tally),
        tuning: Tuning::default(),
    };
    let mut driving = std::pin::pin!(bankstorm_load::drive(input));
    let mut show = tokio::time::interval(phase.pace());
    show.tick().await;
    loop {
        tokio::select! {
            biased;
            driven = driving.as_mut() => return driven.map(drop).map_err(|error| error.to_string()),
            _ = show.tick() => shown(&phase, &tally, planned),
        }
    }
}

fn shown(phase: &Phase, tally: &Tally, planned: u64) {
    let counts = tally.counts();
    phase.update(&format!("posting deposits through core: {} of {planned} due, {} ok", counts.due, counts.ok));
}

/// Waits until core's relay has nothing left to do: it must not share the machine with the cells.
async fn sent(bank: &Bank) -> Result<(), String> {
    let looks = async {
        while read_unsent(&bank.addresses.core_database).await.map_err(|error| error.to_string())? > 0 {
            tokio::time::sleep(UNSENT_LOOK).await;
        }
        Ok(())
    };
    let limit = UNSENT_LIMIT.as_secs();
    let late = |_| Err(format!("limit hit: core had unsent events {limit} s after the load"));
    tokio::time::timeout(UNSENT_LIMIT, looks).await.unwrap_or_else(late)
}

/// An event of a cell is an account sync because no account has two.
fn one_an_account(entries: &[Entry], after: Seq) -> Result<(), String> {
    if let Some(entry) = entries.iter().find(|entry| entry.seq != after + 1) {
        return Err(format!(
            "account {} has entry {} beyond {after}, and one was to be posted",
            entry.account, entry.seq
        ));
    }
    let accounts: BTreeSet<_> = entries.iter().map(|entry| entry.account).collect();
    if accounts.len() == entries.len() {
        Ok(())
    } else {
        Err("an account has two entries of the same serial".to_owned())
    }
}

/// Publishes entries to `topic` as core's relay does, and waits for every acknowledgement.
pub(super) async fn publish(kafka: &str, topic: &str, entries: &[Entry]) -> Result<(), LogError> {
    let producer = KafkaLog::new(kafka, "sweep").producer().await?;
    let mut published = Ok(());
    for chunk in entries.chunks(CHUNK) {
        let records = chunk.iter().map(|entry| {
            let (key, value) = (event::key(entry.account), event::encode(entry));
            producer.produce(Outgoing { topic: topic.to_owned(), key, value })
        });
        published = try_join_all(records).await.map(drop);
        if published.is_err() {
            break;
        }
    }
    producer.discard().await;
    published
}

#[cfg(test)]
mod tests {
    use bankstorm_contracts::{AccountNo, Entry, EntryKind, TransferId, WallMicros, Won};

    use super::one_an_account;

    fn entry(account: i64, seq: i64) -> Entry {
        Entry {
            account: AccountNo::new(account),
            seq,
            amount: Won::new(1),
            balance_after: Won::new(2),
            transfer: TransferId(uuid::Uuid::nil()),
            kind: EntryKind::Deposit,
            posted_at: WallMicros(1),
        }
    }

    #[test]
    fn a_backlog_has_one_entry_of_an_account() {
        assert_eq!(one_an_account(&[entry(1_000_000, 11), entry(1_000_001, 11)], 10), Ok(()));
        let second = one_an_account(&[entry(1_000_000, 11), entry(1_000_000, 12)], 10);
        assert_eq!(second.expect_err("two"), "account 1000000 has entry 12 beyond 10, and one was to be posted");
        assert!(one_an_account(&[entry(1_000_000, 11), entry(1_000_000, 11)], 10).is_err());
    }
}
