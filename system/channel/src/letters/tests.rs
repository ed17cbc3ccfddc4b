//! Records that cannot be applied, over a store, a core and a log in memory: what is durable before what, and what heals them.
//!
//! In: scripts. Out: nothing but assertions. Elsewhere: the rule alone (`advance::plan`), the store's half (`outside::conformance`).

mod arms;
mod owners;

use std::time::Duration;

use bankstorm_contracts::channel_api::{ChannelRequest, ChannelResponse, RedriveAnswer, RedriveRequest};
use bankstorm_contracts::core_api::Purpose;
use bankstorm_contracts::dead_letter::{self, Class, hex};
use bankstorm_contracts::event::{self, DEAD_LETTERS_TOPIC};
use bankstorm_contracts::problem::ProblemKind;
use bankstorm_contracts::{AccountNo, Entry, Seq};
use bankstorm_outside::StoreError;
use bankstorm_outside::log::ConsumerEvent;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use crate::config::{ChannelConfig, Redriving, Sweeping, WorkerMode};
use crate::markers;
use crate::transfer::tests::bench::{Bench, FROM, OPENED, debit, partition, problem};

/// Long enough for the offset commit after whatever was done at once.
const A_WHILE: Duration = Duration::from_millis(300);
/// Longer than all attempts at a record, shorter than the second look at the letters.
const ATTEMPTS: Duration = Duration::from_millis(5_500);

fn entry(seq: Seq) -> Entry {
    debit(u32::try_from(seq).expect("small"), seq)
}

fn refused() -> StoreError {
    StoreError::Data { sqlstate: "22003".to_owned(), detail: "out of range".to_owned() }
}

/// Nobody else compares copies with core.
fn quiet() -> ChannelConfig {
    ChannelConfig { sweeping: Sweeping::Off, ..ChannelConfig::default() }
}

fn by_hand() -> ChannelConfig {
    ChannelConfig { redriving: Redriving::OnCommand, ..quiet() }
}

impl Bench {
    /// The database does not take the entry of this serial.
    fn poison(&self, seq: Seq) {
        self.fake.data().poison.insert((FROM, seq), refused());
    }

    fn produced(&self) -> usize {
        self.fake.data().produced.len()
    }

    fn stored(&self) -> Vec<Seq> {
        self.fake.data().entries.iter().map(|entry| entry.seq).collect()
    }

    /// (serial, class, code, attempts, open) of every letter.
    fn letters(&self) -> Vec<(Option<Seq>, Class, String, u32, bool)> {
        let data = self.fake.data();
        let of = |stored: &crate::transfer::tests::fakes::Stored| {
            let letter = &stored.letter;
            (letter.seq, letter.class, letter.code.clone(), letter.attempts, stored.open)
        };
        data.letters.iter().map(of).collect()
    }

    fn open_letters(&self) -> usize {
        self.fake.data().letters.iter().filter(|stored| stored.open).count()
    }

    fn mark(&self) -> Option<(bool, Option<Seq>)> {
        self.fake.data().marks.get(&FROM).copied()
    }

    fn committed(&self) -> Option<i64> {
        self.fake.data().committed.last().map(|(_, offset)| *offset)
    }

    async fn redrive(&self, limit: u32) -> ChannelResponse {
        self.channel.handle(ChannelRequest::Redrive(RedriveRequest { limit })).await
    }
}

#[tokio::test(start_paused = true)]
async fn r17_a_letter_is_on_the_topic_then_in_the_store_then_its_offset_is_done() {
    let bench = Bench::open(quiet());
    bench.poison(OPENED + 1);
    bench.event(&entry(OPENED + 1));
    sleep(A_WHILE).await;
    let data = bench.fake.data();
    assert_eq!(data.steps, ["producer", "letter sent", "letter stored", "offsets committed"]);
    assert_eq!(data.committed, [(partition(), 1)]);
    let record = data.produced[0].clone();
    drop(data);
    assert_eq!((record.topic.as_str(), &record.key), (DEAD_LETTERS_TOPIC, &event::key(FROM)));
    let letter = dead_letter::decode(&record.value).expect("a letter");
    assert_eq!((letter.partition, letter.offset, letter.account, letter.seq), (0, 0, Some(FROM), Some(OPENED + 1)));
    assert_eq!(letter.value, hex(&event::encode(&entry(OPENED + 1))), "every byte of the record");
    assert_eq!(bench.letters(), [(Some(OPENED + 1), Class::Permanent, "22003".to_owned(), 1, true)]);
    assert_eq!(bench.mark(), Some((true, Some(OPENED + 1))));
    assert_eq!(bench.fake.count(markers::PARKED), 1);
}

