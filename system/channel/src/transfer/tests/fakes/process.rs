//! What a process lends its services, in memory, and the whole bundle.
//!
//! In: tasks, markers, counters. Out: what was counted. Elsewhere: store, core and log (`fakes`).

use std::future::Future;
use std::time::Duration;

use bankstorm_contracts::{AccountNo, Seq, WallMicros};
use bankstorm_outside::bundle::ChannelOutside;
use bankstorm_outside::process::{Metrics, Points, Scope, VisibleLog, WallClock};

use super::Fake;

impl Scope for Fake {
    #[expect(clippy::disallowed_methods, reason = "this is what the service spawns through")]
    fn spawn(&self, _: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(task);
    }

    async fn stopping(&self) {
        let mut stop = std::pin::pin!(self.stop.notified());
        stop.as_mut().enable();
        if !self.is_stopping() {
            stop.await;
        }
    }

    fn is_stopping(&self) -> bool {
        self.data().stopping
    }
}

impl Points for Fake {
    fn reached(&self, marker: &'static str) {
        *self.data().counts.entry(marker).or_default() += 1;
    }
}

impl Metrics for Fake {
    fn count(&self, name: &'static str, by: u64) {
        *self.data().counts.entry(name).or_default() += by;
    }

    fn gauge(&self, name: &'static str, value: i64) {
        self.data().gauges.insert(name, value);
    }

    fn observe(&self, _: &'static str, _: Duration) {}
}

/// Right, until somebody sets it.
impl WallClock for Fake {
    fn now(&self) -> WallMicros {
        WallMicros(self.data().wall_us)
    }
}

impl VisibleLog for Fake {
    fn visible(&self, advances: &[(AccountNo, Seq, Seq)]) {
        self.data().visible.extend_from_slice(advances);
    }
}

impl ChannelOutside for Fake {
    type Store = Self;
    type Log = Self;
    type Core = Self;
    type Scope = Self;
    type Points = Self;
    type Metrics = Self;
    type Visible = Self;
    type Wall = Self;

    fn store(&self) -> &Self {
        self
    }

    fn log(&self) -> &Self {
        self
    }

    fn core(&self) -> &Self {
        self
    }

    fn scope(&self) -> &Self {
        self
    }

    fn points(&self) -> &Self {
        self
    }

    fn metrics(&self) -> &Self {
        self
    }

    fn visible(&self) -> &Self {
        self
    }

    fn wall(&self) -> &Self {
        self
    }
}
