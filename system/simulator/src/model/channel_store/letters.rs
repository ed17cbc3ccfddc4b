//! Dead letters, marks of accounts and owners of partitions, in the channel's model database.
//!
//! In: letters, marks, generations. Out: the same as committed, letters to drive again, who may not write any more. Elsewhere: what is
//! parked and driven when (`channel`), the tables (`channel_store`).
//!
//! Left out: a letter that is parked, taken or closed while somebody else writes the same one does not wait for him; the first one stands.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bankstorm_contracts::{AccountNo, Seq, WallMicros};
use bankstorm_outside::channel_store::{Letter, Mark, OpenLetters, Take, TakenLetter};
use bankstorm_outside::{CommitOutcome, StoreError};
use tokio::time::Instant;

use super::due::later;
use super::tx::Staged;
use super::{ChannelData, ModelChannelStore};
use crate::model::database::{STEP_LIMIT, Session, Step};
use crate::model::locks::Key;

/// How long a statement of its own waits for whoever has a row, before its client gives up.
const ROW_LIMIT: Duration = Duration::from_secs(STEP_LIMIT.as_secs() / 2);

/// What is known to be wrong with a copy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// It may be behind without anything on its way.
    pub dirty: bool,
    /// The lowest serial for which a letter is open.
    pub hole: Option<Seq>,
}

/// A letter with what the port does not show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredLetter {
    /// The letter.
    pub letter: Letter,
    /// When it was parked, by the database's clock.
    pub parked_at: WallMicros,
    /// The same by virtual time, whatever clocks were set.
    pub at: Instant,
    /// How often it was driven to an end.
    pub redrives: u32,
    /// Until when nobody else takes it.
    pub leased_until: Option<WallMicros>,
    /// When it was closed, and by what.
    pub closed: Option<(WallMicros, &'static str)>,
}

/// What closed a letter that the copy had overtaken.
const OVERTAKEN: &str = "overtaken";
/// What closed a letter that was driven to its end.
const REDRIVEN: &str = "redrive";
/// What closed a letter that names no account.
const COMMANDED: &str = "command";

impl ChannelData {
    /// What is known to be wrong with a copy.
    pub fn marks_of(&self, account: AccountNo) -> Marks {
        self.marks.get(&account).copied().unwrap_or_default()
    }

    pub(super) fn mark(&mut self, marks: BTreeMap<AccountNo, Mark>) {
        for Mark { account, dirty, hole } in marks.into_values() {
            self.set(account, Marks { dirty, hole });
        }
    }

    fn set(&mut self, account: AccountNo, marks: Marks) {
        if marks == Marks::default() {
            self.marks.remove(&account);
        } else {
            self.marks.insert(account, marks);
        }
    }

    /// Keeps letters; one that is there already stays as it is.
    pub(super) fn park(&mut self, letters: Vec<Letter>, now: WallMicros) {
        for letter in letters {
            if !self.is_parked(&letter) {
                self.letters.push(StoredLetter {
                    letter,
                    parked_at: now,
                    at: Instant::now(),
                    redrives: 0,
                    leased_until: None,
                    closed: None,
                });
            }
        }
    }

    /// Whether there is a letter of the same record, closed or not.
    pub(super) fn is_parked(&self, letter: &Letter) -> bool {
        let same = |stored: &Letter| {
            (stored.partition, stored.offset) == (letter.partition, letter.offset) && stored.topic == letter.topic
        };
        self.letters.iter().any(|stored| same(&stored.letter))
    }

    /// Closes the account's open letters up to a serial.
    pub(super) fn overtake(&mut self, account: AccountNo, seq: Seq, now: WallMicros) -> u32 {
        let mut closed = 0;
        for stored in self.letters.iter_mut().filter(|stored| stored.closed.is_none()) {
            if stored.letter.account == Some(account) && stored.letter.seq.is_some_and(|reaches| reaches <= seq) {
                stored.closed = Some((now, OVERTAKEN));
                closed += 1;
            }
        }
        closed
    }

    /// What is open above the account's new head is its hole, whatever mark it was given.
    pub(super) fn keep_hole(&mut self, account: AccountNo, seq: Seq) {
        let hole = self.open_above(account, seq);
        if hole.is_some() {
            self.set(account, Marks { dirty: true, hole });
        }
    }

    /// The lowest serial above this one for which the account has an open letter.
    pub(super) fn open_above(&self, account: AccountNo, seq: Seq) -> Option<Seq> {
        let of_it = self.open_letters().filter(|stored| stored.letter.account == Some(account));
        of_it.filter_map(|stored| stored.letter.seq).filter(|open| *open > seq).min()
    }

    /// Letters that are open.
    pub fn open_letters(&self) -> impl Iterator<Item = &StoredLetter> {
        self.letters.iter().filter(|stored| stored.closed.is_none())
    }

    fn open_letter(&mut self, id: i64) -> Option<&mut StoredLetter> {
        let stored = usize::try_from(id - 1).ok().and_then(|index| self.letters.get_mut(index));
        stored.filter(|stored| stored.closed.is_none())
    }
}

impl ModelChannelStore {
    pub(super) fn take_letters_now(&self, take: Take) -> Vec<TakenLetter> {
        let now = self.database.now();
        let mut data = self.data();
        data.unflushed.clear();
        let due = (1..).zip(&mut data.letters).filter(|(_, stored)| stored.may_be_taken(&take, now));
        let taken = due.take(take.limit as usize).filter_map(|(id, stored)| {
            stored.leased_until = Some(later(now, take.lease));
            let Letter { account, seq, ref code, .. } = stored.letter;
            Some(TakenLetter { id, account: account?, seq, code: code.clone(), redrives: stored.redrives })
        });
        taken.collect()
    }

