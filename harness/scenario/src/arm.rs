//! Arms: each is the whole file with a few keys changed, resolved and checked like a file of its own.
//!
//! In: the tree of the file with every `--set` applied, and its arms as typed. Out: [`Arm`]s. Elsewhere: how changes are placed (`set`),
//! how they are written again (`write/difference`).
//!
//! An arm's keys are paths, in quotes: `"system.workers" = 1`. Without quotes TOML makes tables of them, and a table would replace all
//! of `system`; so a table that is no value of a longer path is refused.

use crate::error::{ScenarioError, Sources};
use crate::file::{self, File};
use crate::resolved::{Arm, Expect};
use crate::tree::{self, Node, Table, Value};
use crate::{resolve, set};

/// The most arms of one file.
const ARMS_MAX: usize = 16;
/// The longest name.
const NAME_MAX: usize = 40;

/// Resolves every arm of `typed`, which was read from `root`.
pub(crate) fn arms(
    root: &Node,
    typed: &File,
    sources: &Sources,
    stem: &str,
    seed: Option<u64>,
) -> Result<Vec<Arm>, ScenarioError> {
    if typed.arm.len() > ARMS_MAX {
        let message = format!("arm has {} entries; accepted are {ARMS_MAX} at most", typed.arm.len());
        return Err(sources.refuse(root.mark_at("arm"), message, None));
    }
    let mut arms: Vec<Arm> = Vec::new();
    for (index, one) in typed.arm.iter().enumerate() {
        let path = format!("arm.{index}");
        check_name(one, &arms).map_err(|message| {
            let path = format!("{path}.name");
            sources.refuse(root.mark_at(&path), format!("{path} {message}"), None)
        })?;
        let scenario = changed(root, &path, sources, stem, seed).map_err(|error| error.in_arm(&one.name))?;
        let expect = match one.expect {
            Some(file::Expect::Holds) | None => Expect::Holds,
            Some(file::Expect::Violated) => Expect::Violated,
        };
        let by = by(one, expect).map_err(|message| {
            let path = format!("{path}.by");
            sources.refuse(root.mark_at(&path), format!("{path} {message}"), None)
        })?;
        arms.push(Arm { name: one.name.clone(), scenario, expect, by });
    }
    Ok(arms)
}

/// A name becomes a folder's.
fn check_name(arm: &file::Arm, before: &[Arm]) -> Result<(), String> {
    let name = &arm.name;
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty() || name.len() > NAME_MAX || !name.chars().all(fits) {
        return Err(format!("is \"{name}\"; accepted are 1 to {NAME_MAX} small letters, digits and `-`"));
    }
    if before.iter().any(|arm| arm.name == *name) {
        return Err(format!("is \"{name}\", as is that of an arm before; accepted are different names"));
    }
    Ok(())
}

/// Which checks there are is known to those who judge (`cli`), as with markers.
fn by(arm: &file::Arm, expect: Expect) -> Result<Vec<String>, String> {
    let Some(by) = &arm.by else { return Ok(Vec::new()) };
    let is_id = |id: &&String| {
        let (letter, digits) = id.split_at_checked(1).unwrap_or_default();
        letter.chars().all(|c| c.is_ascii_uppercase())
            && !digits.is_empty()
            && digits.chars().all(|c| c.is_ascii_digit())
    };
    if expect == Expect::Holds {
        return Err(
            "names checks that are to be violated; accepted is that only beside expect = \"violated\"".to_owned()
        );
    }
    if by.is_empty() {
        return Err("has no entries; accepted are ids of checks, or leave it out: then any will do".to_owned());
    }
    match by.iter().find(|id| !is_id(id)) {
        Some(other) => Err(format!("names \"{other}\"; accepted are ids of checks, such as \"O1\"")),
        None => Ok(by.clone()),
    }
}

/// The scenario of the arm at `path`: the file without arms, changed.
fn changed(
    root: &Node,
    path: &str,
    sources: &Sources,
    stem: &str,
    seed: Option<u64>,
) -> Result<crate::Scenario, ScenarioError> {
    let mut tree = root.clone();
    if let Value::Table(table) = &mut tree.value {
        table.remove("arm");
    }
    let changes = changes(root, path);
    for (key, (mark, value)) in changes.into_iter().flatten() {
        let parts = parts(key, value).map_err(|(message, help)| sources.refuse(mark, message, help))?;
        // A value that was typed in the arm is shown there, whatever is wrong with it.
        set::place(&mut tree, &parts, 0, value.clone(), mark)
            .map_err(|message| sources.refuse(mark, format!("\"{key}\": {message}"), None))?;
    }
    let typed = tree::typed(&tree).map_err(|fault| fault.located(sources))?;
    let says_seed = changes.is_some_and(|changes| changes.contains_key("seed"));
    let seed = seed.filter(|_| !says_seed);
    resolve::resolve(&typed, stem, seed).map_err(|refusal| refusal.located(&tree, sources))
}

/// The table `set` of the arm at `path`.
fn changes<'a>(root: &'a Node, path: &str) -> Option<&'a Table> {
    match &root.at(&format!("{path}.set"))?.value {
        Value::Table(table) => Some(table),
        _ => None,
    }
}

/// The parts of a path, or what is wrong with it and what to try.
fn parts<'a>(key: &'a str, value: &Node) -> Result<Vec<&'a str>, (String, Option<String>)> {
    let parts: Vec<&str> = key.trim().split('.').collect();
    if parts.iter().any(|part| part.is_empty()) {
        return Err((format!("`{key}` is no path; accepted is such as \"load.0.rate\""), None));
    }
    if parts[0] == "arm" {
        return Err((format!("`{key}` is of arms, and an arm has none; accepted are paths of the rest"), None));
    }
    if let ([one], Value::Table(table)) = (&parts[..], &value.value) {
        let inner = table.keys().next().map_or("key", String::as_str);
        let message = format!("`{one}` is a table, which would replace all of [{one}]; accepted are paths in quotes");
        return Err((message, Some(format!("write \"{one}.{inner}\" = .."))));
    }
    Ok(parts)
}

impl ScenarioError {
    /// The same, said of an arm.
    fn in_arm(self, name: &str) -> Self {
        match self {
            Self::Refused(mut refused) => {
                refused.message = format!("in arm \"{name}\": {}", refused.message);
                Self::Refused(refused)
            }
            read @ Self::Read { .. } => read,
        }
    }
}
