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
    say("\nOnly in simulated worlds, beside the guarantees above: what the evidence of a run does not hold.");
    for (id, name, explains) in SIMULATED {
        say(&format!("  {id:<3} {name:<18} {explains}"));
    }
    Ok(0)
}

/// What a simulated world judges by itself (`simulator::world`).
const SIMULATED: [(&str, &str, &str); 2] = [
    (
        "O4",
        "verdict-flip",
        "Each single answer of core about a deposit is held against the others, too: of a run the first outcome and the verdict are kept.",
    ),
    (
        "V1",
        "no-liveness",
        "Within 2 minutes of virtual time after the heal everything has a verdict, the copy has caught up, a deposit is booked and pages \
         are read again; every process stops in its 10 s.",
    ),
];
