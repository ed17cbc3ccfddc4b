//! The smallest world with a transfer in it, for worlds written by hand.
//!
//! In: nothing. Out: a plan, to be changed. Elsewhere: what is done to it (`races`, `silence`, `core_down`, `clocks`).

use bankstorm_simulator::plan::{
    Action, Following, Operation, Payment, Plan, Protections, Repair, SCHEMA, Terms, Topology, WorkerMode,
};

/// Two accounts, two channels, one transfer after 100 ms.
pub(super) fn tiny() -> Plan {
    let topology = Topology {
        accounts: 2,
        opening_won: 1_000,
        partitions: 1,
        channels: 2,
        load_ms: 30_000,
        pace_ms: 2,
        connections: 16,
        posting_slots: 4,
        batch_max: 20,
        relay_poll_ms: 100,
        relay_rows: 50,
        worker_mode: WorkerMode::KeyedBatched,
        workers: 3,
        transactions: 4,
        batch_accounts: 5,
        span: 1_000,
        commit_every_ms: 500,
        sync_cost_ms: 0,
        tight_limits: false,
        transfers: Terms::default(),
        following: Following::default(),
        repair: Repair::ON,
        protections: Protections::default(),
    };
    let transfer = Operation { op: 0, at_ms: 100, account: 0, action: Action::Transfer { to: 1, pay: payment() } };
    Plan { schema: SCHEMA, seed: 0, chance: 0, planted: None, topology, faults: Vec::new(), operations: vec![transfer] }
}

/// Ten won from customer 1, who waits long and asks only once, and then reads how it stands.
pub(super) fn payment() -> Payment {
    let (again, elsewhere) = (None, None);
    Payment {
        user: 1,
        won: 10,
        channel: 0,
        patience_ms: 8_000,
        retries: 0,
        elsewhere,
        again,
        resubmit: false,
        reads: 9,
        looks: 0,
    }
}