#[tokio::test(start_paused = true)]
async fn r17_a_record_that_comes_again_before_its_offset_was_committed_is_one_letter_and_no_harm() {
    let bench = Bench::open(quiet());
    bench.poison(OPENED + 1);
    for generation in [2, 3] {
        bench.reassigned(Some(generation), 0);
        bench.event(&entry(OPENED + 1));
        sleep(Duration::from_millis(50)).await;
    }
    assert_eq!((bench.produced(), bench.letters().len()), (2, 1));
    assert_eq!((bench.fake.count(markers::LETTER_AGAIN), bench.mark()), (1, Some((true, Some(OPENED + 1)))));
}

#[tokio::test(start_paused = true)]
async fn d3_a_later_record_sees_the_gap_and_its_pull_heals_the_account_and_closes_the_letter() {
    let bench = Bench::open(quiet());
    bench.poison(OPENED + 1);
    bench.event(&entry(OPENED + 1));
    sleep(A_WHILE).await;
    bench.fake.data().poison.clear();
    bench.fake.data().booked.extend([OPENED + 1, OPENED + 2].map(entry));
    bench.event(&entry(OPENED + 2));
    sleep(A_WHILE).await;
    assert_eq!(bench.stored(), [OPENED + 1, OPENED + 2]);
    assert_eq!((bench.open_letters(), bench.mark(), bench.committed()), (0, Some((false, None)), Some(2)));
    assert_eq!(bench.fake.count(markers::LETTER_OVERTAKEN), 1);
    assert_eq!(bench.fake.data().purposes, [Purpose::GapFill]);
}

#[tokio::test(start_paused = true)]
async fn one_bad_record_among_many_is_parked_alone() {
    let bench = Bench::open(quiet());
    bench.fake.data().own_fails = 2;
    bench.poison(OPENED + 3);
    (1..=4).for_each(|seq| bench.event(&entry(OPENED + seq)));
    sleep(A_WHILE).await;
    assert_eq!(bench.fake.count("channel_coalesced_total"), 3, "they waited for the generation, and came together");
    assert_eq!(bench.stored(), [OPENED + 1, OPENED + 2]);
    assert_eq!(bench.letters(), [(Some(OPENED + 3), Class::Permanent, "22003".to_owned(), 1, true)]);
    sleep(ATTEMPTS).await;
    assert_eq!(bench.letters()[1].0, Some(OPENED + 4), "core has got nothing that would heal it");
}

#[tokio::test(start_paused = true)]
async fn d14_slots_apply_one_record_a_job_in_order_and_park_like_the_others() {
    let bench = Bench::open(ChannelConfig { worker_mode: WorkerMode::Slots, workers: 3, ..quiet() });
    bench.fake.data().own_fails = 2;
    bench.poison(OPENED + 3);
    (1..=3).for_each(|seq| bench.event(&entry(OPENED + seq)));
    sleep(A_WHILE).await;
    assert_eq!(bench.stored(), [OPENED + 1, OPENED + 2]);
    assert_eq!((bench.open_letters(), bench.committed()), (1, Some(3)));
    assert_eq!(bench.fake.count("channel_coalesced_total"), 0);
    assert_eq!(bench.fake.data().gauges["channel_slots_used"], 1, "one account, one slot");
}

