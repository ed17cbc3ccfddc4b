//! The topic, and the lag that the sampler sees.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bankstorm_contracts::dead_letter::{self, Class, DeadLetter};
use bankstorm_contracts::event::{DEAD_LETTERS_TOPIC, ENTRIES_TOPIC, encode, key};
use bankstorm_contracts::{AccountNo, Entry, EntryKind, TransferId, WallMicros, Won};
use bankstorm_environment::{EnvironmentKind, HARNESS, Needs, Quiet, Topic, start};
use bankstorm_evidence::sampler::{Sampler, Targets};
use bankstorm_evidence::{collect_dead_letters, collect_group_commits, collect_topic};
use bankstorm_record::clock::Origin;
use bankstorm_record::folder::RunFolder;
use bankstorm_record::folder_source::FolderSource;
use bankstorm_record::marks::read_samples;
use bankstorm_record::parquet::read_rows;
use bankstorm_record::rows::{GroupCommitRow, TopicRow};
use bankstorm_record::source::Source;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

const PARTITIONS: i32 = 3;
const ENTRIES: i64 = 500;

fn entry(number: i64) -> Entry {
    Entry {
        account: AccountNo::new(1_000_000 + number % 7),
        seq: number / 7 + 1,
        amount: Won::new(number + 1),
        balance_after: Won::new(number * 10),
        transfer: TransferId(uuid::Uuid::from_u128(number as u128)),
        kind: EntryKind::Deposit,
        posted_at: WallMicros(number),
    }
}

async fn produce(bootstrap: &str) {
    let producer: FutureProducer =
        ClientConfig::new().set("bootstrap.servers", bootstrap).create().expect("a producer");
    let wait = Duration::from_secs(30);
    for number in 0..ENTRIES {
        let entry = entry(number);
        let (key, value) = (key(entry.account), encode(&entry));
        let partition = i32::try_from(number % 7).expect("small") % 2;
        let record = FutureRecord::to(ENTRIES_TOPIC).key(&key).payload(&value).partition(partition);
        producer.send(record, wait).await.expect("delivered");
    }
    let strange = FutureRecord::to(ENTRIES_TOPIC).key("who").payload("what").partition(0);
    producer.send(strange, wait).await.expect("delivered");
}

/// What the channel's group has applied.
fn commit(bootstrap: &str, offset: i64) {
    let config = ClientConfig::new().set("bootstrap.servers", bootstrap).set("group.id", "channel").clone();
    let consumer: BaseConsumer = config.create().expect("a consumer");
    let mut offsets = TopicPartitionList::new();
    offsets.add_partition_offset(ENTRIES_TOPIC, 1, Offset::Offset(offset)).expect("an offset");
    consumer.commit(&offsets, CommitMode::Sync).expect("committed");
}

/// Both commits, in their order, and nothing of other groups or topics.
async fn what_the_group_said(bootstrap: &str, folder: &RunFolder) {
    let collected =
        collect_group_commits(bootstrap, "channel", ENTRIES_TOPIC, folder).await.expect("the offsets topic");
    assert_eq!((collected.malformed, collected.removed), (0, 0));
    let source = FolderSource::new(folder.clone());
    let rows: Vec<GroupCommitRow> = source.group_commits().collect::<Result<_, _>>().expect("read");
    let offsets: Vec<_> = rows.iter().map(|row| (row.partition, row.committed_offset)).collect();
    assert_eq!(offsets, [(1, 50), (1, 100)]);
    let now = bankstorm_record::clock::wall_us();
    assert!(rows.iter().all(|row| (now - 60_000_000..=now).contains(&row.at_us)), "{rows:?}");
    let others = collect_group_commits(bootstrap, "chan", ENTRIES_TOPIC, folder).await.expect("the offsets topic");
    assert_eq!((others.evidence["group_commit"].rows, others.malformed), (0, 0));
}

