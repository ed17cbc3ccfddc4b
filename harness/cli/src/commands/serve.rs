//! `serve core|channel|banks`: one process of the bank, until SIGTERM.
//!
//! In: addresses. Out: a listening service; exit code 3 when it could not start. Elsewhere: the assemblies (`adapters::process`).

mod protections;

use std::time::Duration;

use bankstorm_adapters::process::{banks, channel, core};
use bankstorm_banks::BanksConfig;
use bankstorm_channel::config::{ChannelConfig, Guard, HistorySource, ReadSync, Share, SyncMode, WorkerMode};
use bankstorm_core::config::{CoreConfig, Deadline};

use crate::args::{Serve, ServeBanks, ServeChannel, ServeCore};
use crate::error::CliError;

/// Serves until asked to stop.
pub(crate) async fn run(process: Serve) -> Result<u8, CliError> {
    match process {
        Serve::Core(options) => serve_core(options).await,
        Serve::Channel(options) => serve_channel(*options).await,
        Serve::Banks(options) => serve_banks(options).await,
    }
}

async fn serve_core(options: ServeCore) -> Result<u8, CliError> {
    let serve = core_of(options)?;
    core::serve_core(serve).await.map_err(|error| CliError::Environment(format!("core: {error}")))?;
    Ok(0)
}

/// Core with its settings. Its connections, where nobody says how many, are what these very settings use.
fn core_of(options: ServeCore) -> Result<core::CoreServe, CliError> {
    let (protections, producer) = protections::of_core(&options.weaker)?;
    let config = CoreConfig {
        batch_max: options.batch_max,
        posting_slots: options.posting_slots,
        posting_cost: Duration::from_micros(options.posting_cost_us),
        admitted_max: options.admitted_max,
        caller_max: options.caller_max,
        deadline: deadline(&options.deadline)?,
        outbound_expiry: Duration::from_millis(options.outbound_expiry_ms),
        protections,
        ..CoreConfig::default()
    };
    Ok(core::CoreServe {
        database: options.database,
        kafka: options.kafka,
        banks_url: options.banks,
        listen: options.listen,
        producer,
        access_log: options.access_log,
        connections: options.connections.unwrap_or_else(|| config.connections()),
        config,
    })
}

async fn serve_channel(options: ServeChannel) -> Result<u8, CliError> {
    let serve = channel_of(options)?;
    channel::serve_channel(serve).await.map_err(|error| CliError::Environment(format!("channel: {error}")))?;
    Ok(0)
}

/// A channel with its settings.
fn channel_of(options: ServeChannel) -> Result<channel::ChannelServe, CliError> {
    let config = ChannelConfig {
        topic: options.topic,
        group: options.group,
        worker_mode: worker_mode(&options.worker_mode)?,
        workers: usize::try_from(options.workers).expect("a machine with at least 32 bits"),
        sync_cost: Duration::from_micros(options.sync_cost_us),
        sync: options.sync_poll_ms.map_or(SyncMode::Events, |every| SyncMode::Poll(Duration::from_millis(every))),
        history_source: history_source(&options.history_source)?,
        read_budget: Duration::from_millis(options.read_budget_ms),
        core_pulls: options.core_pulls,
        manual_every: Duration::from_millis(options.manual_every_ms),
        attempts: options.attempts,
        sweep_every: Duration::from_millis(options.sweep_every_ms),
        call_limit: Duration::from_millis(options.call_limit_ms),
        validity: Duration::from_millis(options.validity_ms),
        ..protections::of_channel(&options.weaker, guard(&options.guard)?, read_sync(&options.read_sync)?)?
    };
    let config = match (&options.share, options.users) {
        (Some(word), Some(users)) => config.sharing(share(word, users)?),
        _ => config,
    };
    Ok(channel::ChannelServe {
        database: options.database,
        kafka: options.kafka,
        core_url: options.core,
        listen: options.listen,
        instance: options.instance,
        visible_log: options.visible_log,
        connections: options.connections,
        config,
    })
}

async fn serve_banks(options: ServeBanks) -> Result<u8, CliError> {
    let config = BanksConfig {
        late_permille: options.late_permille,
        never_permille: options.never_permille,
        twice_permille: options.twice_permille,
        refused_permille: options.refused_permille,
        late_for: Duration::from_millis(options.late_from_ms)..=Duration::from_millis(options.late_to_ms),
        seed: options.seed,
        ..BanksConfig::default()
    };
    let serve = banks::BanksServe { book: options.book, core_url: options.core, listen: options.listen, config };
    banks::serve_banks(serve).await.map_err(|error| CliError::Environment(format!("banks: {error}")))?;
    Ok(0)
}

fn deadline(word: &str) -> Result<Deadline, CliError> {
    match word {
        "relative" => Ok(Deadline::Relative),
        "absolute" => Ok(Deadline::Absolute),
        other => Err(CliError::Usage(format!("--deadline {other}: accepted are relative and absolute"))),
    }
}

fn guard(word: &str) -> Result<Guard, CliError> {
    match word {
        "user" => Ok(Guard::User),
        "account" => Ok(Guard::Account),
        other => Err(CliError::Usage(format!("--guard {other}: accepted are user and account"))),
    }
}

