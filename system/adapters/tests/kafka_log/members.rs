//! Members of a group on a real broker: partitions that are added under them, and a member that the group has put out.
//!
//! In: a broker. Out: one trial a test. Elsewhere: what every log must do (`outside::conformance::log`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bankstorm_adapters::kafka::{KafkaConsumer, METADATA_REFRESH};
use bankstorm_outside::conformance::log::LogFixture;
use bankstorm_outside::log::{
    ConsumerEvent, EventConsumer, EventLog, EventProducer, LogError, Outgoing, TopicPartition,
};
use libtest_mimic::Trial;
use rdkafka::admin::{AdminOptions, NewPartitions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::time::{Instant, timeout};

use super::Broker;

/// How long a trial waits for one event.
const LIMIT: Duration = Duration::from_secs(30);

pub(super) fn trials(runtime: &Arc<Runtime>, broker: &Arc<Broker>) -> Vec<Trial> {
    macro_rules! list {
        ($($case:ident),* $(,)?) => {
            vec![$({
                let (runtime, broker) = (Arc::clone(runtime), Arc::clone(broker));
                Trial::test(format!("log::{}", stringify!($case)), move || {
                    runtime.block_on($case(broker));
                    Ok(())
                })
            }),*]
        };
    }
    list![
        a17_partitions_that_are_added_under_load_are_read_soon_and_nothing_is_lost,
        r14_a_commit_of_a_member_that_was_put_out_is_refused_and_it_comes_back,
        what_is_resumed_is_fetched_at_once_also_where_all_was_paused,
    ]
}

/// A member, and what it heard.
struct Member {
    consumer: KafkaConsumer,
    owned: BTreeSet<i32>,
    generation: Option<i32>,
    lost: Vec<i32>,
    seen: BTreeMap<String, u32>,
}

impl Member {
    async fn join(broker: &Broker, topic: &str) -> Self {
        let consumer = broker.log().consumer(topic, &[topic]).await.expect("a member can be made");
        Self { consumer, owned: BTreeSet::new(), generation: None, lost: Vec::new(), seen: BTreeMap::new() }
    }

    fn give_up(&mut self, partitions: &[TopicPartition]) {
        self.owned.retain(|partition| partitions.iter().all(|at| at.partition != *partition));
    }

    async fn until(&mut self, what: &str, enough: impl Fn(&Self) -> bool) {
        while !enough(self) {
            let next = timeout(LIMIT, self.consumer.next()).await;
            let event = next.unwrap_or_else(|_| panic!("limit of {LIMIT:?} hit while waiting for: {what}"));
            match event.expect("the consumer is of use") {
                ConsumerEvent::Assigned(assignment) => {
                    self.generation = assignment.generation;
                    self.owned.extend(assignment.partitions.iter().map(|at| at.partition));
                }
                ConsumerEvent::Revoked { partitions, done } => {
                    self.give_up(&partitions);
                    // The acknowledgement; nobody listens once the limit was hit.
                    let _ = done.send(());
                }
                ConsumerEvent::Lost(partitions) => {
                    self.give_up(&partitions);
                    self.lost.extend(partitions.iter().map(|at| at.partition));
                }
                ConsumerEvent::Record(record) => {
                    let value = String::from_utf8(record.value).expect("plain text");
                    *self.seen.entry(value).or_default() += 1;
                }
            }
        }
    }
}

fn outgoing(topic: &str, number: usize) -> Outgoing {
    let (key, value) = (format!("key-{}", number % 64), number.to_string());
    Outgoing { topic: topic.to_owned(), key: key.into_bytes(), value: value.into_bytes() }
}

/// A17: four partitions become eight while records come.
async fn a17_partitions_that_are_added_under_load_are_read_soon_and_nothing_is_lost(broker: Arc<Broker>) {
    let topic = broker.topic(4).await;
    let producer = broker.log().producer().await.expect("a producer can be made");
    let mut member = Member::join(&broker, &topic).await;
    member.until("four partitions", |member| member.owned.len() == 4).await;

    let grown = NewPartitions::new(&topic, 8);
    let options = AdminOptions::new().operation_timeout(Some(LIMIT));
    let asked = Instant::now();
    let answers = broker.admin().create_partitions([&grown], &options).await.expect("the broker answers");
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    let produced = async {
        let (mut sent, mut on_new) = (0, 0);
        // On and on until every key went to one of the new partitions that belongs there.
        while on_new < 200 {
            let landed = timeout(LIMIT, producer.produce(outgoing(&topic, sent))).await;
            let landed = landed.expect("within its limit").expect("delivered");
            sent += 1;
            on_new += usize::from(landed.partition >= 4);
            assert!(asked.elapsed() < LIMIT, "no record has gone to a new partition {on_new}");
        }
        sent
    };
    let assigned = async {
        member.until("eight partitions", |member| member.owned.len() == 8).await;
        asked.elapsed()
    };
    let (sent, took) = futures_util::join!(produced, assigned);
    println!("a17: eight partitions were assigned {took:?} after they were asked for; {sent} records meanwhile");
    assert!(took < 2 * METADATA_REFRESH, "{took:?}, with a look every {METADATA_REFRESH:?}");

    member.until("every record", |member| member.seen.len() == sent).await;
    let again: Vec<_> = member.seen.iter().filter(|(_, times)| **times > 1).collect();
    assert!(again.is_empty(), "a member that kept its partitions reads nothing twice: {again:?}");
    assert_eq!(member.lost, [0; 0], "nothing was lost");
    member.consumer.close().await;
    producer.discard().await;
}

/// Beside a partition that is fetched a resume takes effect at once; where all were paused the library alone would notice it within a second.
async fn what_is_resumed_is_fetched_at_once_also_where_all_was_paused(broker: Arc<Broker>) {
    const ROUNDS: usize = 10;
    let topic = broker.topic(1).await;
    let producer = broker.log().producer().await.expect("a producer can be made");
    let mut member = Member::join(&broker, &topic).await;
    member.until("its partition", |member| member.owned.len() == 1).await;
    let at = [TopicPartition { topic: topic.clone(), partition: 0 }];
    let mut waited = Duration::ZERO;
    for round in 0..ROUNDS {
        member.consumer.pause(&at).expect("it is its own");
        producer.produce(outgoing(&topic, round)).await.expect("delivered");
        // Longer than a fetch that was under way.
        tokio::time::sleep(Duration::from_millis(100)).await;
        let resumed = Instant::now();
        member.consumer.resume(&at).expect("it is its own");
        member.until("the record of this round", |member| member.seen.len() == round + 1).await;
        waited += resumed.elapsed();
    }
    println!("{ROUNDS} resumes of everything: {waited:?} until the next record, in all");
    assert!(waited < Duration::from_millis(250) * u32::try_from(ROUNDS).expect("few"), "{waited:?}");
    member.consumer.close().await;
    producer.discard().await;
}

/// Somebody else had it removed, as a session that ran out does: its commit is refused, which ends nothing, and it joins anew.
async fn r14_a_commit_of_a_member_that_was_put_out_is_refused_and_it_comes_back(broker: Arc<Broker>) {
    let topic = broker.topic(1).await;
    let producer = broker.log().producer().await.expect("a producer can be made");
    let mut member = Member::join(&broker, &topic).await;
    let at = [(TopicPartition { topic: topic.clone(), partition: 0 }, 1)];
    producer.produce(outgoing(&topic, 0)).await.expect("delivered");
    member.until("a record", |member| member.seen.len() == 1).await;
    let before = member.generation.expect("the broker tells generations");

    leave_for(&broker, &topic).await;
    let refused = timeout(LIMIT, member.consumer.commit(&at)).await.expect("within its limit");
    assert!(matches!(refused, Err(LogError::NotAssigned(_))), "{refused:?}");

    member.until("news of the loss", |member| !member.lost.is_empty()).await;
    member.until("the partition again", |member| !member.owned.is_empty()).await;
    let after = member.generation.expect("the broker tells generations");
    assert!(after > before, "generation {after} after {before}");
    member.until("what was not committed", |member| member.seen["0"] == 2).await;
    timeout(LIMIT, member.consumer.commit(&at)).await.expect("within its limit").expect("it is its own again");
    member.consumer.close().await;
    producer.discard().await;
}

/// Tells the broker that the group's one member leaves, in that member's name.
async fn leave_for(broker: &Broker, group: &str) {
    let admin = broker.admin();
    let list = admin.inner().fetch_group_list(Some(group), LIMIT).expect("the broker answers");
    let members: Vec<String> =
        list.groups().iter().flat_map(|group| group.members()).map(|member| member.id().to_owned()).collect();
    let [member] = &members[..] else { panic!("one member is there: {members:?}") };

    let text = |text: &str| {
        let length = i16::try_from(text.len()).expect("a short text");
        [&length.to_be_bytes()[..], text.as_bytes()].concat()
    };
    // LeaveGroup, version 3: key, version, correlation, client; then the group and one member without an instance name.
    let mut request = [13_i16.to_be_bytes(), 3_i16.to_be_bytes()].concat();
    request.extend(7_i32.to_be_bytes());
    request.extend([text("trial"), text(group)].concat());
    request.extend(1_i32.to_be_bytes());
    request.extend([text(member), (-1_i16).to_be_bytes().to_vec()].concat());
    let mut stream = TcpStream::connect(broker.address()).await.expect("the broker listens");
    let length = u32::try_from(request.len()).expect("short");
    stream.write_all(&[&length.to_be_bytes()[..], &request].concat()).await.expect("sent");
    let length = timeout(LIMIT, stream.read_u32()).await.expect("within its limit").expect("an answer");
    let mut answer = vec![0; usize::try_from(length).expect("short")];
    stream.read_exact(&mut answer).await.expect("the whole answer");
    // Correlation and throttling, then the error.
    assert_eq!(answer[8..10], [0, 0], "the broker refused: {answer:?}");
}
