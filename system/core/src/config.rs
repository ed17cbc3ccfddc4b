//! What may be set in core, with units and defaults.
//!
//! In: nothing. Out: [`CoreConfig`]. Elsewhere: connection strings and addresses (`adapters`), scenario keys (`harness/scenario`).

use std::time::Duration;

/// Core's limits. Every wait inside core is one of these, or the store's or the log's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoreConfig {
    /// Posting transactions in flight (D37 wants at least 4). Default 4.
    pub posting_slots: usize,
    /// The most deposits in one transaction. Default 200: more lengthens the lock hold and gains nothing (domain.md 4.1).
    pub batch_max: usize,
    /// Transactions in flight for accounts that had to leave their batch. Default 2.
    pub alone_slots: usize,
    /// `resolve` transactions in flight. Default 2.
    pub resolve_slots: usize,
    /// Reads (entries, heads) in flight. Default 3.
    pub read_slots: usize,
    /// How long a read waits for its slot; beyond it the answer is 503 not-started. Default 1 s.
    pub read_wait: Duration,
    /// Deposits and resolves admitted and not answered yet; beyond it the answer is 503 not-started. Default 10,000.
    pub admitted_max: usize,
    /// How long a deposit may wait until a transaction takes it; beyond it the answer is 503 not-started. Default 5 s.
    pub queue_wait: Duration,
    /// How long a batch waits for an id that another transaction holds, before it is halved; the last one goes on alone. Default 50 ms.
    pub batch_claim_wait: Duration,
    /// How long an account posted alone waits for its row, and for an id. Default 1 s.
    pub lock_timeout: Duration,
    /// How long `resolve` waits for an id that is in work, before it answers `processing` (D32). Default 1 s.
    pub resolve_wait: Duration,
    /// Outbox rows handed to the log and not acknowledged yet, at most. Default 1,000.
    pub relay_rows_max: u32,
    /// How long the relay sleeps when no commit rings. Default 10 ms. It only matters for rows whose commit nobody saw.
    pub relay_poll: Duration,
    /// How long the relay waits for the acknowledgements of one scan before it takes a new producer. Default 30 s.
    pub relay_ack_wait: Duration,
    /// The longest pause between two tries when store or log refuse to work; the first is 10 ms. Default 1 s.
    pub relay_backoff_max: Duration,
    /// How long the relay goes on publishing once the process stops and the last posting has ended. Default 1 s; what is left then is
    /// published by the next start.
    pub relay_stop_wait: Duration,
}

impl Default for CoreConfig {
    fn default() -> Self {
        Self {
            posting_slots: 4,
            batch_max: 200,
            alone_slots: 2,
            resolve_slots: 2,
            read_slots: 3,
            read_wait: Duration::from_secs(1),
            admitted_max: 10_000,
            queue_wait: Duration::from_secs(5),
            batch_claim_wait: Duration::from_millis(50),
            lock_timeout: Duration::from_secs(1),
            resolve_wait: Duration::from_secs(1),
            relay_rows_max: 1_000,
            relay_poll: Duration::from_millis(10),
            relay_ack_wait: Duration::from_secs(30),
            relay_backoff_max: Duration::from_secs(1),
            relay_stop_wait: Duration::from_secs(1),
        }
    }
}

impl CoreConfig {
    /// Connections that core uses at once: its slots, the relay, and the readiness check. With a smaller pool they wait for each other.
    pub const fn connections(&self) -> usize {
        self.posting_slots + self.alone_slots + self.resolve_slots + self.read_slots + 1 + 1
    }
}
