//! Whether a rule can be carried out on a link, before it is in force.
//!
//! In: a rule, what the proxy understands. Out: the requests that it names, or why it is refused. Elsewhere: what a scenario may say
//! (`harness/scenario`): whatever is refused here was not typed by a person.

use bankstorm_faults::rule::{Effect, Keys, Picks, Rule};
use thiserror::Error;

use super::Family;
use super::path::Pattern;
use crate::settings::Protocol;

/// The most copies of a request.
const COPIES_MAX: u32 = 100;

/// Why a rule is not taken into force.
#[derive(Clone, Debug, PartialEq, Error)]
pub(crate) enum Refused {
    /// The proxy does not understand what the effect is done to.
    #[error("effect: {effect:?} is not done on a link of protocol {protocol}; accepted are {accepted}")]
    Effect {
        /// What was asked for.
        effect: Effect,
        /// What the proxy understands.
        protocol: &'static str,
        /// What it could do.
        accepted: &'static str,
    },
    /// A value is out of its bounds, or has no meaning for the effect.
    #[error("{field}: {value}; accepted is {accepted}")]
    Value {
        /// Which.
        field: &'static str,
        /// What it is.
        value: String,
        /// What would do.
        accepted: &'static str,
    },
    /// Another rule has this id.
    #[error("rule {id:?} is in force and says something else; take it away first, or name another id")]
    Taken {
        /// The id.
        id: String,
    },
}

/// The requests that a rule names, where it names some alone.
pub(super) fn of(rule: &Rule, protocol: Protocol) -> Result<Option<Pattern>, Refused> {
    effect(&rule.effect, protocol)?;
    match Family::of(&rule.effect) {
        Family::Bytes => nothing_is_picked(&rule.picks)?,
        Family::Commits => {
            absent("picks.of", rule.picks.of.as_ref(), "none: commits have no path")?;
            absent("picks.nth", rule.picks.nth.as_ref(), "none: each commit is a key of its own")?;
        }
        Family::Requests => {}
    }
    keys(rule.picks.keys)?;
    if rule.picks.nth == Some(0) {
        return Err(refused("picks.nth", 0, "a whole number from 1"));
    }
    let Some(of) = &rule.picks.of else { return Ok(None) };
    let pattern = Pattern::read(of);
    pattern
        .map(Some)
        .ok_or_else(|| refused("picks.of", of, "a method and a path, such as POST /v1/transfers/*/resolve"))
}

fn effect(effect: &Effect, protocol: Protocol) -> Result<(), Refused> {
    let accepted = match (Family::of(effect), protocol) {
        (Family::Bytes, _) | (Family::Requests, Protocol::Http) | (Family::Commits, Protocol::Postgres) => {
            return copies(effect);
        }
        (_, Protocol::Http) => "effects on requests, answers and bytes",
        (_, Protocol::Postgres) => "effects on commits and bytes",
        (_, Protocol::Bytes) => "effects on bytes",
    };
    Err(Refused::Effect { effect: *effect, protocol: protocol.word(), accepted })
}

fn copies(effect: &Effect) -> Result<(), Refused> {
    match effect {
        Effect::RequestTwice(times) if !(2..=COPIES_MAX).contains(times) => {
            Err(refused("effect.request_twice", times, "2 to 100 copies"))
        }
        _ => Ok(()),
    }
}

fn keys(keys: Keys) -> Result<(), Refused> {
    match keys {
        Keys::Every(0) => Err(refused("picks.keys.every", 0, "a whole number from 1")),
        Keys::Share { probability, .. } if !(0.0..=1.0).contains(&probability) => {
            Err(refused("picks.keys.share.probability", probability, "0 to 1"))
        }
        _ => Ok(()),
    }
}

fn nothing_is_picked(picks: &Picks) -> Result<(), Refused> {
    absent("picks.of", picks.of.as_ref(), "none: bytes have no path")?;
    absent("picks.nth", picks.nth.as_ref(), "none: bytes have no keys")?;
    if picks.keys == Keys::All {
        Ok(())
    } else {
        Err(refused("picks.keys", format!("{:?}", picks.keys), "all: bytes have no keys"))
    }
}

fn absent(field: &'static str, value: Option<&impl ToString>, accepted: &'static str) -> Result<(), Refused> {
    value.map_or(Ok(()), |value| Err(refused(field, value.to_string(), accepted)))
}

fn refused(field: &'static str, value: impl ToString, accepted: &'static str) -> Refused {
    Refused::Value { field, value: value.to_string(), accepted }
}
