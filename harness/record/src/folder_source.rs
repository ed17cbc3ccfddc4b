//! A run folder as a [`Source`].
//!
//! In: a [`RunFolder`]. Out: rows of its Parquet files, in the order in which they are stored. Elsewhere: the files' form (`parquet`).

use crate::folder::RunFolder;
use crate::parquet::{ParquetRow, read_rows};
use crate::rows::{
    ApplyJournalRow, BankNetworkRow, ChannelAccountRow, ChannelEntryRow, ChannelTransferRow, CoreAccessRow,
    CoreAccountRow, CoreEntryRow, CoreHoldRow, CoreOutboxRow, CoreTransferRow, DatabaseRow, DeadLetterRow, DltRow,
    GroupCommitRow, OperationRow, PageRow, SyncRow, TopicRow, TransferReadRow, VisibleRow,
};
use crate::source::{Rows, Source};

/// Rows of a run folder. A file that is missing or broken is one [`crate::source::ReadError`] item; a missing file of those that came later
/// is one without rows, since runs from before it have none (`run.json` lists the files that a run wrote).
#[derive(Clone, Debug)]
pub struct FolderSource {
    folder: RunFolder,
}

impl FolderSource {
    /// The rows of `folder`; nothing is opened yet.
    pub const fn new(folder: RunFolder) -> Self {
        Self { folder }
    }

    fn rows<T: ParquetRow>(&self, path: std::path::PathBuf) -> Rows<'_, T> {
        match read_rows::<T>(path) {
            Ok(rows) => Box::new(rows),
            Err(error) => Box::new(std::iter::once(Err(error))),
        }
    }

    fn evidence<T: ParquetRow>(&self) -> Rows<'_, T> {
        self.rows(self.folder.evidence_file(T::NAME))
    }

    fn later_evidence<T: ParquetRow>(&self) -> Rows<'_, T> {
        let path = self.folder.evidence_file(T::NAME);
        // What cannot be looked at is not missing: reading it says why.
        if matches!(path.try_exists(), Ok(false)) { Box::new(std::iter::empty()) } else { self.rows(path) }
    }
}

macro_rules! from_evidence {
    ($($name:ident: $row:ty),* ; $($later:ident: $later_row:ty),* $(,)?) => {
        impl Source for FolderSource {
            fn operations(&self) -> Rows<'_, OperationRow> {
                self.rows(self.folder.operations())
            }

            $(fn $name(&self) -> Rows<'_, $row> {
                self.evidence()
            })*

            $(fn $later(&self) -> Rows<'_, $later_row> {
                self.later_evidence()
            })*
        }
    };
}

from_evidence! {
    core_accounts: CoreAccountRow,
    core_entries: CoreEntryRow,
    core_transfers: CoreTransferRow,
    core_outbox: CoreOutboxRow,
    channel_entries: ChannelEntryRow,
    channel_accounts: ChannelAccountRow,
    apply_journal: ApplyJournalRow,
    visible: VisibleRow,
    pages: PageRow,
    topic: TopicRow,
    databases: DatabaseRow,
    core_holds: CoreHoldRow,
    channel_transfers: ChannelTransferRow,
    transfer_reads: TransferReadRow,
    bank_network: BankNetworkRow;
    core_access: CoreAccessRow,
    syncs: SyncRow,
    dead_letters: DeadLetterRow,
    dead_letter_topic: DltRow,
    group_commits: GroupCommitRow,
}