#[tokio::test(start_paused = true)]
async fn with_the_channels_database_down_the_consumer_pauses_and_nothing_goes_to_the_dead_letters() {
    let bench = Bench::open(ChannelConfig { span: 2, ..quiet() });
    sleep(A_WHILE).await;
    bench.fake.data().store_down = true;
    (1..=3).for_each(|seq| bench.event(&entry(OPENED + seq)));
    sleep(Duration::from_secs(120)).await;
    assert_eq!((bench.letters(), bench.produced()), (vec![], 0));
    assert_eq!((bench.committed(), bench.stored()), (Some(0), vec![]), "nothing is done");
    assert_eq!(bench.fake.data().paused, [true], "the log is asked for no more");
    bench.fake.data().store_down = false;
    sleep(Duration::from_secs(2)).await;
    assert_eq!(bench.stored(), [OPENED + 1, OPENED + 2, OPENED + 3]);
    assert_eq!((bench.committed(), bench.fake.data().paused.last()), (Some(3), Some(&false)));
    assert_eq!(bench.fake.count("channel_poison_total"), 0, "nobody's attempt (D38)");
}

#[tokio::test(start_paused = true)]
async fn d38_with_core_out_a_gap_waits_and_is_nobodys_attempt() {
    let bench = Bench::open(quiet());
    bench.fake.data().core_down = true;
    bench.event(&entry(OPENED + 2));
    sleep(Duration::from_secs(120)).await;
    assert_eq!((bench.letters(), bench.committed()), (vec![], Some(0)));
    bench.fake.data().core_down = false;
    bench.fake.data().booked.extend([OPENED + 1, OPENED + 2].map(entry));
    sleep(Duration::from_secs(1)).await;
    assert_eq!((bench.stored(), bench.letters()), (vec![OPENED + 1, OPENED + 2], vec![]));
}

#[tokio::test(start_paused = true)]
async fn d1_what_may_pass_is_tried_three_times_in_five_seconds() {
    let bench = Bench::open(by_hand());
    bench.event(&entry(OPENED + 2));
    sleep(Duration::from_secs(3)).await;
    assert_eq!((bench.letters(), bench.fake.count("channel_poison_total")), (vec![], 2), "core has not got it yet");
    sleep(Duration::from_millis(2_500)).await;
    assert_eq!(bench.letters(), [(Some(OPENED + 2), Class::Transient, "not_in_core".to_owned(), 3, true)]);
    assert_eq!((bench.mark(), bench.committed()), (Some((true, Some(OPENED + 2))), Some(1)));
}

#[tokio::test(start_paused = true)]
async fn a_log_that_refuses_letters_is_waited_for() {
    let bench = Bench::open(quiet());
    bench.poison(OPENED + 1);
    bench.fake.data().log_fails = 8;
    bench.event(&entry(OPENED + 1));
    sleep(Duration::from_secs(1)).await;
    assert_eq!((bench.letters(), bench.committed()), (vec![], Some(0)));
    sleep(Duration::from_secs(3)).await;
    assert_eq!((bench.open_letters(), bench.committed()), (1, Some(1)));
    let discarded = bench.fake.data().steps.iter().filter(|step| **step == "producer discarded").count();
    assert_eq!(discarded, 8, "nothing later goes through a producer that failed (D35)");
}

#[tokio::test(start_paused = true)]
async fn a_revoked_partition_is_given_up_after_the_letter_under_way() {
    let bench = Bench::open(quiet());
    bench.poison(OPENED + 1);
    bench.fake.data().slow.push_back(Duration::from_millis(800));
    bench.event(&entry(OPENED + 1));
    sleep(Duration::from_millis(50)).await;
    let (done, given_up) = oneshot::channel();
    bench.log(ConsumerEvent::Revoked { partitions: vec![partition()], done });
    timeout(Duration::from_millis(1_500), given_up).await.expect("within the drain's limit").expect("it is told");
    assert_eq!((bench.open_letters(), bench.committed()), (1, Some(1)));
    assert_eq!(bench.fake.count(markers::REVOKED_DRAINED), 1);
}

