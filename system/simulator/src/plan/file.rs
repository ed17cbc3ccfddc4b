//! Plans as files: JSON, one operation and one fault a line, so that people can read and compare them.
//!
//! In: text. Out: [`Plan`]s, errors that say what, where, which value. Elsewhere: what a plan means (`plan`).

use std::fmt::Write as _;

use thiserror::Error;

use super::{Kind, Plan, SCHEMA, Trigger};

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

/// The text of a plan.
pub fn write(plan: &Plan) -> String {
    let json = |value: &dyn erased::Value| value.json();
    let mut text = String::from("{\n");
    let _ = writeln!(text, "\"schema\": {},", plan.schema);
    let _ = writeln!(text, "\"seed\": {},", plan.seed);
    let _ = writeln!(text, "\"chance\": {},", plan.chance);
    if let Some(planted) = &plan.planted {
        let _ = writeln!(text, "\"planted\": {},", json(planted));
    }
    let _ = writeln!(text, "\"topology\": {},", json(&plan.topology));
    list(&mut text, "faults", plan.faults.iter().map(|fault| json(fault)));
    text.push_str(",\n");
    list(&mut text, "operations", plan.operations.iter().map(|operation| json(operation)));
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

/// One value as JSON in a line.
mod erased {
    pub(super) trait Value {
        fn json(&self) -> String;
    }

    impl<T: serde::Serialize> Value for T {
        fn json(&self) -> String {
            serde_json::to_string(self).expect("plain data is JSON")
        }
    }
}

/// Reads a plan and checks that it can be carried out.
///
/// # Errors
/// [`PlanError`] says what, where, which value.
pub fn read(text: &str) -> Result<Plan, PlanError> {
    let plan: Plan = serde_json::from_str(text).map_err(|error| PlanError::Unreadable(error.to_string()))?;
    check(&plan)?;
    Ok(plan)
}

fn refuse(field: String, value: impl ToString, accepted: &str) -> Result<(), PlanError> {
    Err(PlanError::Refused { field, value: value.to_string(), accepted: accepted.to_owned() })
}

fn check(plan: &Plan) -> Result<(), PlanError> {
    if plan.schema != SCHEMA {
        return refuse("schema".to_owned(), plan.schema, &SCHEMA.to_string());
    }
    let topology = &plan.topology;
    let counts = [
        ("accounts", topology.accounts, 100_000),
        ("partitions", topology.partitions, 1_000),
        ("channels", topology.channels, 100),
        ("connections", topology.connections, 1_000),
        ("posting_slots", topology.posting_slots, 1_000),
        ("batch_max", topology.batch_max, 100_000),
        ("relay_rows", topology.relay_rows, 100_000),
        ("workers", topology.workers, 100_000),
        ("transactions", topology.transactions, 1_000),
        ("batch_accounts", topology.batch_accounts, 100_000),
        ("span", topology.span, 1_000_000),
    ];
    for (name, value, most) in counts {
        if value == 0 || value > most {
            return refuse(format!("topology.{name}"), value, &format!("1 to {most}"));
        }
    }
    let hour = 3_600_000;
    if topology.load_ms > hour {
        return refuse("topology.load_ms".to_owned(), topology.load_ms, "up to an hour");
    }
    for (name, value) in [("relay_poll_ms", topology.relay_poll_ms), ("commit_every_ms", topology.commit_every_ms)] {
        if value == 0 || value > hour {
            return refuse(format!("topology.{name}"), value, "1 to 3600000");
        }
    }
    for (index, fault) in plan.faults.iter().enumerate() {
        check_fault(index, fault, plan)?;
    }
    let mut numbers = std::collections::BTreeSet::new();
    for (index, operation) in plan.operations.iter().enumerate() {
        if !numbers.insert(operation.op) {
            return refuse(format!("operations[{index}].op"), operation.op, "numbers that differ");
        }
        if operation.at_ms > topology.load_ms {
            return refuse(format!("operations[{index}].at_ms"), operation.at_ms, "up to topology.load_ms");
        }
    }
    Ok(())
}

fn check_fault(index: usize, fault: &super::Fault, plan: &Plan) -> Result<(), PlanError> {
    let needs = fault.kind.needs();
    let at = matches!(fault.trigger, Trigger::AtMs(_));
    if at != needs.at {
        let accepted = if needs.at { "at_ms" } else { "nth" };
        return refuse(format!("faults[{index}].trigger"), if at { "at_ms" } else { "nth" }, accepted);
    }
    if matches!(fault.trigger, Trigger::Nth(0)) {
        return refuse(format!("faults[{index}].trigger.nth"), 0, "numbers from 1");
    }
    if !needs.lasts && fault.lasts_ms != 0 {
        return refuse(format!("faults[{index}].lasts_ms"), fault.lasts_ms, "nothing: this kind takes no time");
    }
    if fault.lasts_ms > 3_600_000 {
        return refuse(format!("faults[{index}].lasts_ms"), fault.lasts_ms, "up to an hour");
    }
    let places = places(fault.kind, plan);
    if !places.contains(&fault.place) {
        return refuse(format!("faults[{index}].place"), &fault.place, &places.join(", "));
    }
    Ok(())
}

/// Where a kind can be, in a plan's topology.
pub fn places(kind: Kind, plan: &Plan) -> Vec<String> {
    let channels = || (0..plan.topology.channels).map(|channel| format!("channel-{channel}"));
    let databases = || ["postgres-core", "postgres-channel"].map(str::to_owned).into_iter();
    let owned = |word: &str| word.to_owned();
    let word = kind.word();
    match word.split_once('.').map_or(word, |(family, _)| family) {
        "node" if kind == Kind::NodeRestart => std::iter::once(owned("core")).chain(channels()).collect(),
        "node" => std::iter::once(owned("core")).chain(channels()).chain(databases()).chain([owned("kafka")]).collect(),
        "pg" | "clock" => databases().collect(),
        "kafka" if kind == Kind::FetchStalled => channels().collect(),
        "kafka" => vec![owned("kafka")],
        _ => {
            let customers = channels().map(|channel| format!("customers>{channel}"));
            let core = channels().map(|channel| format!("{channel}>core"));
            std::iter::once(owned("customers>core")).chain(customers).chain(core).collect()
        }
    }
}
