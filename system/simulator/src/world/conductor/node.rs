//! What a fault kills, freezes or restarts.
//!
//! In: a node, the bank. Out: the same to its process or server, and what the world saw of it. Elsewhere: when (`conductor`).

use crate::model::database::ModelDatabase;
use crate::world::bank::Bank;
use crate::world::markers;

/// Something with a pulse.
pub(super) enum Node {
    Core,
    Banks,
    Channel(usize),
    Database(ModelDatabase),
    Kafka,
}

impl Node {
    pub(super) fn kill(&self, bank: &Bank) {
        let store = match self {
            Self::Core => Some(bank.core_store.database()),
            Self::Channel(_) => Some(bank.channel_store.database()),
            Self::Banks | Self::Database(_) | Self::Kafka => None,
        };
        if store.is_some_and(|database| database.open_transactions() > 0) {
            bank.see(markers::KILLED_IN_A_TRANSACTION);
        }
        if matches!(self, Self::Core) && bank.core_store.unsent_count() > 0 {
            bank.see(markers::KILLED_BEFORE_PUBLISHING);
        }
        let holds_are_open = || bank.core_store.with(|data| data.holds.values().any(|hold| hold.ended.is_none()));
        if matches!(self, Self::Core) && holds_are_open() {
            bank.see(markers::KILLED_WITH_AN_OPEN_HOLD);
        }
        if matches!(self, Self::Channel(_)) && bank.channel_store.with(|data| !data.open.is_empty()) {
            bank.see(markers::KILLED_WITH_AN_OPEN_TRANSFER);
        }
        match self {
            Self::Banks => bank.banks.kill(),
            Self::Core => bank.core.kill(),
            Self::Channel(index) => bank.channels[*index].kill(),
            Self::Database(database) => database.kill(),
            Self::Kafka => bank.log.kill_broker(),
        }
    }

    pub(super) fn start(&self, bank: &Bank) {
        match self {
            Self::Banks => bank.start_banks(),
            Self::Core => bank.start_core(),
            Self::Channel(index) => bank.start_channel(*index),
            Self::Database(database) => database.start(),
            Self::Kafka => bank.log.start_broker(),
        }
    }

    pub(super) fn pause(&self, bank: &Bank) {
        match self {
            Self::Banks => bank.banks.pause(&bank.log),
            Self::Core => bank.core.pause(&bank.log),
            Self::Channel(index) => bank.channels[*index].pause(&bank.log),
            Self::Database(database) => database.pause(),
            Self::Kafka => bank.log.pause_broker(),
        }
    }

    pub(super) fn resume(&self, bank: &Bank) {
        match self {
            Self::Banks => bank.banks.resume(&bank.log),
            Self::Core => bank.core.resume(&bank.log),
            Self::Channel(index) => bank.channels[*index].resume(&bank.log),
            Self::Database(database) => database.resume(),
            Self::Kafka => bank.log.resume_broker(),
        }
    }

    pub(super) async fn stop(&self, bank: &Bank) {
        match self {
            Self::Banks => drop(bank.banks.stop().await),
            Self::Core => drop(bank.core.stop().await),
            Self::Channel(index) => drop(bank.channels[*index].stop().await),
            Self::Database(_) | Self::Kafka => {
                unreachable!("only our own processes are restarted, and plans are checked")
            }
        }
    }
}
