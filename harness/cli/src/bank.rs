//! The bank of a scenario, assembled: databases with their history, broker, core and channels.
//!
//! In: a resolved scenario, a run folder, a display. Out: [`Bank`] with its addresses. Elsewhere: how processes are started and stopped
//! (`environment`), what they do (`system`).

use std::time::Duration;

use bankstorm_adapters::postgres;
use bankstorm_adapters::postgres::bulk::LoadedAccount;
use bankstorm_contracts::event::ENTRIES_TOPIC;
use bankstorm_environment::{Death, Local, Needs, ServiceSpec, Topic, free_port};
use bankstorm_load::run::ChannelAddress;
use bankstorm_record::folder::RunFolder;
use bankstorm_scenario::Scenario;
use bankstorm_scenario::resolved::WorkerMode;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::error::CliError;
use crate::progress::Display;

/// The longest that schemas and bulk load may take, per account on top of a base.
const LOAD_BASE: Duration = Duration::from_secs(60);
const LOAD_PER_ENTRY: Duration = Duration::from_micros(100);

/// The longest that the consumer group may take to spread its partitions.
const ASSIGNED_LIMIT: Duration = Duration::from_secs(60);
const ASSIGNED_LOOK: Duration = Duration::from_millis(250);

/// Where everything listens.
#[derive(Clone, Debug)]
pub(crate) struct Addresses {
    /// Core's database.
    pub(crate) core_database: String,
    /// The channels' database.
    pub(crate) channel_database: String,
    /// Kafka, at the harness's own listener.
    pub(crate) kafka: String,
    /// Core.
    pub(crate) core_url: String,
    /// The channels, by name.
    pub(crate) channels: Vec<(String, String)>,
}

/// A running bank.
pub(crate) struct Bank {
    local: Local,
    /// Where everything listens.
    pub(crate) addresses: Addresses,
}

impl Bank {
    /// Starts everything and loads the accounts; on an error nothing is left behind. Logs and stamps go to `folder`, without one to the
    /// environment's own folder, with which they vanish.
    pub(crate) async fn start(
        scenario: &Scenario,
        folder: Option<&RunFolder>,
        display: &Display,
    ) -> Result<Self, CliError> {
        let channels: Vec<String> = (0..scenario.system.channel_instances).map(|n| format!("channel-{n}")).collect();
        let mut local = Local::start(needs(scenario, folder, &channels), display.start()).await.map_err(environment)?;
        let core_database = local.database("core");
        let channel_database = local.database("channel");
        if let Err(error) = load_accounts(scenario, &core_database, &channel_database, display).await {
            stop_quietly(local).await;
            return Err(error);
        }
        let home = folder.cloned().unwrap_or_else(|| RunFolder::new(local.folder()));
        let started = start_services(&mut local, scenario, &home, &channels).await;
        let (core_url, channel_urls) = match started {
            Ok(urls) => urls,
            Err(error) => {
                stop_quietly(local).await;
                return Err(error);
            }
        };
        if let Err(error) = until_assigned(&channel_urls, scenario.system.partitions, display).await {
            stop_quietly(local).await;
            return Err(error);
        }
        let addresses = Addresses {
            core_database,
            channel_database,
            kafka: local.kafka("harness"),
            core_url,
            channels: channels.into_iter().zip(channel_urls).collect(),
        };
        Ok(Self { local, addresses })
    }

    /// Ends of processes that nobody asked for.
    pub(crate) fn deaths(&mut self) -> UnboundedReceiver<Death> {
        self.local.deaths()
    }

    /// Process ids by name.
    pub(crate) fn pids(&self) -> std::collections::BTreeMap<String, u32> {
        self.local.pids()
    }

    /// The channels, as the load generator wants them.
    pub(crate) fn load_channels(&self) -> Vec<ChannelAddress> {
        let channels = self.addresses.channels.iter();
        channels.map(|(name, url)| ChannelAddress { instance: name.clone(), url: url.clone() }).collect()
    }

    /// Stops everything.
    pub(crate) async fn stop(self) -> Result<(), CliError> {
        self.local.stop().await.map_err(environment)
    }
}

fn environment(error: impl std::fmt::Display) -> CliError {
    CliError::Environment(error.to_string())
}

/// The first error is what the user needs; what a stop after it says is in the logs.
async fn stop_quietly(local: Local) {
    if let Err(error) = local.stop().await {
        tracing::warn!(%error, "stopping after a failed start");
    }
}

fn needs(scenario: &Scenario, folder: Option<&RunFolder>, channels: &[String]) -> Needs {
    let mut kafka_clients = vec!["core".to_owned(), "harness".to_owned()];
    kafka_clients.extend(channels.iter().cloned());
    Needs {
        name: scenario.name.clone(),
        run_dir: folder.map(|folder| folder.root().to_owned()),
        databases: vec!["core".to_owned(), "channel".to_owned()],
        brokers: 1,
        kafka_clients,
        topics: vec![Topic { name: ENTRIES_TOPIC.to_owned(), partitions: scenario.system.partitions }],
    }
}