fn share(word: &str, users: u64) -> Result<Share, CliError> {
    let refused = |why: String| CliError::Usage(format!("--share {word}: {why}"));
    let numbers = word.split_once('/').and_then(|(index, of)| Some((index.parse().ok()?, of.parse().ok()?)));
    let (index, of) = numbers.ok_or_else(|| refused("accepted are two numbers such as 0/2".to_owned()))?;
    Share::new(index, of, users).map_err(|error| refused(error.to_string()))
}

fn worker_mode(word: &str) -> Result<WorkerMode, CliError> {
    match word {
        "serial" => Ok(WorkerMode::Serial),
        "slots" => Ok(WorkerMode::Slots),
        "keyed" => Ok(WorkerMode::Keyed),
        "keyed_batched" => Ok(WorkerMode::KeyedBatched),
        other => {
            Err(CliError::Usage(format!("--worker-mode {other}: accepted are serial, slots, keyed and keyed_batched")))
        }
    }
}

fn history_source(word: &str) -> Result<HistorySource, CliError> {
    match word {
        "copy" => Ok(HistorySource::Copy),
        "core_by_period" => Ok(HistorySource::CoreByPeriod),
        other => Err(CliError::Usage(format!("--history-source {other}: accepted are copy and core_by_period"))),
    }
}

fn read_sync(word: &str) -> Result<ReadSync, CliError> {
    match word {
        "pending" => Ok(ReadSync::Pending),
        "suspect" => Ok(ReadSync::Suspect),
        other => Err(CliError::Usage(format!("--read-sync {other}: accepted are pending and suspect"))),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use std::time::Duration;

    use bankstorm_channel::ChannelConfig;
    use bankstorm_channel::config::{HistorySource, ReadSync, Share, SyncMode, WorkerMode};

    use super::{channel_of, core_of};
    use crate::args::{Cli, Command, Serve};
    use crate::error::CliError;

    fn channel(options: &[&str]) -> Result<ChannelConfig, CliError> {
        let own = ["--database=d", "--kafka=k", "--listen=127.0.0.1:1", "--core=c", "--instance=i", "--visible-log=v"];
        let cli = Cli::try_parse_from(["bankstorm", "serve", "channel"].iter().chain(&own).chain(options));
        let Command::Serve { process: Serve::Channel(options) } = cli.expect("options that are there").command else {
            panic!("serve channel was typed")
        };
        channel_of(*options).map(|serve| serve.config)
    }

    #[test]
    fn a_channel_without_options_has_the_settings_that_its_documentation_names() {
        assert_eq!(channel(&[]).expect("settings that fit"), ChannelConfig::default());
    }

    #[test]
    fn a_channels_words_are_settings_and_others_are_told_which_are_accepted() {
        let words =
            ["--worker-mode=slots", "--sync-poll-ms=5000", "--history-source=core_by_period", "--read-sync=suspect"];
        let config = channel(&words).expect("settings that fit");
        assert_eq!(config.worker_mode, WorkerMode::Slots);
        assert_eq!(config.sync, SyncMode::Poll(Duration::from_secs(5)));
        assert_eq!((config.history_source, config.read_sync), (HistorySource::CoreByPeriod, ReadSync::Suspect));
        for (word, accepted) in [
            ("--worker-mode=all", "serial, slots, keyed and keyed_batched"),
            ("--history-source=core", "copy and core_by_period"),
            ("--read-sync=off", "pending and suspect"),
        ] {
            let refused = channel(&[word]).expect_err(word).to_string();
            assert!(refused.contains(accepted), "{refused}");
        }
    }

    #[test]
    fn a21_a_channel_of_one_of_several_databases_has_its_group_and_its_share() {
        let config = channel(&["--share=1/2", "--users=10"]).expect("settings that fit");
        assert_eq!((config.group.as_str(), config.share), ("channel-1", Share::new(1, 2, 10).ok()));
        for (word, told) in [("2/2", "database 2 of 2"), ("1", "such as 0/2")] {
            let refused = channel(&[&format!("--share={word}"), "--users=10"]).expect_err(word).to_string();
            assert!(refused.contains(told), "{refused}");
        }
    }

    #[test]
    fn a_channel_may_follow_another_topic_in_a_group_of_its_own() {
        let config = channel(&["--topic=sweep.1", "--group=sweep.1"]).expect("settings that fit");
        assert_eq!((config.topic.as_str(), config.group.as_str()), ("sweep.1", "sweep.1"));
    }

    fn connections(options: &[&str]) -> usize {
        let common = ["bankstorm", "serve", "core", "--database=d", "--kafka=k", "--listen=127.0.0.1:1"];
        let cli = Cli::try_parse_from(common.iter().chain(options)).expect("options that are there");
        let Command::Serve { process: Serve::Core(options) } = cli.command else { panic!("serve core was typed") };
        core_of(options).expect("settings that fit").connections
    }

    #[test]
    fn connections_are_what_core_uses_with_the_settings_that_were_typed() {
        let usual = connections(&[]);
        assert_eq!(connections(&["--posting-slots=9"]), usual + 5);
        // Four posting slots and two for accounts alone take one more each.
        assert_eq!(connections(&["--unsafe=key=before_the_booking"]), usual + 6);
        assert_eq!(connections(&["--posting-slots=9", "--connections=3"]), 3, "who says how many is believed");
    }
}
