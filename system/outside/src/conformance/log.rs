//! What every implementation of the event log must do.
//!
//! In: a [`LogFixture`], which makes topics. Out: a panic that names what differed. Elsewhere: what the services make of these promises.
//! A case that shares partitions drives all its members at once, because a rebalance needs each of them.

mod groups;
mod member;
mod order;
pub mod script;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::log::EventLog;

/// How long a case waits for one event before it says which one did not come.
pub const LIMIT: Duration = Duration::from_secs(30);

/// A log to be tried.
pub trait LogFixture: Send + Sync + 'static {
    /// The implementation.
    type Log: EventLog;

    /// The log, as one client sees it.
    fn log(&self) -> Self::Log;

    /// The name of an empty topic with this many partitions that no other case uses. Cases name their groups after it.
    fn topic(&self, partitions: u32) -> impl Future<Output = String> + Send;
}

/// A case in work.
pub type Running = Pin<Box<dyn Future<Output = ()> + Send>>;

/// One promise of the port.
pub struct Case<F> {
    /// What is promised, as a test's name.
    pub name: &'static str,
    /// Tries it.
    pub run: fn(Arc<F>) -> Running,
}

/// The list.
pub fn cases<F: LogFixture>() -> Vec<Case<F>> {
    macro_rules! list {
        ($($room:ident::$case:ident),* $(,)?) => {
            vec![$(Case { name: stringify!($case), run: |fixture| Box::pin($room::$case(fixture)) }),*]
        };
    }
    list![
        order::records_of_a_key_keep_the_order_of_calls,
        order::equal_keys_share_a_partition_and_offsets_rise_from_zero_without_holes,
        order::acknowledgements_name_partition_and_offset,
        order::a_record_is_handed_over_even_when_its_future_is_dropped,
        order::after_a_discard_a_new_producer_goes_on_behind_the_old_one,
        groups::a_new_group_starts_at_the_earliest_record,
        groups::a_new_member_goes_on_at_the_committed_offset,
        groups::what_was_not_committed_comes_again,
        groups::groups_do_not_see_each_others_commits,
        groups::a_reader_that_falls_behind_gets_every_record_once_and_in_order,
        groups::two_members_share_partitions_and_each_record_reaches_one,
        groups::every_rebalance_is_told_with_its_generation_to_those_who_keep_their_partitions,
        groups::a_drain_and_commit_inside_the_revocation_holds,
        groups::a_dropped_member_loses_its_partitions,
        groups::a_commit_for_a_partition_of_another_is_refused,
        groups::pause_stops_a_partition_and_resume_continues_it,
        groups::a_paused_partition_that_goes_and_comes_back_is_fetched_again,
    ]
}
