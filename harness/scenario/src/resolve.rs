//! From what was typed to what may be trusted: defaults filled in, every value within its limits.
//!
//! In: a typed [`File`]. Out: a [`Scenario`], or the path, value and limits of the first thing that is not accepted. Elsewhere: how
//! quantities are read (`units`), where the path stands (`tree`), faults and objectives (`resolve/`).

mod faults;
mod objectives;

use std::time::Duration;

use crate::error::{ScenarioError, Sources, nearest};
use crate::file::{self, File};
use crate::resolved::{Accounts, Arrivals, Images, Load, Op, Phases, Retry, Scenario, Skew, System, WorkerMode};
use crate::tree::Node;
use crate::units::{DurationText, duration_text};

/// The highest rate of one load, per second.
pub const RATE_MAX: f64 = 200_000.0;
/// The longest warm-up and measure together.
pub const LOAD_MAX: Duration = Duration::from_secs(2 * 3_600);
/// The most operations of one plan.
pub const OPERATIONS_MAX: u64 = 20_000_000;
/// The most entries that are loaded before a run, over all accounts.
pub const LOADED_ENTRIES_MAX: u64 = 100_000_000;
/// The highest opening balance, in won: with every deposit that could follow, it still fits.
pub const OPENING_BALANCE_MAX: i64 = 1_000_000_000_000_000;

/// What is not accepted: where, and one sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    path: String,
    message: String,
    help: Option<String>,
}

impl Refusal {
    fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into(), help: None }
    }

    pub(crate) fn located(self, root: &Node, sources: &Sources) -> ScenarioError {
        let message = if self.path.is_empty() { self.message } else { format!("{} {}", self.path, self.message) };
        sources.refuse(root.mark_at(&self.path), message, self.help)
    }
}

/// Fills in defaults and checks limits. `stem` names a scenario whose file does not; `seed` wins over the file's.
///
/// # Errors
/// [`Refusal`] for the first value that is outside its limits.
pub fn resolve(file: &File, stem: &str, seed: Option<u64>) -> Result<Scenario, Refusal> {
    let name = name(file.name.as_deref().unwrap_or(stem))?;
    let phases = phases(&file.phases)?;
    let load = loads(&file.load, &phases)?;
    let system = system(&file.system)?;
    let faults = faults::resolve(&file.fault, &phases, &load, &system)?;
    Ok(Scenario {
        name,
        about: file.about.clone().unwrap_or_default(),
        seed: seed_of(seed, file.seed)?,
        accounts: accounts(&file.accounts)?,
        images: images(&file.images)?,
        slo: objectives::latencies(&file.slo, !faults.is_empty())?,
        recovery_slo: objectives::recovery(&file.slo, !faults.is_empty())?,
        system,
        faults,
        markers: markers(file.markers.as_deref().unwrap_or_default())?,
        phases,
        load,
    })
}

/// TOML knows signed numbers only, and the resolved file must be able to say the seed.
fn seed_of(given: Option<u64>, typed: Option<i64>) -> Result<u64, Refusal> {
    let seed = given.map_or_else(|| i128::from(typed.unwrap_or(1)), i128::from);
    u64::try_from(seed)
        .ok()
        .filter(|seed| *seed <= i64::MAX as u64)
        .ok_or_else(|| Refusal::new("seed", format!("is {seed}; accepted are 0 to {}", i64::MAX)))
}

/// A name becomes part of a folder's name.
fn name(name: &str) -> Result<String, Refusal> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > 64 || name.starts_with('.') || !name.chars().all(fits) {
        let message =
            format!("is \"{name}\"; accepted are 1 to 64 letters, digits, `-`, `_` and `.`, the first no dot");
        return Err(Refusal::new("name", message));
    }
    Ok(name.to_owned())
}

fn within(path: &str, value: i64, least: i64, most: i64) -> Result<i64, Refusal> {
    if (least..=most).contains(&value) {
        Ok(value)
    } else {
        Err(Refusal::new(path, format!("is {value}; accepted are {least} to {most}")))
    }
}

fn count(path: &str, typed: Option<i64>, default: u32, least: u32, most: u32) -> Result<u32, Refusal> {
    let value = within(path, typed.unwrap_or(default.into()), least.into(), most.into())?;
    Ok(u32::try_from(value).expect("within the limits of a u32"))
}

