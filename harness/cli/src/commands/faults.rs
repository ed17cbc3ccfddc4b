//! `faults`: what can be broken on purpose, and how it is typed.
//!
//! In: nothing. Out: a list. Elsewhere: the faults themselves (`bankstorm_faults::catalogue`), the limits of each key (`scenario`).

use bankstorm_faults::catalogue::{Entry, Parameter};
use bankstorm_faults::plan::Kind;
use bankstorm_scenario::resolve::{STORM, STORM_ABOUT};

use crate::error::CliError;
use crate::output::say;

/// What is typed for each.
const KEYS: &str = "\
Each under [[fault]] of a scenario, with `place` and `at`; a key with a `?` is optional. Where `nth` is not among its keys, `nth` may stand
instead of `at`: once so many operations were sent, warm-up included.";
/// Before those that are done to nodes.
const NODES: &str = "
Done to nodes: core, channel-0, banks, postgres-core, kafka-1 ..";
/// Before those that are done to links.
const LINKS: &str = "
Done to links, from who connects to who listens: channel-0->core; channel-*->core is one for each channel. Each goes through a proxy.";

/// Prints the list.
pub(crate) fn run() -> Result<u8, CliError> {
    let (links, nodes): (Vec<_>, Vec<_>) = Kind::ALL.map(Kind::entry).into_iter().partition(|entry| entry.on.is_link());
    say(KEYS);
    say(NODES);
    nodes.into_iter().for_each(print);
    line(STORM, STORM_ABOUT, [("on", "several nodes: channel-*"), ("keys", "every"), ("heals", "each by itself")]);
    say(LINKS);
    links.into_iter().for_each(print);
    say("\nKeys of faults on links:");
    for parameter in Parameter::ALL {
        line(parameter.word(), parameter.about(), []);
    }
    Ok(0)
}

fn print(entry: &Entry) {
    let (on, keys) = (entry.on.to_string().replace('`', ""), entry.keys().join(" "));
    line(entry.word, entry.about, [("on", on.as_str()), ("keys", keys.as_str()), ("heals", entry.heal_about)]);
}

fn line<const N: usize>(word: &str, about: &str, told: [(&str, &str); N]) {
    say(&format!("  {word:<15} {about}"));
    for (name, told) in told.into_iter().filter(|(_, told)| !told.is_empty()) {
        say(&format!("{:<18}{name:<6} {told}", ""));
    }
}
