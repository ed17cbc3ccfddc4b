//! `checks`: what is proved of every run, and how.
//!
//! In: nothing. Out: a list. Elsewhere: the checks themselves (`check`).

use crate::error::CliError;
use crate::output::say;

/// Prints the list.
pub(crate) fn run() -> Result<u8, CliError> {
    let (validity, guarantees): (Vec<_>, Vec<_>) =
        bankstorm_check::catalogue().into_iter().partition(|check| check.is_validity);
    say("Guarantees: every row is examined; one counter-example is exit code 6.");
    for check in guarantees {
        say(&format!("  {:<3} {:<18} {}", check.id, check.name, check.explains));
    }
    say("\nValidity: a run that breaks one is not believed (exit code 4).");
    for check in validity {
        say(&format!("  {:<3} {:<18} {}", check.id, check.name, check.explains));
    }
    Ok(0)
}
