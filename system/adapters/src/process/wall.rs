//! The machine's clock.
//!
//! In: nothing. Out: what it says. Elsewhere: who goes by it, which nobody does unless a protection is off (`channel::config`, P29).

use std::time::{SystemTime, UNIX_EPOCH};

use bankstorm_contracts::WallMicros;
use bankstorm_outside::process::WallClock;

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct MachineWall;

impl WallClock for MachineWall {
    #[expect(clippy::disallowed_methods, reason = "this is what services read a wall clock through")]
    fn now(&self) -> WallMicros {
        let micros = |span: std::time::Duration| i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => WallMicros(micros(since)),
            Err(before) => WallMicros(-micros(before.duration())),
        }
    }
}
