//! How many advance transactions are open: what the gauge says.
//!
//! In: an advancer with two places. Out: nothing but assertions. Elsewhere: the transactions themselves (`pages`, `flights`).

use std::sync::Arc;

use tokio::time::timeout;

use super::bench::{SOON, quiet};
use super::fakes::Fake;
use crate::advance::Advancer;
use crate::config::ChannelConfig;

#[tokio::test(start_paused = true)]
async fn places_that_are_taken_are_told_and_those_that_are_waited_for_are_not() {
    let fake = Fake::new();
    let config = ChannelConfig { transactions: 2, ..quiet() };
    let advancer = Advancer::new(fake.clone(), &config, Arc::default());
    let open = || fake.data().gauges.get("channel_transactions_open").copied();
    let first = advancer.place().await;
    assert_eq!(open(), Some(1));
    let second = advancer.place().await;
    assert_eq!(open(), Some(2));
    assert!(timeout(SOON, advancer.place()).await.is_err(), "there are two");
    assert_eq!(open(), Some(2), "who waits has none");
    drop(first);
    assert_eq!(open(), Some(1));
    drop(second);
    assert_eq!(open(), Some(0));
}
