//! When each record of the entries topic was done with: its entry was in the copy, whatever brought it there, or it had been put aside.
//!
//! In: the topic, the apply journal, visible stamps, the copy's heads, loaded serials, the dead letters, the group's commits. Out:
//! [`Record`]s, and for each the first commit that passed it. Elsewhere: what is demanded of them (`offset_safe`, `dead_letters`).
//!
//! The moment of an advance, best evidence first: the one that a model knows; the stamp that the channel wrote after the commit had returned
//! (D44), of this advance or a later one of the account, since a copy never holds a serial without all before it; the commit's timestamp in the
//! database, which is earlier where a commit stalls. The timestamp counts where the stamp died with its process, and where the stamp is so
//! much later that the process may have been expelled from its group in between: somebody else then found the entry in the copy and went on. What no
//! event brought counts from the earlier of the two: whoever reads the record is another task, often of another process, and finds the entry
//! there from the commit on, however late its writer comes to stamp it.
//! Memory: 56 bytes a record; the advances and stamps of one account; the dead letters.

use bankstorm_record::rows::{ApplyJournalRow, GroupCommitRow, TopicRow, VisibleRow};
use bankstorm_record::source::{ReadError, Source};

use crate::check::Context;
use crate::following::Following;
use crate::ordered::{
    AccountKey, Ordered, apply_journal, channel_accounts, core_accounts, dead_letters, group_commits, visible,
};

/// A group's member that says nothing for so long is expelled: session.timeout.ms of the channel's consumers (D36).
const EXPELLED_US: i64 = 3_000_000;

/// A record of the entries topic.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) account: i64,
    pub(crate) seq: i64,
    pub(crate) applied: Applied,
    /// What brought the entry into the copy was an event.
    pub(crate) is_by_event: bool,
    /// The copy has it at the end.
    pub(crate) is_in_copy: bool,
}

/// When the entry of a record was in the copy, in microseconds of wall time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Applied {
    /// Before the run.
    Before,
    At(i64),
    Never,
    /// It was, and nobody knows when.
    Unknown,
}

/// All records, by partition and offset.
pub(crate) fn records(source: &dyn Source, context: &Context) -> Result<Vec<Record>, ReadError> {
    let following = context.following.unwrap_or_default();
    let mut records = read(source)?;
    records.sort_unstable_by_key(|record| (record.account, record.seq));
    let mut loaded = core_accounts(source);
    let mut heads = channel_accounts(source);
    let mut journal = apply_journal(source);
    let mut stamps = visible(source);
    // A clock that was set forward makes the database's timestamps later than they were.
    let trusts_commits = following.commits_are_moments && context.leaps.is_empty();
    for of_account in records.chunk_by_mut(|a, b| a.account == b.account) {
        let account = of_account[0].account;
        let loaded_seq = last(account, &mut loaded)?.map_or(0, |row| row.loaded_seq);
        let stands = last(account, &mut heads)?.map_or(0, |row| row.last_seq);
        let advances = Advances::read(account, &mut journal, &mut stamps, &following, trusts_commits)?;
        for record in of_account {
            record.is_in_copy = record.seq <= stands.max(loaded_seq);
            (record.applied, record.is_by_event) =
                if record.seq <= loaded_seq { (Applied::Before, false) } else { advances.reached(record.seq) };
        }
    }
    loaded.drain()?;
    heads.drain()?;
    journal.drain()?;
    stamps.drain()?;
    records.sort_unstable_by_key(|record| (record.partition, record.offset));
    Ok(records)
}

fn read(source: &dyn Source) -> Result<Vec<Record>, ReadError> {
    let mut records = Vec::new();
    for row in source.topic() {
        let TopicRow { partition, record_offset, account, seq, .. } = row?;
        records.push(Record {
            partition,
            offset: record_offset,
            account,
            seq,
            applied: Applied::Never,
            is_by_event: false,
            is_in_copy: false,
        });
    }
    Ok(records)
}