    /// One statement, past rows that somebody has locked.
    pub(super) fn close_overtaken_now(&self) -> u32 {
        let now = self.database.now();
        let named: BTreeSet<_> = self.with(|data| {
            let of_letters = data.open_letters().filter_map(|stored| stored.letter.account);
            let of_holes = data.marks.iter().filter(|(_, marks)| marks.hole.is_some()).map(|(account, _)| *account);
            of_letters.chain(of_holes).filter(|account| data.heads.contains_key(account)).collect()
        });
        let free: Vec<_> = named.into_iter().filter(|account| !self.database.is_locked(Key::Row(*account))).collect();
        let mut data = self.data();
        data.unflushed.clear();
        let mut closed = 0;
        for account in free {
            let seq = data.heads.get(&account).map_or(0, |head| head.seq);
            closed += data.overtake(account, seq, now);
            let is_open = data.open_letters().any(|stored| stored.letter.account == Some(account));
            if !is_open && data.marks_of(account).hole.is_some() {
                data.marks.remove(&account);
            }
        }
        closed
    }

    pub(super) fn close_letter_now(&self, id: i64) {
        let now = self.database.now();
        if let Some(stored) = self.data().open_letter(id) {
            stored.closed = Some((now, REDRIVEN));
            stored.redrives += 1;
        }
    }

    pub(super) fn count_redrive_now(&self, id: i64) {
        if let Some(stored) = self.data().open_letter(id) {
            stored.redrives += 1;
        }
    }

    pub(super) fn close_nameless_now(&self, limit: u32) -> u32 {
        let now = self.database.now();
        let mut data = self.data();
        data.unflushed.clear();
        let nameless = |stored: &&mut StoredLetter| stored.closed.is_none() && stored.letter.account.is_none();
        let close = |stored: &mut StoredLetter| stored.closed = Some((now, COMMANDED));
        let closed = data.letters.iter_mut().filter(nameless).take(limit as usize).map(close).count();
        u32::try_from(closed).unwrap_or(u32::MAX)
    }

    pub(super) fn open_letters_now(&self) -> OpenLetters {
        let now = self.database.now();
        self.with(|data| {
            let parked = data.open_letters().map(|stored| stored.parked_at);
            let age = |parked: WallMicros| Duration::from_micros(u64::try_from(now.0 - parked.0).unwrap_or(0));
            OpenLetters { open: data.open_letters().count() as u64, oldest: parked.min().map(age) }
        })
    }

    /// A transaction of one statement: each partition's owner in turn, waiting for whoever applies on a former one's behalf.
    pub(super) async fn own_now(
        &self,
        topic: &str,
        partitions: &[i32],
        generation: i32,
    ) -> Result<Vec<i32>, StoreError> {
        let mut session = self.database.begin().await?;
        session.step(Step::Locks).await?;
        for partition in partitions {
            session.lock(Key::owner(topic, *partition), ROW_LIMIT, std::iter::empty()).await?;
        }
        let (mut refused, taken): (Vec<_>, Vec<_>) = self.with(|data| {
            let owner = |partition: i32| data.owners.get(&(topic.to_owned(), partition)).copied();
            partitions.iter().copied().partition(|partition| owner(*partition).is_some_and(|owner| owner > generation))
        });
        refused.sort_unstable();
        let owns = taken.into_iter().map(|partition| ((topic.to_owned(), partition), generation)).collect();
        self.write_through(session, Staged { owns, ..Staged::default() }).await?;
        Ok(refused)
    }

    /// A transaction of one statement: each account's row in turn.
    pub(super) async fn mark_dirty_now(&self, accounts: &[AccountNo]) -> Result<(), StoreError> {
        let mut session = self.database.begin().await?;
        session.step(Step::Locks).await?;
        let mut sorted = accounts.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        self.with(|data| sorted.retain(|account| data.heads.contains_key(account) && !data.marks_of(*account).dirty));
        for (place, account) in sorted.iter().enumerate() {
            let rest = sorted[place + 1..].iter().copied().map(Key::Row);
            session.lock(Key::Row(*account), ROW_LIMIT, rest).await?;
        }
        let marks = self.with(|data| {
            let mark = |account: &AccountNo| {
                (*account, Mark { account: *account, dirty: true, hole: data.marks_of(*account).hole })
            };
            sorted.iter().map(mark).collect()
        });
        self.write_through(session, Staged { marks, ..Staged::default() }).await
    }

    /// Commits what one statement writes.
    async fn write_through(&self, mut session: Session, staged: Staged) -> Result<(), StoreError> {
        session.answered().await?;
        let store = self.clone();
        match session.commit(None, |_| Ok(staged), move |staged, number| store.apply(staged, number)).await {
            CommitOutcome::Ok => Ok(()),
            CommitOutcome::Failed(error) => Err(error),
            CommitOutcome::Unknown(detail) => Err(StoreError::Unavailable(detail)),
        }
    }
}

impl StoredLetter {
    fn may_be_taken(&self, take: &Take, now: WallMicros) -> bool {
        self.closed.is_none()
            && self.letter.account.is_some()
            && self.leased_until.is_none_or(|until| until <= now)
            && take.redriven_below.is_none_or(|below| self.redrives < below)
    }
}
