//! `--set path=value`: overrides from the command line.
//!
//! In: texts such as `load.0.rate=3000/s`. Out: a changed tree. Elsewhere: whether the path is known and the value accepted, which is
//! the same as in the file (`tree`, `resolve`).

use crate::error::{Mark, ScenarioError, Sources};
use crate::tree::{Node, Table, Value, parse_set_value};

/// Applies every `--set`, in order.
pub(crate) fn apply(root: &mut Node, sources: &Sources) -> Result<(), ScenarioError> {
    for (number, text) in sources.sets.iter().enumerate() {
        let mark = Mark::Set(number);
        let Some((path, value)) = text.split_once('=') else {
            return Err(sources.refuse(
                &mark,
                "there is no `=`; accepted is path=value, such as load.0.rate=3000/s",
                None,
            ));
        };
        let parts: Vec<&str> = path.trim().split('.').collect();
        if parts.iter().any(|part| part.is_empty()) {
            return Err(sources.refuse(&mark, format!("`{path}` is no path; accepted is such as load.0.rate"), None));
        }
        let value = parse_set_value(value.trim(), number);
        place(root, &parts, 0, value, &mark).map_err(|message| sources.refuse(&mark, message, None))?;
    }
    Ok(())
}

/// Puts `value` at `parts[depth..]` under `node`; tables that are not there yet are made.
pub(crate) fn place(node: &mut Node, parts: &[&str], depth: usize, value: Node, mark: &Mark) -> Result<(), String> {
    let so_far = parts[..depth].join(".");
    let part = parts[depth];
    let last = depth + 1 == parts.len();
    match &mut node.value {
        Value::Table(table) => {
            if last {
                table.insert(part.to_owned(), (mark.clone(), value));
                return Ok(());
            }
            let (_, next) = table
                .entry(part.to_owned())
                .or_insert_with(|| (mark.clone(), Node { mark: mark.clone(), value: Value::Table(Table::new()) }));
            place(next, parts, depth + 1, value, mark)
        }
        Value::List(list) => {
            let length = list.len();
            let Some(next) = part.parse::<usize>().ok().and_then(|index| list.get_mut(index)) else {
                let accepted = match length {
                    0 => "it is empty".to_owned(),
                    1 => format!("accepted is {so_far}.0"),
                    _ => format!("accepted are {so_far}.0 to {so_far}.{}", length - 1),
                };
                return Err(format!("`{part}` is no entry of {so_far}; {accepted}"));
            };
            if last {
                *next = value;
                return Ok(());
            }
            place(next, parts, depth + 1, value, mark)
        }
        _ => Err(format!("{so_far} is a plain value and has no `{part}`; accepted is {so_far}=value")),
    }
}
