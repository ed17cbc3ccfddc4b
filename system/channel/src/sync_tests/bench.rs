//! A channel over the fakes, and the words that tests speak with it.
//!
//! In: accounts. Out: pages, answers of the button, a running channel. Elsewhere: the tests (`sync_tests`).

use std::cell::Cell;
use std::time::Duration;

use bankstorm_contracts::channel_api::{ChannelRequest, ChannelResponse, HistoryPage, SyncAnswer};
use bankstorm_contracts::event::{self, ENTRIES_TOPIC};
use bankstorm_contracts::problem::ProblemKind;
use bankstorm_contracts::{AccountNo, Entry, Seq};
use bankstorm_outside::log::{Assignment, ConsumerEvent, Record, TopicPartition};
use tokio::time::{sleep, timeout};

use super::fakes::Fake;
use crate::Channel;
use crate::config::{ChannelConfig, Sweeping};

/// Longer than anything that nobody holds up.
pub(super) const SOON: Duration = Duration::from_millis(50);

/// Nobody compares anything on his own account.
pub(super) fn quiet() -> ChannelConfig {
    ChannelConfig { sweeping: Sweeping::Off, ..ChannelConfig::default() }
}

pub(super) const fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

pub(super) struct Bench {
    pub(super) fake: Fake,
    pub(super) channel: Channel<Fake>,
    offset: Cell<i64>,
}

impl Bench {
    /// A channel that starts once `stage` has set what there is.
    pub(super) fn open(config: ChannelConfig, stage: impl FnOnce(&Fake)) -> Self {
        let fake = Fake::new();
        stage(&fake);
        let partitions = vec![TopicPartition { topic: ENTRIES_TOPIC.to_owned(), partition: 0 }];
        let assigned = ConsumerEvent::Assigned(Assignment { partitions, generation: Some(1) });
        fake.log.send(assigned).expect("the channel listens");
        let channel = Channel::start(fake.clone(), config);
        Self { fake, channel, offset: Cell::new(0) }
    }

    pub(super) async fn ask(&self, account: AccountNo, cursor: Option<Seq>, limit: u32) -> ChannelResponse {
        self.channel.handle(ChannelRequest::History { account, cursor, limit }).await
    }

    pub(super) async fn read(&self, account: AccountNo) -> HistoryPage {
        self.page(account, None, 20).await
    }

    pub(super) async fn page(&self, account: AccountNo, cursor: Option<Seq>, limit: u32) -> HistoryPage {
        let response = self.ask(account, cursor, limit).await;
        let ChannelResponse::History(page) = response else { panic!("not a page: {response:?}") };
        page
    }

    pub(super) async fn press(&self, account: AccountNo) -> SyncAnswer {
        let response = self.channel.handle(ChannelRequest::Sync(account)).await;
        let ChannelResponse::Synced(answer) = response else { panic!("not an answer of the button: {response:?}") };
        answer
    }

    /// The event of an entry comes.
    pub(super) fn event(&self, entry: &Entry) {
        let at = TopicPartition { topic: ENTRIES_TOPIC.to_owned(), partition: 0 };
        let offset = self.offset.replace(self.offset.get() + 1);
        let (key, value) = (event::key(entry.account), event::encode(entry));
        self.fake.log.send(ConsumerEvent::Record(Record { at, offset, key, value })).expect("the channel listens");
    }

    /// Until the copy of an account stands at a serial.
    pub(super) async fn until(&self, limit: Duration, account: AccountNo, seq: Seq) {
        let reached = timeout(limit, async {
            while self.fake.stands(account) != seq {
                sleep(ms(1)).await;
            }
        });
        assert!(reached.await.is_ok(), "limit of {limit:?} hit at serial {}, not {seq}", self.fake.stands(account));
    }

    /// It stops within its limits.
    pub(super) async fn stop(self) {
        self.fake.stop();
        assert!(timeout(Duration::from_secs(10), self.channel.stopped()).await.is_ok(), "limit hit");
    }
}

pub(super) fn problem(response: ChannelResponse) -> (ProblemKind, Option<String>) {
    let ChannelResponse::Problem(problem) = response else { panic!("not a problem: {response:?}") };
    (problem.kind, problem.field)
}

pub(super) fn serials(page: &HistoryPage) -> Vec<Seq> {
    page.items.iter().map(|entry| entry.seq).collect()
}
