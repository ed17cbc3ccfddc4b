//! The scenarios that lie in a folder, for lists.
//!
//! In: a folder. Out: what each file is called and shows. Elsewhere: their contents (`crate::load`).

use std::path::{Path, PathBuf};

use crate::error::ScenarioError;

/// A scenario in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// What it shows.
    pub about: String,
    /// Where it lies.
    pub path: PathBuf,
}

/// Every `*.toml` in `folder`, by name.
///
/// # Errors
/// [`ScenarioError`]: the folder cannot be read, or a file in it is not accepted.
pub fn list(folder: &Path) -> Result<Vec<Listed>, ScenarioError> {
    let unreadable =
        |error: std::io::Error| ScenarioError::Read { path: folder.display().to_string(), problem: error.to_string() };
    let mut listed = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let scenario = crate::load(&path, &[], None)?;
            listed.push(Listed { name: scenario.name, about: scenario.about, path });
        }
    }
    listed.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(listed)
}
