//! The bundles of models that services are started with.
//!
//! In: a store, a log, a process. Out: [`ModelCore`], [`ModelChannel`]. Elsewhere: the real assemblies (`adapters::process`).

use bankstorm_outside::bundle::{ChannelOutside, CoreOutside};

use super::channel_store::ModelChannelStore;
use super::core_api::ModelCoreApi;
use super::core_store::ModelCoreStore;
use super::log::ModelLog;
use super::process::{ModelMetrics, ModelScope, ModelVisible};

/// What a core process knows of the outside.
#[derive(Clone)]
pub struct ModelCore {
    /// Its database.
    pub store: ModelCoreStore,
    /// The log.
    pub log: ModelLog,
    /// Its process.
    pub scope: ModelScope,
    /// Its markers and counters.
    pub metrics: ModelMetrics,
}

impl CoreOutside for ModelCore {
    type Store = ModelCoreStore;
    type Log = ModelLog;
    type Scope = ModelScope;
    type Points = ModelMetrics;
    type Metrics = ModelMetrics;

    fn store(&self) -> &ModelCoreStore {
        &self.store
    }

    fn log(&self) -> &ModelLog {
        &self.log
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

/// What a channel process knows of the outside.
#[derive(Clone)]
pub struct ModelChannel {
    /// Its database.
    pub store: ModelChannelStore,
    /// The log.
    pub log: ModelLog,
    /// Core.
    pub core: ModelCoreApi,
    /// Its process.
    pub scope: ModelScope,
    /// Its markers and counters.
    pub metrics: ModelMetrics,
    /// Its visible log.
    pub visible: ModelVisible,
}

impl ChannelOutside for ModelChannel {
    type Store = ModelChannelStore;
    type Log = ModelLog;
    type Core = ModelCoreApi;
    type Scope = ModelScope;
    type Points = ModelMetrics;
    type Metrics = ModelMetrics;
    type Visible = ModelVisible;

    fn store(&self) -> &ModelChannelStore {
        &self.store
    }

    fn log(&self) -> &ModelLog {
        &self.log
    }

    fn core(&self) -> &ModelCoreApi {
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
}
