//! The bank of a scenario, assembled: databases with their history, broker, core and channels, and the proxies between them.
//!
//! In: a resolved scenario, an environment's name, a run folder, a display. Out: [`Bank`] with its addresses. Elsewhere: how nodes are
//! started, broken and stopped (`environment`), what they do (`system`), when they are broken (`chaos/faults`).

mod cells;
mod deeds;
mod links;
mod rules;
pub(crate) mod specs;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bankstorm_adapters::postgres;
use bankstorm_adapters::postgres::bulk::LoadedAccount;
use bankstorm_adapters::postgres::disturb::{HeldRows, StalledCommits};
use bankstorm_channel::Share;
use bankstorm_contracts::event::{DEAD_LETTERS_TOPIC, ENTRIES_TOPIC};
use bankstorm_environment::{Death, Environment, EnvironmentKind, HARNESS, Images, Needs, Topic};
use bankstorm_load::run::ChannelAddress;
use bankstorm_record::folder::RunFolder;
use bankstorm_scenario::Scenario;
use bankstorm_scenario::protections::{AccountLock, Applying, Protections, SyncWrites};
use bankstorm_scenario::resolved::{SyncMode, System};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::error::CliError;
use crate::output::note;
use crate::progress::Display;

use self::rules::Rules;

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
    /// The channels' databases: the `i`th instance is of database `i` modulo their number (A21).
    pub(crate) channel_databases: Vec<String>,
    /// Kafka, at the harness's own listener.
    pub(crate) kafka: String,
    /// Core.
    pub(crate) core_url: String,
    /// The other banks.
    pub(crate) banks_url: String,
    /// The channels, by name.
    pub(crate) channels: Vec<(String, String)>,
    /// Every service with its metrics, by name: around all proxies, since a look is no part of what faults are done to.
    pub(crate) metrics: Vec<(String, String)>,
}

/// A running bank.
pub(crate) struct Bank {
    environment: Box<dyn Environment>,
    /// Where everything listens.
    pub(crate) addresses: Addresses,
    /// Process ids by name, kept up to date through restarts.
    pids: Arc<Mutex<BTreeMap<String, u32>>>,
    /// Topics with their partitions at the start, and the brokers that have them.
    topics: Vec<Topic>,
    brokers: u32,
    /// Where each channel writes when entries became visible, and where the other banks have their book.
    exchange: PathBuf,
    /// What was done to links.
    rules: Rules,
    /// Sessions of faults that hold rows, by the database.
    held: Mutex<BTreeMap<String, HeldRows>>,
    /// Sessions of faults that let commits wait, by the database.
    stalled: Mutex<BTreeMap<String, Arc<StalledCommits>>>,
}

impl Bank {
    /// Starts everything and loads the accounts; on an error nothing is left behind. Logs and stamps go to `folder`, without one to the
    /// environment's own folder, with which they vanish.
    pub(crate) async fn start(
        scenario: &Scenario,
        kind: EnvironmentKind,
        folder: Option<&RunFolder>,
        display: &Display,
    ) -> Result<Self, CliError> {
        warn_of_weaker(scenario);
        let channels: Vec<String> = (0..scenario.system.channel_instances).map(|n| format!("channel-{n}")).collect();
        let needs = needs(scenario, folder, &channels)?;
        let environment = bankstorm_environment::start(kind, needs, display.start()).await.map_err(lost)?;
        match Self::fill(environment.as_ref(), scenario, &channels, display).await {
            Ok(addresses) => {
                let pids = Arc::new(Mutex::new(environment.pids()));
                let exchange = environment.exchange().to_owned();
                let (topics, brokers) = (topics(scenario), scenario.system.kafka_brokers);
                let rules = Rules::new(scenario.phases.heal);
                let (held, stalled) = (Mutex::default(), Mutex::default());
                Ok(Self { environment, addresses, pids, topics, brokers, exchange, rules, held, stalled })
            }
            Err(error) => {
                // The first error is what the user needs; what a stop after it says is in the logs.
                if let Err(error) = environment.stop().await {
                    tracing::warn!(%error, "stopping after a failed start");
                }
                Err(error)
            }
        }
    }

