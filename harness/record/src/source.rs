//! Where checkers read from: one trait, two sources.
//!
//! In: memory (simulator, hand-written histories) or a run folder (Parquet, `parquet`). Out: sorted row iterators; the order of each file
//! is in [`crate::rows`]. Elsewhere: the checkers (`check`).

use crate::rows::{
    ApplyJournalRow, BankNetworkRow, ChannelAccountRow, ChannelEntryRow, ChannelTransferRow, CoreAccessRow,
    CoreAccountRow, CoreEntryRow, CoreHoldRow, CoreOutboxRow, CoreTransferRow, DatabaseRow, DeadLetterRow, DltRow,
    GroupCommitRow, OperationRow, PageRow, SyncRow, TopicRow, TransferReadRow, VisibleRow,
};

/// Why a row could not be read: the file, and what was wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {problem}")]
pub struct ReadError {
    /// Which file.
    pub file: String,
    /// What was wrong.
    pub problem: String,
}

/// A stream of rows.
pub type Rows<'a, T> = Box<dyn Iterator<Item = Result<T, ReadError>> + 'a>;

/// Everything a checker may look at. Each call starts a new pass.
pub trait Source {
    /// Planned operations.
    fn operations(&self) -> Rows<'_, OperationRow>;
    /// Core's account rows.
    fn core_accounts(&self) -> Rows<'_, CoreAccountRow>;
    /// Every leg in core.
    fn core_entries(&self) -> Rows<'_, CoreEntryRow>;
    /// Core's transfers.
    fn core_transfers(&self) -> Rows<'_, CoreTransferRow>;
    /// Unsent outbox rows.
    fn core_outbox(&self) -> Rows<'_, CoreOutboxRow>;
    /// The copy's entries.
    fn channel_entries(&self) -> Rows<'_, ChannelEntryRow>;
    /// The copy's heads.
    fn channel_accounts(&self) -> Rows<'_, ChannelAccountRow>;
    /// The apply journal.
    fn apply_journal(&self) -> Rows<'_, ApplyJournalRow>;
    /// Visible stamps.
    fn visible(&self) -> Rows<'_, VisibleRow>;
    /// Pages read.
    fn pages(&self) -> Rows<'_, PageRow>;
    /// The topic.
    fn topic(&self) -> Rows<'_, TopicRow>;
    /// What the databases said of deadlocks.
    fn databases(&self) -> Rows<'_, DatabaseRow>;
    /// Holds of outbound transfers.
    fn core_holds(&self) -> Rows<'_, CoreHoldRow>;
    /// The channel's transfers.
    fn channel_transfers(&self) -> Rows<'_, ChannelTransferRow>;
    /// What was told of transfers' states.
    fn transfer_reads(&self) -> Rows<'_, TransferReadRow>;
    /// The other banks' book.
    fn bank_network(&self) -> Rows<'_, BankNetworkRow>;
    /// What core was asked about histories.
    fn core_access(&self) -> Rows<'_, CoreAccessRow>;
    /// Uses of the button.
    fn syncs(&self) -> Rows<'_, SyncRow>;
    /// The channel's table of dead letters.
    fn dead_letters(&self) -> Rows<'_, DeadLetterRow>;
    /// The dead-letter topic.
    fn dead_letter_topic(&self) -> Rows<'_, DltRow>;
    /// Offsets that the channel's group committed.
    fn group_commits(&self) -> Rows<'_, GroupCommitRow>;
}

/// Rows in memory. They are given out as they stand: sort them as [`crate::rows`] says.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "each field is the rows of the method of the same name")]
pub struct MemorySource {
    pub operations: Vec<OperationRow>,
    pub core_accounts: Vec<CoreAccountRow>,
    pub core_entries: Vec<CoreEntryRow>,
    pub core_transfers: Vec<CoreTransferRow>,
    pub core_outbox: Vec<CoreOutboxRow>,
    pub channel_entries: Vec<ChannelEntryRow>,
    pub channel_accounts: Vec<ChannelAccountRow>,
    pub apply_journal: Vec<ApplyJournalRow>,
    pub visible: Vec<VisibleRow>,
    pub pages: Vec<PageRow>,
    pub topic: Vec<TopicRow>,
    pub databases: Vec<DatabaseRow>,
    pub core_holds: Vec<CoreHoldRow>,
    pub channel_transfers: Vec<ChannelTransferRow>,
    pub transfer_reads: Vec<TransferReadRow>,
    pub bank_network: Vec<BankNetworkRow>,
    pub core_access: Vec<CoreAccessRow>,
    pub syncs: Vec<SyncRow>,
    pub dead_letters: Vec<DeadLetterRow>,
    pub dead_letter_topic: Vec<DltRow>,
    pub group_commits: Vec<GroupCommitRow>,
}

macro_rules! from_memory {
    ($($name:ident: $row:ty),* $(,)?) => {
        impl Source for MemorySource {
            $(fn $name(&self) -> Rows<'_, $row> {
                Box::new(self.$name.iter().cloned().map(Ok))
            })*
        }
    };
}

from_memory! {
    operations: OperationRow,
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
    bank_network: BankNetworkRow,
    core_access: CoreAccessRow,
    syncs: SyncRow,
    dead_letters: DeadLetterRow,
    dead_letter_topic: DltRow,
    group_commits: GroupCommitRow,
}
