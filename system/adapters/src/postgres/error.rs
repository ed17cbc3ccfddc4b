//! What PostgreSQL said, as the ports say it.
//!
//! In: errors of tokio-postgres. Out: [`StoreError`]s and [`CommitOutcome`]s. Elsewhere: what a service does about them.
//!
//! tokio-postgres hides the command tag, and a COMMIT after a failed step is answered ROLLBACK without an error: so a commit is judged
//! by the results of every step that was pipelined before it.

use bankstorm_outside::{CommitOutcome, StoreError};
use tokio_postgres::Error;
use tokio_postgres::error::Severity;

/// Maps an error by its SQLSTATE.
pub fn store_error(error: &Error) -> StoreError {
    match error.as_db_error() {
        Some(said) => database_said(said.code().code(), said.message()),
        None if error.is_closed() || is_io(error) => StoreError::Unavailable(chain(error)),
        None => StoreError::Other(chain(error)),
    }
}

fn database_said(state: &str, message: &str) -> StoreError {
    let detail = || format!("{state} {message}");
    match (state, state.get(..2).unwrap_or_default()) {
        ("55P03", _) => StoreError::LockTimeout,
        ("40P01", _) => StoreError::Deadlock,
        (_, "22" | "23") => StoreError::Data { sqlstate: state.to_owned(), detail: message.to_owned() },
        // 25P03: idle in a transaction for too long, the session is over. 25006: the server is read-only, a standby for example. 54 and XX:
        // its own limits and its own faults. None of these is about the rows, and no smaller batch helps.
        ("25P03" | "25006", _) | (_, "08" | "53" | "54" | "57" | "58" | "XX") => StoreError::Unavailable(detail()),
        _ => StoreError::Other(detail()),
    }
}

/// Judges a commit that was pipelined behind steps: `step` is the first step's error, `commit` the answer to COMMIT itself.
pub fn judge_commit(step: Option<Error>, commit: Result<(), Error>) -> CommitOutcome {
    match (step, commit) {
        (None, Ok(())) => CommitOutcome::Ok,
        // The server refused a step: it cannot have committed what followed, whatever became of the connection.
        (Some(step), _) if step.as_db_error().is_some() => CommitOutcome::Failed(store_error(&step)),
        // The server answers in order: a COMMIT that was answered without a step's answer is not a thing.
        (Some(step), _) => CommitOutcome::Unknown(chain(&step)),
        (None, Err(error)) if refused_in_commit(&error) => CommitOutcome::Failed(store_error(&error)),
        (None, Err(error)) => CommitOutcome::Unknown(chain(&error)),
    }
}

/// Whether the server, alive and well, refused the COMMIT itself (a deferred constraint): an ERROR there comes before the commit record,
/// since PostgreSQL panics rather than fail behind it. A session that ended while it committed (FATAL) may have committed.
fn refused_in_commit(error: &Error) -> bool {
    error.as_db_error().is_some_and(|said| said.parsed_severity() == Some(Severity::Error))
}

fn is_io(error: &Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        if inner.is::<std::io::Error>() {
            return true;
        }
        source = inner.source();
    }
    false
}

/// The error with its causes; tokio-postgres's own text says little.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        source = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use bankstorm_outside::StoreError;

    use super::database_said;

    #[test]
    fn states_of_the_server_are_outages_and_states_of_rows_are_not() {
        for state in ["25P03", "25006", "08006", "53100", "54001", "57P01", "58030", "XX001"] {
            assert!(matches!(database_said(state, ""), StoreError::Unavailable(_)), "{state}");
        }
        for state in ["22003", "23505"] {
            assert!(matches!(database_said(state, ""), StoreError::Data { .. }), "{state}");
        }
        assert_eq!(database_said("55P03", ""), StoreError::LockTimeout);
        assert_eq!(database_said("40P01", ""), StoreError::Deadlock);
        assert!(matches!(database_said("42601", ""), StoreError::Other(_)));
    }
}