/// Letters about records of the entries topic, by the place of the record.
async fn letters(bootstrap: &str, folder: &RunFolder) {
    let producer: FutureProducer =
        ClientConfig::new().set("bootstrap.servers", bootstrap).create().expect("a producer");
    for (topic, offset) in [(ENTRIES_TOPIC, 9), (ENTRIES_TOPIC, 4), ("other", 1)] {
        let letter = DeadLetter {
            topic: topic.to_owned(),
            partition: 1,
            offset,
            account: Some(AccountNo::new(1_000_001)),
            seq: Some(offset + 1),
            class: Class::Transient,
            code: "55P03".to_owned(),
            detail: "locked".to_owned(),
            attempts: 3,
            key: String::new(),
            value: String::new(),
        };
        let value = dead_letter::encode(&letter);
        let record = FutureRecord::to(DEAD_LETTERS_TOPIC).key("1000001").payload(&value);
        producer.send(record, Duration::from_secs(30)).await.expect("delivered");
    }
    let strange = FutureRecord::to(DEAD_LETTERS_TOPIC).key("who").payload("what");
    producer.send(strange, Duration::from_secs(30)).await.expect("delivered");
    let collected =
        collect_dead_letters(bootstrap, DEAD_LETTERS_TOPIC, ENTRIES_TOPIC, folder).await.expect("the letters");
    assert_eq!((collected.malformed, collected.removed), (1, 0));
    let source = FolderSource::new(folder.clone());
    let rows: Vec<_> = source.dead_letter_topic().collect::<Result<_, _>>().expect("read");
    let places: Vec<_> = rows.iter().map(|row| (row.partition, row.record_offset, row.dlt_offset)).collect();
    assert_eq!(places, [(1, 4, 1), (1, 9, 0)]);
    assert_eq!((rows[0].account, rows[0].seq, rows[0].attempts), (Some(1_000_001), Some(5), 3));
    assert_eq!((rows[0].class.as_str(), rows[0].code.as_deref()), ("transient", Some("55P03")));
    let none = collect_dead_letters(bootstrap, "no.such.topic", ENTRIES_TOPIC, folder).await.expect("no topic");
    assert_eq!(none.evidence["dlt"].rows, 0);
}

pub(crate) async fn topic_and_lag() {
    let needs = Needs {
        brokers: 1,
        kafka_clients: vec![HARNESS.to_owned()],
        topics: vec![
            Topic { name: ENTRIES_TOPIC.to_owned(), partitions: PARTITIONS as u32 },
            Topic { name: DEAD_LETTERS_TOPIC.to_owned(), partitions: 1 },
        ],
        ..Needs::for_test("evidence-topic")
    };
    let environment = start(EnvironmentKind::Local, needs, Arc::new(Quiet)).await.expect("a broker came up");
    let bootstrap = environment.kafka(HARNESS);
    produce(&bootstrap).await;
    let root = tempfile::tempdir().expect("a temporary folder");
    let folder = RunFolder::new(root.path());

    let collected = collect_topic(&bootstrap, ENTRIES_TOPIC, &folder).await.expect("the topic");
    assert_eq!((collected.malformed, collected.removed), (1, 0));
    assert!(collected.first_malformed.is_some_and(|text| text.starts_with("core.entries partition 0 offset ")));
    assert_eq!(collected.evidence["topic"].rows, ENTRIES as u64);
    let rows: Vec<TopicRow> =
        read_rows(folder.evidence_file("topic")).expect("opened").collect::<Result<_, _>>().expect("read");
    assert!(rows.is_sorted_by_key(|row| (row.partition, row.record_offset)));
    for row in &rows {
        let entry = entry(i64::try_from(row.transfer).expect("small"));
        assert_eq!(
            (row.key_account, row.account, row.seq),
            (Some(entry.account.get()), entry.account.get(), entry.seq)
        );
        assert_eq!((row.amount, row.balance_after), (entry.amount.get(), entry.balance_after.get()));
        assert!(row.timestamp_us > 0);
    }

    commit(&bootstrap, 50);
    commit(&bootstrap, 100);
    what_the_group_said(&bootstrap, &folder).await;
    letters(&bootstrap, &folder).await;
    let pids = Arc::new(Mutex::new(environment.pids()));
    let targets = Targets { pids, kafka: bootstrap, group: "channel".to_owned(), ..Targets::default() };
    let sampler = Sampler::start(targets, Origin::now(), &folder).expect("a sampler");
    let summary = sampler.stop().await;
    assert_eq!(summary.lag_end, Some(ENTRIES as u64 + 1 - 100));
    assert!(summary.rss_max_bytes["kafka-1"] > 0 && summary.cpu_seconds.contains_key("harness"), "{summary:?}");
    assert_eq!(read_samples(&folder).expect("samples").len() as u64, summary.samples);
    environment.stop().await.expect("stopped");
}
