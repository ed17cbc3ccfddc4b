//! Plans as files: JSON, one operation and one fault a line, so that people can read and compare them.
//!
//! In: text. Out: [`Plan`]s, errors that say what, where, which value. Elsewhere: what a plan means (`plan`), what can be carried out
//! ([`check`]).

mod check;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use thiserror::Error;

use super::{Operation, Plan, SCHEMA};
use crate::planted::Planted;

pub use check::check;
pub(crate) use check::repeats_transfers;

/// What is wrong with a plan's file.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PlanError {
    /// Not JSON, or not a plan.
    #[error("{0}")]
    Unreadable(String),
    /// A plan that says what cannot be.
    #[error("{field} is {value}; accepted: {accepted}")]
    Refused {
        /// Where, for example `faults[2].lasts_ms`.
        field: String,
        /// What stands there.
        value: String,
        /// What would do.
        accepted: String,
    },
}

fn refuse(field: String, value: impl ToString, accepted: &str) -> Result<(), PlanError> {
    Err(PlanError::Refused { field, value: value.to_string(), accepted: accepted.to_owned() })
}

/// The text of a plan.
pub fn write(plan: &Plan) -> String {
    let mut text = String::from("{\n");
    let _ = writeln!(text, "\"schema\": {},", plan.schema);
    let _ = writeln!(text, "\"seed\": {},", plan.seed);
    let _ = writeln!(text, "\"chance\": {},", plan.chance);
    if let Some(planted) = &plan.planted {
        let _ = writeln!(text, "\"planted\": {},", json(planted));
    }
    let _ = writeln!(text, "\"topology\": {},", json(&plan.topology));
    list(&mut text, "faults", plan.faults.iter().map(json));
    text.push_str(",\n");
    list(&mut text, "operations", plan.operations.iter().map(json));
    text.push_str("\n}\n");
    text
}

fn list(text: &mut String, name: &str, items: impl Iterator<Item = String>) {
    let items: Vec<_> = items.collect();
    if items.is_empty() {
        let _ = write!(text, "\"{name}\": []");
    } else {
        let _ = write!(text, "\"{name}\": [\n{}\n]", items.join(",\n"));
    }
}

fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("plain data is JSON")
}

/// The part of a file that says how to read the rest.
#[derive(Deserialize)]
struct Format {
    schema: u32,
}

/// A plan whose parts are still to be read, so that a mistake can be told with its place.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parts {
    schema: u32,
    seed: u64,
    chance: u64,
    #[serde(default)]
    planted: Option<Planted>,
    topology: Value,
    faults: Vec<Value>,
    operations: Vec<Value>,
}

/// Reads a plan and checks that it can be carried out.
///
/// # Errors
/// [`PlanError`] says what, where, which value.
pub fn read(text: &str) -> Result<Plan, PlanError> {
    let unreadable = |error: serde_json::Error| PlanError::Unreadable(error.to_string());
    let Format { schema } = serde_json::from_str(text).map_err(unreadable)?;
    if schema != SCHEMA {
        refuse("schema".to_owned(), schema, &SCHEMA.to_string())?;
    }
    let parts: Parts = serde_json::from_str(text).map_err(unreadable)?;
    let plan = Plan {
        schema: parts.schema,
        seed: parts.seed,
        chance: parts.chance,
        planted: parts.planted,
        topology: part("topology", &parts.topology)?,
        faults: items("faults", &parts.faults, |_, _| Ok(()))?,
        operations: items("operations", &parts.operations, only_known)?,
    };
    check(&plan)?;
    Ok(plan)
}

fn items<T: DeserializeOwned>(
    list: &str,
    values: &[Value],
    look: impl Fn(&str, &Value) -> Result<(), PlanError>,
) -> Result<Vec<T>, PlanError> {
    let read = |(index, value): (usize, &Value)| {
        let place = format!("{list}[{index}]");
        look(&place, value)?;
        part(&place, value)
    };
    values.iter().enumerate().map(read).collect()
}

fn part<T: DeserializeOwned>(place: &str, value: &Value) -> Result<T, PlanError> {
    let told = |error: serde_json::Error| format!("{place}: {}; it reads {}", brief(&error), brief(value));
    T::deserialize(value).map_err(|error| PlanError::Unreadable(told(error)))
}

/// As much of something as a message bears.
fn brief(value: &impl ToString) -> String {
    const MOST: usize = 1_000;
    let text = value.to_string();
    if text.chars().count() <= MOST { text } else { text.chars().take(MOST).chain("...".chars()).collect() }
}

/// What every operation has.
const COMMON: [&str; 4] = ["op", "at_ms", "account", "action"];

/// What an action has besides; `None` for a word that is no action.
fn fields_of(action: &str) -> Option<&'static [&'static str]> {
    match action {
        "deposit" => Some(&["won", "patience_ms", "retries", "again"]),
        "transfer" => Some(&[
            "to",
            "user",
            "won",
            "channel",
            "patience_ms",
            "retries",
            "elsewhere",
            "again",
            "resubmit",
            "reads",
            "looks",
        ]),
        "outbound" => Some(&[
            "user",
            "won",
            "channel",
            "patience_ms",
            "retries",
            "elsewhere",
            "again",
            "resubmit",
            "reads",
            "looks",
        ]),
        "scroll" => Some(&["channel", "pages", "limit"]),
        "sync" => Some(&["channel"]),
        "redrive" => Some(&["channel", "limit"]),
        _ => None,
    }
}

/// An operation's action lies flat in it, and serde takes unknown fields of flat things in silence.
fn only_known(place: &str, operation: &Value) -> Result<(), PlanError> {
    let (Some(object), Some(own)) =
        (operation.as_object(), operation.get("action").and_then(Value::as_str).and_then(fields_of))
    else {
        // Whatever else it is, reading it says what is wrong.
        return part::<Operation>(place, operation).map(|_| ());
    };
    for (name, value) in object {
        if !COMMON.contains(&name.as_str()) && !own.contains(&name.as_str()) {
            let accepted = format!("no such field, only {}, {}", COMMON.join(", "), own.join(", "));
            return refuse(format!("{place}.{name}"), brief(value), &accepted);
        }
    }
    Ok(())
}
