//! What may be typed after `serve`: one process of the bank with its addresses and settings.
//!
//! In: the command line. Out: [`Serve`]. Elsewhere: how it is served (`commands::serve`), who types this (`crate::bank`).

use std::net::SocketAddr;
use std::path::PathBuf;

use bankstorm_channel::config::ChannelConfig;
use bankstorm_contracts::event::ENTRIES_TOPIC;
use bankstorm_core::config::CoreConfig;
use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum Serve {
    /// The core: owns the money; exactly one
    Core(ServeCore),
    /// A channel: takes transfers and answers customers from its own copy; one or more
    Channel(Box<ServeChannel>),
    /// The other banks: take what is sent to them, and answer at once, late, twice, or not until asked again
    Banks(ServeBanks),
}

#[derive(Debug, Args)]
pub(crate) struct ServeCore {
    /// Its PostgreSQL, for example "host=127.0.0.1 port=5432 user=bankstorm dbname=core"
    #[arg(long)]
    pub(crate) database: String,
    /// Kafka's bootstrap address
    #[arg(long)]
    pub(crate) kafka: String,
    /// The address to listen on
    #[arg(long)]
    pub(crate) listen: SocketAddr,
    /// The other banks' base URL, for example http://127.0.0.1:7002; without it core refuses new transfers to them (400, to.bank)
    #[arg(long)]
    pub(crate) banks: Option<String>,
    /// The most requests in one posting transaction
    #[arg(long, default_value_t = CoreConfig::default().batch_max, value_parser = at_least_one)]
    pub(crate) batch_max: usize,
    /// Posting transactions at once; each takes a connection
    #[arg(long, default_value_t = CoreConfig::default().posting_slots, value_parser = at_least_one)]
    pub(crate) posting_slots: usize,
    /// Microseconds that each batch costs beyond the database's time, for a core that sustains less
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=1_000_000))]
    pub(crate) posting_cost_us: u64,
    /// The most requests admitted and not answered yet, beyond which further ones are refused
    #[arg(long, default_value_t = CoreConfig::default().admitted_max, value_parser = at_least_one)]
    pub(crate) admitted_max: usize,
    /// How many of these one caller may have; beyond it his further ones are refused
    #[arg(long, default_value_t = CoreConfig::default().caller_max, value_parser = at_least_one)]
    pub(crate) caller_max: usize,
    /// From when a transfer's validity counts: relative (its arrival) or absolute (when its caller began it)
    #[arg(long, default_value = "relative")]
    pub(crate) deadline: String,
    /// Milliseconds after which another bank that has not answered is asked to cancel a transfer
    #[arg(long, default_value_t = 60_000)]
    pub(crate) outbound_expiry_ms: u64,
    /// The file that it appends to when it was read from: who read what of which account, and what for; without it no such file is written
    #[arg(long)]
    pub(crate) access_log: Option<PathBuf>,
    /// Switches a protection of core's off by taking a weaker arm, such as fence=plain_read; may be repeated, docs/protections.md lists all
    #[arg(long = "unsafe", value_name = "KEY=ARM")]
    pub(crate) weaker: Vec<String>,
    /// Database connections; without it as many as core uses with these settings
    #[arg(long, value_parser = at_least_one)]
    pub(crate) connections: Option<usize>,
}

