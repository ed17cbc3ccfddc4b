//! From what was typed to what may be trusted: defaults filled in, every value within its limits.
//!
//! In: a typed [`File`]. Out: a [`Scenario`], or the path, value and limits of the first thing that is not accepted. Elsewhere: how
//! quantities are read (`units`), where the path stands (`tree`), what is larger than a few keys (`resolve/`).

mod faults;
mod load;
mod objectives;
mod storm;
mod sweep;
mod system;

use std::time::Duration;

use crate::error::{ScenarioError, Sources, nearest};
use crate::file::{self, File};
use crate::resolved::{Accounts, Images, Load, Op, Phases, Scenario, Skew, Stopped};
use crate::tree::Node;
use crate::units::{DurationText, ShareText, duration_text};

pub use self::storm::{ABOUT as STORM_ABOUT, KIND as STORM};

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
    pub(crate) fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into(), help: None }
    }

    pub(crate) fn located(self, root: &Node, sources: &Sources) -> ScenarioError {
        let message = if self.path.is_empty() { self.message } else { format!("{} {}", self.path, self.message) };
        sources.refuse(root.mark_at(&self.path), message, self.help)
    }
}

/// Fills in defaults and checks limits, those of arms aside (`arm`). `stem` names a scenario whose file does not; `seed` wins over the file's.
///
/// # Errors
/// [`Refusal`] for the first value that is outside its limits.
pub fn resolve(file: &File, stem: &str, seed: Option<u64>) -> Result<Scenario, Refusal> {
    let name = name(file.name.as_deref().unwrap_or(stem))?;
    let phases = phases(&file.phases)?;
    let load = load::loads(&file.load, &phases)?;
    let system = system::system(&file.system)?;
    let accounts = accounts(&file.accounts)?;
    receivers(&accounts, &load)?;
    let seed = seed_of(seed, file.seed)?;
    let faults = faults::resolve(&file.fault, &phases, &load, &system, seed)?;
    let rest = sweep::Rest {
        phases: &phases,
        system: &system,
        accounts: &accounts,
        load: &load,
        faults: faults.len(),
        arms: file.arm.len(),
    };
    let sweep = file.sweep.as_ref().map(|typed| sweep::sweep(typed, &rest)).transpose()?;
    Ok(Scenario {
        name,
        about: file.about.clone().unwrap_or_default(),
        seed,
        banks: system::banks(&file.banks)?,
        accounts,
        images: images(&file.images)?,
        slo: objectives::latencies(&file.slo, &load, !faults.is_empty())?,
        recovery_slo: objectives::recovery(&file.slo, !faults.is_empty())?,
        overload_slo: objectives::overload(&file.slo.overload, &load, &phases)?,
        scroll_slo: objectives::scroll(&file.slo.scroll, &load)?,
        drain_slo: objectives::drain(&file.slo.drain, &system)?,
        system,
        faults,
        sweep,
        markers: markers(file.markers.as_deref().unwrap_or_default())?,
        phases,
        load,
        arms: Vec::new(),
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
    let accounts_count = count("accounts.count", typed.count, 10_000, 1, 2_000_000)?;
    let accounts = Accounts {
        count: accounts_count.into(),
        users: count("accounts.users", typed.users, accounts_count, 1, accounts_count)?.into(),
        opening_balance_won: within(
            "accounts.opening_balance",
            typed.opening_balance.unwrap_or(1_000_000),
            1,
            OPENING_BALANCE_MAX,
        )?,
        history_depth: count("accounts.history_depth", typed.history_depth, 10, 1, 1_000_000)?,
        skew: skew(typed.skew)?,
        stopped: stopped(typed)?,
    };
    let entries = accounts.count * u64::from(accounts.history_depth);
    if entries > LOADED_ENTRIES_MAX {
        let message = format!("times accounts.count is {entries} entries; accepted are {LOADED_ENTRIES_MAX} at most");
        return Err(Refusal::new("accounts.history_depth", message));
    }
    Ok(accounts)
}

/// A transfer inside the bank goes to another account.
fn receivers(accounts: &Accounts, load: &[Load]) -> Result<(), Refusal> {
    if accounts.count < 2 && load.iter().any(|load| load.op == Op::Transfer) {
        let message = "is 1, and a transfer goes from one account to another; accepted are 2 and more";
        return Err(Refusal::new("accounts.count", message));
    }
    Ok(())
}

fn stopped(typed: &file::Accounts) -> Result<Stopped, Refusal> {
    let share = |typed: Option<ShareText>| typed.map_or(0.0, |share| share.0);
    let stopped = Stopped {
        closed: share(typed.closed),
        deposit: share(typed.deposit_stopped),
        withdrawal: share(typed.withdrawal_stopped),
    };
    let together = stopped.closed + stopped.deposit + stopped.withdrawal;
    if together > 1.0 {
        let message =
            format!("is {together} together with deposit_stopped and withdrawal_stopped; accepted is 1 at most");
        return Err(Refusal::new("accounts.closed", message));
    }
    Ok(stopped)
}

fn skew(typed: Option<file::Skew>) -> Result<Skew, Refusal> {
    match typed {
        None | Some(file::Skew::Uniform) => Ok(Skew::Uniform),
        Some(file::Skew::Zipf(exponent)) if exponent > 0.0 && exponent <= 5.0 => Ok(Skew::Zipf(exponent)),
        Some(file::Skew::Zipf(exponent)) => {
            Err(Refusal::new("accounts.skew.zipf", format!("is {exponent}; accepted is above 0 and at most 5")))
        }
        Some(file::Skew::Hot(share)) => Ok(Skew::Hot(share.0)),
        Some(file::Skew::Each) => Ok(Skew::Each),
    }
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
        // `a|b`: one of them is enough.
        if !marker.split('|').all(|one| !one.is_empty() && one.chars().all(fits)) {
            let message = format!(
                "is \"{marker}\"; accepted are small letters, digits and `-`, and `|` between several of which one is enough"
            );
            return Err(Refusal::new(format!("markers.{index}"), message));
        }
    }
    Ok(typed.to_vec())
}
