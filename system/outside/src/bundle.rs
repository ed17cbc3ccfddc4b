//! One bundle of ports per service: what a service is generic over.
//!
//! In: an assembly of adapters or models. Out: [`CoreOutside`], [`ChannelOutside`], [`BanksOutside`]. Elsewhere: the assemblies (`adapters::process` for
//! real, `simulator` on virtual time). One bundle each, because a core that could name a channel's store would be a core that could use
//! it.

use crate::bank_network::{BankBook, BankNetwork, OutcomeSink};
use crate::channel_store::ChannelStore;
use crate::core_api::CoreApi;
use crate::core_store::CoreStore;
use crate::log::EventLog;
use crate::process::{AccessLog, Metrics, Points, Scope, VisibleLog, WallClock};

/// What core knows of the outside.
pub trait CoreOutside: Clone + Send + Sync + 'static {
    /// Its database.
    type Store: CoreStore;
    /// The log that its relay produces to.
    type Log: EventLog;
    /// The other banks, by typed calls.
    type Banks: BankNetwork;
    /// Its process.
    type Scope: Scope;
    /// Its markers.
    type Points: Points;
    /// Its counters.
    type Metrics: Metrics;
    /// Its log of who read from it.
    type Access: AccessLog;

    /// Its database.
    fn store(&self) -> &Self::Store;
    /// The log that its relay produces to.
    fn log(&self) -> &Self::Log;
    /// The other banks, by typed calls.
    fn banks(&self) -> &Self::Banks;
    /// Its process.
    fn scope(&self) -> &Self::Scope;
    /// Its markers.
    fn points(&self) -> &Self::Points;
    /// Its counters.
    fn metrics(&self) -> &Self::Metrics;
    /// Its log of who read from it.
    fn access(&self) -> &Self::Access;
}

/// What a channel knows of the outside.
pub trait ChannelOutside: Clone + Send + Sync + 'static {
    /// Its database.
    type Store: ChannelStore;
    /// The log that its consumer reads.
    type Log: EventLog;
    /// Core, by typed calls.
    type Core: CoreApi;
    /// Its process.
    type Scope: Scope;
    /// Its markers.
    type Points: Points;
    /// Its counters.
    type Metrics: Metrics;
    /// Its log of visible entries.
    type Visible: VisibleLog;
    /// Its machine's clock.
    type Wall: WallClock;

    /// Its database.
    fn store(&self) -> &Self::Store;
    /// The log that its consumer reads.
    fn log(&self) -> &Self::Log;
    /// Core, by typed calls.
    fn core(&self) -> &Self::Core;
    /// Its process.
    fn scope(&self) -> &Self::Scope;
    /// Its markers.
    fn points(&self) -> &Self::Points;
    /// Its counters.
    fn metrics(&self) -> &Self::Metrics;
    /// Its log of visible entries.
    fn visible(&self) -> &Self::Visible;
    /// Its machine's clock.
    fn wall(&self) -> &Self::Wall;
}

/// What the other banks know of the outside.
pub trait BanksOutside: Clone + Send + Sync + 'static {
    /// Their book.
    type Book: BankBook;
    /// Core, by typed calls.
    type Core: OutcomeSink;
    /// Their process.
    type Scope: Scope;
    /// Their markers.
    type Points: Points;
    /// Their counters.
    type Metrics: Metrics;

    /// Their book.
    fn book(&self) -> &Self::Book;
    /// Core, by typed calls.
    fn core(&self) -> &Self::Core;
    /// Their process.
    fn scope(&self) -> &Self::Scope;
    /// Their markers.
    fn points(&self) -> &Self::Points;
    /// Their counters.
    fn metrics(&self) -> &Self::Metrics;
}
