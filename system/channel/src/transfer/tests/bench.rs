//! A channel over the fakes, and the words that tests speak with it.
//!
//! In: numbers of transfers, serials. Out: requests, verdicts, entries, a running channel. Elsewhere: the tests (`tests`).

use std::cell::Cell;
use std::time::Duration;

use bankstorm_contracts::channel_api::{ChannelRequest, ChannelResponse, SubmitTransfer, TransferStage, TransferView};
use bankstorm_contracts::core_api::{Party, Verdict};
use bankstorm_contracts::event::{self, ENTRIES_TOPIC};
use bankstorm_contracts::problem::ProblemKind;
use bankstorm_contracts::{
    AccountNo, Entry, EntryKind, Head, RejectReason, Seq, TransferId, TransferState, UserNo, WallMicros, Won,
};
use bankstorm_outside::channel_store::Source;
use bankstorm_outside::core_api::{CallError, Submitted};
use bankstorm_outside::log::{Assignment, ConsumerEvent, Record, TopicPartition};
use tokio::time::{sleep, timeout};

use super::fakes::Fake;
use crate::Channel;
use crate::config::ChannelConfig;

pub(crate) const FROM: AccountNo = AccountNo::new(1_000_001);
pub(crate) const AMOUNT: i64 = 10;
/// The copy and core begin here.
pub(crate) const OPENED: Seq = 3;
/// Longer than anything that nobody holds up.
pub(crate) const SOON: Duration = Duration::from_millis(100);

pub(crate) fn id(number: u32) -> TransferId {
    format!("00000000-0000-0000-0000-{number:012}").parse().expect("an id")
}

pub(crate) fn submit(number: u32) -> SubmitTransfer {
    let to = Party::own(AccountNo::new(1_000_002));
    SubmitTransfer { id: id(number), user: UserNo(7), from: FROM, to, amount: Won::new(AMOUNT) }
}

/// The debit of transfer `number` at a serial; every serial takes ten won from the thousand.
pub(crate) fn debit(number: u32, seq: Seq) -> Entry {
    Entry {
        account: FROM,
        seq,
        amount: Won::new(-AMOUNT),
        balance_after: Won::new(1_000 - AMOUNT * (seq - OPENED)),
        transfer: id(number),
        kind: EntryKind::TransferOut,
        posted_at: WallMicros(seq),
    }
}

pub(crate) fn posted(number: u32, seq: Seq) -> Verdict {
    let Entry { balance_after, posted_at, .. } = debit(number, seq);
    Verdict {
        id: id(number),
        state: TransferState::Completed,
        reason: None,
        seq: Some(seq),
        balance_after: Some(balance_after),
        posted_at: Some(posted_at),
        params_hash: Some(submit(number).params_hash()),
    }
}

pub(crate) fn refused(number: u32, reason: RejectReason) -> Verdict {
    let state = TransferState::Rejected;
    Verdict {
        id: id(number),
        state,
        reason: Some(reason),
        seq: None,
        balance_after: None,
        posted_at: None,
        params_hash: None,
    }
}

pub(crate) fn says(verdict: Verdict) -> (Duration, Result<Submitted, CallError>) {
    (Duration::from_millis(5), Ok(Submitted::Verdict(verdict)))
}

pub(crate) fn lost() -> (Duration, Result<Submitted, CallError>) {
    (Duration::from_millis(5), Err(CallError::Unavailable("lost".to_owned())))
}

/// The partition of these tests.
pub(crate) fn partition() -> TopicPartition {
    TopicPartition { topic: ENTRIES_TOPIC.to_owned(), partition: 0 }
}

pub(crate) struct Bench {
    pub(crate) fake: Fake,
    pub(crate) channel: Channel<Fake>,
    offset: Cell<i64>,
}

impl Bench {
    pub(crate) fn open(config: ChannelConfig) -> Self {
        Self::open_in(config, Some(1))
    }

