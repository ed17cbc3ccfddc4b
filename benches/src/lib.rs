//! Inputs that benches share.
//!
//! In: nothing. Out: scenarios and rows of a size. Elsewhere: what is measured (`benches/`, one file per room).

use bankstorm_scenario::Scenario;

/// 300 deposits a second for `seconds`, without warm-up, over 10,000 accounts.
///
/// # Panics
/// When `seconds` is outside a scenario's limits.
pub fn scenario(seconds: u32) -> Scenario {
    let text =
        format!("[phases]\nwarm_up = \"0s\"\nmeasure = \"{seconds}s\"\n[[load]]\nop = \"deposit\"\nrate = \"300/s\"\n");
    bankstorm_scenario::parse("bench.toml", &text, &[], None).expect("within the limits")
}
