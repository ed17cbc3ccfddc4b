//! The end of a run: a group of its own reads everything from the start.
//!
//! In: a run. Out: what lies in the log, by key. Elsewhere: what the script's own group saw (`group`).

use tokio::time::{Instant, timeout_at};

use super::group::{Run, Stuck};
use crate::conformance::log::LIMIT;
use crate::log::{ConsumerEvent, EventConsumer, EventLog, Record};

impl<L: EventLog> Run<L> {
    /// Reads everything, and says for each key which values lie in which order.
    pub(super) async fn read_all(&mut self) -> Result<(), Stuck> {
        let count = self.partitions.iter().map(|partition| partition.end()).sum();
        let records = self.records(count).await?;
        for index in 0..self.partitions.len() {
            let at = self.at(index);
            let of: Vec<_> = records.iter().filter(|record| record.at == at).collect();
            self.same(index, &of);
            for (slot, name) in ["a", "b"].into_iter().enumerate() {
                let key = &self.keys[index][slot];
                let with_key = of.iter().zip(&self.partitions[index].entries);
                let certain = with_key.filter(|(record, entry)| entry.certain && record.key == key.as_bytes());
                let values: Vec<_> = certain.map(|(record, _)| String::from_utf8_lossy(&record.value)).collect();
                let line = format!("p{index}{name} in the end: {}", values.join(" "));
                self.line(line);
            }
        }
        Ok(())
    }

    async fn records(&self, count: usize) -> Result<Vec<Record>, Stuck> {
        let failed = |error| Stuck(format!("the reader: {error}"));
        let group = format!("{}-reader", self.topic);
        let mut reader = self.log.consumer(&group, &[&self.topic]).await.map_err(failed)?;
        let deadline = Instant::now() + LIMIT;
        let mut records = Vec::new();
        while records.len() < count {
            let next = timeout_at(deadline, reader.next()).await;
            let next =
                next.map_err(|_| Stuck(format!("limit of {LIMIT:?} hit while waiting for: record {}", records.len())))?;
            // A reader that is alone is asked for nothing; a dropped `done` is an acknowledgement as well.
            if let ConsumerEvent::Record(record) = next.map_err(failed)? {
                records.push(record);
            }
        }
        reader.close().await;
        Ok(records)
    }

    /// What was read is what was sent, in the order of the acknowledgements.
    fn same(&mut self, index: usize, records: &[&Record]) {
        let entries = &self.partitions[index].entries;
        let differs =
            (0..entries.len().max(records.len())).find(|place| match (entries.get(*place), records.get(*place)) {
                (Some(entry), Some(record)) => {
                    let same = entry.key.as_bytes() == record.key && entry.value.as_bytes() == record.value;
                    !same || usize::try_from(record.offset) != Ok(*place)
                }
                _ => true,
            });
        if let Some(place) = differs {
            let read = records.get(place).map(|record| (record.offset, String::from_utf8_lossy(&record.value)));
            let sent = entries.get(place).map(|entry| entry.value.as_str());
            let text = format!("p{index}, record {place}: a reader saw {read:?}, sent was {sent:?}");
            self.broken(&text);
        }
    }
}