fn span(
    path: &str,
    typed: Option<DurationText>,
    default: Duration,
    least: Duration,
    most: Duration,
) -> Result<Duration, Refusal> {
    let value = typed.map_or(default, |typed| typed.0);
    if (least..=most).contains(&value) {
        return Ok(value);
    }
    let [value, least, most] = [value, least, most].map(duration_text);
    Err(Refusal::new(path, format!("is \"{value}\"; accepted are \"{least}\" to \"{most}\"")))
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn phases(typed: &file::Phases) -> Result<Phases, Refusal> {
    let phases = Phases {
        warm_up: span("phases.warm_up", typed.warm_up, seconds(5), Duration::ZERO, LOAD_MAX)?,
        measure: span("phases.measure", typed.measure, seconds(20), seconds(1), LOAD_MAX)?,
        heal: span("phases.heal", typed.heal, seconds(30), seconds(1), seconds(3_600))?,
        resolve: span("phases.resolve", typed.resolve, seconds(30), seconds(1), seconds(3_600))?,
    };
    let total = phases.warm_up + phases.measure;
    if total > LOAD_MAX {
        let [total, most] = [total, LOAD_MAX].map(duration_text);
        let message = format!("and phases.warm_up are \"{total}\" together; accepted is \"{most}\" at most");
        return Err(Refusal::new("phases.measure", message));
    }
    Ok(phases)
}

fn system(typed: &file::System) -> Result<System, Refusal> {
    Ok(System {
        partitions: count("system.partitions", typed.partitions, 4, 1, 200)?,
        channel_instances: count("system.channel_instances", typed.channel_instances, 2, 1, 8)?,
        workers: count("system.workers", typed.workers, 100, 1, 10_000)?,
        worker_mode: match typed.worker_mode {
            Some(file::WorkerMode::Serial) => WorkerMode::Serial,
            Some(file::WorkerMode::Keyed) => WorkerMode::Keyed,
            Some(file::WorkerMode::KeyedBatched) | None => WorkerMode::KeyedBatched,
        },
        sync_cost: span("system.sync_cost", typed.sync_cost, Duration::ZERO, Duration::ZERO, seconds(10))?,
        kafka_brokers: brokers(typed.kafka_brokers)?,
    })
}

fn brokers(typed: Option<i64>) -> Result<u32, Refusal> {
    match typed {
        None | Some(1) => Ok(1),
        Some(3) => Ok(3),
        Some(other) => {
            let message = format!(
                "is {other}; accepted are 1 and 3 (an even number has no better majority than the odd one below it, and more than 3 \
                 show nothing that 3 do not)"
            );
            Err(Refusal::new("system.kafka_brokers", message))
        }
    }
}

fn images(typed: &file::Images) -> Result<Images, Refusal> {
    Ok(Images {
        postgres: image("images.postgres", typed.postgres.as_deref())?,
        kafka: image("images.kafka", typed.kafka.as_deref())?,
        redis: image("images.redis", typed.redis.as_deref())?,
        services: image("images.services", typed.services.as_deref())?,
    })
}

/// A name without a tag would be another image tomorrow.
fn image(path: &str, typed: Option<&str>) -> Result<Option<String>, Refusal> {
    let Some(text) = typed else { return Ok(None) };
    let last = text.rsplit('/').next().unwrap_or_default();
    let tagged = last.split_once(':').is_some_and(|(name, tag)| !name.is_empty() && !tag.is_empty());
    if !tagged || text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        let message = format!("is \"{text}\"; accepted is name:tag without blanks, such as \"postgres:18\"");
        return Err(Refusal::new(path, message));
    }
    Ok(Some(text.to_owned()))
}

