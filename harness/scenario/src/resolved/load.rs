//! Resolved loads: what customers do.
//!
//! In: `resolve/load`. Out: [`Load`]. Elsewhere: what is planned from it (`customers`).

use std::time::Duration;

use super::LatencyKind;

/// One stream of operations.
#[derive(Clone, Debug, PartialEq)]
pub struct Load {
    /// What is done.
    pub op: Op,
    /// Operations a second, above 0.
    pub rate_per_s: f64,
    /// How they are spread in time.
    pub arrivals: Arrivals,
    /// The part of the measured phase in which it is done, from its start; `None` is warm-up and all of it.
    pub window: Option<(Duration, Duration)>,
    /// When an answer is given up and the outcome is unknown.
    pub timeout: Duration,
    /// What follows a failed or unknown outcome.
    pub retry: Retry,
    /// Connections, shared by the sender threads.
    pub connections: u32,
    /// Share of operations (0 to 1) that are also looked up through the history API.
    pub lookup: f64,
    /// What customers do besides; of deposits and reads, nothing.
    pub behaviour: Behaviour,
    /// How customers scroll; of `scroll` only.
    pub scroll: Option<Scroll>,
}

/// How customers scroll through their histories.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scroll {
    /// Customers who do so at once.
    pub readers: u32,
    /// Pages of one session, from the newest on.
    pub pages: u32,
    /// Entries on a page.
    pub page_size: u32,
}

impl Default for Scroll {
    fn default() -> Self {
        Self { readers: 20, pages: 20, page_size: 20 }
    }
}

/// What customers do around their transfers; shares (0 to 1) are of transfers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Behaviour {
    /// What follows an unknown outcome.
    pub on_unknown: OnUnknown,
    /// Sent again within moments under another id.
    pub double_click: f64,
    /// The id used again for another amount.
    pub reuse_key: f64,
    /// Another transfer meanwhile, from a second device.
    pub two_devices: f64,
    /// The customer's history read once a channel has answered 201 or 202.
    pub read_own: f64,
}

impl Default for Behaviour {
    /// A patient customer with one device, who clicks once.
    fn default() -> Self {
        Self { on_unknown: OnUnknown::Wait, double_click: 0.0, reuse_key: 0.0, two_devices: 0.0, read_own: 0.0 }
    }
}

/// What a customer does whose transfer's outcome is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnUnknown {
    /// He asks how it stands until it is settled.
    Wait,
    /// He asks too, and sends the same again under another id.
    Resubmit,
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Op {
    /// A deposit from another bank, at core.
    Deposit,
    /// A transfer inside the bank, at a channel.
    Transfer,
    /// A transfer to another bank, at a channel.
    Outbound,
    /// A page of history, at a channel: sessions go from page to page.
    Scroll,
    /// The button, at a channel.
    Sync,
}

impl Op {
    /// All of them, in the order of reports.
    pub const ALL: [Self; 5] = [Self::Deposit, Self::Transfer, Self::Outbound, Self::Scroll, Self::Sync];

    /// The word in files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deposit => "deposit",
            Self::Transfer => "transfer",
            Self::Outbound => "outbound",
            Self::Scroll => "scroll",
            Self::Sync => "sync",
        }
    }

    /// Whether it is a customer's transfer, sent to a channel.
    pub const fn is_transfer(self) -> bool {
        matches!(self, Self::Transfer | Self::Outbound)
    }

    /// Whether it asks a channel about an account and moves no money.
    pub const fn is_read(self) -> bool {
        matches!(self, Self::Scroll | Self::Sync)
    }

    /// The latencies that it has: what moves no money never becomes visible.
    pub const fn latencies(self) -> &'static [LatencyKind] {
        if self.is_read() {
            &[LatencyKind::Response, LatencyKind::Service, LatencyKind::SendLag]
        } else {
            &LatencyKind::ALL
        }
    }
}

/// How operations are spread in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrivals {
    /// Evenly.
    Constant,
    /// Exponential gaps.
    Poisson,
}

/// What follows a failed or unknown outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Nothing; the resolve phase settles it.
    None,
    /// The same request under the same id, twice more at most.
    SameId,
}