async fn load_accounts(
    scenario: &Scenario,
    core_database: &str,
    channel_database: &str,
    display: &Display,
) -> Result<(), CliError> {
    let entries = scenario.accounts.count * u64::from(scenario.accounts.history_depth);
    let _phase = display.phase(&format!("loading {} accounts with {entries} entries", scenario.accounts.count));
    let limit = LOAD_BASE + LOAD_PER_ENTRY * u32::try_from(entries).unwrap_or(u32::MAX);
    let accounts = || {
        bankstorm_customers::opening::loaded_accounts(scenario)
            .map(|(account, entries)| LoadedAccount { account, entries })
    };
    let load = async {
        let core = async {
            postgres::core::apply_schema(core_database).await?;
            postgres::core::bulk_load(core_database, accounts()).await
        };
        let channel = async {
            postgres::channel::apply_schema(channel_database).await?;
            postgres::channel::bulk_load(channel_database, accounts()).await
        };
        tokio::try_join!(core, channel)
    };
    match tokio::time::timeout(limit, load).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(CliError::Environment(format!("loading accounts: {error}"))),
        Err(_) => {
            Err(CliError::Environment(format!("loading {entries} entries took longer than {} s", limit.as_secs())))
        }
    }
}

async fn start_services(
    local: &mut Local,
    scenario: &Scenario,
    folder: &RunFolder,
    channels: &[String],
) -> Result<(String, Vec<String>), CliError> {
    std::fs::create_dir_all(folder.visible_log("x").parent().expect("a file in a folder"))
        .map_err(|error| CliError::Environment(format!("{}: {error}", folder.root().display())))?;
    let core_port = free_port().map_err(environment)?;
    let core_url = format!("http://127.0.0.1:{core_port}");
    let mut specs = vec![core_spec(local, core_port, &core_url)];
    let mut urls = Vec::new();
    for channel in channels {
        let port = free_port().map_err(environment)?;
        let url = format!("http://127.0.0.1:{port}");
        specs.push(channel_spec(local, scenario, folder, channel, port, &url, &core_url));
        urls.push(url);
    }
    local.start_services(specs).await.map_err(environment)?;
    Ok((core_url, urls))
}

/// Waits until the channels own every partition, each its share: the group's first rebalances belong to no measured second.
async fn until_assigned(channels: &[String], partitions: u32, display: &Display) -> Result<(), CliError> {
    let shown = display.phase("waiting until the channels own all partitions");
    let share = f64::from(partitions) / channels.len() as f64;
    let fair = share.floor()..=share.ceil();
    let start = tokio::time::Instant::now();
    loop {
        let mut owned = Vec::new();
        for url in channels {
            let metrics = bankstorm_evidence::scrape(url).await;
            owned.push(metrics.ok().and_then(|metrics| metrics.get("channel_partitions").copied()).unwrap_or(0.0));
        }
        if owned.iter().sum::<f64>() == f64::from(partitions) && owned.iter().all(|count| fair.contains(count)) {
            return Ok(());
        }
        if start.elapsed() > ASSIGNED_LIMIT {
            let limit = ASSIGNED_LIMIT.as_secs();
            return Err(CliError::Environment(format!(
                "after {limit} s the channels own {owned:?} of {partitions} partitions; the logs of channels and kafka say why"
            )));
        }
        shown.update(&format!("waiting until the channels own all {partitions} partitions, so far {owned:?}"));
        tokio::time::sleep(ASSIGNED_LOOK).await;
    }
}

fn core_spec(local: &Local, port: u16, url: &str) -> ServiceSpec {
    let args = [
        "serve".to_owned(),
        "core".to_owned(),
        format!("--database={}", local.database("core")),
        format!("--kafka={}", local.kafka("core")),
        format!("--listen=127.0.0.1:{port}"),
    ];
    ServiceSpec::new("core", args.into(), format!("{url}/readyz"))
}

fn channel_spec(
    local: &Local,
    scenario: &Scenario,
    folder: &RunFolder,
    name: &str,
    port: u16,
    url: &str,
    core_url: &str,
) -> ServiceSpec {
    let system = &scenario.system;
    let mode = match system.worker_mode {
        WorkerMode::Serial => "serial",
        WorkerMode::Keyed => "keyed",
        WorkerMode::KeyedBatched => "keyed_batched",
    };
    let args = [
        "serve".to_owned(),
        "channel".to_owned(),
        format!("--database={}", local.database("channel")),
        format!("--kafka={}", local.kafka(name)),
        format!("--core={core_url}"),
        format!("--listen=127.0.0.1:{port}"),
        format!("--instance={name}"),
        format!("--visible-log={}", folder.visible_log(name).display()),
        format!("--workers={}", system.workers),
        format!("--worker-mode={mode}"),
        format!("--sync-cost-us={}", system.sync_cost.as_micros()),
    ];
    ServiceSpec::new(name, args.into(), format!("{url}/readyz"))
}
