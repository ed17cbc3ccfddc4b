//! Callbacks to core.
//!
//! In: definite answers. Out: core told, or not: then it has to ask. Elsewhere: what is told when (`service`).

use std::time::Duration;

use bankstorm_contracts::banks_api::CreditAnswer;
use bankstorm_outside::bank_network::OutcomeSink;
use bankstorm_outside::bundle::BanksOutside;
use bankstorm_outside::process::{Metrics, Scope};
use tokio::time::sleep;

use crate::config::BanksConfig;

/// Tells core, a few times if need be.
pub(crate) async fn tell<O: BanksOutside>(outside: &O, config: &BanksConfig, answer: CreditAnswer) {
    for attempt in 1..=config.tell_tries {
        match outside.core().outcome(answer).await {
            Ok(()) => {
                outside.metrics().count("banks_callbacks_total", 1);
                return;
            }
            Err(error) => tracing::debug!(id = %answer.id, attempt, %error, "core was not told"),
        }
        if attempt < config.tell_tries && !pause(outside.scope(), config.tell_pause).await {
            break;
        }
    }
    outside.metrics().count("banks_callbacks_lost_total", 1);
}

/// Sleeps, unless the process stops first; whether it slept.
pub(crate) async fn pause(scope: &impl Scope, limit: Duration) -> bool {
    tokio::select! {
        biased;
        () = scope.stopping() => false,
        () = sleep(limit) => true,
    }
}
