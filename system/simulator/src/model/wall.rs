//! A model of the clock of a process's machine.
//!
//! In: virtual time, steps. Out: what the clock says. Elsewhere: the databases' clocks (`database`), who sets clocks (`world`).

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bankstorm_contracts::WallMicros;
use bankstorm_outside::process::WallClock;
use tokio::time::Instant;

use super::database::EPOCH;

/// A machine's clock, which outlives its processes. Clones are the same clock.
#[derive(Clone, Debug)]
pub struct ModelWall(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    born: Instant,
    stepped_micros: AtomicI64,
}

impl Default for ModelWall {
    fn default() -> Self {
        Self(Arc::new(Inner { born: Instant::now(), stepped_micros: AtomicI64::new(0) }))
    }
}

impl ModelWall {
    /// Sets it forwards or backwards.
    pub fn step(&self, by_ms: i64) {
        self.0.stepped_micros.fetch_add(by_ms.saturating_mul(1000), Ordering::Relaxed);
    }
}

impl WallClock for ModelWall {
    fn now(&self) -> WallMicros {
        let passed = i64::try_from(self.0.born.elapsed().as_micros()).unwrap_or(i64::MAX);
        let stepped = self.0.stepped_micros.load(Ordering::Relaxed);
        WallMicros(EPOCH.0.saturating_add(passed).saturating_add(stepped))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bankstorm_outside::process::WallClock;

    use super::ModelWall;

    #[tokio::test(start_paused = true)]
    async fn goes_with_virtual_time_and_can_be_set_either_way() {
        let wall = ModelWall::default();
        let begun = wall.now().0;
        tokio::time::sleep(Duration::from_millis(7)).await;
        assert_eq!(wall.now().0 - begun, 7_000);
        wall.clone().step(-9);
        assert_eq!(wall.now().0 - begun, -2_000);
    }
}
