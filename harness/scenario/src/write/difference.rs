//! What an arm has otherwise than its file, as one would type it.
//!
//! In: two files in which every key is given. Out: paths and values that make the second of the first. Elsewhere: both files (`write`).
//!
//! A key that only the first has cannot be taken away by a path; then the nearest table around it is given anew. Below the top level that
//! happens to objectives alone, all other keys being given always, or (images) impossible for an arm to take away.

use std::collections::BTreeMap;

use toml::{Table, Value};

/// The paths whose values make `to` of `from`. Both are top levels: tables of their own lie below `[system]`, `[slo]` and the like.
pub(super) fn difference(from: &Table, to: &Table) -> BTreeMap<String, Value> {
    let mut set = BTreeMap::new();
    for (key, to) in to {
        match from.get(key) {
            Some(Value::Table(from)) if to.is_table() => top(key, from, to.as_table().expect("just seen"), &mut set),
            from => one(key, from, to, &mut set),
        }
    }
    set
}

/// Below a table of the top level, which no path alone can give anew: what is not there any more is given empty.
fn top(path: &str, from: &Table, to: &Table, set: &mut BTreeMap<String, Value>) {
    for (key, to) in to {
        one(&format!("{path}.{key}"), from.get(key), to, set);
    }
    for (key, _) in from.iter().filter(|(key, was)| was.is_table() && !to.contains_key(*key)) {
        set.insert(format!("{path}.{key}"), Value::Table(Table::new()));
    }
}

fn one(path: &str, from: Option<&Value>, to: &Value, set: &mut BTreeMap<String, Value>) {
    match (from, to) {
        (Some(from), to) if from == to => {}
        (Some(Value::Table(from)), Value::Table(to)) if from.keys().all(|key| to.contains_key(key)) => {
            for (key, to) in to {
                one(&format!("{path}.{key}"), from.get(key), to, set);
            }
        }
        (Some(Value::Array(from)), Value::Array(to)) if from.len() == to.len() && to.iter().all(Value::is_table) => {
            for (index, (from, to)) in from.iter().zip(to).enumerate() {
                one(&format!("{path}.{index}"), Some(from), to, set);
            }
        }
        (_, to) => {
            set.insert(path.to_owned(), to.clone());
        }
    }
}
