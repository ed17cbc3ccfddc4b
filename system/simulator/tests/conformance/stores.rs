//! The stores' lists on the models, and on a store with a planted fault.
//!
//! In: a seed. Out: trials. Elsewhere: the lists (`outside::conformance`).

use std::sync::Arc;
use std::time::Duration;

use bankstorm_contracts::{AccountNo, Entry, Head, Seq, TransferId};
use bankstorm_outside::conformance::{channel_store, core_store};
use bankstorm_outside::core_store::{
    AccountRow, Claim, Claimed, CoreStore, CoreTx, Locked, OpenHold, OpenHolds, OutboxRow, TransferRecord, Writes,
};
use bankstorm_outside::{CommitOutcome, LockMode, StoreError};
use bankstorm_simulator::model::channel_store::ModelChannelStore;
use bankstorm_simulator::model::core_store::{ModelCoreStore, ModelCoreTx};
use libtest_mimic::Trial;

use crate::{caught, on_virtual_time, over_seeds};

/// Makes model stores of one seed.
struct Models {
    seed: u64,
}

impl core_store::CoreStoreFixture for Models {
    type Store = ModelCoreStore;

    async fn fresh_rows(&self, accounts: &[AccountRow]) -> ModelCoreStore {
        opened(self.seed, accounts)
    }

    async fn until_waiting(&self, store: &ModelCoreStore) {
        until_waiting(store).await;
    }
}

impl channel_store::ChannelStoreFixture for Models {
    type Store = ModelChannelStore;

    async fn fresh(&self) -> ModelChannelStore {
        ModelChannelStore::new(self.seed)
    }

    async fn alone(&self) -> ModelChannelStore {
        ModelChannelStore::new(self.seed)
    }
}

fn opened(seed: u64, accounts: &[AccountRow]) -> ModelCoreStore {
    let store = ModelCoreStore::new(seed);
    for row in accounts {
        store.open_row(*row);
    }
    store
}

async fn until_waiting(store: &ModelCoreStore) {
    while store.waiting() == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Makes stores whose claims take an id that somebody else holds.
struct HastyModels {
    seed: u64,
}

impl core_store::CoreStoreFixture for HastyModels {
    type Store = HastyStore;

    async fn fresh_rows(&self, accounts: &[AccountRow]) -> HastyStore {
        HastyStore(opened(self.seed, accounts))
    }

    async fn until_waiting(&self, store: &HastyStore) {
        until_waiting(&store.0).await;
    }
}

#[derive(Clone)]
struct HastyStore(ModelCoreStore);

struct HastyTx(ModelCoreTx);

impl CoreStore for HastyStore {
    type Tx = HastyTx;

    async fn begin(&self) -> Result<HastyTx, StoreError> {
        self.0.begin().await.map(HastyTx)
    }

    async fn entries(&self, account: AccountNo, after: Seq, limit: u32) -> Result<Vec<Entry>, StoreError> {
        self.0.entries(account, after, limit).await
    }

    async fn heads(&self, accounts: &[AccountNo]) -> Result<Vec<Head>, StoreError> {
        self.0.heads(accounts).await
    }

    async fn heads_between(&self, from: AccountNo, to: AccountNo, limit: u32) -> Result<Vec<Head>, StoreError> {
        self.0.heads_between(from, to, limit).await
    }

    async fn transfer(&self, id: TransferId) -> Result<Option<TransferRecord>, StoreError> {
        self.0.transfer(id).await
    }

    async fn open_holds(&self, limit: u32) -> Result<OpenHolds, StoreError> {
        self.0.open_holds(limit).await
    }

    async fn unsent(&self, limit: u32) -> Result<Vec<OutboxRow>, StoreError> {
        self.0.unsent(limit).await
    }

    async fn unsent_above(&self, id: i64, limit: u32) -> Result<Vec<OutboxRow>, StoreError> {
        self.0.unsent_above(id, limit).await
    }

    async fn mark_sent(&self, ids: &[i64]) -> Result<(), StoreError> {
        self.0.mark_sent(ids).await
    }
}

impl CoreTx for HastyTx {
    async fn claim(&mut self, claims: &[Claim], _wait: Duration) -> Result<Vec<Claimed>, StoreError> {
        match self.0.claim(claims, Duration::ZERO).await {
            Err(StoreError::LockTimeout) => Ok(vec![Claimed::New; claims.len()]),
            answer => answer,
        }
    }

    async fn lock(&mut self, accounts: &[AccountNo], mode: LockMode) -> Result<Locked, StoreError> {
        self.0.lock(accounts, mode).await
    }

    async fn read_unlocked(&mut self, accounts: &[AccountNo]) -> Result<Locked, StoreError> {
        self.0.read_unlocked(accounts).await
    }

    async fn reopen(&mut self, ids: &[TransferId], wait: Duration) -> Result<Vec<OpenHold>, StoreError> {
        self.0.reopen(ids, wait).await
    }

    async fn write(&mut self, writes: &Writes) -> Result<(), StoreError> {
        self.0.write(writes).await
    }

    async fn commit(self) -> CommitOutcome {
        self.0.commit().await
    }
}

pub(crate) fn trials() -> Vec<Trial> {
    let core = core_store::cases::<Models>().into_iter().map(|case| {
        over_seeds(format!("core_store::{}", case.name), move |seed| {
            on_virtual_time((case.run)(Arc::new(Models { seed })));
        })
    });
    let channel = channel_store::cases::<Models>().into_iter().map(|case| {
        over_seeds(format!("channel_store::{}", case.name), move |seed| {
            on_virtual_time((case.run)(Arc::new(Models { seed })));
        })
    });
    let hasty = caught("core_store::a_claim_that_does_not_wait_is_caught".to_owned(), |seed| {
        let wanted = "a_claim_waits_for_the_holder_and_is_existing_after_his_commit";
        let mut cases = core_store::cases::<HastyModels>().into_iter();
        let case = cases.find(|case| case.name == wanted).expect("a case of the list");
        on_virtual_time((case.run)(Arc::new(HastyModels { seed })));
    });
    core.chain(channel).chain([hasty]).collect()
}