    /// Proxies, accounts, services, and partitions that have their owners.
    async fn fill(
        environment: &dyn Environment,
        scenario: &Scenario,
        channels: &[String],
        display: &Display,
    ) -> Result<Addresses, CliError> {
        // Whoever uses an address may meet one, and none needs what is behind it to be there.
        let proxies = specs::proxied(scenario);
        if !proxies.is_empty() {
            let proxies = proxies.iter().map(|link| specs::proxy(environment, link)).collect();
            environment.start_services(proxies).await.map_err(lost)?;
        }
        let core_database = environment.database("core", HARNESS);
        let databases = 0..scenario.system.channel_databases;
        let channel_databases: Vec<String> =
            databases.clone().map(|index| environment.database(&specs::channel_database(index), HARNESS)).collect();
        load_accounts(scenario, &core_database, &channel_databases, display).await?;
        // Core goes on where it stopped as soon as it is up, so the other banks are there first.
        environment.start_services(vec![specs::banks(environment, scenario)]).await.map_err(lost)?;
        let mut specs = vec![specs::core(environment, scenario)];
        let named = (0..).zip(channels);
        specs.extend(named.map(|(index, channel)| specs::channel(environment, scenario, (index, channel))));
        environment.start_services(specs).await.map_err(lost)?;
        let reached = |name: &String| (name.clone(), environment.url(name, HARNESS));
        let around = |name: &str| (name.to_owned(), environment.direct(name));
        // Channels that poll core belong to no group.
        if scenario.system.sync == SyncMode::Events {
            for index in databases {
                let of_it = (0..).zip(channels).filter(|(at, _)| at % scenario.system.channel_databases == index);
                let group: Vec<_> = of_it.map(|(_, channel)| around(channel)).collect();
                until_assigned(&group, scenario.system.partitions, display).await?;
            }
        }
        let kafka = environment.kafka(HARNESS);
        let [core_url, banks_url] = ["core", specs::BANKS].map(|service| environment.url(service, HARNESS));
        let own = ["core", specs::BANKS].into_iter().chain(channels.iter().map(String::as_str));
        let (metrics, channels) = (own.map(around).collect(), channels.iter().map(reached).collect());
        Ok(Addresses { core_database, channel_databases, kafka, core_url, banks_url, channels, metrics })
    }

    /// Ends of nodes that nobody asked for.
    pub(crate) fn deaths(&self) -> UnboundedReceiver<Death> {
        self.environment.deaths()
    }

    /// Process ids by name, as they are at any moment.
    pub(crate) fn pids(&self) -> Arc<Mutex<BTreeMap<String, u32>>> {
        Arc::clone(&self.pids)
    }

    /// The channels, as the load generator wants them.
    pub(crate) fn load_channels(&self) -> Vec<ChannelAddress> {
        let channels = self.addresses.channels.iter();
        channels.map(|(name, url)| ChannelAddress { instance: name.clone(), url: url.clone() }).collect()
    }

    /// The file that a channel appends to when entries became visible.
    pub(crate) fn visible_log(&self, channel: &str) -> PathBuf {
        specs::visible_log(&self.exchange, channel)
    }

    /// The book of the other banks.
    pub(crate) fn bank_book(&self) -> PathBuf {
        specs::bank_book(&self.exchange)
    }

    /// The file that core appends to when a channel read from it.
    pub(crate) fn access_log(&self) -> PathBuf {
        specs::access_log(&self.exchange)
    }

    /// The links of a bank of this `system` by name, `channel-0->core`, and how each goes.
    pub(crate) fn links(&self, system: &System) -> BTreeMap<String, String> {
        links::told(&system.links(), &self.environment.links())
    }

    /// Versions and images, for the report.
    pub(crate) fn facts(&self) -> BTreeMap<String, String> {
        self.environment.facts()
    }

    /// Why nobody watches the bank any more, when that is so.
    pub(crate) fn lost(&self) -> Option<String> {
        self.environment.lost()
    }

    /// Stops everything.
    pub(crate) async fn stop(self) -> Result<(), CliError> {
        self.environment.stop().await.map_err(lost)
    }
}

fn lost(error: impl std::fmt::Display) -> CliError {
    CliError::Environment(error.to_string())
}

