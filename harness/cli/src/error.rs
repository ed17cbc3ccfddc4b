//! What can go wrong on the way, and the exit code of each.
//!
//! In: the rooms' own errors. Out: [`CliError`] with [`CliError::exit_code`]. Elsewhere: exit codes of finished runs (`check::exit`).

use thiserror::Error;

/// An end without a verdict.
#[derive(Debug, Error)]
pub(crate) enum CliError {
    /// The user's file or argument is at fault: exit code 2.
    #[error("{0}")]
    Usage(String),
    /// The environment did not come up or was lost: exit code 3.
    #[error("{0}")]
    Environment(String),
    /// A part of Bankstorm itself broke: exit code 1.
    #[error("a bug in Bankstorm: {0}")]
    Bug(String),
    /// Interrupted before there was anything to judge: exit code 4.
    #[error("interrupted before load began; nothing was measured, everything was stopped")]
    Interrupted,
}

impl CliError {
    /// The process's exit code.
    pub(crate) const fn exit_code(&self) -> u8 {
        match self {
            Self::Bug(_) => 1,
            Self::Usage(_) => 2,
            Self::Environment(_) => 3,
            Self::Interrupted => 4,
        }
    }
}

/// A usage error that names a path.
pub(crate) fn unusable(path: &std::path::Path, problem: impl std::fmt::Display) -> CliError {
    CliError::Usage(format!("{}: {problem}", path.display()))
}