/// The account's last row; rows of lower accounts are passed over.
fn last<T>(account: i64, rows: &mut Ordered<'_, T, AccountKey>) -> Result<Option<T>, ReadError> {
    while rows.take_if(|key| key.0 < account)?.is_some() {}
    Ok(rows.last_of(account)?.0)
}

/// The advances of one account, by the serial that they reached.
struct Advances {
    /// Serial, when it or a later one was reached, and whether by an event.
    reached: Vec<(i64, Applied, bool)>,
}

impl Advances {
    fn read(
        account: i64,
        journal: &mut Ordered<'_, ApplyJournalRow, AccountKey>,
        stamps: &mut Ordered<'_, VisibleRow, AccountKey>,
        following: &Following,
        trusts_commits: bool,
    ) -> Result<Self, ReadError> {
        while journal.take_if(|key| key.0 < account)?.is_some() {}
        while stamps.take_if(|key| key.0 < account)?.is_some() {}
        // Serial reached, its earliest stamp and that of all later ones; whether a channel stamped this very serial.
        let mut stamped: Vec<(i64, i64, bool)> = Vec::new();
        while let Some(stamp) = stamps.take_of(account)? {
            if let Some(at_us) = following.wall_us(stamp.at_ns) {
                stamped.push((stamp.to_seq, at_us, stamp.instance != HARNESS));
            }
        }
        for index in (1..stamped.len()).rev() {
            stamped[index - 1].1 = stamped[index - 1].1.min(stamped[index].1);
        }
        let mut reached = Vec::new();
        while let Some(line) = journal.take_of(account)? {
            let stamp = stamp(line.to_seq, &stamped);
            let commit_us = line.commit.filter(|_| trusts_commits);
            let is_by_event = line.source == "event";
            reached.push((line.to_seq, moment(line.committed_us, stamp, commit_us, is_by_event), is_by_event));
        }
        reached.sort_by_key(|(to_seq, ..)| *to_seq);
        for index in (1..reached.len()).rev() {
            if let (Applied::At(here), Applied::At(later)) = (reached[index - 1].1, reached[index].1) {
                reached[index - 1].1 = Applied::At(here.min(later));
            }
        }
        Ok(Self { reached })
    }

    fn reached(&self, seq: i64) -> (Applied, bool) {
        let at = self.reached.partition_point(|(to_seq, ..)| *to_seq < seq);
        self.reached.get(at).map_or((Applied::Never, false), |(_, moment, by_event)| (*moment, *by_event))
    }
}

/// The instance of a first read by the harness: it proves that an entry was there by then, and not that its stamp is.
const HARNESS: &str = "harness";

/// The earliest stamp that proves a serial, where a channel stamped that very one.
fn stamp(to_seq: i64, stamped: &[(i64, i64, bool)]) -> Option<i64> {
    let from = stamped.partition_point(|(reached, ..)| *reached < to_seq);
    let mut own = stamped[from..].iter().take_while(|(reached, ..)| *reached == to_seq);
    own.any(|(_, _, is_channels)| *is_channels).then(|| stamped[from].1)
}

fn moment(exact_us: Option<i64>, stamp_us: Option<i64>, commit_us: Option<i64>, is_by_event: bool) -> Applied {
    match (exact_us, stamp_us, commit_us) {
        (Some(exact_us), ..) => Applied::At(exact_us),
        (None, Some(stamp_us), Some(commit_us)) if stamp_us.saturating_sub(commit_us) >= EXPELLED_US => {
            Applied::At(commit_us)
        }
        (None, Some(stamp_us), Some(commit_us)) if !is_by_event => Applied::At(stamp_us.min(commit_us)),
        (None, Some(stamp_us), _) => Applied::At(stamp_us),
        (None, None, Some(commit_us)) => Applied::At(commit_us),
        (None, None, None) => Applied::Unknown,
    }
}

/// When records were put aside, by partition and offset.
pub(crate) struct Parked {
    letters: Vec<(i32, i64, i64)>,
    /// By a clock that was set: only that they were is known.
    is_timeless: bool,
}

