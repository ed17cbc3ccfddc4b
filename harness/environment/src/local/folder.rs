//! Where the run's temporary folder may lie.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::EnvironmentError;

/// The parent of the temporary folder. With a second user (PostgreSQL under root) every folder on the way must let others pass.
pub(crate) fn parent(second_user: bool) -> Result<PathBuf, EnvironmentError> {
    let parent = std::env::temp_dir();
    let parent = parent.canonicalize().map_err(EnvironmentError::io("find the temporary folder", &parent))?;
    if second_user && let Some(closed) = first_closed(&parent)? {
        return Err(EnvironmentError::Unreachable { folder: closed });
    }
    Ok(parent)
}

fn first_closed(folder: &Path) -> Result<Option<PathBuf>, EnvironmentError> {
    for step in folder.ancestors() {
        let mode = step.metadata().map_err(EnvironmentError::io("look at", step))?.permissions().mode();
        if mode & 0o001 == 0 {
            return Ok(Some(step.to_owned()));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_folder_on_the_way_is_named() {
        let private = tempfile::tempdir().expect("temporary folder");
        let inside = private.path().join("a");
        std::fs::create_dir(&inside).expect("make folder");
        for (folder, mode) in [(inside.as_path(), 0o755), (private.path(), 0o700)] {
            std::fs::set_permissions(folder, std::fs::Permissions::from_mode(mode)).expect("set mode");
        }
        assert_eq!(first_closed(&inside).expect("look"), Some(private.path().to_owned()));
    }
}
