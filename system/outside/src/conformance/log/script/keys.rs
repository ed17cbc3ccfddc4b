//! Keys whose partitions are known: logs differ in how they hash.
//!
//! In: a log. Out: for each number of partitions two keys of each partition, learnt from acknowledgements. Elsewhere: scripts, which name
//! a record's partition and not its key.

use std::collections::BTreeMap;

use super::MOST_PARTITIONS;
use crate::conformance::log::LogFixture;
use crate::conformance::log::member::{numbered, produce};
use crate::log::{EventLog, EventProducer};

/// Keys tried for each number of partitions: far more than needed.
const TRIED: usize = 64;

/// Two keys of each partition, for topics of one to three partitions.
#[derive(Clone, Debug)]
pub struct Keys {
    by_partitions: BTreeMap<u32, Vec<[String; 2]>>,
}

impl Keys {
    /// Learns them on topics that nothing else uses.
    ///
    /// # Panics
    /// When a partition gets none of many keys.
    pub async fn learn<F: LogFixture>(fixture: &F) -> Self {
        let producer = fixture.log().producer().await.expect("a producer can be made");
        let mut by_partitions = BTreeMap::new();
        for partitions in 1..=MOST_PARTITIONS {
            let topic = fixture.topic(partitions).await;
            let tried: Vec<_> = numbered(0, TRIED, TRIED).collect();
            let delivered = produce(&producer, &topic, tried.clone()).await;
            let keys_of = |partition: u32| {
                let lands = |at: i32| u32::try_from(at) == Ok(partition);
                let mut keys =
                    tried.iter().zip(&delivered).filter(|(_, at)| lands(at.partition)).map(|((key, _), _)| key);
                let two = (keys.next().cloned(), keys.next().cloned());
                let (Some(first), Some(second)) = two else {
                    panic!("{TRIED} keys, and fewer than two went to partition {partition} of {partitions}")
                };
                [first, second]
            };
            by_partitions.insert(partitions, (0..partitions).map(keys_of).collect());
        }
        producer.discard().await;
        Self { by_partitions }
    }

    /// By partition, for a topic of this many.
    pub(super) fn of(&self, partitions: u32) -> Vec<[String; 2]> {
        self.by_partitions.get(&partitions).cloned().expect("scripts have 1 to 3 partitions")
    }
}
