//! The processes of our own with their arguments: proxies, the other banks, core, channels.
//!
//! In: an environment's addresses, a scenario's settings. Out: [`ServiceSpec`]s. Elsewhere: what the arguments mean (`args`).

use std::path::{Path, PathBuf};

use bankstorm_environment::{Environment, Proxied, ServiceSpec};
use bankstorm_faults::rule::READY;
use bankstorm_scenario::Scenario;
use bankstorm_scenario::resolved::{SyncMode, System};

/// The name of the other banks' process.
pub(super) const BANKS: &str = "banks";

/// The file that a channel appends to when entries became visible.
pub(super) fn visible_log(exchange: &Path, channel: &str) -> PathBuf {
    exchange.join(format!("{channel}.log"))
}

/// The other banks' book.
pub(super) fn bank_book(exchange: &Path) -> PathBuf {
    exchange.join("banks.book")
}

/// The file that core appends to when a channel read from it.
pub(super) fn access_log(exchange: &Path) -> PathBuf {
    exchange.join("core.access")
}

/// The links of a scenario that go through a proxy.
pub(super) fn proxied(scenario: &Scenario) -> Vec<Proxied> {
    scenario.proxied().into_iter().map(|(from, to)| Proxied { from, to }).collect()
}

/// The proxy on a link.
pub(super) fn proxy(environment: &dyn Environment, link: &Proxied) -> ServiceSpec {
    let node = link.node();
    let args = [
        "proxy".to_owned(),
        format!("--listen={}", environment.listen(&node)),
        format!("--upstream={}", environment.upstream(&link.from, &link.to)),
        format!("--protocol={}", protocol(&link.to)),
    ];
    ServiceSpec { ready_path: READY.to_owned(), ..ServiceSpec::new(&node, args.into()) }
}

/// What those who talk to a node speak, as far as a proxy understands it.
fn protocol(node: &str) -> &'static str {
    if node.starts_with("postgres-") {
        "postgres"
    } else if node.starts_with("kafka-") || node == "redis" {
        "bytes"
    } else {
        "http"
    }
}

/// The other banks.
pub(super) fn banks(environment: &dyn Environment, scenario: &Scenario) -> ServiceSpec {
    let banks = &scenario.banks;
    let (from, to) = banks.delay;
    let args = [
        "serve".to_owned(),
        "banks".to_owned(),
        format!("--listen={}", environment.listen(BANKS)),
        format!("--core={}", environment.url("core", BANKS)),
        format!("--book={}", bank_book(environment.exchange()).display()),
        format!("--late-permille={}", permille(banks.late)),
        format!("--never-permille={}", permille(banks.never)),
        format!("--twice-permille={}", permille(banks.twice)),
        format!("--refused-permille={}", permille(banks.refused)),
        format!("--late-from-ms={}", from.as_millis()),
        format!("--late-to-ms={}", to.as_millis()),
        format!("--seed={}", scenario.seed),
    ];
    ServiceSpec::new(BANKS, args.into())
}

fn permille(share: f64) -> u64 {
    (share * 1_000.0).round() as u64
}

/// Core.
pub(super) fn core(environment: &dyn Environment, scenario: &Scenario) -> ServiceSpec {
    let system = &scenario.system;
    let args = [
        "serve".to_owned(),
        "core".to_owned(),
        format!("--database={}", environment.database("core", "core")),
        format!("--kafka={}", environment.kafka("core")),
        format!("--banks={}", environment.url(BANKS, "core")),
        format!("--listen={}", environment.listen("core")),
        format!("--batch-max={}", system.core_batch),
        format!("--posting-slots={}", system.core_slots),
        format!("--posting-cost-us={}", system.core_posting_cost.as_micros()),
        format!("--admitted-max={}", system.core_admitted),
        format!("--caller-max={}", system.caller_max),
        format!("--access-log={}", access_log(environment.exchange()).display()),
        format!("--deadline={}", system.deadline.as_str()),
        format!("--outbound-expiry-ms={}", system.outbound_expiry.as_millis()),
    ];
    ServiceSpec::new("core", args.into_iter().chain(weaker(system, "core")).collect())
}

/// The protections that are off in a process.
fn weaker(system: &System, process: &'static str) -> impl Iterator<Item = String> + use<> {
    let of_process = system.protections.weaker().into_iter().filter(move |weaker| weaker.process == process);
    of_process.map(|weaker| format!("--unsafe={}={}", weaker.key, weaker.arm))
}

/// The name of the channels' database `index`: each has a server of its own.
pub(crate) fn channel_database(index: u32) -> String {
    if index == 0 { "channel".to_owned() } else { format!("channel_{index}") }
}

/// The channel `name`, which is the `index`th, and so of that database among several.
pub(super) fn channel(environment: &dyn Environment, scenario: &Scenario, (index, name): (u32, &str)) -> ServiceSpec {
    let system = &scenario.system;
    let database = index % system.channel_databases;
    let mode = system.worker_mode.as_str();
    let args = [
        "serve".to_owned(),
        "channel".to_owned(),
        format!("--database={}", environment.database(&channel_database(database), name)),
        format!("--kafka={}", environment.kafka(name)),
        format!("--core={}", environment.url("core", name)),
        format!("--listen={}", environment.listen(name)),
        format!("--instance={name}"),
        format!("--visible-log={}", visible_log(environment.exchange(), name).display()),
        format!("--workers={}", system.workers),
        format!("--worker-mode={mode}"),
        format!("--sync-cost-us={}", system.sync_cost.as_micros()),
        format!("--guard={}", system.guard.as_str()),
        format!("--call-limit-ms={}", system.call_timeout.as_millis()),
        format!("--validity-ms={}", system.validity.as_millis()),
        format!("--history-source={}", system.history_source.as_str()),
        format!("--read-sync={}", system.read_sync.as_str()),
        format!("--read-budget-ms={}", system.read_budget.as_millis()),
        format!("--core-pulls={}", system.core_pulls),
        format!("--manual-every-ms={}", system.manual_every.as_millis()),
        format!("--attempts={}", system.dead_letter_attempts),
        format!("--sweep-every-ms={}", system.sweep_every.as_millis()),
    ];
    let poll = match system.sync {
        SyncMode::Events => None,
        SyncMode::Poll(every) => Some(format!("--sync-poll-ms={}", every.as_millis())),
    };
    let share = (system.channel_databases > 1).then(|| {
        let (of, users) = (system.channel_databases, scenario.accounts.users);
        [format!("--share={database}/{of}"), format!("--users={users}")]
    });
    let more = poll.into_iter().chain(share.into_iter().flatten()).chain(weaker(system, "channel"));
    ServiceSpec::new(name, args.into_iter().chain(more).collect())
}