fn accounts(typed: &file::Accounts) -> Result<Accounts, Refusal> {
    let accounts = Accounts {
        count: count("accounts.count", typed.count, 10_000, 1, 2_000_000)?.into(),
        opening_balance_won: within(
            "accounts.opening_balance",
            typed.opening_balance.unwrap_or(1_000_000),
            1,
            OPENING_BALANCE_MAX,
        )?,
        history_depth: count("accounts.history_depth", typed.history_depth, 10, 1, 1_000)?,
        skew: skew(typed.skew)?,
    };
    let entries = accounts.count * u64::from(accounts.history_depth);
    if entries > LOADED_ENTRIES_MAX {
        let message = format!("times accounts.count is {entries} entries; accepted are {LOADED_ENTRIES_MAX} at most");
        return Err(Refusal::new("accounts.history_depth", message));
    }
    Ok(accounts)
}

fn skew(typed: Option<file::Skew>) -> Result<Skew, Refusal> {
    match typed {
        None | Some(file::Skew::Uniform) => Ok(Skew::Uniform),
        Some(file::Skew::Zipf(exponent)) if exponent > 0.0 && exponent <= 5.0 => Ok(Skew::Zipf(exponent)),
        Some(file::Skew::Zipf(exponent)) => {
            Err(Refusal::new("accounts.skew.zipf", format!("is {exponent}; accepted is above 0 and at most 5")))
        }
        Some(file::Skew::Hot(share)) => Ok(Skew::Hot(share.0)),
    }
}

fn loads(typed: &[file::Load], phases: &Phases) -> Result<Vec<Load>, Refusal> {
    if typed.is_empty() || typed.len() > 16 {
        let message = format!("has {} entries; accepted are 1 to 16, each under [[load]]", typed.len());
        return Err(Refusal::new("load", message));
    }
    let loads: Vec<Load> =
        typed.iter().enumerate().map(|(index, typed)| load(index, typed)).collect::<Result<_, _>>()?;
    let planned = planned_operations(&loads, phases);
    if planned > OPERATIONS_MAX as f64 {
        let message = format!(
            "plans {planned:.0} operations (all rates times warm_up and measure); accepted are {OPERATIONS_MAX} at most"
        );
        return Err(Refusal::new("load", message));
    }
    Ok(loads)
}

/// Operations that the load is to send, warm-up included; random arrivals make it a few more or less.
fn planned_operations(loads: &[Load], phases: &Phases) -> f64 {
    let time_s = (phases.warm_up + phases.measure).as_secs_f64();
    loads.iter().map(|load| load.rate_per_s * time_s).sum()
}

fn load(index: usize, typed: &file::Load) -> Result<Load, Refusal> {
    let path = |key: &str| format!("load.{index}.{key}");
    let rate_per_s = typed.rate.0;
    if !(rate_per_s > 0.0 && rate_per_s <= RATE_MAX) {
        let message = format!("is \"{rate_per_s}/s\"; accepted is above 0 and at most {RATE_MAX}/s");
        return Err(Refusal::new(path("rate"), message));
    }
    Ok(Load {
        op: match typed.op {
            file::Op::Deposit => Op::Deposit,
        },
        rate_per_s,
        arrivals: match typed.arrivals {
            Some(file::Arrivals::Constant) | None => Arrivals::Constant,
            Some(file::Arrivals::Poisson) => Arrivals::Poisson,
        },
        timeout: span(&path("timeout"), typed.timeout, seconds(5), Duration::from_millis(10), seconds(60))?,
        retry: match typed.retry {
            Some(file::Retry::None) | None => Retry::None,
        },
        connections: count(&path("connections"), typed.connections, 64, 1, 10_000)?,
        lookup: typed.lookup.map_or(0.01, |share| share.0),
    })
}

fn word<T: Copy>(path: &str, word: &str, known: &[T], as_str: fn(T) -> &'static str) -> Result<T, Refusal> {
    known.iter().copied().find(|known| as_str(*known) == word).ok_or_else(|| {
        let words: Vec<&str> = known.iter().map(|known| as_str(*known)).collect();
        Refusal { help: Some(nearest(word, &words)), ..Refusal::new(path, "is unknown") }
    })
}

fn markers(typed: &[String]) -> Result<Vec<String>, Refusal> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    for (index, marker) in typed.iter().enumerate() {
        if marker.is_empty() || !marker.chars().all(fits) {
            let message = format!("is \"{marker}\"; accepted are small letters, digits and `-`");
            return Err(Refusal::new(format!("markers.{index}"), message));
        }
    }
    Ok(typed.to_vec())
}
