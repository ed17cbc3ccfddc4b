//! What a process lends its services, in memory, the log that plays what a test sends, and the whole bundle.
//!
//! In: tasks, markers, counters, events. Out: what was counted. Elsewhere: core (`fakes`), the store (`store`).

use std::future::Future;
use std::sync::PoisonError;
use std::time::Duration;

use bankstorm_contracts::{AccountNo, Seq, WallMicros};
use bankstorm_outside::bundle::ChannelOutside;
use bankstorm_outside::log::{
    ConsumerEvent, Delivered, EventConsumer, EventLog, EventProducer, LogError, Outgoing, TopicPartition,
};
use bankstorm_outside::process::{Metrics, Points, Scope, VisibleLog, WallClock};
use tokio::sync::mpsc::UnboundedReceiver;

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

impl WallClock for Fake {
    fn now(&self) -> WallMicros {
        WallMicros(0)
    }
}

impl VisibleLog for Fake {
    fn visible(&self, _: &[(AccountNo, Seq, Seq)]) {}
}

pub(in crate::sync_tests) struct Member(UnboundedReceiver<ConsumerEvent>);

pub(in crate::sync_tests) struct NoProducer;

impl EventLog for Fake {
    type Producer = NoProducer;
    type Consumer = Member;

    async fn producer(&self) -> Result<NoProducer, LogError> {
        Err(LogError::Other("nothing is produced in these tests".to_owned()))
    }

    async fn consumer(&self, _: &str, _: &[&str]) -> Result<Member, LogError> {
        self.data().consumers += 1;
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner).take();
        events.map(Member).ok_or_else(|| LogError::Other("taken".to_owned()))
    }
}

impl EventProducer for NoProducer {
    fn produce(&self, _: Outgoing) -> impl Future<Output = Result<Delivered, LogError>> + Send + 'static {
        std::future::ready(Err(LogError::Other("nothing is produced in these tests".to_owned())))
    }

    async fn discard(self) {}
}

impl EventConsumer for Member {
    async fn next(&mut self) -> Result<ConsumerEvent, LogError> {
        self.0.recv().await.ok_or_else(|| LogError::Other("the script has ended".to_owned()))
    }

    fn commit(&self, _: &[(TopicPartition, i64)]) -> impl Future<Output = Result<(), LogError>> + Send + 'static {
        std::future::ready(Ok(()))
    }

    fn pause(&self, _: &[TopicPartition]) -> Result<(), LogError> {
        Ok(())
    }

    fn resume(&self, _: &[TopicPartition]) -> Result<(), LogError> {
        Ok(())
    }

    async fn close(self) {}
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
