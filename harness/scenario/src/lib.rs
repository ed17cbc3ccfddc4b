//! What may be typed (`file`) and what the rest may trust (`resolved`).
//!
//! In: a TOML file and `--set` overrides. Out: [`Scenario`], every value checked, every default filled in. Elsewhere: what is done with
//! it (`environment`, `customers`, `load`).
//!
//! | to read first | what it is |
//! |---|---|
//! | [`file`] | the keys that a file may have |
//! | [`protections`] | what may be switched off |
//! | [`resolve`] | the limits of each value |
//! | [`resolved`] | what comes out |
//! | `arm` | the same file with a few keys changed |
//! | [`error`] | what is said when something is wrong |

mod arm;
pub mod builtin;
pub mod error;
pub mod file;
pub mod protections;
pub mod resolve;
pub mod resolved;
pub mod schema;
mod set;
mod tree;
pub mod units;
mod write;

use std::path::Path;

pub use error::ScenarioError;
pub use resolved::Scenario;
pub use schema::schema;

/// Reads, checks and resolves the file at `path`. `sets` are `path=value` overrides of the file and of every arm, before what the arm has
/// otherwise; `seed` wins over the file and over `sets`.
///
/// # Errors
/// [`ScenarioError`]: the file cannot be read, or something in it or in `sets` is not accepted.
pub fn load(path: &Path, sets: &[String], seed: Option<u64>) -> Result<Scenario, ScenarioError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ScenarioError::Read { path: path.display().to_string(), problem: source.to_string() })?;
    parse(&path.display().to_string(), &text, sets, seed)
}

/// The same for a file that is at hand: `name` is its path, for messages, and its stem names the scenario unless the text does.
///
/// # Errors
/// [`ScenarioError`]: something in the text or in `sets` is not accepted.
pub fn parse(name: &str, text: &str, sets: &[String], seed: Option<u64>) -> Result<Scenario, ScenarioError> {
    let sources = error::Sources { file: name.to_owned(), text: text.to_owned(), sets: sets.to_vec() };
    let mut root = tree::parse_document(&sources)?;
    set::apply(&mut root, &sources)?;
    let typed = tree::typed(&root).map_err(|fault| fault.located(&sources))?;
    let stem = Path::new(name).file_stem().map_or_else(|| name.to_owned(), |stem| stem.to_string_lossy().into_owned());
    let mut scenario = resolve::resolve(&typed, &stem, seed).map_err(|refusal| refusal.located(&root, &sources))?;
    scenario.arms = arm::arms(&root, &typed, &sources, &stem, seed)?;
    Ok(scenario)
}

#[cfg(test)]
mod tests;