#[derive(Debug, Args)]
pub(crate) struct ServeChannel {
    /// Its PostgreSQL
    #[arg(long)]
    pub(crate) database: String,
    /// Kafka's bootstrap address
    #[arg(long)]
    pub(crate) kafka: String,
    /// Core's base URL, for example http://127.0.0.1:7001
    #[arg(long)]
    pub(crate) core: String,
    /// The address to listen on
    #[arg(long)]
    pub(crate) listen: SocketAddr,
    /// The instance's name, for example channel-0
    #[arg(long)]
    pub(crate) instance: String,
    /// The file that it appends to when entries become visible
    #[arg(long)]
    pub(crate) visible_log: PathBuf,
    /// Which of several databases this is and how many there are, such as 0/2: then it has the accounts of a share of the customers alone
    #[arg(long, value_name = "INDEX/OF", requires = "users")]
    pub(crate) share: Option<String>,
    /// How many customers there are, who have the accounts in turn; goes with --share
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..), requires = "share")]
    pub(crate) users: Option<u64>,
    /// The topic that it follows core by
    #[arg(long, default_value = ENTRIES_TOPIC)]
    pub(crate) topic: String,
    /// Its consumer group; with --share that of its database
    #[arg(long, default_value_t = ChannelConfig::default().group, conflicts_with = "share")]
    pub(crate) group: String,
    /// Workers per assigned partition
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) workers: u32,
    /// How records are spread over workers: serial, slots, keyed or keyed_batched
    #[arg(long, default_value = "keyed_batched")]
    pub(crate) worker_mode: String,
    /// Microseconds waited once per account sync
    #[arg(long, default_value_t = 0)]
    pub(crate) sync_cost_us: u64,
    /// Milliseconds between two questions to core for the heads of all accounts; without it the copy follows core's events
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) sync_poll_ms: Option<u64>,
    /// Where pages come from: copy or core_by_period
    #[arg(long, default_value = "copy")]
    pub(crate) history_source: String,
    /// When a read asks core first: pending (a transfer of the account is in progress) or suspect (and when the copy may be behind)
    #[arg(long, default_value = "pending")]
    pub(crate) read_sync: String,
    /// Milliseconds that such a read waits for core at most
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) read_budget_ms: u64,
    /// Questions to core at once of reads and the button
    #[arg(long, default_value_t = ChannelConfig::default().core_pulls, value_parser = at_least_one)]
    pub(crate) core_pulls: usize,
    /// Milliseconds between two presses of the button that ask core about one account
    #[arg(long, default_value_t = 1_000)]
    pub(crate) manual_every_ms: u64,
    /// How often a record that may pass is tried before it becomes a dead letter
    #[arg(long, default_value_t = ChannelConfig::default().attempts, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) attempts: u32,
    /// Milliseconds between two looks at a stretch of heads, compared with core's
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) sweep_every_ms: u64,
    /// Of whom one transfer at a time is taken: user or account
    #[arg(long, default_value = "user")]
    pub(crate) guard: String,
    /// Milliseconds that core's answer to a transfer is waited for
    #[arg(long, default_value_t = 3_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) call_limit_ms: u64,
    /// Milliseconds during which core may still post a transfer
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) validity_ms: u64,
    /// Switches a protection of a channel's off by taking a weaker arm, such as polling=off; may be repeated, docs/protections.md lists all
    #[arg(long = "unsafe", value_name = "KEY=ARM")]
    pub(crate) weaker: Vec<String>,
    /// Database connections; eight may be advancing or storing transfers, the rest is for pages
    #[arg(long, default_value_t = 10, value_parser = at_least_one)]
    pub(crate) connections: usize,
}

#[derive(Debug, Args)]
pub(crate) struct ServeBanks {
    /// The file of their book, which is appended to
    #[arg(long)]
    pub(crate) book: PathBuf,
    /// Core's base URL, for callbacks
    #[arg(long)]
    pub(crate) core: String,
    /// The address to listen on
    #[arg(long)]
    pub(crate) listen: SocketAddr,
    /// Thousandths of the credits that are decided late, and told by a callback
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=1_000))]
    pub(crate) late_permille: u32,
    /// Thousandths of the credits of which nothing is told until core asks again
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=1_000))]
    pub(crate) never_permille: u32,
    /// Thousandths of the credits of which core is told twice
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=1_000))]
    pub(crate) twice_permille: u32,
    /// Thousandths of the credits that are refused, in whichever way that is told
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=1_000))]
    pub(crate) refused_permille: u32,
    /// The shortest time of a late answer, or until the second of two, in milliseconds
    #[arg(long, default_value_t = 100)]
    pub(crate) late_from_ms: u64,
    /// The longest of these times, in milliseconds
    #[arg(long, default_value_t = 2_000)]
    pub(crate) late_to_ms: u64,
    /// What the shares are drawn from, together with each transfer's id
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("accepted are whole numbers from 1".to_owned()),
        Ok(number) => Ok(number),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use crate::args::Cli;

    fn serve(process: &str, option: &str) -> Result<Cli, String> {
        let channel = ["--core=http://h:1", "--instance=channel-0", "--visible-log=v"];
        let own: &[&str] = if process == "channel" { &channel } else { &[] };
        let common = ["bankstorm", "serve", process, "--database=d", "--kafka=k", "--listen=127.0.0.1:1", option];
        Cli::try_parse_from(common.iter().chain(own)).map_err(|error| error.to_string())
    }

    #[test]
    fn none_at_all_is_refused_where_one_is_needed() {
        let options = [
            ("core", "--connections"),
            ("core", "--admitted-max"),
            ("core", "--caller-max"),
            ("channel", "--connections"),
            ("channel", "--workers"),
            ("channel", "--sync-poll-ms"),
            ("channel", "--core-pulls"),
            ("channel", "--attempts"),
        ];
        for (process, option) in options {
            serve(process, &format!("{option}=5")).expect(option);
            for number in ["0", "-1", "x"] {
                let refused = serve(process, &format!("{option}={number}")).expect_err(option);
                assert!(refused.contains(option), "{refused}");
            }
        }
    }
}