#[tokio::test(start_paused = true)]
async fn a_revoked_partition_does_not_wait_for_the_attempts_that_are_left() {
    let bench = Bench::open(quiet());
    bench.event(&entry(OPENED + 2));
    sleep(Duration::from_millis(2_000)).await;
    let (done, given_up) = oneshot::channel();
    bench.log(ConsumerEvent::Revoked { partitions: vec![partition()], done });
    timeout(Duration::from_millis(1_500), given_up).await.expect("within the drain's limit").expect("it is told");
    assert_eq!((bench.letters(), bench.committed()), (vec![], Some(0)), "its next owner reads it");
    assert_eq!(bench.fake.count(markers::REVOKED_DRAINED), 1);
}

#[tokio::test(start_paused = true)]
async fn d2_letters_are_driven_again_through_the_one_way_and_closed() {
    let bench = Bench::open(quiet());
    bench.poison(OPENED + 1);
    bench.event(&entry(OPENED + 1));
    sleep(A_WHILE).await;
    bench.fake.data().poison.clear();
    bench.fake.data().booked.push(entry(OPENED + 1));
    sleep(Duration::from_secs(6)).await;
    assert_eq!((bench.stored(), bench.open_letters(), bench.mark()), (vec![OPENED + 1], 0, Some((false, None))));
    assert_eq!(bench.fake.count(markers::LETTER_REDRIVEN), 1);
    assert_eq!(bench.fake.data().purposes, [Purpose::Redrive, Purpose::Redrive], "the head, then the entries");
    assert_eq!(bench.fake.data().commits.last().expect("a commit").journal[0].source.as_str(), "redrive");
    assert_eq!(bench.fake.data().gauges["channel_dead_letters_open"], 0);
}

#[tokio::test(start_paused = true)]
async fn d2_letters_are_driven_five_times_unasked_and_then_by_the_command_alone() {
    let bench = Bench::open(quiet());
    bench.poison(OPENED + 1);
    bench.fake.data().booked.push(entry(OPENED + 1));
    bench.event(&entry(OPENED + 1));
    sleep(Duration::from_secs(120)).await;
    assert_eq!((bench.fake.count("channel_redrive_failures_total"), bench.fake.data().letters[0].redrives), (5, 5));
    assert_eq!(bench.fake.data().gauges["channel_dead_letters_open"], 1);
    assert_eq!(bench.fake.data().gauges["channel_dead_letter_oldest_seconds"], 1);
    let failed = RedriveAnswer { taken: 1, closed: 0, failed: 1, open: 1, oldest_ms: Some(1_000) };
    assert_eq!(bench.redrive(10).await, ChannelResponse::Redriven(failed));
    bench.fake.data().poison.clear();
    let closed = RedriveAnswer { taken: 1, closed: 1, ..RedriveAnswer::default() };
    assert_eq!(bench.redrive(10).await, ChannelResponse::Redriven(closed));
    assert_eq!(bench.redrive(10).await, ChannelResponse::Redriven(RedriveAnswer::default()));
    assert_eq!(problem(bench.redrive(0).await).0, ProblemKind::BadRequest);
}

