//! The bundles of models that services are started with.
//!
//! In: a store, a log, a process. Out: [`ModelCore`], [`ModelChannel`], [`ModelBanks`]. Elsewhere: the real assemblies (`adapters::process`), what may be
//! done wrong on the way to a model (`planted`).

use bankstorm_outside::bundle::{BanksOutside, ChannelOutside, CoreOutside};

use super::bank_network::{ModelBankBook, ModelBankNetwork, ModelOutcomeSink};
use super::core_api::ModelCoreApi;
use super::process::{ModelAccess, ModelMetrics, ModelScope, ModelVisible};
use super::wall::ModelWall;
use crate::planted;

/// What a core process knows of the outside.
#[derive(Clone)]
pub struct ModelCore {
    /// Its database.
    pub store: planted::CoreStore,
    /// The log.
    pub log: planted::Log,
    /// The other banks.
    pub banks: ModelBankNetwork,
    /// Its process.
    pub scope: ModelScope,
    /// Its markers and counters.
    pub metrics: ModelMetrics,
    /// Its access log.
    pub access: ModelAccess,
}

impl CoreOutside for ModelCore {
    type Store = planted::CoreStore;
    type Log = planted::Log;
    type Banks = ModelBankNetwork;
    type Scope = ModelScope;
    type Points = ModelMetrics;
    type Metrics = ModelMetrics;
    type Access = ModelAccess;

    fn store(&self) -> &planted::CoreStore {
        &self.store
    }

    fn log(&self) -> &planted::Log {
        &self.log
    }

    fn banks(&self) -> &ModelBankNetwork {
        &self.banks
    }

    fn scope(&self) -> &ModelScope {
        &self.scope
    }

    fn points(&self) -> &ModelMetrics {
        &self.metrics
    }

    fn metrics(&self) -> &ModelMetrics {
        &self.metrics
    }

    fn access(&self) -> &ModelAccess {
        &self.access
    }
}

/// What a channel process knows of the outside.
#[derive(Clone)]
pub struct ModelChannel {
    /// Its database.
    pub store: planted::ChannelStore,
    /// The log.
    pub log: planted::Log,
    /// Core.
    pub core: planted::CoreApi<ModelCoreApi>,
    /// Its process.
    pub scope: ModelScope,
    /// Its markers and counters.
    pub metrics: ModelMetrics,
    /// Its visible log.
    pub visible: ModelVisible,
    /// Its machine's clock.
    pub wall: ModelWall,
}

impl ChannelOutside for ModelChannel {
    type Store = planted::ChannelStore;
    type Log = planted::Log;
    type Core = planted::CoreApi<ModelCoreApi>;
    type Scope = ModelScope;
    type Points = ModelMetrics;
    type Metrics = ModelMetrics;
    type Visible = ModelVisible;
    type Wall = ModelWall;

    fn store(&self) -> &planted::ChannelStore {
        &self.store
    }

    fn log(&self) -> &planted::Log {
        &self.log
    }

    fn core(&self) -> &planted::CoreApi<ModelCoreApi> {
        &self.core
    }

    fn scope(&self) -> &ModelScope {
        &self.scope
    }

    fn points(&self) -> &ModelMetrics {
        &self.metrics
    }

    fn metrics(&self) -> &ModelMetrics {
        &self.metrics
    }

    fn visible(&self) -> &ModelVisible {
        &self.visible
    }

    fn wall(&self) -> &ModelWall {
        &self.wall
    }
}

/// What the other banks' process knows of the outside.
#[derive(Clone)]
pub struct ModelBanks {
    /// Their book, which outlives the process.
    pub book: ModelBankBook,
    /// Core.
    pub core: ModelOutcomeSink,
    /// Their process.
    pub scope: ModelScope,
    /// Their markers and counters.
    pub metrics: ModelMetrics,
}

impl BanksOutside for ModelBanks {
    type Book = ModelBankBook;
    type Core = ModelOutcomeSink;
    type Scope = ModelScope;
    type Points = ModelMetrics;
    type Metrics = ModelMetrics;

    fn book(&self) -> &ModelBankBook {
        &self.book
    }

    fn core(&self) -> &ModelOutcomeSink {
        &self.core
    }

    fn scope(&self) -> &ModelScope {
        &self.scope
    }

    fn points(&self) -> &ModelMetrics {
        &self.metrics
    }

    fn metrics(&self) -> &ModelMetrics {
        &self.metrics
    }
}
