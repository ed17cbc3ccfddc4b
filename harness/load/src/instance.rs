//! One channel instance and the connections to it that are not in use.
//!
//! In: an address. Out: clients, one request at a time each. Elsewhere: what is asked (`lookup`, `watch`, `resolve`).

use tokio::sync::Mutex;

use crate::wire::{Address, Client};

/// A channel instance.
#[derive(Debug)]
pub(crate) struct Instance {
    name: String,
    address: Address,
    idle: Mutex<Vec<Client>>,
}

impl Instance {
    pub(crate) fn new(name: String, address: Address) -> Self {
        Self { name, address, idle: Mutex::default() }
    }

    /// Its name in evidence.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// A connection of the caller's own.
    pub(crate) async fn take(&self) -> Client {
        self.idle.lock().await.pop().unwrap_or_else(|| Client::new(self.address.clone()))
    }

    /// To be used again: nothing may be on its way over it any more.
    pub(crate) async fn give_back(&self, client: Client) {
        self.idle.lock().await.push(client);
    }
}