#[tokio::test(start_paused = true)]
async fn a_record_that_cannot_be_read_is_parked_at_once_and_healed_by_its_accounts_head() {
    let bench = Bench::open(quiet());
    bench.record(&event::key(FROM), b"?");
    bench.record(b"who", b"?");
    sleep(A_WHILE).await;
    let unreadable = |seq| (seq, Class::Permanent, "unreadable".to_owned(), 1, true);
    assert_eq!(bench.letters(), [unreadable(Some(OPENED + 1)), unreadable(None)], "it is about the next serial");
    assert_eq!((bench.mark(), bench.committed()), (Some((true, Some(OPENED + 1))), Some(2)));
    bench.fake.data().booked.push(entry(OPENED + 1));
    sleep(Duration::from_secs(6)).await;
    assert_eq!((bench.stored(), bench.mark()), (vec![OPENED + 1], Some((false, None))));
    let open: Vec<_> = bench.fake.data().letters.iter().filter(|stored| stored.open).cloned().collect();
    assert!(matches!(open.as_slice(), [stored] if stored.letter.account.is_none()), "nobody's to drive");
    let closed = RedriveAnswer { taken: 1, closed: 1, ..RedriveAnswer::default() };
    assert_eq!(bench.redrive(10).await, ChannelResponse::Redriven(closed), "whoever gives the command has seen it");
    assert_eq!(bench.fake.count("channel_letters_nameless_closed_total"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_record_that_cannot_be_read_is_overtaken_by_the_next_serial() {
    let bench = Bench::open(by_hand());
    bench.record(&event::key(FROM), b"?");
    sleep(A_WHILE).await;
    bench.event(&entry(OPENED + 1));
    sleep(A_WHILE).await;
    assert_eq!((bench.stored(), bench.open_letters(), bench.mark()), (vec![OPENED + 1], 0, Some((false, None))));
}

#[tokio::test(start_paused = true)]
async fn a_record_that_cannot_be_read_is_driven_to_where_core_stands() {
    let bench = Bench::open(by_hand());
    bench.record(&event::key(FROM), b"?");
    sleep(A_WHILE).await;
    let closed = RedriveAnswer { taken: 1, closed: 1, ..RedriveAnswer::default() };
    assert_eq!(bench.redrive(10).await, ChannelResponse::Redriven(closed), "core has nothing above");
}

#[tokio::test(start_paused = true)]
async fn d3_a_hole_that_is_passed_leaves_the_one_above_it() {
    let bench = Bench::open(by_hand());
    bench.poison(OPENED + 1);
    bench.poison(OPENED + 3);
    bench.event(&entry(OPENED + 1));
    sleep(A_WHILE).await;
    bench.fake.data().booked.extend([OPENED + 1, OPENED + 2, OPENED + 3].map(entry));
    bench.event(&entry(OPENED + 3));
    sleep(A_WHILE).await;
    assert_eq!((bench.open_letters(), bench.mark()), (2, Some((true, Some(OPENED + 1)))));
    bench.fake.data().poison.remove(&(FROM, OPENED + 1));
    bench.event(&entry(OPENED + 1));
    sleep(A_WHILE).await;
    assert_eq!((bench.stored(), bench.open_letters()), (vec![OPENED + 1], 1));
    assert_eq!(bench.mark(), Some((true, Some(OPENED + 3))), "its letter is open");
}

#[tokio::test(start_paused = true)]
async fn d38_an_outage_spends_no_redrives() {
    let bench = Bench::open(quiet());
    bench.poison(OPENED + 1);
    bench.event(&entry(OPENED + 1));
    sleep(A_WHILE).await;
    bench.fake.data().poison.clear();
    bench.fake.data().booked.push(entry(OPENED + 1));
    bench.fake.data().core_down = true;
    sleep(Duration::from_secs(120)).await;
    assert_eq!(bench.fake.data().letters[0].redrives, 0);
    assert!(bench.fake.count("channel_redrive_uncounted_total") > 5);
    bench.fake.data().core_down = false;
    sleep(Duration::from_secs(6)).await;
    assert_eq!((bench.stored(), bench.open_letters()), (vec![OPENED + 1], 0), "unasked");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_driven_that_somebody_else_may_have_taken() {
    let bench = Bench::open(ChannelConfig { redrive_lease: Duration::from_secs(1), ..by_hand() });
    let other = AccountNo::new(FROM.get() + 1);
    let of_other = |entry: Entry| Entry { account: other, ..entry };
    let head = of_other(entry(OPENED)).head();
    bench.fake.data().heads.insert(other, head);
    for account in [FROM, other] {
        bench.fake.data().poison.insert((account, OPENED + 1), refused());
    }
    bench.event(&entry(OPENED + 1));
    bench.event(&of_other(entry(OPENED + 1)));
    sleep(A_WHILE).await;
    bench.fake.data().poison.clear();
    bench.fake.data().booked.extend([entry(OPENED + 1), of_other(entry(OPENED + 1))]);
    bench.fake.data().pull_takes = Duration::from_millis(1_200);
    let first = RedriveAnswer { taken: 2, closed: 1, failed: 0, open: 1, oldest_ms: Some(1_000) };
    assert_eq!(bench.redrive(10).await, ChannelResponse::Redriven(first), "the lease was over");
    assert_eq!(bench.fake.count("channel_redrive_left_total"), 1);
}