fn needs(scenario: &Scenario, folder: Option<&RunFolder>, channels: &[String]) -> Result<Needs, CliError> {
    let mut services = vec!["core".to_owned()];
    services.extend(channels.iter().cloned());
    let mut kafka_clients = services.clone();
    kafka_clients.push(HARNESS.to_owned());
    // They have no business with Kafka.
    services.push(specs::BANKS.to_owned());
    Ok(Needs {
        name: scenario.name.clone(),
        run_dir: folder.map(|folder| folder.root().to_owned()),
        databases: std::iter::once("core".to_owned())
            .chain((0..scenario.system.channel_databases).map(specs::channel_database))
            .collect(),
        brokers: scenario.system.kafka_brokers,
        kafka_clients,
        topics: topics(scenario),
        // Nothing of the bank uses it yet.
        redis: false,
        services,
        proxied: specs::proxied(scenario),
        exchange: folder.map(stamps).transpose()?,
        images: images(scenario),
    })
}

/// Dead letters lie on the partition of the record that they are of.
fn topics(scenario: &Scenario) -> Vec<Topic> {
    let topic = |name: &str| Topic { name: name.to_owned(), partitions: scenario.system.partitions };
    [ENTRIES_TOPIC, DEAD_LETTERS_TOPIC].map(topic).into()
}

/// The run's folder of visible stamps and of the other banks' book, under a path that holds for every process.
fn stamps(folder: &RunFolder) -> Result<PathBuf, CliError> {
    let stamps = folder.visible();
    std::fs::create_dir_all(&stamps)
        .and_then(|()| stamps.canonicalize())
        .map_err(|error| CliError::Environment(format!("{}: {error}", stamps.display())))
}

fn images(scenario: &Scenario) -> Images {
    let images = scenario.images.clone();
    Images { postgres: images.postgres, kafka: images.kafka, redis: images.redis, services: images.services }
}

/// One line, before anything starts: whoever sees the bank must know what it is.
fn warn_of_weaker(scenario: &Scenario) {
    let weaker: Vec<String> = scenario.system.protections.weaker().iter().map(ToString::to_string).collect();
    if !weaker.is_empty() {
        note(&format!("warning: protections switched off: {}", weaker.join(", ")));
    }
}

async fn load_accounts(
    scenario: &Scenario,
    core_database: &str,
    channel_databases: &[String],
    display: &Display,
) -> Result<(), CliError> {
    let entries = scenario.accounts.count * u64::from(scenario.accounts.history_depth);
    let _phase = display.phase(&format!("loading {} accounts with {entries} entries", scenario.accounts.count));
    let limit = LOAD_BASE + LOAD_PER_ENTRY * u32::try_from(entries).unwrap_or(u32::MAX);
    let status = |account| bankstorm_customers::users::status_of(&scenario.accounts, scenario.seed, account);
    let accounts = || {
        bankstorm_customers::opening::loaded_accounts(scenario).map(|(account, entries)| LoadedAccount {
            account,
            status: status(account),
            entries,
        })
    };
    let load = async {
        let core = async {
            postgres::core::apply_schema(core_database).await?;
            if scenario.system.protections.account_lock == AccountLock::None {
                postgres::core::free_serials(core_database).await?;
            }
            postgres::core::bulk_load(core_database, accounts()).await
        };
        let channel = async {
            for (index, database) in (0..).zip(channel_databases) {
                postgres::channel::apply_schema(database).await?;
                if may_break_serials(&scenario.system.protections) {
                    postgres::channel::free_serials(database).await?;
                }
                let own = Share::new(index, scenario.system.channel_databases, scenario.accounts.users);
                let own = own.expect("a resolved scenario has databases and users");
                postgres::channel::bulk_load(database, accounts().filter(|loaded| own.owns(loaded.account))).await?;
            }
            Ok(())
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

/// Whether the copy's schema must let through what P14 and P24 do to it.
fn may_break_serials(protections: &Protections) -> bool {
    protections.applying == Applying::Unconditional || protections.sync_writes == SyncWrites::Overwrite
}

/// Waits until the channels own every partition, each its share: the group's first rebalances belong to no measured second.
async fn until_assigned(channels: &[(String, String)], partitions: u32, display: &Display) -> Result<(), CliError> {
    let shown = display.phase("waiting until the channels own all partitions");
    let share = f64::from(partitions) / channels.len() as f64;
    let fair = share.floor()..=share.ceil();
    let start = tokio::time::Instant::now();
    loop {
        let mut owned = Vec::new();
        for (_, url) in channels {
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
