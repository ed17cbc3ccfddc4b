//! Storms: one `[[fault]]` of the kind `node.storm` stands for many, drawn from the seed: kills, pauses and restarts of random nodes.
//!
//! In: a storm as typed, the nodes that its place may mean, the measured phase, the seed. Out: faults like those that are typed one by one,
//! which is also how a stored scenario has them. Elsewhere: what each does (`bankstorm_faults::catalogue`).
//!
//! A storm is bounded: never more than half of its nodes are away at once, a node that was struck has time to come back before it is struck
//! again, and the last one is back while load still goes on.

use std::time::Duration;

use bankstorm_faults::catalogue::Parameter;

use super::{Refusal, seconds};
use crate::file;
use crate::units::{DurationText, EveryText, duration_text};

/// The kind, as it is typed.
pub const KIND: &str = "node.storm";
/// What it does, in a sentence.
pub const ABOUT: &str = "many kills, pauses and restarts of random nodes, drawn from the seed";

/// From one strike to the next.
const EVERY: [Duration; 2] = [seconds(1), seconds(600)];
/// How long a killed node stays dead, and a paused one stands still, in milliseconds.
const DEAD_MS: [u64; 2] = [500, 2_500];
const STILL_MS: [u64; 2] = [1_000, 4_000];
/// How long a node takes to be itself again after a heal, and a restart in all.
const BACK: Duration = seconds(4);
const RESTART: Duration = seconds(8);

/// Whether this is one.
pub(super) fn is_storm(typed: &file::Fault) -> bool {
    typed.kind == KIND
}

/// The faults that the storm `typed`, the `index`th fault of its file, stands for.
pub(super) fn faults(
    index: usize,
    typed: &file::Fault,
    places: &[String],
    measure: Duration,
    seed: u64,
) -> Result<Vec<file::Fault>, Refusal> {
    let every = every(index, typed)?;
    let nodes = nodes(index, typed, places)?;
    let from = typed.at.map_or(every, |at| at.0);
    let mut draws = Draws(seed ^ (index as u64).wrapping_mul(GOLDEN));
    let mut free_at = vec![Duration::ZERO; nodes.len()];
    let mut faults = Vec::new();
    let mut at = from;
    loop {
        let one = draws.strike();
        if at + one.takes() > measure {
            break;
        }
        let free: Vec<usize> = (0..nodes.len()).filter(|node| free_at[*node] <= at).collect();
        if free.len() * 2 > nodes.len() {
            let node = free[draws.below(free.len() as u64) as usize];
            free_at[node] = at + one.takes();
            faults.push(one.fault(nodes[node], at));
        }
        at += every;
    }
    if faults.is_empty() {
        let [from, every, measure] = [from, every, measure].map(duration_text);
        let message = format!(
            "never strikes: from \"{from}\", every \"{every}\", and back while load goes on, which a phases.measure of \"{measure}\" has no room for"
        );
        return Err(Refusal::new(format!("fault.{index}"), message));
    }
    Ok(faults)
}

fn every(index: usize, typed: &file::Fault) -> Result<Duration, Refusal> {
    let refuse = |key: &str, message: String| Err(Refusal::new(format!("fault.{index}{key}"), message));
    let [least, most] = EVERY.map(duration_text);
    for (key, given) in [(".nth", typed.nth.is_some()), (".lasts", typed.lasts.is_some())] {
        if given {
            return refuse(key, format!("is not accepted by {KIND}, which draws its own: leave it out"));
        }
    }
    if let Some(other) = of_links(typed) {
        return refuse(
            &format!(".{}", other.word()),
            format!("is not accepted by {KIND}, which is done to nodes: leave it out"),
        );
    }
    match typed.every {
        Some(EveryText::Keys(keys)) => {
            refuse(".every", format!("is {keys}; accepted are \"{least}\" to \"{most}\", from one strike to the next"))
        }
        None => refuse("", format!("has no `every`, which {KIND} needs; accepted are \"{least}\" to \"{most}\"")),
        Some(EveryText::Time(every)) if !(EVERY[0]..=EVERY[1]).contains(&every) => {
            let every = duration_text(every);
            refuse(".every", format!("is \"{every}\"; accepted are \"{least}\" to \"{most}\""))
        }
        Some(EveryText::Time(every)) => Ok(every),
    }
}

/// A key that only faults on links take.
fn of_links(typed: &file::Fault) -> Option<Parameter> {
    let given = |one: &Parameter| !matches!(one, Parameter::Every | Parameter::Nth) && typed.gives(*one);
    Parameter::ALL.into_iter().find(given)
}

/// The nodes that `place` means: a name, or the beginning of several before a `*`.
fn nodes<'a>(index: usize, typed: &file::Fault, places: &'a [String]) -> Result<Vec<&'a str>, Refusal> {
    let matches = |place: &&String| match typed.place.strip_suffix('*') {
        Some(beginning) => place.starts_with(beginning),
        None => **place == typed.place,
    };
    let nodes: Vec<&str> = places.iter().filter(matches).map(String::as_str).collect();
    if nodes.len() < 2 {
        let message = format!(
            "is \"{}\", which means {} of the scenario's nodes; a storm takes two at least, such as \"channel-*\": {}",
            typed.place,
            nodes.len(),
            places.join(", ")
        );
        return Err(Refusal::new(format!("fault.{index}.place"), message));
    }
    Ok(nodes)
}

/// One strike: its kind, and how long it lasts.
struct Strike {
    kind: &'static str,
    lasts: Option<Duration>,
}

impl Strike {
    /// From the strike until the node is itself again, as far as is known before the run.
    fn takes(&self) -> Duration {
        self.lasts.map_or(RESTART, |lasts| lasts + BACK)
    }

    fn fault(&self, place: &str, at: Duration) -> file::Fault {
        file::Fault {
            kind: self.kind.to_owned(),
            place: place.to_owned(),
            at: Some(DurationText(at)),
            lasts: self.lasts.map(DurationText),
            ..file::Fault::default()
        }
    }
}

/// What SplitMix64 steps by: odd, and its bits look like any others'.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// Numbers from a seed (SplitMix64): the same everywhere, for ever.
struct Draws(u64);

/// A number of its own for whatever has a name: of the same seed and name always the same.
pub(super) fn named_draw(seed: u64, name: &str) -> u64 {
    name.bytes().fold(Draws(seed).next(), |state, byte| Draws(state ^ u64::from(byte)).next())
}

impl Draws {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// The bias of a remainder is far below anything that matters here.
    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn between(&mut self, [least, most]: [u64; 2]) -> Duration {
        Duration::from_millis(least + self.below(most - least + 1))
    }

    /// Each kind as likely as any other.
    fn strike(&mut self) -> Strike {
        match self.below(3) {
            0 => Strike { kind: "node.kill", lasts: Some(self.between(DEAD_MS)) },
            1 => Strike { kind: "node.pause", lasts: Some(self.between(STILL_MS)) },
            _ => Strike { kind: "node.restart", lasts: None },
        }
    }
}
