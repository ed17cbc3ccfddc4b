//! The transaction of a dead letter: its row and its account's marks, together (P19).
//!
//! In: a letter that the topic has. Out: its row, durably. Elsewhere: what comes before it and when (`letters`).

use bankstorm_contracts::{AccountNo, Seq};
use bankstorm_outside::bundle::ChannelOutside;
use bankstorm_outside::channel_store::{AdvanceWrites, ChannelStore, ChannelTx, Letter, Mark, Source, SyncRow};
use bankstorm_outside::{CommitOutcome, LockMode};

use super::transact::refusal;
use super::{AdvanceError, Advancer, Move, Moved, Origin};
use crate::config::HoleMarker;

/// What storing a letter met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Parked {
    /// A letter for this very serial was open already.
    pub(crate) again: bool,
    /// The copy has what the record said: the letter is of no use any more.
    pub(crate) overtaken: bool,
}

impl<O: ChannelOutside> Advancer<O> {
    /// Stores a letter. One that is there already stays as it is.
    pub(crate) async fn park(&self, origin: &Origin, mut letter: Letter) -> Result<Parked, AdvanceError> {
        // It waits for the account's row, so that it counts among those who may.
        let _wait = self.waits.acquire().await.expect("the semaphore is never closed");
        let _place = self.place().await;
        let mut tx = self.outside.store().begin().await?;
        let account = letter.account.unwrap_or(AccountNo::new(0));
        let mut mv = Move::new(account, Source::Event, origin.clone(), Vec::new());
        let (row, refused) = match letter.account {
            Some(account) => {
                let (locked, refused) = self.lock(&mut tx, &[&mut mv], LockMode::Wait(self.config.lock_wait)).await?;
                let row = locked.rows.into_iter().find(|row| row.head.account == account);
                (row, refused.first().copied().flatten())
            }
            None => (None, self.fence_alone(&mut tx, &mut mv).await?),
        };
        if let Some(generation) = refused {
            return Err(match refusal(&mv, generation) {
                Moved::Fenced => AdvanceError::Fenced(account),
                Moved::Held | Moved::Locked { .. } => AdvanceError::Held(account),
            });
        }
        let mut parked = Parked::default();
        let mut writes = AdvanceWrites::default();
        if letter.account.is_some() {
            let row = row.ok_or(AdvanceError::Held(account))?;
            parked = Parked {
                again: letter.seq.is_some() && row.hole == letter.seq,
                overtaken: letter.seq.is_some_and(|seq| seq <= row.head.seq),
            };
            // Nobody can read which serial it was: it is about the next one, whose coming closes it.
            let at = *letter.seq.get_or_insert(row.head.seq + 1);
            writes.marks.extend(self.mark(row, at).filter(|_| !parked.overtaken));
        }
        writes.letters.push(letter);
        match tx.write_and_commit(&writes).await {
            CommitOutcome::Ok => Ok(parked),
            CommitOutcome::Failed(error) => Err(error.into()),
            CommitOutcome::Unknown(detail) => Err(AdvanceError::CommitUnknown(detail)),
        }
    }

    /// The account is dirty from now on, and has a hole at the serial. The one place that decides it (P19).
    fn mark(&self, row: SyncRow, at: Seq) -> Option<Mark> {
        let hole = match self.config.hole_marker {
            HoleMarker::On => Some(row.hole.map_or(at, |hole| hole.min(at))),
            HoleMarker::Off => row.hole,
        };
        let mark = Mark { account: row.head.account, dirty: true, hole };
        (!row.dirty || row.hole != hole).then_some(mark)
    }
}