impl Parked {
    pub(crate) fn read(source: &dyn Source, context: &Context) -> Result<Self, ReadError> {
        let mut letters = Vec::new();
        let mut rows = dead_letters(source);
        while let Some(row) = rows.take()? {
            letters.push((row.partition, row.record_offset, row.parked_us));
        }
        Ok(Self { letters, is_timeless: !context.leaps.is_empty() })
    }

    /// When a record was put aside first.
    pub(crate) fn at(&self, record: &Record) -> Option<i64> {
        let key = (record.partition, record.offset);
        let from = self.letters.partition_point(|(partition, offset, _)| (*partition, *offset) < key);
        let (partition, offset, parked_us) = self.letters.get(from)?;
        ((*partition, *offset) == key).then_some(if self.is_timeless { i64::MIN } else { *parked_us })
    }
}

/// Gives each record that the group's offsets passed with the commit that passed it first, and in the end the number of commits. Records are
/// sorted by partition and offset.
pub(crate) fn passed(
    source: &dyn Source,
    records: &[Record],
    mut each: impl FnMut(&Record, &GroupCommitRow),
) -> Result<u64, ReadError> {
    let mut commits = group_commits(source);
    let mut count = 0;
    let mut rest = records;
    let mut partition = None;
    while let Some(commit) = commits.take()? {
        count += 1;
        if partition != Some(commit.partition) {
            partition = Some(commit.partition);
            rest = &records[records.partition_point(|record| record.partition < commit.partition)..];
        }
        while let Some((record, after)) = rest.split_first()
            && record.partition == commit.partition
            && record.offset < commit.committed_offset
        {
            each(record, &commit);
            rest = after;
        }
    }
    Ok(count)
}

impl Record {
    pub(crate) fn told(&self) -> String {
        let Self { partition, offset, account, seq, .. } = self;
        format!("partition {partition} offset {offset} (account {account} seq {seq})")
    }
}

#[cfg(test)]
mod tests {
    use super::{Applied, moment, stamp};

    #[test]
    fn t3_the_best_evidence_of_a_moment_counts() {
        let by_event = |exact, stamp, commit| moment(exact, stamp, commit, true);
        assert_eq!(by_event(Some(5), Some(9), Some(1)), Applied::At(5));
        assert_eq!(by_event(None, Some(9), Some(1)), Applied::At(9), "a commit may stall behind its timestamp");
        assert_eq!(by_event(None, None, Some(1)), Applied::At(1), "the stamp died with its process");
        assert_eq!(by_event(None, Some(3_000_001), Some(1)), Applied::At(1), "it may have been expelled meanwhile");
        assert_eq!(by_event(None, Some(3_000_000), Some(1)), Applied::At(3_000_000));
        assert_eq!(by_event(None, None, None), Applied::Unknown);
        let by_another = |exact, stamp, commit| moment(exact, stamp, commit, false);
        assert_eq!(by_another(None, Some(9), Some(1)), Applied::At(1), "the reader of the record needs no stamp");
        assert_eq!(by_another(None, Some(1), Some(9)), Applied::At(1), "nothing is stamped before it is there");
        assert_eq!(by_another(Some(5), Some(9), Some(1)), Applied::At(5));
        assert_eq!(by_another(None, Some(9), None), Applied::At(9));
    }

    #[test]
    fn a_later_stamp_proves_a_serial_only_where_its_own_is_there() {
        // Already the earliest of each and all later ones.
        let stamped = [(4, 7, true), (6, 7, false), (8, 7, true)];
        assert_eq!(stamp(4, &stamped), Some(7));
        assert_eq!(stamp(5, &stamped), None);
        assert_eq!(stamp(6, &stamped), None, "the harness's read is an upper bound");
        assert_eq!(stamp(8, &stamped), Some(7));
        assert_eq!(stamp(9, &stamped), None);
    }
}