    pub(crate) fn open_in(config: ChannelConfig, generation: Option<i32>) -> Self {
        let fake = Fake::new();
        fake.data().heads.insert(FROM, Head { account: FROM, seq: OPENED, balance: Won::new(1_000) });
        let partitions = vec![partition()];
        let assigned = ConsumerEvent::Assigned(Assignment { partitions, generation });
        fake.log.send(assigned).expect("the channel listens");
        let channel = Channel::start(fake.clone(), config);
        Self { fake, channel, offset: Cell::new(0) }
    }

    /// Core answers the next request so.
    pub(crate) fn core(self, answer: (Duration, Result<Submitted, CallError>)) -> Self {
        self.fake.data().answers.push_back(answer);
        self
    }

    pub(crate) async fn submit(&self, number: u32) -> ChannelResponse {
        self.channel.handle(ChannelRequest::Submit(submit(number))).await
    }

    /// The event of an entry comes.
    pub(crate) fn event(&self, entry: &Entry) {
        self.record(&event::key(entry.account), &event::encode(entry));
    }

    /// A record of the partition comes.
    pub(crate) fn record(&self, key: &[u8], value: &[u8]) {
        let offset = self.offset.replace(self.offset.get() + 1);
        let (key, value) = (key.to_vec(), value.to_vec());
        self.log(ConsumerEvent::Record(Record { at: partition(), offset, key, value }));
    }

    /// The partition comes anew, and is read from `offset` on.
    pub(crate) fn reassigned(&self, generation: Option<i32>, offset: i64) {
        self.offset.set(offset);
        self.log(ConsumerEvent::Lost(vec![partition()]));
        self.log(ConsumerEvent::Assigned(Assignment { partitions: vec![partition()], generation }));
    }

    /// The member that joins next gets the partition in this generation, and reads it from the start.
    pub(crate) fn joins(&self, generation: i32) {
        self.offset.set(0);
        let partitions = vec![partition()];
        self.log(ConsumerEvent::Assigned(Assignment { partitions, generation: Some(generation) }));
    }

    pub(crate) fn log(&self, event: ConsumerEvent) {
        self.fake.log.send(event).expect("the channel listens");
    }

    pub(crate) async fn until(&self, limit: Duration, number: u32, stage: TransferStage) {
        let reached = timeout(limit, async {
            while self.fake.stage(id(number)) != Some(stage) {
                sleep(Duration::from_millis(1)).await;
            }
        });
        assert!(reached.await.is_ok(), "limit of {limit:?} hit: {:?}, not {stage:?}", self.fake.stage(id(number)));
    }

    /// A6: every commit that completed a transfer stored its row.
    pub(crate) fn assert_completed_with_its_row(&self, number: u32, seq: Seq, source: Source) {
        let data = self.fake.data();
        let settling = data.commits.iter().filter(|writes| writes.transfers.iter().any(|moved| moved.seq.is_some()));
        let of_it: Vec<_> =
            settling.filter(|writes| writes.transfers.iter().any(|moved| moved.id == id(number))).collect();
        let [writes] = of_it.as_slice() else { panic!("completed {} times", of_it.len()) };
        assert!(writes.entries.contains(&debit(number, seq)));
        let line = writes.journal.first().expect("a line of the journal");
        assert_eq!((line.source, line.cause.is_some()), (source, source != Source::Answer));
    }
}

pub(crate) fn problem(response: ChannelResponse) -> (ProblemKind, Option<TransferId>) {
    let ChannelResponse::Problem(problem) = response else { panic!("not a problem: {response:?}") };
    (problem.kind, problem.pending)
}

pub(crate) fn accepted(response: ChannelResponse) -> TransferView {
    let ChannelResponse::Accepted(view) = response else { panic!("not 202: {response:?}") };
    assert_eq!(view.message.as_deref(), Some("확인 중"));
    view
}
