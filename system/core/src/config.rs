//! What may be set in core, with units and defaults.
//!
//! In: nothing. Out: [`CoreConfig`]. Elsewhere: connection strings and addresses (`adapters`), scenario keys (`harness/scenario`).

mod protections;

use std::time::Duration;

pub use protections::{
    AccountLock, Binding, DeadlineCheck, Fence, KeyClaim, LockOrder, Outbox, Protections, RecordKey, RelayScan, Voiding,
};

/// Which clocks judge a transfer's validity (D31).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Deadline {
    /// It runs from the request's arrival at core, by core's own monotonic clock: nobody else's clock matters.
    #[default]
    Relative,
    /// It runs from `requested_at` by the caller's clock, and is over by the database's clock: the promise of the talk (A8).
    Absolute,
}

/// Core's limits. Every wait inside core is one of these, or the store's or the log's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoreConfig {
    /// Posting transactions in flight (D37 wants at least 4). Default 4.
    pub posting_slots: usize,
    /// The most deposits and transfers in one transaction. Default 200: more lengthens the lock hold and gains nothing.
    pub batch_max: usize,
    /// What a batch costs beyond the database's time: waited once before it, in its slot, holding no connection and no lock; the same for those
    /// that had to leave their batch. It makes a core that sustains less than its disk would. Default none.
    pub posting_cost: Duration,
    /// Transactions in flight for accounts that had to leave their batch. Default 2.
    pub alone_slots: usize,
    /// `resolve` transactions in flight. Default 2.
    pub resolve_slots: usize,
    /// Reads (entries, heads) in flight. Default 3.
    pub read_slots: usize,
    /// How many of these may be digests of heads. Default 1: however many channels sweep, others read beside them.
    pub digest_slots: usize,
    /// How long a read waits for its slot, a digest for each of its two; beyond it the answer is 503 not-started. Default 1 s.
    pub read_wait: Duration,
    /// How long the database may take for a read that has its slot; beyond it the answer is 503 not-started. Default 2 s: with `read_wait`
    /// it is what a channel waits at most.
    pub read_limit: Duration,
    /// Requests other than reads admitted and not answered yet; beyond it the answer is 503 not-started. Default 800, below the connections
    /// that the front door takes, so that it is this limit that answers. A transfer whose money is held for another bank does not count any
    /// more. With `batch_max` it bounds how long a posting waits: whoever would wait longer is refused at the door (A18).
    pub admitted_max: usize,
    /// How many of these one caller may have; beyond it the answer is 503 not-started. Default 400: no caller fills core alone.
    pub caller_max: usize,
    /// How long a deposit or transfer may wait until a transaction takes it; beyond it the answer is 503 not-started. Default 5 s.
    pub queue_wait: Duration,
    /// How long a batch waits for an id that another transaction holds, before it is halved; the last one goes on alone. Default 50 ms.
    pub batch_claim_wait: Duration,
    /// How long the parts of a group wait for an id, once the whole has waited for one. Default 1 ms, the least that a database counts.
    pub claim_again_wait: Duration,
    /// How long accounts posted alone wait for each row, and for an id the first time. Default 1 s.
    pub lock_timeout: Duration,
    /// How long a `resolve` waits for its slot; beyond it the answer is 503 not-started. Default 2 s.
    pub resolve_slot_wait: Duration,
    /// How long `resolve` waits for an id that is in work, before it answers `processing` (D32). Default 1 s.
    pub resolve_wait: Duration,
    /// Which clocks judge a transfer's validity. Default: core's own.
    pub deadline: Deadline,
    /// Whether there are other banks to ask. Without them a transfer to one is refused as a request, unless its id stands. Default yes.
    pub other_banks: bool,
    /// How long after its arrival a transfer to another bank waits for the outcome; beyond it the answer is 409 processing. Default 2 s:
    /// below the channel's call limit.
    pub outbound_answer_wait: Duration,
    /// Calls to other banks in flight. Default 64; they hold no connection to the database.
    pub outbound_calls: usize,
    /// How long a call to another bank may take, before its answer counts as unknown. Default 3 s.
    pub outbound_call_wait: Duration,
    /// Transactions in flight that end holds. Default 2.
    pub outbound_slots: usize,
    /// The age at which a hold that has no definite answer is cancelled at the other bank (D39). Default 60 s.
    pub outbound_expiry: Duration,
    /// How often core looks for open holds that it does not know of, besides its start. Default 10 s. It only matters for holds whose commit
    /// nobody saw, and beyond `outbound_known_max`.
    pub outbound_scan: Duration,
    /// The most open holds that core keeps in mind; further ones stay in the database until their turn comes. As many askers wait for other
    /// banks at most; further ones are answered 409 processing at once. Default 10,000.
    pub outbound_known_max: u32,
    /// The first pause before another bank is asked again, or a hold that could not be ended is tried again; doubled each time. Default 200 ms.
    pub outbound_backoff_first: Duration,
    /// The longest such pause. Default 5 s.
    pub outbound_backoff_max: Duration,
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
    /// How long a booking waits, with its rows locked, until its records are acknowledged, where they go to the log before it commits (P10
    /// off); beyond it the booking is rolled back and answered 503 not-started. Default 2 s.
    pub produce_wait: Duration,
    /// What protects the money.
    pub protections: Protections,
}

impl Default for CoreConfig {
    fn default() -> Self {
        Self {
            posting_slots: 4,
            batch_max: 200,
            posting_cost: Duration::ZERO,
            alone_slots: 2,
            resolve_slots: 2,
            read_slots: 3,
            digest_slots: 1,
            read_wait: Duration::from_secs(1),
            read_limit: Duration::from_secs(2),
            admitted_max: 800,
            caller_max: 400,
            queue_wait: Duration::from_secs(5),
            batch_claim_wait: Duration::from_millis(50),
            claim_again_wait: Duration::from_millis(1),
            lock_timeout: Duration::from_secs(1),
            resolve_slot_wait: Duration::from_secs(2),
            resolve_wait: Duration::from_secs(1),
            deadline: Deadline::default(),
            other_banks: true,
            outbound_answer_wait: Duration::from_secs(2),
            outbound_calls: 64,
            outbound_call_wait: Duration::from_secs(3),
            outbound_slots: 2,
            outbound_expiry: Duration::from_secs(60),
            outbound_scan: Duration::from_secs(10),
            outbound_known_max: 10_000,
            outbound_backoff_first: Duration::from_millis(200),
            outbound_backoff_max: Duration::from_secs(5),
            relay_rows_max: 1_000,
            relay_poll: Duration::from_millis(10),
            relay_ack_wait: Duration::from_secs(30),
            relay_backoff_max: Duration::from_secs(1),
            relay_stop_wait: Duration::from_secs(1),
            produce_wait: Duration::from_secs(2),
            protections: Protections::default(),
        }
    }
}

impl CoreConfig {
    /// Connections that core uses at once: its slots, the relay, the scan for open holds, and the readiness check. With a smaller pool they
    /// wait for each other.
    pub const fn connections(&self) -> usize {
        let posting = self.posting_slots + self.alone_slots;
        let each = match self.protections.key {
            KeyClaim::InTheBooking | KeyClaim::None => 1,
            KeyClaim::BeforeTheBooking | KeyClaim::AfterTheBooking => 2,
        };
        posting * each + self.resolve_slots + self.read_slots + self.outbound_slots + 1 + 1 + 1
    }
}
