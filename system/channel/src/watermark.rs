//! The low watermark of one partition: how far its offset may be committed while records finish out of order.
//!
//! In: offsets as they are delivered and as they are done. Out: the offset below which everything is done. Elsewhere: who commits it
//! (`consumer`).
//!
//! Offsets of a partition have holes (compaction, control records), so what counts is what was delivered, not every number.

use std::collections::BTreeSet;

/// What is delivered and not done yet, and where delivery stands.
#[derive(Debug, Default)]
pub struct Watermark {
    open: BTreeSet<i64>,
    end: Option<i64>,
    highest: Option<i64>,
}

impl Watermark {
    /// A record was delivered. `false` when its offset was delivered before in this assignment: it is in work or done, and must not be
    /// worked again.
    pub fn deliver(&mut self, offset: i64) -> bool {
        if self.end.is_some_and(|end| offset < end) {
            return false;
        }
        self.end = Some(offset + 1);
        self.open.insert(offset)
    }

    /// A record is durably done.
    pub fn done(&mut self, offset: i64) {
        self.open.remove(&offset);
        self.highest = self.highest.max(Some(offset));
    }

    /// The offset after the highest delivered record, done or not; `None` before the first delivery.
    pub const fn end(&self) -> Option<i64> {
        self.end
    }

    /// The offset after the highest record that is done, whatever lies below.
    pub fn highest_done(&self) -> Option<i64> {
        self.highest.map(|offset| offset + 1)
    }

    /// Every delivered record below this offset is done; `None` before the first delivery.
    pub fn low(&self) -> Option<i64> {
        self.open.first().copied().or(self.end)
    }

    /// Offsets between the watermark and the end of what was delivered.
    pub fn span(&self) -> i64 {
        match (self.low(), self.end) {
            (Some(low), Some(end)) => end - low,
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Watermark;

    #[test]
    fn waits_for_the_slowest_and_then_jumps() {
        let mut watermark = Watermark::default();
        assert_eq!((watermark.low(), watermark.span()), (None, 0));
        for offset in [5, 6, 9] {
            assert!(watermark.deliver(offset));
        }
        watermark.done(9);
        assert_eq!((watermark.end(), watermark.highest_done()), (Some(10), Some(10)), "what P20 and P21 off commit");
        watermark.done(6);
        assert_eq!((watermark.low(), watermark.span()), (Some(5), 5));
        watermark.done(5);
        assert_eq!((watermark.low(), watermark.span()), (Some(10), 0));
        assert!(!watermark.deliver(9), "delivered before");
    }

    proptest! {
        /// The naive model keeps every delivered offset with a flag.
        #[test]
        fn equals_the_naive_model(
            first in 0i64..1_000,
            steps in proptest::collection::vec((1i64..4, any::<prop::sample::Index>(), any::<bool>()), 1..200),
        ) {
            let mut watermark = Watermark::default();
            let mut naive: Vec<(i64, bool)> = Vec::new();
            for (gap, pick, finish) in steps {
                if finish && !naive.is_empty() {
                    let index = pick.index(naive.len());
                    naive[index].1 = true;
                    watermark.done(naive[index].0);
                } else {
                    let offset = naive.last().map_or(first, |last| last.0 + gap);
                    naive.push((offset, false));
                    prop_assert!(watermark.deliver(offset));
                }
                let low = naive.iter().find(|(_, done)| !done).map(|(offset, _)| *offset);
                prop_assert_eq!(watermark.low(), low.or(naive.last().map(|last| last.0 + 1)));
            }
        }
    }
}
