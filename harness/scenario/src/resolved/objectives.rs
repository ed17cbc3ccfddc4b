//! Objectives: what was asked for, of which figure, of which part of the run.
//!
//! In: `resolve/objectives`. Out: [`Objective`], [`RecoveryObjective`], [`OverloadObjectives`], [`ScrollObjectives`], [`DrainObjectives`]. Elsewhere: whether they are met (`harness/check`).

use std::time::Duration;

use super::Op;

/// An objective.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Objective {
    /// For example `deposit.response.p99`; the same for every `during`.
    pub name: String,
    /// The operation.
    pub op: Op,
    /// Which latency.
    pub latency: LatencyKind,
    /// Which figure of it.
    pub figure: Figure,
    /// The most it may be.
    pub limit: Duration,
    /// Of which part of the measured phase.
    pub during: During,
}

/// A part of the measured phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum During {
    /// Neither while a fault lasts nor while the bank recovers from one.
    Steady,
    /// While a fault lasts.
    Fault,
    /// From the heal of a fault until the bank is as before.
    Recovery,
    /// The whole measured phase.
    All,
}

impl During {
    /// The word in files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Steady => "steady",
            Self::Fault => "fault",
            Self::Recovery => "recovery",
            Self::All => "all",
        }
    }
}

/// An objective of the way back after each fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveryObjective {
    /// For example `recovery.first_ok`.
    pub name: String,
    /// Which time.
    pub figure: RecoveryFigure,
    /// The most it may be, after any fault.
    pub limit: Duration,
}

/// Times of the way back, from the moment that a fault was healed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RecoveryFigure {
    /// Until the first operation succeeds.
    FirstOk,
    /// Until 90 % of the rate before the fault succeeds.
    Rate90,
    /// Until the copy's lag is as it was before.
    LagNormal,
}

impl RecoveryFigure {
    /// All of them, in the order of reports.
    pub const ALL: [Self; 3] = [Self::FirstOk, Self::Rate90, Self::LagNormal];

    /// The word in files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FirstOk => "first_ok",
            Self::Rate90 => "rate_90",
            Self::LagNormal => "lag_normal",
        }
    }
}

/// What is asked of core under a greater load of deposits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OverloadObjectives {
    /// The most that core's posting p99 in the window may be of the one before, in thousandths.
    pub posting_p99: Option<u64>,
    /// The longest from the window's end until the bank serves as before.
    pub recovery: Option<Duration>,
    /// The most deposits that are neither posted nor refused as `not-started`.
    pub unrefused: Option<u64>,
}

/// What is asked of pages that lie deep, beside the first ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScrollObjectives {
    /// The most that the response p99 of the deepest tenth of a session's pages (by `page_no`) may be of that of the first tenth, in
    /// thousandths.
    pub deepest_of_first: Option<u64>,
}

/// What is asked of channels that work a backlog off.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DrainObjectives {
    /// The least share (0 to 1) of the predicted rate.
    pub of_predicted: Option<f64>,
}

/// The latencies of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LatencyKind {
    /// Intended -> acknowledged.
    Response,
    /// Written -> acknowledged.
    Service,
    /// Intended -> written.
    SendLag,
    /// Acknowledged -> visible.
    SyncLag,
    /// Intended -> visible.
    Visible,
}

impl LatencyKind {
    /// All of them, in the order of reports.
    pub const ALL: [Self; 5] = [Self::Response, Self::Service, Self::SendLag, Self::SyncLag, Self::Visible];

    /// The word in files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Response => "response",
            Self::Service => "service",
            Self::SendLag => "send_lag",
            Self::SyncLag => "sync_lag",
            Self::Visible => "visible",
        }
    }
}

/// Figures of a histogram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// Mean.
    Mean,
    /// Median.
    P50,
    /// 90th percentile.
    P90,
    /// 99th percentile.
    P99,
    /// 99.9th percentile.
    P999,
    /// Largest.
    Max,
}

impl Figure {
    /// All of them, in the order of reports.
    pub const ALL: [Self; 6] = [Self::Mean, Self::P50, Self::P90, Self::P99, Self::P999, Self::Max];

    /// The word in files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::P50 => "p50",
            Self::P90 => "p90",
            Self::P99 => "p99",
            Self::P999 => "p999",
            Self::Max => "max",
        }
    }
}
